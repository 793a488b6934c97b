//! What has ended is kept for a while, then forgotten; what is open never is.

use std::time::Duration;

use bus_core::{DeliveryState, Direction};
use bus_runtime::{BusErrorKind, DeliveryFilter, Processing, QueueId};
use bus_testkit::{FakePeer, RunningTestBus, Script, TestBus};
use bus_tests::{EventLog, FieldLog, User};

use crate::told::until;

stories!(
    what_ended_is_kept_as_long_as_its_connector_says_and_then_forgotten,
    what_is_parked_is_kept_whatever_its_age,
    the_bus_forgets_by_itself
);

fn completed() -> DeliveryFilter {
    DeliveryFilter { state: Some(DeliveryState::Completed), ..DeliveryFilter::default() }
}

async fn kept(bus: &RunningTestBus, connector: &str) -> usize {
    let queue = QueueId::new(connector.parse().unwrap(), Direction::Outgoing);
    bus.deliveries(&queue, &completed()).await.unwrap().len()
}

async fn what_ended_is_kept_as_long_as_its_connector_says_and_then_forgotten(bus: TestBus) {
    let log = FakePeer::new("log");
    let mut a_day = Processing::default();
    a_day.history_retention_ms = 24 * 3_600_000;
    let bus = bus.connector::<EventLog>("event-log").processing(a_day).connector::<FieldLog>("field-log");
    let bus = bus.object::<User>().provide(log).start().await;
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    bus.until_idle().await;
    let queue = QueueId::new("event-log".parse().unwrap(), Direction::Outgoing);
    let ended = bus.deliveries(&queue, &completed()).await.unwrap().remove(0);
    assert_eq!(bus.delivery(ended.delivery).await.unwrap().summary, ended);

    bus.clock().advance(Duration::from_hours(25));
    bus.prune().await.unwrap();
    assert_eq!((kept(&bus, "event-log").await, kept(&bus, "field-log").await), (0, 1));
    assert_eq!(bus.delivery(ended.delivery).await.unwrap_err().kind(), BusErrorKind::NotFound);
    bus.clock().advance(Duration::from_hours(7 * 24));
    bus.prune().await.unwrap();
    assert_eq!(kept(&bus, "field-log").await, 0);
    let counters = bus.counters("event-log", Direction::Outgoing).await;
    assert_eq!((counters.logged, counters.completed, counters.open), (1, 1, 0), "the counters stay");
}

async fn what_is_parked_is_kept_whatever_its_age(bus: TestBus) {
    let log = FakePeer::new("log");
    log.script([Script::Reject("no".to_owned())]);
    let bus = bus.connector::<EventLog>("event-log").object::<User>().provide(log.clone()).start().await;
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    bus.until_idle().await;
    bus.clock().advance(Duration::from_hours(365 * 24));
    assert_eq!(bus.prune().await.unwrap(), 0);
    let parked = bus.open("event-log", Direction::Outgoing).await.remove(0);
    bus.retry(parked.delivery, &crate::told::ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(log.calls().len(), 2);
}

async fn the_bus_forgets_by_itself(bus: TestBus) {
    let bus = bus.connector::<EventLog>("event-log").object::<User>().provide(FakePeer::new("log"));
    let bus = bus.start().await;
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    bus.until_idle().await;
    assert_eq!(kept(&bus, "event-log").await, 1);
    until(async || {
        bus.clock().advance(Duration::from_hours(8 * 24));
        kept(&bus, "event-log").await == 0
    })
    .await;
}
