//! What connectors say that nobody expects: too much, nothing, or "come back in a year".

use std::time::Duration;

use bus_core::{Clock, DeliveryId, DeliveryState, Direction, Failure};
use bus_runtime::{Health, Verdict};
use bus_testkit::{RunningTestBus, TestBus};
use bus_tests::User;

use crate::gates::{Answer, with_gates};
use crate::told::ops;

stories!(
    an_endless_error_is_cut_at_a_character,
    an_endless_error_of_a_lost_connection_is_cut_too,
    an_empty_error_says_so,
    a_wait_that_is_too_long_is_cut,
    what_is_too_far_off_is_brought_nearer,
    a_retry_of_what_has_ended_is_answered
);

const KEPT_MAX: usize = 16 * 1024;

/// Ten megabytes of characters that take two bytes, or three: the cut falls into one.
fn endless() -> String {
    format!("x{}", "\u{e4}\u{20ac}".repeat(2 * 1024 * 1024))
}

fn assert_cut(error: &str) {
    assert!(error.len() <= KEPT_MAX && error.len() > KEPT_MAX - 8, "{}", error.len());
    assert!(error.starts_with("x\u{e4}\u{20ac}") && error.ends_with('\u{2026}'));
}

async fn save(bus: &RunningTestBus, login: &str) {
    bus.objects().save(&mut User::new(login, "1")).await.unwrap();
    bus.until_idle().await;
}

async fn an_endless_error_is_cut_at_a_character(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |_| {});
    let bus = bus.start().await;
    gates.fail("a", [|| Failure::reject(endless())]);
    gates.fail("b", [|| Failure::defer(endless())]);
    save(&bus, "a").await;
    save(&bus, "b").await;
    for row in bus.open("gated", Direction::Outgoing).await {
        assert_cut(row.reason.as_deref().unwrap());
        assert_cut(&bus.delivery(row.delivery).await.unwrap().attempts[0].error);
    }
}

async fn an_endless_error_of_a_lost_connection_is_cut_too(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |processing| processing.circuit_failures = 1);
    let bus = bus.start().await;
    gates.fail("a", [|| Failure::disconnected(endless())]);
    save(&bus, "a").await;
    let Health::Unreachable { error, .. } = bus.connectors()[0].health.clone() else {
        panic!("it is out of reach")
    };
    assert_cut(&error);
    assert_cut(&bus.store().circuits().await.unwrap()[0].1.error);
}

async fn an_empty_error_says_so(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |_| {});
    let bus = bus.start().await;
    let silent: [(&str, Answer); 3] = [
        ("a", || Failure::retry("")),
        ("b", || Failure::reject(" \n")),
        ("c", || std::io::Error::other("").into()),
    ];
    for (login, answer) in silent {
        gates.fail(login, [answer]);
        save(&bus, login).await;
    }
    for row in bus.open("gated", Direction::Outgoing).await {
        assert_eq!(row.reason.as_deref(), Some("the connector failed without saying why"));
    }
}

async fn a_wait_that_is_too_long_is_cut(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |processing| processing.retry_after_max_ms = 60_000);
    let bus = bus.start().await;
    gates.fail(
        "a",
        [
            || Failure::retry_after("in a year", Duration::from_hours(365 * 24)),
            || Failure::retry_after("for ever", Duration::MAX),
        ],
    );
    save(&bus, "a").await;
    for calls in [2, 3] {
        let due = bus.open("gated", Direction::Outgoing).await[0].due;
        assert_eq!(due, Some(bus.clock().now().plus(Duration::from_mins(1))));
        bus.clock().advance(Duration::from_mins(1));
        bus.until_idle().await;
        assert_eq!(gates.calls().len(), calls);
    }
}

async fn what_is_too_far_off_is_brought_nearer(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |processing| processing.defer_total_ms = 30 * 24 * 60 * 60 * 1_000);
    let day = Duration::from_hours(24);
    let bus = bus.configure(|config| config.limits.due_max = day).start().await;
    gates.fail("a", [|| Failure::defer_for("in a week", Duration::from_hours(7 * 24))]);
    save(&bus, "a").await;
    let due = bus.open("gated", Direction::Outgoing).await[0].due;
    assert_eq!(due, Some(bus.clock().now().plus(day)));
    // Clocks jump: what is due then comes, and what was due before is not lost.
    bus.clock().advance(day);
    bus.until_idle().await;
    assert_eq!(gates.passed().len(), 1);
}

async fn a_retry_of_what_has_ended_is_answered(bus: TestBus) {
    let (bus, _) = with_gates(bus, |processing| processing.history_retention_ms = 0);
    let bus = bus.start().await;
    save(&bus, "a").await;
    let ended = DeliveryId(1);
    let report = bus.retry(ended, &ops()).await.unwrap();
    assert_eq!(report.items[0].verdict, Verdict::Ended(DeliveryState::Completed));
    bus.clock().advance(Duration::from_secs(1));
    bus.prune().await.unwrap();
    let report = bus.retry(ended, &ops()).await.unwrap();
    assert_eq!(report.items[0].verdict, Verdict::Unknown);
    let report = bus.cancel(ended, &ops()).await.unwrap();
    assert_eq!(report.items[0].verdict, Verdict::Unknown);
}
