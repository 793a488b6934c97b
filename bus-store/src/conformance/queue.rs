//! Laws of [`Queue`](crate::Queue): whose turn it is, and after each outcome. Its other laws stand in `owner`, `due`
//! and `aside`, and those of waiting in `wake`.

use bus_core::{DeliveryId, DeliveryState, Timestamp};

use super::Rig;
use super::bench::{
    Bench, aside, at, deferred, discarded, ids, kind_of, parked, parked_aside, passing, released,
    released_at_once, retry, settlement, task, waiting,
};
use crate::StoreErrorKind;
use crate::queue::Outcome;
use crate::task_log::Commit;

/// What is claimed is not claimed again while it runs.
pub async fn a_claimed_delivery_is_not_claimed_twice(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [a, b] = bench.log(["x", "y"]).await;
    assert_eq!(bench.claim(1, at(0)).await, [a]);
    assert_eq!(bench.claim(10, at(0)).await, [b]);
    assert_eq!(bench.claim(10, at(9)).await, []);
}

/// A claim of an empty queue, and of a queue that was never heard of, brings nothing and is no error.
pub async fn an_empty_queue_has_nothing_to_claim(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    assert_eq!(bench.claim_whole(10, at(0)).await, crate::Claim::default());
    bench.log(["x"]).await;
    bench.claim_and_settle(at(0), Outcome::Completed).await;
    assert_eq!(bench.claim_whole(10, at(0)).await, crate::Claim::default());
}

/// Fresh deliveries come in the order in which they were logged, and never more than were asked for.
pub async fn a_claim_brings_the_oldest_up_to_its_limit(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let logged = bench.log(["z", "x", "y", "w", "v"]).await;
    assert_eq!(bench.claim(2, at(0)).await, logged[..2]);
    assert_eq!(bench.claim(1, at(0)).await, logged[2..3]);
    assert_eq!(bench.claim(0, at(0)).await, []);
    assert_eq!(bench.claim(10, at(0)).await, logged[3..]);
}

/// Several fresh deliveries of one key come with one claim, in order, among those of other keys.
pub async fn fresh_deliveries_of_one_key_are_claimed_together_in_order(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [a, b, c, d] = bench.log(["x", "y", "x", "x"]).await;
    assert_eq!(bench.claim(3, at(0)).await, [a, b, c]);
    for delivery in [a, b, c] {
        bench.settle(delivery, Outcome::Completed).await;
    }
    assert_eq!(bench.claim(10, at(0)).await, [d]);
}

/// While something of a key is claimed, no further claim brings anything of that key.
pub async fn what_runs_holds_its_key(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [a, b, c] = bench.log(["x", "x", "x"]).await;
    assert_eq!(bench.claim(2, at(0)).await, [a, b]);
    let [d, other] = bench.log(["x", "y"]).await;
    assert_eq!(bench.claim(10, at(0)).await, [other]);
    bench.settle(a, Outcome::Completed).await;
    assert_eq!(bench.claim(10, at(0)).await, []);
    bench.settle(b, Outcome::Completed).await;
    assert_eq!(bench.claim(10, at(0)).await, [c, d]);
}

/// A failed delivery keeps the later ones of its key waiting until it is done.
pub async fn a_retried_delivery_holds_its_key(rig: &dyn Rig) {
    holds_its_key(rig, retry(5)).await;
}

/// A released delivery keeps the later ones of its key waiting until it is done.
pub async fn a_released_delivery_holds_its_key(rig: &dyn Rig) {
    holds_its_key(rig, released(5)).await;
}

/// A deferred delivery keeps the later ones of its key waiting until it is done.
pub async fn a_deferred_delivery_holds_its_key(rig: &dyn Rig) {
    holds_its_key(rig, deferred(5)).await;
}

/// A waiting delivery keeps the later ones of its key waiting until it is done.
pub async fn a_waiting_delivery_holds_its_key(rig: &dyn Rig) {
    holds_its_key(rig, waiting(5)).await;
}

async fn holds_its_key(rig: &dyn Rig, outcome: Outcome) {
    let bench = Bench::open(rig).await;
    let [first] = bench.log(["x"]).await;
    bench.claim_and_settle(at(0), outcome).await;
    let [second, other] = bench.log(["x", "y"]).await;
    assert_eq!(bench.claim(10, at(4)).await, [other], "only the other key goes on");
    assert_eq!(bench.claim(10, at(5)).await, [first], "due, alone of its key");
    assert_eq!(bench.claim(10, at(5)).await, [], "it runs");
    bench.settle(first, Outcome::Completed).await;
    assert_eq!(bench.claim(10, at(5)).await, [second]);
}

/// A parked delivery keeps the later ones of its key waiting for ever.
pub async fn a_parked_delivery_holds_its_key(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [first, second] = bench.log(["x", "x"]).await;
    bench.claim(1, at(0)).await;
    bench.settle(first, parked()).await;
    let [other] = bench.log(["y"]).await;
    assert_eq!(bench.claim(10, at(0)).await, [other]);
    let far = Timestamp::from_micros(i64::MAX);
    assert_eq!(bench.claim(10, far).await, []);
    assert!(bench.is_open(first).await && bench.is_open(second).await);
}

/// What is done, discarded, or stepped aside lets the next of its key go at once.
pub async fn what_does_not_hold_its_key_lets_the_next_go(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    for (number, outcome) in passing(5).into_iter().enumerate() {
        let key = format!("x {number}");
        let [first, second] = bench.log([&key, &key]).await;
        assert_eq!(bench.claim(1, at(0)).await, [first]);
        bench.settle(first, outcome.clone()).await;
        assert_eq!(bench.claim(1, at(0)).await, [second], "{outcome:?}");
        bench.settle(second, discarded()).await;
    }
}

/// A key with an exception gives its first delivery alone, even when it is due and others are ready behind it.
pub async fn a_key_with_an_exception_gives_one_at_a_time(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    for outcome in [retry(1), released_at_once(), deferred(1), waiting(1)] {
        let [first, second, third] = bench.log(["x", "x", "x"]).await;
        assert_eq!(bench.claim(1, at(0)).await, [first]);
        bench.settle(first, outcome.clone()).await;
        assert_eq!(bench.claim(10, at(2)).await, [first], "{outcome:?}");
        bench.settle(first, Outcome::Completed).await;
        assert_eq!(bench.claim(10, at(2)).await, [second, third], "fresh ones come together again");
        bench.settle(second, discarded()).await;
        bench.settle(third, discarded()).await;
    }
}

/// Three deliveries of one key, each with each of the outcomes at its first turn: whatever holds the key is never
/// overtaken, nothing runs beside another one of its key, and everything that is not parked ends.
pub async fn order_survives_every_combination_of_outcomes(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let outcomes = [
        retry(1),
        released(1),
        deferred(1),
        waiting(1),
        parked(),
        Outcome::Completed,
        aside(1),
        parked_aside(),
    ];
    let mut number = 0;
    for first in &outcomes {
        for second in &outcomes {
            for third in &outcomes {
                number += 1;
                let key = format!("x {number}");
                run_with_outcomes(&bench, &key, [first, second, third]).await;
            }
        }
    }
}

async fn run_with_outcomes(bench: &Bench, key: &str, planned: [&Outcome; 3]) {
    let deliveries = bench.log([key, key, key]).await;
    let mut planned: Vec<Option<&Outcome>> = planned.into_iter().map(Some).collect();
    let index_of = |id: DeliveryId| deliveries.iter().position(|delivery| *delivery == id);
    // Which of them hold the key (they are open, at their place), and which are final or out of the way.
    let mut in_line = [true; 3];
    for step in 0..20 {
        let claimed = bench.claim_whole(10, at(10)).await.deliveries;
        if claimed.is_empty() {
            break;
        }
        assert!(step < 19, "{key} never ends");
        assert!(claimed.is_sorted_by_key(|claimed| claimed.delivery), "{key}: {claimed:?}");
        let mut displaced: Vec<DeliveryId> = Vec::new();
        for claimed in &claimed {
            assert_eq!(claimed.key, key);
            let index = index_of(claimed.delivery).expect("only what is open of this key is claimed");
            if displaced.contains(&claimed.delivery) {
                continue;
            }
            let overtaken = in_line[..index].contains(&true);
            assert!(!overtaken, "{key}: the delivery at place {index} overtook one that holds the key");
            let outcome = planned[index].take().cloned().unwrap_or(Outcome::Completed);
            in_line[index] = match outcome {
                Outcome::Retry { .. }
                | Outcome::Released { .. }
                | Outcome::Deferred { .. }
                | Outcome::Waiting { .. } => true,
                Outcome::Parked { aside, .. } => !aside,
                Outcome::Completed | Outcome::Aside { .. } | Outcome::Discarded { .. } => false,
            };
            displaced.extend(bench.settle_at(claimed.delivery, outcome, at(10)).await);
        }
    }
    for id in deliveries {
        if let Some(left) = bench.store.delivery(id).await.expect("delivery") {
            let state = left.summary.state;
            let is_stuck = matches!(state, DeliveryState::Parked | DeliveryState::Blocked);
            assert!(is_stuck || state.is_final(), "{key}: {id} is {state}, and was not claimed");
        }
    }
}

/// Ten thousand blocked keys in front of a free one do not hide it: one claim finds it.
pub async fn ten_thousand_blocked_keys_do_not_hide_a_free_one(rig: &dyn Rig) {
    const KEYS: usize = 10_000;
    let bench = Bench::open(rig).await;
    bench.log_keys("blocked", KEYS).await;
    let mut parked_so_far = 0;
    while parked_so_far < KEYS {
        let claimed = bench.claim(1_000, at(0)).await;
        assert!(!claimed.is_empty());
        parked_so_far += claimed.len();
        let settlements = claimed.into_iter().map(|id| settlement(id, parked())).collect();
        bench.try_settle(&bench.owner, settlements, at(0)).await.unwrap();
    }
    bench.log_keys("blocked", KEYS).await;
    let tasks = vec![task(&bench.queue, "free")];
    bench.commit(Commit { tasks, ..Commit::at(at(0)) }).await;
    // A store may put blocked ones out of the way a bounded number at a time.
    for _ in 0..KEYS.div_ceil(100) {
        let claim = bench.claim_whole(10, at(0)).await;
        if let [claimed] = claim.deliveries.as_slice() {
            assert_eq!(claimed.key, "free");
            bench.settle(claimed.delivery, Outcome::Completed).await;
            assert_eq!(bench.claim(10, at(0)).await, []);
            let counts = bench.counts().await;
            assert_eq!((counts.parked, counts.blocked), (KEYS as u64, KEYS as u64));
            return;
        }
        assert!(claim.deliveries.is_empty(), "{:?}", ids(&claim));
    }
    panic!("the free key was not found");
}

/// An outcome that holds the key puts back what is claimed behind it, and nothing of other keys; what was put back
/// comes again in order, and was not charged.
pub async fn what_holds_a_key_displaces_what_is_claimed_behind_it(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    for outcome in [retry(5), released(5), deferred(5), waiting(5)] {
        let [a, b, other, c] = bench.log(["x", "x", "y", "x"]).await;
        assert_eq!(bench.claim(10, at(0)).await, [a, b, other, c]);
        assert_eq!(bench.settle(a, outcome.clone()).await, [b, c], "{outcome:?}");
        assert_eq!(bench.claim(10, at(0)).await, [], "they wait behind it");
        bench.settle(other, Outcome::Completed).await;
        assert_eq!(bench.claim(10, at(5)).await, [a]);
        bench.settle(a, Outcome::Completed).await;
        let claim = bench.claim_whole(10, at(5)).await;
        assert_eq!(ids(&claim), [b, c]);
        assert!(claim.deliveries.iter().all(|claimed| claimed.attempt == 1), "they were not called");
        bench.settle(b, Outcome::Completed).await;
        bench.settle(c, Outcome::Completed).await;
    }
    let [a, b] = bench.log(["x", "x"]).await;
    bench.claim(10, at(0)).await;
    assert_eq!(bench.settle(a, parked()).await, [b]);
    assert_eq!(bench.claim(10, at(9)).await, []);
}

/// An outcome that does not hold the key displaces nothing.
pub async fn what_does_not_hold_its_key_displaces_nothing(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    for (number, outcome) in passing(5).into_iter().enumerate() {
        let key = format!("x {number}");
        let [a, b] = bench.log([&key, &key]).await;
        assert_eq!(bench.claim(10, at(0)).await, [a, b]);
        assert_eq!(bench.settle(a, outcome.clone()).await, [], "{outcome:?}");
        assert_eq!(bench.settle(b, Outcome::Completed).await, [], "it was claimed still");
    }
}

/// The last of a batch can hold the key without touching what was claimed before it.
pub async fn what_was_claimed_before_it_is_not_displaced(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [a, b, c] = bench.log(["x", "x", "x"]).await;
    bench.claim(10, at(0)).await;
    assert_eq!(bench.settle(b, retry(5)).await, [c]);
    assert_eq!(bench.claim(10, at(5)).await, [], "the first still runs");
    bench.settle(a, Outcome::Completed).await;
    assert_eq!(bench.claim(10, at(5)).await, [b]);
}

/// What was displaced cannot be settled any more: not later, and not later in the same commit.
pub async fn what_was_displaced_cannot_be_settled(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [a, b] = bench.log(["x", "x"]).await;
    bench.claim(10, at(0)).await;
    let together = vec![settlement(a, retry(5)), settlement(b, Outcome::Completed)];
    let refused = bench.try_settle(&bench.owner, together, at(0)).await;
    assert_eq!(kind_of(refused), Some(StoreErrorKind::Stale));
    // Nothing happened: both are claimed. In the other order there is nothing to displace.
    let in_order = vec![settlement(b, Outcome::Completed), settlement(a, retry(5))];
    let committed = bench.try_settle(&bench.owner, in_order, at(0)).await.unwrap();
    assert_eq!(committed.displaced, []);

    let [c, d] = bench.log(["y", "y"]).await;
    bench.claim(10, at(0)).await;
    assert_eq!(bench.settle(c, retry(5)).await, [d]);
    let late = bench.try_settle(&bench.owner, vec![settlement(d, Outcome::Completed)], at(0)).await;
    assert_eq!(kind_of(late), Some(StoreErrorKind::Stale));
    assert_eq!(bench.counters().await.stale, 2);
}
