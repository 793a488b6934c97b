//! The external system is out of reach while the host goes on.

use std::time::Duration;

use bus_core::{Clock, Direction};
use bus_runtime::{BusErrorKind, ConnectorState, Health, Processing};
use bus_testkit::{FakePeer, TestBus};
use bus_tests::{EventLog, User};

stories!(
    an_outage_costs_nothing_but_time,
    a_clock_that_is_set_back_does_not_prolong_it,
    a_strict_start_needs_every_connection
);

async fn an_outage_costs_nothing_but_time(bus: TestBus) {
    let log = FakePeer::new("log");
    let mut processing = Processing::default();
    processing.max_attempts = 2;
    let bus = bus.connector::<EventLog>("event-log").processing(processing).object::<User>();
    let bus = bus.provide(log.clone()).start().await;
    bus.objects().save(&mut User::new("first", "First")).await.unwrap();
    bus.until_idle().await;
    assert_eq!(log.take_calls().len(), 1);

    log.cut_off();
    for login in ["a", "b", "c", "d", "e"] {
        bus.objects().save(&mut User::new(login, login)).await.unwrap();
    }
    for _ in 0..20 {
        bus.until_idle().await;
        bus.clock().advance(Duration::from_mins(15));
    }
    bus.until_idle().await;
    let Health::Unreachable { failures, .. } = bus.connectors()[0].health else {
        panic!("{:?}", bus.connectors());
    };
    assert!(failures > 5, "{failures}");
    let counters = bus.counters("event-log", Direction::Outgoing).await;
    assert_eq!((counters.open, counters.retried), (5, 0));

    log.reconnect();
    bus.clock().advance(Duration::from_mins(15));
    bus.until_idle().await;
    let lines: Vec<_> = ["a", "b", "c", "d", "e"].map(|login| format!("create {login} snapshot")).into();
    assert_eq!(log.calls(), lines);
    assert_eq!(bus.connectors()[0].health, Health::Well);
}

async fn a_clock_that_is_set_back_does_not_prolong_it(bus: TestBus) {
    let log = FakePeer::new("log");
    log.cut_off();
    let bus = bus.connector::<EventLog>("event-log").object::<User>().provide(log.clone()).start().await;
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    bus.until_idle().await;
    assert!(matches!(bus.connectors()[0].health, Health::Unreachable { .. }));
    bus.clock().set(bus.clock().now().minus(Duration::from_hours(10)));
    log.reconnect();
    // Whatever makes it look at the clock again, long before that says what it said before.
    let name = "event-log".parse().unwrap();
    for _ in 0..100 {
        for state in [ConnectorState::Paused, ConnectorState::Enabled] {
            bus.set_connector_state(&name, state).await.unwrap();
            tokio::task::yield_now().await;
        }
        bus.clock().advance(Duration::from_mins(1));
        tokio::task::yield_now().await;
    }
    bus.until_idle().await;
    assert_eq!(log.calls().last().map(String::as_str), Some("create ada snapshot"));
}

async fn a_strict_start_needs_every_connection(bus: TestBus) {
    let log = FakePeer::new("log");
    log.cut_off();
    let bus = bus.connector::<EventLog>("event-log").object::<User>().provide(log.clone());
    let error =
        bus.configure(|config| config.strict = true).try_start().await.err().expect("it must not start");
    assert_eq!(error.kind(), BusErrorKind::Strict);
    assert!(error.to_string().contains("event-log cannot connect: log is cut off"), "{error}");
}
