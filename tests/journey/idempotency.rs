//! A sender that is not sure whether it was heard sends again, with the same idempotency key.

use std::time::Duration;

use bus_core::{Direction, ExternalTask, TaskId};
use bus_runtime::{BusError, BusErrorKind};
use bus_testkit::{RunningTestBus, TestBus};
use bus_tests::{Contact, Crm};

use crate::told::with_crm;

stories!(
    a_repetition_is_answered_with_the_first_task,
    the_same_key_with_something_else_is_refused,
    a_key_is_forgotten_with_its_task
);

async fn send(bus: &RunningTestBus, name: &str, key: &str) -> Result<TaskId, BusError> {
    let contact = Contact::new("003", "ada", name);
    bus.process_external_task(ExternalTask::create::<Crm, _>("crm", &contact).idempotency_key(key)).await
}

async fn a_repetition_is_answered_with_the_first_task(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    let first = send(&bus, "Ada", "order-17").await.unwrap();
    assert_eq!(send(&bus, "Ada", "order-17").await.unwrap(), first);
    bus.until_idle().await;
    assert_eq!(send(&bus, "Ada", "order-17").await.unwrap(), first, "also when it has ended");
    assert_ne!(send(&bus, "Ada", "order-18").await.unwrap(), first);
    bus.until_idle().await;
    assert_eq!(bus.counters("crm", Direction::Incoming).await.logged, 2);
}

async fn the_same_key_with_something_else_is_refused(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    send(&bus, "Ada", "order-17").await.unwrap();
    let error = send(&bus, "Ada Lovelace", "order-17").await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (BusErrorKind::KeyReused, "BUS0018"));
    assert_eq!(
        error.to_string(),
        "connector crm was given the idempotency key `order-17` before, with something else; send the same again, or \
         choose a new key"
    );
    bus.until_idle().await;
    assert_eq!(bus.counters("crm", Direction::Incoming).await.logged, 1);
    let empty = send(&bus, "Ada", "").await.unwrap_err();
    assert_eq!(empty.kind(), BusErrorKind::Malformed);
}

async fn a_key_is_forgotten_with_its_task(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    let first = send(&bus, "Ada", "order-17").await.unwrap();
    bus.until_idle().await;
    bus.clock().advance(Duration::from_hours(7 * 24 + 1));
    bus.prune().await.unwrap();
    assert_ne!(send(&bus, "Ada Lovelace", "order-17").await.unwrap(), first);
    bus.until_idle().await;
}
