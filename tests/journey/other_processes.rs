//! Two processes on one store: what one sets takes effect in the other.

use std::time::Duration;

use bus_core::Direction;
use bus_runtime::{
    BusErrorKind, ConnectorConfig, ConnectorState, OpenDeliveries, StoreConfig, Switches, Synchronous,
};
use bus_testkit::{FakePeer, RunningTestBus, TestBus};
use bus_tests::{EventLog, User};

use crate::gates::{Gates, with_gates};
use crate::told::{ops, until};

async fn two() -> (tempfile::TempDir, RunningTestBus, RunningTestBus) {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("bus.db");
    let start = || {
        let path = path.clone();
        let bus = TestBus::new().linked::<EventLog>().object::<User>().provide(FakePeer::new("log"));
        let bus = bus.configure(move |config| {
            config.store = StoreConfig::Sqlite { path, synchronous: Synchronous::Normal };
        });
        bus.start()
    };
    let (one, other) = (start().await, start().await);
    (folder, one, other)
}

#[tokio::test]
async fn switches_and_registrations_of_another_process_take_effect() {
    let (_folder, one, other) = two().await;
    let log = "event-log".parse().unwrap();
    let heard = async |is_so: &dyn Fn() -> bool| {
        until(async || {
            // Its upkeep may just be at it: then the next round sees what is new.
            other.clock().advance(Duration::from_secs(11));
            is_so()
        })
        .await;
    };
    one.set_switches(Switches { process_outgoing: false, ..Switches::default() }).await.unwrap();
    heard(&|| !other.switches().process_outgoing).await;
    one.register(ConnectorConfig::new("event-log".parse().unwrap())).await.unwrap();
    heard(&|| other.connectors().len() == 1).await;
    one.set_connector_state(&log, ConnectorState::Paused).await.unwrap();
    heard(&|| other.connectors()[0].state == ConnectorState::Paused).await;
    let explanation = other.explain(bus_runtime::Question::Connector(log.clone())).await.unwrap();
    assert!(explanation.to_string().starts_with("the processing of outgoing tasks is switched off"));
    one.delete_connector(&log, OpenDeliveries::Refuse, &ops()).await.unwrap();
    heard(&|| other.connectors().is_empty()).await;
    other.shutdown().await;
    one.shutdown().await;
}

#[tokio::test]
async fn a_connector_is_not_deleted_under_a_process_that_works_on_its_queues() {
    let (_folder, one, other) = two().await;
    let log = "event-log".parse().unwrap();
    one.register(ConnectorConfig::new("event-log".parse().unwrap())).await.unwrap();
    one.until_idle().await;
    one.set_connector_state(&log, ConnectorState::Paused).await.unwrap();
    one.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    until(async || {
        other.clock().advance(Duration::from_secs(11));
        other.connectors().len() == 1
    })
    .await;
    let error = other.delete_connector(&log, OpenDeliveries::Discard, &ops()).await.unwrap_err();
    assert_eq!(error.kind(), BusErrorKind::WrongState);
    assert!(
        error.to_string().contains("works on the queue event-log outgoing; delete the connector there"),
        "{error}"
    );
    assert_eq!(other.connectors().len(), 1, "it goes on");
    let deleted = one.delete_connector(&log, OpenDeliveries::Discard, &ops()).await.unwrap();
    assert_eq!(deleted.discarded, 1);
    other.shutdown().await;
    one.shutdown().await;
}

#[tokio::test]
async fn who_wakes_after_its_lease_begins_with_nothing_that_is_another_ones_by_then() {
    let folder = tempfile::TempDir::new().unwrap();
    let start = async || -> (RunningTestBus, Gates) {
        let path = folder.path().join("bus.db");
        let (bus, gates) = with_gates(TestBus::new(), |processing| processing.concurrency = 2);
        let bus = bus.configure(move |config| {
            config.store = StoreConfig::Sqlite { path, synchronous: Synchronous::Normal };
        });
        (bus.start().await, gates)
    };
    let (asleep, its_gates) = start().await;
    let gated = "gated".parse().unwrap();
    asleep.set_connector_state(&gated, ConnectorState::Paused).await.unwrap();
    for login in ["a", "b", "c", "d"] {
        asleep.objects().save(&mut User::new(login, "1")).await.unwrap();
    }
    its_gates.hold("a");
    its_gates.hold("b");
    asleep.set_connector_state(&gated, ConnectorState::Enabled).await.unwrap();
    until(async || its_gates.running() == ["a", "b"]).await;

    // Time stands still for it, and it says nothing; the other one waits for its lease, and a call time-out, and takes over.
    let (awake, others) = start().await;
    until(async || {
        awake.clock().advance(Duration::from_secs(10));
        awake.counters("gated", Direction::Outgoing).await.completed == 4
    })
    .await;
    assert_eq!(others.passed().len(), 4);

    asleep.clock().advance(Duration::from_hours(1));
    its_gates.let_go("a");
    its_gates.let_go("b");
    // It has seen that when it stands by for the queue.
    until(async || its_gates.running().is_empty()).await;
    asleep.until_idle().await;
    let mut calls = its_gates.calls();
    calls.sort();
    assert_eq!(calls, ["create a 1", "create b 1"], "c and d were claimed, and are another one's by then");
    let counters = awake.counters("gated", Direction::Outgoing).await;
    assert_eq!((counters.completed, counters.open), (4, 0));
    awake.shutdown().await;
    asleep.shutdown().await;
}
