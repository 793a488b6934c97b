//! Laws of deferring, part of [`Queue`](crate::Queue): what its connector puts off has not failed.

use bus_core::{DeliveryState, Timestamp};

use super::Rig;
use super::bench::{Bench, aside, at, bound_to, deferred, parked, released, retry, waiting, waiting_for};
use crate::operate::Attempt;
use crate::queue::Outcome;

/// A deferred delivery is scheduled; the attempt is given back, and recorded as one that did not count.
pub async fn what_is_deferred_is_scheduled_and_not_charged(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let id = bench.log_settled("x", deferred(5)).await;
    let detail = bench.detail(id).await;
    assert_eq!((detail.summary.state, detail.summary.due), (DeliveryState::Scheduled, Some(at(5))));
    assert_eq!((detail.summary.attempts, detail.summary.reason.as_deref()), (0, Some("the peer is busy")));
    let attempt = Attempt { at: at(0), charged: false, error: "the peer is busy".to_owned() };
    assert_eq!(detail.attempts, [attempt]);
    assert_eq!(bench.counts().await.scheduled, 1);
    assert_eq!(bench.claim_one(at(5)).await.attempt, 1);
}

/// What is deferred to the beginning of time is due at once, and available.
pub async fn what_is_deferred_to_now_is_available(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let at_once = Outcome::Deferred { due: Timestamp::EPOCH, error: "again".to_owned() };
    let id = bench.log_settled("x", at_once).await;
    let summary = bench.detail(id).await.summary;
    assert_eq!((summary.state, summary.due), (DeliveryState::Available, None));
    assert_eq!(bench.claim(1, Timestamp::EPOCH).await, [id]);
}

/// How often a delivery was deferred in a row, and since when, is told with the next claim.
pub async fn deferrals_in_a_row_are_counted(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.log(["x"]).await;
    let first = bench.claim_and_settle(at(0), deferred(1)).await;
    assert_eq!((first.defers, first.deferred_since), (0, None));
    for number in 1..=3 {
        let claimed = bench.claim_and_settle(at(10 * number), deferred(10 * number + 1)).await;
        assert_eq!((i64::from(claimed.defers), claimed.deferred_since), (number, Some(at(0))));
    }
}

/// Any other outcome ends the row of deferrals; the next one begins another.
pub async fn any_other_outcome_ends_a_deferral(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    for outcome in [retry(2), released(2), waiting(2), aside(2)] {
        let id = bench.log_settled(&format!("{outcome:?}"), deferred(1)).await;
        let claimed = bench.claim_and_settle(at(1), outcome.clone()).await;
        assert_eq!((claimed.defers, claimed.deferred_since), (1, Some(at(0))));
        let claimed = bench.claim_and_settle(at(2), deferred(3)).await;
        assert_eq!((claimed.defers, claimed.deferred_since), (0, None), "{outcome:?}");
        let claimed = bench.claim_and_settle(at(3), Outcome::Completed).await;
        assert_eq!((claimed.delivery, claimed.defers, claimed.deferred_since), (id, 1, Some(at(2))));
    }
}

/// An interruption does not end a deferral, and neither does being found again.
pub async fn an_interruption_does_not_end_a_deferral(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    bench.log_settled("x", deferred(1)).await;
    bench.claim_one(at(1)).await;
    bench.acquire_again().await;
    let claimed = bench.claim_and_settle(at(2), deferred(3)).await;
    assert_eq!((claimed.defers, claimed.deferred_since, claimed.attempt), (1, Some(at(0)), 2));
    assert_eq!(bench.claim_one(at(3)).await.defers, 2);
}

/// A wait is over when what waited is deferred.
pub async fn a_deferral_ends_a_wait(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let id = bench.log_settled("x", waiting_for(bound_to(4), 1)).await;
    bench.claim_and_settle(at(1), deferred(2)).await;
    bench.bind(super::bench::binding(4, "003a")).await;
    assert_eq!(bench.claim(1, at(1)).await, [], "nothing wakes it any more");
    let claimed = bench.claim_one(at(2)).await;
    assert_eq!((claimed.delivery, claimed.asks, claimed.waiting_since), (id, 0, None));
}

/// A deferred delivery can be parked: then nothing but a person brings it back.
pub async fn what_was_deferred_can_be_parked(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let id = bench.log_settled("x", deferred(1)).await;
    bench.claim_and_settle(at(1), parked()).await;
    assert_eq!(bench.claim(1, at(99)).await, []);
    assert_eq!(bench.state(id).await, DeliveryState::Parked);
}
