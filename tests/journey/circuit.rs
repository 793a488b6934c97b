//! An external system that is out of reach for long: probed now and then, by one delivery at a time.

use std::time::Duration;

use bus_core::{Clock, DeliveryState, Direction, ExternalTask, Failure};
use bus_runtime::{Health, Processing, StoreConfig, Synchronous};
use bus_testkit::{RunningTestBus, TestBus};
use bus_tests::{Contact, User};

use crate::gates::{Answer, Gated, Gates, with_gates};
use crate::told::until;

stories!(
    it_opens_after_so_many_failures_and_closes_on_success,
    a_probe_is_one_delivery_at_a_time,
    an_incoming_success_closes_it_too,
    an_outage_costs_no_attempt,
    who_breaks_the_connection_again_and_again_is_charged_and_parked
);

const GONE: Answer = || Failure::disconnected("gone");

fn settings(processing: &mut Processing) {
    processing.circuit_failures = 3;
    processing.circuit_probe_ms = 600_000;
    (processing.retry_initial_ms, processing.retry_max_ms) = (1_000, 1_000);
}

async fn save(bus: &RunningTestBus, login: &str) {
    bus.objects().save(&mut User::new(login, "1")).await.unwrap();
    bus.until_idle().await;
}

async fn after(bus: &RunningTestBus, wait: Duration) {
    bus.clock().advance(wait);
    bus.until_idle().await;
}

/// Loses the connection until the circuit is open.
async fn open(bus: &RunningTestBus, gates: &Gates) {
    gates.cut_off(true);
    save(bus, "ada").await;
    after(bus, Duration::from_secs(1)).await;
    after(bus, Duration::from_secs(1)).await;
    assert_eq!(bus.store().circuits().await.unwrap().len(), 1);
}

async fn it_opens_after_so_many_failures_and_closes_on_success(bus: TestBus) {
    let (bus, gates) = with_gates(bus, settings);
    let bus = bus.start().await;
    gates.cut_off(true);
    bus.until_idle().await;
    assert_eq!(gates.connects(), 1);
    for connects in [2, 3] {
        assert!(bus.store().circuits().await.unwrap().is_empty());
        after(&bus, Duration::from_secs(1)).await;
        assert_eq!(gates.connects(), connects);
    }
    let (name, circuit) = bus.store().circuits().await.unwrap().remove(0);
    assert_eq!((name.as_str(), circuit.failures, circuit.error.as_str()), ("gated", 3, "cut off"));
    assert_eq!(circuit.probe_at, bus.clock().now().plus(Duration::from_mins(10)));
    // Nothing is tried before the probe.
    save(&bus, "ada").await;
    after(&bus, Duration::from_secs(599)).await;
    assert_eq!(gates.connects(), 3);
    gates.cut_off(false);
    after(&bus, Duration::from_secs(1)).await;
    assert_eq!((gates.connects(), gates.passed()), (4, vec!["create ada 1".to_owned()]));
    assert!(bus.store().circuits().await.unwrap().is_empty());
    assert_eq!(bus.connectors()[0].health, Health::Well);
}

async fn a_probe_is_one_delivery_at_a_time(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |processing| {
        settings(processing);
        processing.concurrency = 4;
    });
    let bus = bus.start().await;
    open(&bus, &gates).await;
    for login in ["b", "c", "d", "e"] {
        save(&bus, login).await;
        gates.hold(login);
    }
    gates.hold("ada");
    gates.cut_off(false);
    bus.clock().advance(Duration::from_mins(10));
    until(async || gates.running() == ["ada"]).await;
    // It is alone until it has succeeded, and that is written.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
        assert_eq!(gates.running(), ["ada"]);
    }
    gates.let_go("ada");
    until(async || gates.running().len() == 4).await;
    for login in ["b", "c", "d", "e"] {
        gates.let_go(login);
    }
    bus.until_idle().await;
    assert_eq!(gates.passed().len(), 5);
}

async fn an_incoming_success_closes_it_too(bus: TestBus) {
    let (bus, gates) = with_gates(bus, settings);
    gates.cut_off(true);
    let bus = bus.start().await;
    bus.until_idle().await;
    after(&bus, Duration::from_secs(1)).await;
    after(&bus, Duration::from_secs(1)).await;
    assert_eq!(bus.store().circuits().await.unwrap().len(), 1);
    let contact = Contact::new("003", "ada", "1");
    bus.process_external_task(ExternalTask::create::<Gated, _>("gated", &contact)).await.unwrap();
    bus.until_idle().await;
    gates.cut_off(false);
    after(&bus, Duration::from_mins(10)).await;
    assert_eq!(bus.counters("gated", Direction::Incoming).await.completed, 1);
    assert!(bus.store().circuits().await.unwrap().is_empty());
    assert_eq!(bus.connectors()[0].health, Health::Well);
}

async fn an_outage_costs_no_attempt(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |processing| {
        settings(processing);
        processing.max_attempts = 1;
    });
    let bus = bus.start().await;
    // It connects each time, and then nothing goes through.
    gates.fail("ada", [GONE; 20]);
    gates.fail("bob", [GONE; 20]);
    save(&bus, "ada").await;
    save(&bus, "bob").await;
    for _ in 0..60 {
        after(&bus, Duration::from_mins(10)).await;
    }
    assert_eq!(bus.counters("gated", Direction::Outgoing).await.completed, 2);
}

async fn who_breaks_the_connection_again_and_again_is_charged_and_parked(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |processing| {
        settings(processing);
        processing.max_attempts = 2;
    });
    let bus = bus.start().await;
    gates.fail("bad", [GONE; 100]);
    save(&bus, "bad").await;
    for number in 0..30 {
        save(&bus, &format!("user{number}")).await;
        after(&bus, Duration::from_secs(1)).await;
    }
    after(&bus, Duration::from_mins(10)).await;
    let open = bus.open("gated", Direction::Outgoing).await;
    assert_eq!(open.len(), 1, "{open:?}");
    assert_eq!((open[0].state, open[0].attempts), (DeliveryState::Parked, 2));
    assert_eq!(open[0].reason.as_deref(), Some("gone"));
    let tries = gates.calls().iter().filter(|call| call.contains("bad")).count();
    assert!((6..=12).contains(&tries), "three times for each of two attempts, or a little more: {tries}");
    assert_eq!(gates.passed().len(), 30);
}

#[tokio::test]
async fn a_bus_that_starts_again_waits_for_the_probe() {
    let folder = tempfile::TempDir::new().unwrap();
    let clock = bus_testkit::ManualClock::new();
    let on_file = || {
        let path = folder.path().join("bus.db");
        let bus = TestBus::new().clock(clock.clone());
        bus.configure(move |config| {
            config.store = StoreConfig::Sqlite { path, synchronous: Synchronous::Normal };
        })
    };
    let (bus, gates) = with_gates(on_file(), settings);
    let bus = bus.start().await;
    open(&bus, &gates).await;
    after(&bus, Duration::from_mins(1)).await;
    bus.shutdown().await;

    let (bus, gates) = with_gates(on_file(), settings);
    let bus = bus.start().await;
    bus.until_idle().await;
    let Health::Unreachable { error, .. } = bus.connectors()[0].health.clone() else {
        panic!("{:?}", bus.connectors());
    };
    assert_eq!(error, "cut off");
    after(&bus, Duration::from_mins(8)).await;
    assert_eq!(gates.connects(), 0);
    after(&bus, Duration::from_mins(1)).await;
    assert_eq!((gates.connects(), gates.passed().len()), (1, 1));
    assert!(bus.store().circuits().await.unwrap().is_empty());
    bus.shutdown().await;
}
