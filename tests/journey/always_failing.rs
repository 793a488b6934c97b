//! A delivery that fails is tried again, then parked; only its own object waits.

use std::time::Duration;

use bus_core::{DeliveryState, Direction};
use bus_runtime::Processing;
use bus_testkit::{FakePeer, Script, TestBus};
use bus_tests::{EventLog, User};

stories!(
    a_failing_delivery_is_retried_then_parked_and_only_its_object_waits,
    a_panic_is_a_logged_retried_attempt,
    a_rejected_delivery_is_parked_at_once,
    retry_after_waits_as_long_as_it_says
);

fn with_log(bus: TestBus, max_attempts: u32) -> (TestBus, FakePeer) {
    let log = FakePeer::new("log");
    let mut processing = Processing::default();
    processing.max_attempts = max_attempts;
    let bus = bus.connector::<EventLog>("event-log").processing(processing).object::<User>();
    (bus.provide(log.clone()), log)
}

async fn a_failing_delivery_is_retried_then_parked_and_only_its_object_waits(bus: TestBus) {
    let (bus, log) = with_log(bus, 3);
    let bus = bus.start().await;
    log.script([Script::Retry("the log is full".to_owned())]);
    let mut ada = User::new("ada", "Ada");
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    ada.name = "Ada L.".into();
    bus.objects().save(&mut ada).await.unwrap();
    bus.objects().save(&mut User::new("bob", "Bob")).await.unwrap();
    bus.until_idle().await;
    assert_eq!(log.take_calls(), ["create ada snapshot", "create bob snapshot"]);
    let open = bus.open("event-log", Direction::Outgoing).await;
    assert_eq!((open[0].state, open[1].state), (DeliveryState::Retryable, DeliveryState::Blocked));
    assert_eq!(open[0].attempts, 1);

    log.script([Script::Retry("still full".to_owned()), Script::Retry("full for good".to_owned())]);
    for _ in 0..2 {
        bus.clock().advance(Duration::from_mins(1));
        bus.until_idle().await;
    }
    assert_eq!(log.take_calls(), ["create ada snapshot", "create ada snapshot"]);
    let open = bus.open("event-log", Direction::Outgoing).await;
    assert_eq!((open[0].state, open[1].state), (DeliveryState::Parked, DeliveryState::Blocked));
    let detail = bus.delivery(open[0].delivery).await.unwrap();
    let errors: Vec<_> = detail.attempts.iter().map(|attempt| attempt.error.as_str()).collect();
    assert_eq!(errors, ["the log is full", "still full", "full for good"]);

    // Parked is parked: time alone changes nothing.
    bus.clock().advance(Duration::from_hours(24));
    bus.until_idle().await;
    assert_eq!(log.calls(), [] as [&str; 0]);
}

async fn a_panic_is_a_logged_retried_attempt(bus: TestBus) {
    let (bus, log) = with_log(bus, 10);
    let bus = bus.start().await;
    log.script([Script::Panic("index out of bounds".to_owned())]);
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    bus.until_idle().await;
    let open = bus.open("event-log", Direction::Outgoing).await;
    let detail = bus.delivery(open[0].delivery).await.unwrap();
    assert_eq!(detail.attempts[0].error, "the connector panicked: index out of bounds");
    bus.clock().advance(Duration::from_mins(1));
    bus.until_idle().await;
    assert_eq!(log.calls(), ["create ada snapshot", "create ada snapshot"]);
    assert_eq!(bus.counters("event-log", Direction::Outgoing).await.completed, 1);
}

async fn a_rejected_delivery_is_parked_at_once(bus: TestBus) {
    let (bus, log) = with_log(bus, 10);
    let bus = bus.start().await;
    log.script([Script::Reject("no such column".to_owned())]);
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    bus.until_idle().await;
    let open = bus.open("event-log", Direction::Outgoing).await;
    assert_eq!((open[0].state, open[0].reason.as_deref()), (DeliveryState::Parked, Some("no such column")));
}

async fn retry_after_waits_as_long_as_it_says(bus: TestBus) {
    let (bus, log) = with_log(bus, 10);
    let bus = bus.start().await;
    log.script([Script::RetryAfter("slow down".to_owned(), Duration::from_mins(10))]);
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    bus.until_idle().await;
    bus.clock().advance(Duration::from_secs(599));
    bus.until_idle().await;
    assert_eq!(log.calls().len(), 1);
    bus.clock().advance(Duration::from_secs(1));
    bus.until_idle().await;
    assert_eq!(log.calls().len(), 2);
}
