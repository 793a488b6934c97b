//! A file that may not grow any further: saving says so, and goes on once there is room.

use std::time::Duration;

use bus_core::{ConnectorName, Direction};
use bus_runtime::{BusErrorKind, ConnectorState};
use bus_testkit::{FakePeer, TestBus};
use bus_tests::{EventLog, User};

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
