//! What is put off costs no attempt, keeps its object waiting, and does not last for ever.

use std::time::Duration;

use bus_core::{DeliveryState, Direction, Failure};
use bus_runtime::Processing;
use bus_testkit::{RunningTestBus, TestBus};
use bus_tests::User;

use crate::gates::{Answer, Gates, with_gates};

stories!(
    it_costs_no_attempt_and_keeps_only_its_object_waiting,
    it_waits_longer_each_time,
    it_waits_as_long_as_the_connector_says,
    it_is_parked_when_it_has_lasted_too_long,
    another_failure_in_between_begins_the_time_anew
);

const LATER: Answer = || Failure::defer("the books are closed");

async fn with_bus(bus: TestBus, change: impl FnOnce(&mut Processing)) -> (RunningTestBus, Gates) {
    let (bus, gates) = with_gates(bus, |processing| {
        processing.max_attempts = 1;
        change(processing);
    });
    (bus.start().await, gates)
}

async fn save(bus: &RunningTestBus, login: &str) -> User {
    let mut user = User::new(login, "1");
    bus.objects().save(&mut user).await.unwrap();
    bus.until_idle().await;
    user
}

async fn after(bus: &RunningTestBus, wait: Duration) {
    bus.clock().advance(wait);
    bus.until_idle().await;
}

async fn it_costs_no_attempt_and_keeps_only_its_object_waiting(bus: TestBus) {
    let (bus, gates) = with_bus(bus, |_| {}).await;
    gates.fail("ada", [LATER; 5]);
    let mut ada = save(&bus, "ada").await;
    ada.name = "2".to_owned();
    bus.objects().save(&mut ada).await.unwrap();
    save(&bus, "bob").await;
    assert_eq!(gates.passed(), ["create bob 1"]);
    let open = bus.open("gated", Direction::Outgoing).await;
    assert_eq!((open[0].state, open[1].state), (DeliveryState::Scheduled, DeliveryState::Blocked));
    assert_eq!((open[0].attempts, open[0].reason.as_deref()), (0, Some("the books are closed")));
    for _ in 0..5 {
        after(&bus, Duration::from_mins(15)).await;
    }
    assert_eq!(gates.passed(), ["create bob 1", "create ada 1", "update ada 2"]);
    let detail = bus.delivery(open[0].delivery).await.unwrap();
    assert_eq!(detail.attempts.iter().filter(|attempt| attempt.charged).count(), 0);
    assert_eq!(bus.counters("gated", Direction::Outgoing).await.retried, 0);
}

async fn it_waits_longer_each_time(bus: TestBus) {
    let (bus, gates) = with_bus(bus, |_| {}).await;
    gates.fail("ada", [LATER; 3]);
    save(&bus, "ada").await;
    // The least is a second, and it doubles: with its jitter, never less than that.
    for (calls, seconds) in [(1, 1), (2, 2), (3, 4)] {
        after(&bus, Duration::from_secs(seconds).saturating_sub(Duration::from_millis(1))).await;
        assert_eq!(gates.calls().len(), calls);
        after(&bus, Duration::from_secs(seconds) + Duration::from_millis(1)).await;
        assert_eq!(gates.calls().len(), calls + 1);
    }
}

async fn it_waits_as_long_as_the_connector_says(bus: TestBus) {
    let (bus, gates) = with_bus(bus, |_| {}).await;
    gates.fail("ada", [|| Failure::defer_for("the night run", Duration::from_hours(3))]);
    save(&bus, "ada").await;
    after(&bus, Duration::from_secs(3 * 60 * 60 - 1)).await;
    assert_eq!(gates.calls().len(), 1);
    after(&bus, Duration::from_secs(1)).await;
    assert_eq!(gates.calls().len(), 2);
    gates.fail("bob", [|| Failure::defer_for("not at all", Duration::ZERO)]);
    save(&bus, "bob").await;
    assert_eq!(gates.calls().len(), 3, "the least still counts");
    after(&bus, Duration::from_secs(1)).await;
    assert_eq!(gates.calls().len(), 4);
}

async fn it_is_parked_when_it_has_lasted_too_long(bus: TestBus) {
    let (bus, gates) = with_bus(bus, |processing| processing.defer_total_ms = 60_000).await;
    gates.fail("ada", [LATER; 100]);
    let mut ada = save(&bus, "ada").await;
    for _ in 0..11 {
        after(&bus, Duration::from_secs(10)).await;
    }
    let open = bus.open("gated", Direction::Outgoing).await;
    let reason = "the books are closed; it was deferred for 60s, which is as long as is allowed";
    assert_eq!((open[0].state, open[0].reason.as_deref()), (DeliveryState::Parked, Some(reason)));
    ada.name = "2".to_owned();
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    let open = bus.open("gated", Direction::Outgoing).await;
    assert_eq!(open[1].state, DeliveryState::Blocked, "it still holds its object");
}

async fn another_failure_in_between_begins_the_time_anew(bus: TestBus) {
    let (bus, gates) = with_bus(bus, |processing| {
        processing.defer_total_ms = 60_000;
        processing.max_attempts = 10;
        (processing.retry_initial_ms, processing.retry_max_ms) = (40_000, 40_000);
    })
    .await;
    // Something else than a defer comes in between: what counts is how long it was deferred in a row.
    let answers: [Answer; 3] = [
        || Failure::defer_for("x", Duration::from_secs(40)),
        || Failure::retry_after("y", Duration::from_secs(40)),
        || Failure::defer_for("x", Duration::from_secs(40)),
    ];
    gates.fail("ada", answers);
    save(&bus, "ada").await;
    for _ in 0..3 {
        after(&bus, Duration::from_secs(40)).await;
    }
    assert_eq!(gates.passed(), ["create ada 1"]);
}
