//! Three incoming tasks of one external object, the second invalid, under each of the four policies.

use std::time::Duration;

use bus_core::{DeliveryState, Direction, ErrorPolicy, ExternalTask};
use bus_testkit::{RunningTestBus, TestBus};
use bus_tests::{Contact, Crm, User};

use crate::told::with_crm;

stories!(
    default_parks_it_and_what_follows_waits,
    skip_once_lets_the_next_go_first_then_tries_as_usual,
    skip_on_error_lets_everything_pass_it,
    delete_on_error_discards_it_with_a_trace
);

/// Logs a valid task, an invalid one with this policy, and a valid one.
async fn three(bus: TestBus, policy: ErrorPolicy) -> RunningTestBus {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    let first = ExternalTask::create::<Crm, _>("crm", &Contact::new("003", "ada", "first"));
    let invalid =
        ExternalTask::update::<Crm, _>("crm", &Contact::new("003", "", "second")).error_policy(policy);
    let third = ExternalTask::update::<Crm, _>("crm", &Contact::new("003", "ada", "third"));
    for task in [first, invalid, third] {
        bus.process_external_task(task).await.unwrap();
    }
    bus.until_idle().await;
    bus
}

async fn name(bus: &RunningTestBus) -> String {
    bus.objects().find::<User>("ada").await.unwrap().unwrap().name
}

async fn default_parks_it_and_what_follows_waits(bus: TestBus) {
    let bus = three(bus, ErrorPolicy::Default).await;
    assert_eq!(name(&bus).await, "first");
    let open = bus.open("crm", Direction::Incoming).await;
    assert_eq!((open[0].state, open[1].state), (DeliveryState::Parked, DeliveryState::Blocked));
    assert_eq!(open[0].reason.as_deref(), Some("contact 003 has no login"));
}

async fn skip_once_lets_the_next_go_first_then_tries_as_usual(bus: TestBus) {
    let bus = three(bus, ErrorPolicy::SkipOnce).await;
    assert_eq!(name(&bus).await, "third");
    bus.clock().advance(Duration::from_secs(61));
    bus.until_idle().await;
    // A later task of the same contact was applied meanwhile: the old version must not overwrite it.
    let counters = bus.counters("crm", Direction::Incoming).await;
    assert_eq!((counters.completed, counters.discarded, counters.open), (2, 1, 0));
    assert_eq!(name(&bus).await, "third");
}

async fn skip_on_error_lets_everything_pass_it(bus: TestBus) {
    let bus = three(bus, ErrorPolicy::SkipOnError).await;
    assert_eq!(name(&bus).await, "third");
    let open = bus.open("crm", Direction::Incoming).await;
    assert_eq!((open.len(), open[0].state), (1, DeliveryState::Parked));
}

async fn delete_on_error_discards_it_with_a_trace(bus: TestBus) {
    let bus = three(bus, ErrorPolicy::DeleteOnError).await;
    assert_eq!(name(&bus).await, "third");
    let counters = bus.counters("crm", Direction::Incoming).await;
    assert_eq!((counters.logged, counters.completed, counters.discarded, counters.open), (3, 2, 1, 0));
}
