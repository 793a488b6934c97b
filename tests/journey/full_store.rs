//! A file that may not grow any further: saving says so, and goes on once there is room.

use std::time::Duration;

use bus_core::{ConnectorName, DeliveryState, Direction, ErrorPolicy, ExternalTask};
use bus_runtime::{BusErrorKind, ConnectorState, Switches};
use bus_testkit::{FakePeer, TestBus};
use bus_tests::{Contact, EventLog, User};

use crate::gates::{Gated, with_gates};
use crate::told::until;

#[tokio::test]
async fn a_quota_in_the_configuration_refuses_and_goes_on_when_there_is_room() {
    let bus = TestBus::new().on_sqlite().connector::<EventLog>("event-log").object::<User>();
    let bus = bus.configure(|config| {
        config.limits.store_bytes_max = Some(4 * 1024 * 1024);
        config.connectors[0].state = ConnectorState::Paused;
        config.connectors[0].processing.history_retention_ms = 0;
    });
    let bus = bus.provide(FakePeer::new("log")).start().await;
    let saved = async |number: usize| {
        let name = "x".repeat(100_000);
        bus.objects().save(&mut User::new(&format!("user-{number}"), &name)).await
    };
    let mut number = 0;
    let full = loop {
        match saved(number).await {
            Ok(_) => number += 1,
            Err(error) => break error,
        }
        assert!(number < 100, "it has a quota");
    };
    assert_eq!(full.kind(), BusErrorKind::Store);
    assert!(format!("{full:?}").contains("quota, is full: make room"), "{full:?}");
    assert!(number > 1, "{number}");

    let name: ConnectorName = "event-log".parse().unwrap();
    bus.set_connector_state(&name, ConnectorState::Enabled).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.counters("event-log", Direction::Outgoing).await.open, 0);
    bus.clock().advance(Duration::from_secs(1));
    bus.prune().await.unwrap();
    saved(number).await.unwrap();
    bus.until_idle().await;
}

#[tokio::test]
async fn what_cannot_be_written_is_no_failure_of_what_comes_in() {
    let (bus, calls) = with_gates(TestBus::new().on_sqlite(), |processing| processing.max_attempts = 1);
    let bus = bus.configure(|config| config.limits.store_bytes_max = Some(4 * 1024 * 1024)).start().await;
    let gated: ConnectorName = "gated".parse().unwrap();
    bus.set_connector_state(&gated, ConnectorState::Paused).await.unwrap();
    // Larger than what is left when the last of the users finds no room.
    let large = "x".repeat(300_000);
    for (uid, policy) in [("1", ErrorPolicy::DeleteOnError), ("2", ErrorPolicy::Default)] {
        let task =
            ExternalTask::create::<Gated, _>("gated", &Contact::new(uid, &format!("contact-{uid}"), &large));
        bus.process_external_task(task.error_policy(policy)).await.unwrap();
    }
    let name = "x".repeat(50_000);
    for number in 0.. {
        if bus.objects().save(&mut User::new(&format!("user-{number}"), &name)).await.is_err() {
            break;
        }
        assert!(number < 100, "it has a quota");
    }
    // There is no room for what they become, and time goes by.
    bus.set_switches(Switches { process_outgoing: false, ..Switches::default() }).await.unwrap();
    bus.set_connector_state(&gated, ConnectorState::Enabled).await.unwrap();
    until(async || !calls.calls().is_empty()).await;
    for _ in 0..50 {
        bus.clock().advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    let incoming = bus.counters("gated", Direction::Incoming).await;
    assert_eq!((incoming.open, incoming.discarded, incoming.completed), (2, 0, 0));
    let parked = bus.open("gated", Direction::Incoming).await;
    assert!(parked.iter().all(|row| row.state != DeliveryState::Parked), "{parked:?}");
    // What goes out makes room.
    bus.set_switches(Switches::default()).await.unwrap();
    until(async || {
        bus.clock().advance(Duration::from_secs(1));
        bus.counters("gated", Direction::Incoming).await.completed == 2
    })
    .await;
    let incoming = bus.counters("gated", Direction::Incoming).await;
    assert_eq!((incoming.open, incoming.retried, incoming.discarded), (0, 0, 0));
}
