//! Laws of order within a whole queue, part of [`Queue`](crate::Queue): nothing overtakes what has failed.

use bus_core::{DeliveryId, DeliveryState, Timestamp};

use super::Rig;
use super::bench::{
    Bench, aside, at, binding, bound_to, discarded, holding, ids, kind_of, parked, passing, released, retry,
    settlement, waiting, waiting_for,
};
use crate::StoreErrorKind;
use crate::operate::Verb;
use crate::queue::{First, Outcome, Scope, Wanted};

/// Fresh ones are claimed together, by id, whatever their keys.
pub async fn in_a_queue_in_order_fresh_ones_come_together_by_id(rig: &dyn Rig) {
    let bench = Bench::open_in_order(rig).await;
    let [a, b, c, d] = bench.log(["y", "x", "y", "z"]).await;
    assert_eq!(bench.claim(3, at(0)).await, [a, b, c]);
    for id in [b, a, c] {
        bench.settle(id, Outcome::Completed).await;
    }
    assert_eq!(bench.claim(3, at(0)).await, [d]);
    assert_eq!(bench.claim(0, at(0)).await, []);
}

/// Nothing is claimed while anything is, of whichever key.
pub async fn in_a_queue_in_order_nothing_is_claimed_beside_another(rig: &dyn Rig) {
    let bench = Bench::open_in_order(rig).await;
    let [a, b, c] = bench.log(["x", "y", "z"]).await;
    assert_eq!(bench.claim(2, at(0)).await, [a, b]);
    assert_eq!(bench.claim(10, at(0)).await, []);
    assert_eq!(bench.state(c).await, DeliveryState::Blocked);
    assert_eq!(bench.detail(c).await.blocked_by, Some(a));
    bench.settle(a, Outcome::Completed).await;
    assert_eq!(bench.claim(10, at(0)).await, []);
    bench.settle(b, Outcome::Completed).await;
    assert_eq!(bench.claim(10, at(0)).await, [c]);
}

/// What is retried, released, deferred or parked holds whatever is later, of whichever key; what is due comes alone.
pub async fn in_a_queue_in_order_whatever_is_stuck_holds_all(rig: &dyn Rig) {
    let bench = Bench::open_in_order(rig).await;
    for outcome in holding(5) {
        let stuck = bench.log_settled("x", outcome.clone()).await;
        let [same, other] = bench.log(["x", "y"]).await;
        let claim = bench.claim_whole(10, at(4)).await;
        let next_due = (outcome != parked()).then_some(at(5));
        assert_eq!((ids(&claim), claim.next_due), (vec![], next_due), "{outcome:?}");
        for behind in [same, other] {
            let detail = bench.detail(behind).await;
            assert_eq!((detail.summary.state, detail.blocked_by), (DeliveryState::Blocked, Some(stuck)));
        }
        assert_eq!(bench.counts().await.blocked, 2);
        if outcome == parked() {
            assert_eq!(bench.claim(10, Timestamp::from_micros(i64::MAX)).await, []);
            bench.intervene(Verb::Retry, [stuck]).await;
        }
        assert_eq!(bench.claim(10, at(5)).await, [stuck], "alone: {outcome:?}");
        bench.settle(stuck, Outcome::Completed).await;
        assert_eq!(bench.claim(10, at(5)).await, [same, other]);
        bench.settle(same, Outcome::Completed).await;
        bench.settle(other, Outcome::Completed).await;
    }
}

/// All that stands behind what is stuck counts as blocked, however much it is.
pub async fn in_a_queue_in_order_all_behind_what_is_stuck_counts_as_blocked(rig: &dyn Rig) {
    let bench = Bench::open_in_order(rig).await;
    bench.log_settled("stuck", parked()).await;
    bench.log_keys("behind", 10_100).await;
    let counts = bench.counts().await;
    assert_eq!((counts.parked, counts.blocked, counts.available), (1, 10_100, 0));
}

/// What waits for a reference holds its own key only: what it waits for may stand behind it.
pub async fn in_a_queue_in_order_what_waits_holds_its_key_only(rig: &dyn Rig) {
    let bench = Bench::open_in_order(rig).await;
    let waits = bench.log_settled("x", waiting_for(bound_to(4), 9)).await;
    let [same, other, same_again, third] = bench.log(["x", "y", "x", "z"]).await;
    assert_eq!(bench.detail(same).await.blocked_by, Some(waits));
    assert_eq!(bench.state(other).await, DeliveryState::Available);
    let claim = bench.claim_whole(10, at(0)).await;
    assert_eq!((ids(&claim), claim.next_due), (vec![other, third], Some(at(9))));
    bench.bind(binding(4, "003a")).await;
    assert_eq!(bench.claim(10, at(0)).await, [], "others run");
    bench.settle(other, Outcome::Completed).await;
    bench.settle(third, Outcome::Completed).await;
    assert_eq!(bench.claim(10, at(0)).await, [waits], "woken, it comes alone");
    bench.settle(waits, Outcome::Completed).await;
    assert_eq!(bench.claim(10, at(0)).await, [same, same_again]);
}

/// What waited, and was woken or is due, holds the queue like anything that is to be tried again.
pub async fn in_a_queue_in_order_what_was_woken_comes_first_and_alone(rig: &dyn Rig) {
    let bench = Bench::open_in_order(rig).await;
    let waits = bench.log_settled("x", waiting(5)).await;
    let [later] = bench.log(["y"]).await;
    assert_eq!(bench.claim(10, at(5)).await, [waits], "due, it is asked again");
    bench.settle(waits, waiting_for(bound_to(4), 9)).await;
    bench.bind(binding(4, "003a")).await;
    assert_eq!(bench.detail(later).await.blocked_by, Some(waits));
    assert_eq!(bench.claim(10, at(5)).await, [waits]);
}

/// A run of fresh ones ends before whatever is to be tried again, due or not.
pub async fn in_a_queue_in_order_a_run_ends_before_an_exception(rig: &dyn Rig) {
    let bench = Bench::open_in_order(rig).await;
    let [a, b, c, d] = bench.log(["x", "y", "z", "w"]).await;
    assert_eq!(bench.claim(10, at(0)).await, [a, b, c, d]);
    bench.settle(c, retry(5)).await;
    assert_eq!(bench.settle(a, released(5)).await, [b]);
    assert_eq!(bench.claim(10, at(4)).await, []);
    assert_eq!(bench.claim(10, at(5)).await, [a]);
    bench.settle(a, Outcome::Completed).await;
    assert_eq!(bench.claim(10, at(5)).await, [b], "not what is behind it, though that is due");
    bench.settle(b, Outcome::Completed).await;
    assert_eq!(bench.claim(10, at(5)).await, [c]);
    bench.settle(c, Outcome::Completed).await;
    assert_eq!(bench.claim(10, at(5)).await, [d]);
}

/// What holds the queue puts back all that is claimed behind it, of every key, in ascending order; that was not
/// called, and cannot be settled any more.
pub async fn in_a_queue_in_order_what_is_stuck_displaces_all_behind_it(rig: &dyn Rig) {
    let bench = Bench::open_in_order(rig).await;
    for outcome in holding(5) {
        let [a, b, c, d] = bench.log(["x", "y", "x", "z"]).await;
        assert_eq!(bench.claim(10, at(0)).await, [a, b, c, d]);
        let together = vec![settlement(b, outcome.clone()), settlement(d, Outcome::Completed)];
        let refused = bench.try_settle(&bench.owner, together, at(0)).await;
        assert_eq!(kind_of(refused), Some(StoreErrorKind::Stale), "{outcome:?}");
        assert_eq!(bench.settle(b, outcome.clone()).await, [c, d]);
        assert_eq!(bench.state(a).await, DeliveryState::Running, "what was claimed before it still runs");
        bench.settle(a, Outcome::Completed).await;
        let late = bench.try_settle(&bench.owner, vec![settlement(d, Outcome::Completed)], at(0)).await;
        assert_eq!(kind_of(late), Some(StoreErrorKind::Stale));
        bench.intervene(Verb::Discard, [b]).await;
        let claim = bench.claim_whole(10, at(5)).await;
        assert_eq!(ids(&claim), [c, d]);
        assert!(claim.deliveries.iter().all(|claimed| claimed.attempt == 1), "they were not called");
        bench.settle(c, Outcome::Completed).await;
        bench.settle(d, Outcome::Completed).await;
    }
}

/// What begins to wait puts back only what is claimed of its own key; what lets others pass puts back nothing.
pub async fn in_a_queue_in_order_what_waits_displaces_its_key_only(rig: &dyn Rig) {
    let bench = Bench::open_in_order(rig).await;
    let [a, b, c] = bench.log(["x", "y", "x"]).await;
    bench.claim(10, at(0)).await;
    assert_eq!(bench.settle(a, waiting(5)).await, [c]);
    assert_eq!(bench.settle(b, Outcome::Completed).await, []);
    bench.intervene(Verb::Cancel, [a, c]).await;
    for outcome in passing(5) {
        let [a, b] = bench.log(["v", "w"]).await;
        assert_eq!(bench.claim(10, at(0)).await, [a, b]);
        assert_eq!(bench.settle(a, outcome.clone()).await, [], "{outcome:?}");
        assert_eq!(bench.settle(b, Outcome::Completed).await, []);
    }
}

/// What steps aside, ends, or is parked aside lets all go on.
pub async fn in_a_queue_in_order_what_passes_holds_nothing(rig: &dyn Rig) {
    let bench = Bench::open_in_order(rig).await;
    for outcome in passing(5) {
        bench.log_settled("x", outcome.clone()).await;
        let next = bench.log_settled("x", Outcome::Completed).await;
        assert!(!bench.is_open(next).await, "{outcome:?}");
        bench.log_settled("y", Outcome::Completed).await;
    }
}

/// What stepped aside is claimed alone when it is due: before the line, or after it, as it is wanted.
pub async fn in_a_queue_in_order_what_stepped_aside_comes_alone(rig: &dyn Rig) {
    let bench = Bench::open_in_order(rig).await;
    let aside_first = bench.log_settled("x", aside(4)).await;
    let aside_second = bench.log_settled("y", aside(5)).await;
    let [fresh] = bench.log(["z"]).await;
    let fresh_first = Wanted { limit: 10, first: First::Fresh };
    let claim = bench.claim_wanted(fresh_first, at(4)).await;
    assert_eq!((ids(&claim), claim.next_due), (vec![fresh], Some(at(5))));
    assert_eq!(bench.claim(10, at(5)).await, [], "another one runs");
    bench.settle(fresh, released(9)).await;
    assert_eq!(ids(&bench.claim_wanted(fresh_first, at(5)).await), [aside_first], "the line brings nothing");
    bench.settle(aside_first, Outcome::Completed).await;
    assert_eq!(bench.claim(10, at(9)).await, [aside_second], "before the line");
    bench.settle(aside_second, Outcome::Completed).await;
    assert_eq!(bench.claim(10, at(9)).await, [fresh]);
}

/// What stepped aside and fails again is back at its place: everything later waits for it.
pub async fn in_a_queue_in_order_what_stepped_aside_can_hold_it_again(rig: &dyn Rig) {
    let bench = Bench::open_in_order(rig).await;
    let old = bench.log_settled("x", aside(1)).await;
    bench.claim_and_settle(at(1), retry(5)).await;
    let [fresh] = bench.log(["y"]).await;
    assert_eq!(bench.claim(10, at(1)).await, []);
    assert_eq!(bench.detail(fresh).await.blocked_by, Some(old));
    assert_eq!(bench.claim(10, at(5)).await, [old]);
}

/// What was interrupted comes first, one after the other, before all that is later.
pub async fn in_a_queue_in_order_an_interruption_keeps_the_order(rig: &dyn Rig) {
    let mut bench = Bench::open_in_order(rig).await;
    let [a, b, c] = bench.log(["x", "y", "z"]).await;
    assert_eq!(bench.claim(2, at(0)).await, [a, b]);
    bench.acquire_with(Scope::Queue).await;
    for (id, attempt) in [(a, 2), (b, 2), (c, 1)] {
        let claimed = bench.claim_and_settle(at(0), Outcome::Completed).await;
        assert_eq!((claimed.delivery, claimed.attempt), (id, attempt));
    }
}

/// Within what order is kept is for each owner to say: it counts from then on, also for what was there before.
pub async fn within_what_order_is_kept_each_owner_says(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    let stuck = bench.log_settled("x", parked()).await;
    let [other] = bench.log(["y"]).await;
    assert_eq!(bench.state(other).await, DeliveryState::Available);
    bench.acquire_with(Scope::Queue).await;
    assert_eq!(bench.detail(other).await.blocked_by, Some(stuck));
    assert_eq!(bench.counts().await.blocked, 1);
    assert_eq!(bench.claim(10, at(0)).await, []);
    bench.acquire_with(Scope::Key).await;
    assert_eq!(bench.detail(other).await.blocked_by, None);
    assert_eq!(bench.claim(10, at(0)).await, [other]);
}

/// An outcome, and an operator, that let another key go on ring for it.
pub async fn in_a_queue_in_order_what_makes_another_key_ready_rings(rig: &dyn Rig) {
    let bench = Bench::open_in_order(rig).await;
    let [first, second] = bench.log(["x", "y"]).await;
    bench.claim(1, at(0)).await;
    let before = bench.rings();
    bench.settle(first, parked()).await;
    assert_eq!(bench.rings(), before, "nothing is ready");
    bench.intervene(Verb::Skip, [first]).await;
    assert!(bench.rings() > before, "an operator let it go on");
    assert_eq!(bench.claim(1, at(0)).await, [second]);
    let [third] = bench.log(["z"]).await;
    let before = bench.rings();
    bench.settle(second, Outcome::Completed).await;
    assert!(bench.rings() > before, "an outcome let it go on");
    assert_eq!(bench.claim(1, at(0)).await, [third]);
}

/// Three deliveries, each with each of the outcomes at its first turn, of one key, two or three: nothing overtakes
/// what holds the queue, nor, within a key, what waits; and all that is not parked ends.
pub async fn in_a_queue_in_order_order_survives_every_combination_of_outcomes(rig: &dyn Rig) {
    let bench = Bench::open_in_order(rig).await;
    let outcomes: Vec<Outcome> = holding(1)
        .into_iter()
        .chain(passing(1))
        .chain([waiting(1)])
        .filter(|one| *one != discarded())
        .collect();
    let keys = [["x", "y", "z"], ["x", "y", "x"], ["x", "x", "y"], ["x", "y", "y"]];
    for keys in keys {
        for first in &outcomes {
            for second in &outcomes {
                for third in &outcomes {
                    run_in_order(&bench, keys, [first, second, third]).await;
                }
            }
        }
    }
}

async fn run_in_order(bench: &Bench, keys: [&str; 3], outcomes: [&Outcome; 3]) {
    let case = format!("{keys:?} {outcomes:?}");
    let deliveries = bench.log(keys).await;
    let mut planned: Vec<Option<&Outcome>> = outcomes.into_iter().map(Some).collect();
    // What each of them holds while it is open: the queue, or its key only.
    let mut holds = [Some(true); 3];
    for step in 0..20 {
        let claimed = bench.claim(10, at(10)).await;
        if claimed.is_empty() {
            break;
        }
        assert!(step < 19, "it never ends: {case}");
        let mut displaced: Vec<DeliveryId> = Vec::new();
        for id in claimed {
            let index = deliveries.iter().position(|delivery| *delivery == id).expect("it is one of these");
            if displaced.contains(&id) {
                continue;
            }
            for earlier in 0..index {
                // What stands behind a waiting one of its key waits with it, and holds nothing else.
                let waits = (0..earlier).any(|one| holds[one] == Some(false) && keys[one] == keys[earlier]);
                let is_held = match holds[earlier] {
                    Some(whole_queue) => (whole_queue && !waits) || keys[earlier] == keys[index],
                    None => false,
                };
                assert!(!is_held, "{index} overtook {earlier}: {case}");
            }
            let outcome = planned[index].take().cloned().unwrap_or(Outcome::Completed);
            holds[index] = match outcome {
                Outcome::Waiting { .. } => Some(false),
                Outcome::Completed
                | Outcome::Aside { .. }
                | Outcome::Parked { aside: true, .. }
                | Outcome::Discarded { .. } => None,
                _ => Some(true),
            };
            displaced.extend(bench.settle_at(id, outcome, at(10)).await);
        }
    }
    for summary in bench.open_deliveries().await {
        let is_stuck = matches!(summary.state, DeliveryState::Parked | DeliveryState::Blocked);
        assert!(is_stuck, "{} is {}: {case}", summary.delivery, summary.state);
        bench.intervene(Verb::Discard, [summary.delivery]).await;
    }
}
