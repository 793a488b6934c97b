//! What steps aside lets later ones of its object pass, and never puts an old version over a newer one.

use std::time::Duration;

use bus_core::{DeliveryState, Direction, Failure};
use bus_runtime::{DeliveryFilter, QueueId};
use bus_testkit::{RunningTestBus, TestBus};
use bus_tests::User;

use crate::gates::{Answer, Gates, with_gates};
use crate::told::ops;

stories!(
    later_ones_overtake_and_the_old_update_is_superseded,
    what_nobody_overtook_is_tried_again_as_it_is,
    a_create_that_was_overtaken_is_taken_again_from_the_living_object,
    a_create_whose_object_is_gone_has_nothing_left_to_do,
    a_delete_is_not_delivered_once_the_object_is_there_again,
    a_delete_is_delivered_while_the_object_is_gone,
    after_its_last_attempt_it_is_parked_and_holds_nobody_up
);

const ASIDE: Answer = || Failure::step_aside("the record is locked");

async fn with_ada(bus: TestBus) -> (RunningTestBus, Gates, User) {
    let (bus, gates) = with_gates(bus, |processing| processing.max_attempts = 3);
    let bus = bus.start().await;
    let mut ada = User::new("ada", "1");
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    (bus, gates, ada)
}

/// Saves the user under another name, and lets the bus do what it can.
async fn rename(bus: &RunningTestBus, user: &mut User, name: &str) {
    user.name = name.to_owned();
    bus.objects().save(user).await.unwrap();
    bus.until_idle().await;
}

async fn after_a_minute(bus: &RunningTestBus) {
    bus.clock().advance(Duration::from_mins(1));
    bus.until_idle().await;
}

/// Why deliveries were discarded.
async fn discarded(bus: &RunningTestBus) -> Vec<String> {
    let queue = QueueId::new("gated".parse().unwrap(), Direction::Outgoing);
    let filter = DeliveryFilter { state: Some(DeliveryState::Discarded), ..DeliveryFilter::default() };
    let rows = bus.deliveries(&queue, &filter).await.unwrap();
    rows.into_iter().map(|row| row.reason.unwrap_or_default()).collect()
}

async fn later_ones_overtake_and_the_old_update_is_superseded(bus: TestBus) {
    let (bus, gates, mut ada) = with_ada(bus).await;
    gates.fail("ada", [ASIDE]);
    rename(&bus, &mut ada, "2").await;
    let aside = bus.open("gated", Direction::Outgoing).await;
    assert_eq!((aside[0].state, aside[0].attempts), (DeliveryState::Retryable, 1));
    assert_eq!(aside[0].reason.as_deref(), Some("the record is locked"));
    rename(&bus, &mut ada, "3").await;
    assert_eq!(gates.take_calls(), ["create ada 1", "update ada 2", "update ada 3"]);
    after_a_minute(&bus).await;
    assert_eq!(gates.calls(), [] as [&str; 0], "the old version is not delivered any more");
    let later = aside[0].delivery.0 + 1;
    let reason = format!("superseded by delivery {later}, which is of a later change of the same object");
    assert_eq!(discarded(&bus).await, [reason]);
    let counters = bus.counters("gated", Direction::Outgoing).await;
    assert_eq!((counters.completed, counters.discarded, counters.open), (2, 1, 0));
}

async fn what_nobody_overtook_is_tried_again_as_it_is(bus: TestBus) {
    let (bus, gates, mut ada) = with_ada(bus).await;
    gates.fail("ada", [ASIDE]);
    rename(&bus, &mut ada, "2").await;
    after_a_minute(&bus).await;
    assert_eq!(gates.calls(), ["create ada 1", "update ada 2", "update ada 2"]);
    assert_eq!(bus.counters("gated", Direction::Outgoing).await.completed, 2);
}

async fn a_create_that_was_overtaken_is_taken_again_from_the_living_object(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |_| {});
    let bus = bus.start().await;
    gates.fail("ada", [ASIDE]);
    let mut ada = User::new("ada", "");
    rename(&bus, &mut ada, "1").await;
    rename(&bus, &mut ada, "2").await;
    after_a_minute(&bus).await;
    assert_eq!(gates.calls(), ["create ada 1", "update ada 2", "create ada 2"]);
    assert_eq!(bus.counters("gated", Direction::Outgoing).await.completed, 2);
}

async fn a_create_whose_object_is_gone_has_nothing_left_to_do(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |_| {});
    let bus = bus.start().await;
    gates.fail("ada", [ASIDE]);
    let mut ada = User::new("ada", "");
    rename(&bus, &mut ada, "1").await;
    bus.objects().delete::<User>(&ada.id).await.unwrap();
    bus.until_idle().await;
    after_a_minute(&bus).await;
    assert_eq!(gates.calls(), ["create ada 1", "delete ada 1"]);
    assert_eq!(discarded(&bus).await.len(), 1);
}

async fn a_delete_is_not_delivered_once_the_object_is_there_again(bus: TestBus) {
    let (bus, gates, mut ada) = with_ada(bus).await;
    gates.fail("ada", [ASIDE]);
    bus.objects().delete::<User>(&ada.id).await.unwrap();
    bus.until_idle().await;
    rename(&bus, &mut ada, "again").await;
    after_a_minute(&bus).await;
    assert_eq!(gates.calls(), ["create ada 1", "delete ada 1", "create ada again"]);
    assert!(discarded(&bus).await[0].starts_with("superseded by delivery"));
}

async fn a_delete_is_delivered_while_the_object_is_gone(bus: TestBus) {
    let (bus, gates, mut ada) = with_ada(bus).await;
    gates.fail("ada", [ASIDE]);
    bus.objects().delete::<User>(&ada.id).await.unwrap();
    bus.until_idle().await;
    rename(&bus, &mut ada, "again").await;
    bus.objects().delete::<User>(&ada.id).await.unwrap();
    bus.until_idle().await;
    after_a_minute(&bus).await;
    let calls = ["create ada 1", "delete ada 1", "create ada again", "delete ada again", "delete ada 1"];
    assert_eq!(gates.calls(), calls);
    assert_eq!(bus.counters("gated", Direction::Outgoing).await.discarded, 0);
}

async fn after_its_last_attempt_it_is_parked_and_holds_nobody_up(bus: TestBus) {
    let (bus, gates, mut ada) = with_ada(bus).await;
    gates.fail("ada", [ASIDE; 3]);
    rename(&bus, &mut ada, "2").await;
    for _ in 0..3 {
        after_a_minute(&bus).await;
    }
    let parked = bus.open("gated", Direction::Outgoing).await;
    assert_eq!((parked[0].state, parked[0].attempts), (DeliveryState::Parked, 3));
    rename(&bus, &mut ada, "3").await;
    assert_eq!(gates.passed(), ["create ada 1", "update ada 3"]);
    // Whoever retries it by hand does not put the old version over the new one either.
    bus.retry(parked[0].delivery, &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(gates.passed(), ["create ada 1", "update ada 3"]);
    assert_eq!(discarded(&bus).await.len(), 1);
}
