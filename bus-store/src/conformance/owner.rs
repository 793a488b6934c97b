//! Laws of owning a queue, part of [`Queue`](crate::Queue): who may settle what, and what becomes of what an owner
//! leaves behind.

use bus_core::{DeliveryId, DeliveryState, Timestamp};

use super::Rig;
use super::bench::{
    Bench, aside, at, bound_to, done, ids, kind_of, outgoing, own, parked, retry, settlement, waiting,
    waiting_for,
};
use crate::StoreErrorKind;
use crate::operate::{INTERRUPTED_ERROR, Verb, Verdict};
use crate::queue::{Outcome, Wanted};

/// A settlement of what is not claimed (fresh, done, parked, never heard of) changes nothing, and is counted.
pub async fn what_is_not_claimed_cannot_be_settled(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [done, stuck, fresh] = bench.log(["x", "y", "z"]).await;
    bench.claim(2, at(0)).await;
    bench.settle(done, Outcome::Completed).await;
    bench.settle(stuck, parked()).await;
    let before = (bench.counters().await, bench.open_deliveries().await);
    for (number, id) in [done, stuck, fresh, DeliveryId(4_040_404)].into_iter().enumerate() {
        let refused = bench.try_settle(&bench.owner, vec![settlement(id, Outcome::Completed)], at(0)).await;
        assert_eq!(kind_of(refused), Some(StoreErrorKind::Stale), "{id}");
        let mut counters = bench.counters().await;
        assert_eq!(counters.stale, number as u64 + 1);
        counters.stale = 0;
        assert_eq!((counters, bench.open_deliveries().await), before);
    }
}

/// A delivery that is settled twice in one commit is a contradiction: nothing of the commit is true.
pub async fn a_delivery_is_settled_once(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [a] = bench.log(["x"]).await;
    bench.claim(1, at(0)).await;
    for outcome in [Outcome::Completed, retry(5)] {
        let twice = vec![settlement(a, outcome), settlement(a, Outcome::Completed)];
        assert_eq!(kind_of(bench.try_settle(&bench.owner, twice, at(0)).await), Some(StoreErrorKind::Stale));
    }
    bench.settle(a, Outcome::Completed).await;
}

/// A delivery is not settled by the owner of another queue.
pub async fn the_owner_of_another_queue_cannot_settle(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let shop = own(&*bench.store, &outgoing("shop")).await;
    let [a] = bench.log(["x"]).await;
    bench.claim(1, at(0)).await;
    let refused = bench.try_settle(&shop, vec![settlement(a, Outcome::Completed)], at(0)).await;
    assert_eq!(kind_of(refused), Some(StoreErrorKind::Stale));
    assert!(bench.is_open(a).await);
}

/// Each owner has a higher epoch than the one before.
pub async fn every_owner_has_a_higher_epoch(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    for _ in 0..3 {
        let former = bench.acquire_again().await;
        assert!(bench.owner.epoch > former.epoch);
        assert_eq!(bench.owner.queue, former.queue);
    }
}

/// A former owner can neither claim nor settle; what it tried changes nothing and is counted.
pub async fn a_former_owner_changes_nothing(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    let [a, b] = bench.log(["x", "y"]).await;
    bench.claim(1, at(0)).await;
    let former = bench.acquire_again().await;
    assert_eq!(
        kind_of(bench.store.claim(&former, Wanted::up_to(1), at(0)).await),
        Some(StoreErrorKind::Stale)
    );
    let settled = vec![settlement(a, Outcome::Completed)];
    let late = bench.try_settle(&former, settled.clone(), at(0)).await;
    assert_eq!(kind_of(late), Some(StoreErrorKind::Stale));
    assert_eq!(bench.counters().await.stale, 1);
    // Also not when the new owner has claimed it in the meantime.
    assert_eq!(bench.claim(10, at(0)).await, [a]);
    let late = bench.try_settle(&former, settled, at(0)).await;
    assert_eq!(kind_of(late), Some(StoreErrorKind::Stale));
    let counters = bench.counters().await;
    assert_eq!((counters.stale, counters.completed), (2, 0));
    bench.settle(a, Outcome::Completed).await;
    assert_eq!(bench.claim(10, at(0)).await, [b]);
}

/// What a former owner had claimed is charged one attempt, said to have been interrupted, due at once, and claimed
/// alone.
pub async fn what_was_interrupted_is_charged_and_claimed_alone(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    let [a, b, c, fresh] = bench.log(["x", "y", "z", "fresh"]).await;
    assert_eq!(bench.claim(3, at(0)).await, [a, b, c]);
    bench.acquire_again().await;
    let attempts = bench.detail(a).await.attempts;
    assert_eq!((attempts.len(), attempts[0].charged), (1, true));
    assert_eq!(attempts[0].error, INTERRUPTED_ERROR);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let claim = bench.claim_whole(10, Timestamp::EPOCH).await;
        assert_eq!(claim.deliveries.len(), 1, "alone: {:?}", ids(&claim));
        assert_eq!(claim.deliveries[0].attempt, 2, "charged once");
        seen.push(claim.deliveries[0].delivery);
    }
    assert_eq!(seen, [a, b, c]);
    assert_eq!(bench.claim(10, at(0)).await, [fresh]);
}

/// People see what was interrupted as available: it is due at once, whatever it was before it was claimed.
pub async fn what_was_interrupted_is_available(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    for outcome in [retry(1), waiting(1), aside(1)] {
        let key = format!("{outcome:?}");
        let [id] = bench.log([&key]).await;
        bench.claim_and_settle(at(0), outcome).await;
        assert_eq!(bench.claim(10, at(1)).await, [id]);
        bench.acquire_again().await;
        let summary = bench.detail(id).await.summary;
        assert_eq!((summary.state, summary.due), (DeliveryState::Available, None), "{key}");
        bench.claim_and_settle(at(1), Outcome::Completed).await;
    }
}

/// What was interrupted was called, as far as anybody knows, also where it had been put back before: it can be skipped,
/// and not cancelled.
pub async fn what_was_interrupted_counts_as_called(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    let [first, second] = bench.log(["x", "x"]).await;
    assert_eq!(bench.claim(2, at(0)).await, [first, second]);
    assert_eq!(bench.settle(first, retry(1)).await, [second], "it was put back, and never called");
    bench.claim_and_settle(at(1), Outcome::Completed).await;
    assert_eq!(bench.claim(2, at(1)).await, [second]);
    bench.acquire_again().await;
    assert_eq!(bench.intervene(Verb::Cancel, [second]).await, [Verdict::WasCalled]);
    assert_eq!(bench.intervene(Verb::Skip, [second]).await, [done()]);
}

/// What was interrupted once is claimed alone from then on, also after other outcomes.
pub async fn what_was_interrupted_stays_alone(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    let [a, fresh] = bench.log(["x", "y"]).await;
    assert_eq!(bench.claim(1, at(0)).await, [a]);
    bench.acquire_again().await;
    bench.claim_and_settle(at(0), retry(5)).await;
    assert_eq!(bench.claim(10, at(5)).await, [a]);
    assert_eq!(bench.claim(10, at(5)).await, [fresh]);
}

/// Being interrupted changes no order within a key, and charges nothing that was not claimed.
pub async fn an_interruption_keeps_the_order_of_a_key(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    let [a, b, c] = bench.log(["x", "x", "x"]).await;
    assert_eq!(bench.claim(2, at(0)).await, [a, b]);
    bench.acquire_again().await;
    for (id, attempt) in [(a, 2), (b, 2), (c, 1)] {
        let claimed = bench.claim_and_settle(at(0), Outcome::Completed).await;
        assert_eq!((claimed.delivery, claimed.attempt), (id, attempt));
    }
}

/// A wait goes on when its owner is interrupted while it asks.
pub async fn an_interruption_does_not_end_a_wait(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    bench.log(["x"]).await;
    bench.claim_and_settle(at(0), waiting_for(bound_to(4), 1)).await;
    bench.claim_one(at(1)).await;
    bench.acquire_again().await;
    let claimed = bench.claim_one(at(2)).await;
    assert_eq!((claimed.asks, claimed.waiting_since, claimed.attempt), (2, Some(at(0)), 2));
}

/// A new owner finds what was not claimed as it was: due times, waits and what is parked.
pub async fn a_new_owner_touches_only_what_was_claimed(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    for outcome in [retry(5), waiting(6), parked()] {
        let key = format!("{outcome:?}");
        bench.log([&key]).await;
        bench.claim_and_settle(at(0), outcome).await;
    }
    bench.log(["fresh"]).await;
    let before = (bench.open_deliveries().await, bench.counters().await);
    bench.acquire_again().await;
    assert_eq!((bench.open_deliveries().await, bench.counters().await), before);
}

/// Who gave a queue up is a former owner: what it claims or settles is stale.
pub async fn who_gave_a_queue_up_is_a_former_owner(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [a] = bench.log(["x"]).await;
    bench.claim(1, at(0)).await;
    bench.store.release(&bench.owner).await.unwrap();
    let claim = bench.store.claim(&bench.owner, Wanted::up_to(1), at(0)).await;
    assert_eq!(kind_of(claim), Some(StoreErrorKind::Stale));
    let late = bench.try_settle(&bench.owner, vec![settlement(a, Outcome::Completed)], at(0)).await;
    assert_eq!(kind_of(late), Some(StoreErrorKind::Stale));
    assert!(bench.is_open(a).await);
    assert_eq!(bench.counters().await.stale, 1);
    bench.store.release(&bench.owner).await.expect("giving it up twice does nothing");
}

/// What was claimed when its queue was given up counts as interrupted, when somebody asks for the queue, and not
/// before.
pub async fn what_was_claimed_when_its_queue_was_given_up_is_interrupted(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    let [a, b] = bench.log(["x", "y"]).await;
    bench.claim(1, at(0)).await;
    bench.store.release(&bench.owner).await.unwrap();
    assert_eq!(bench.state(a).await, DeliveryState::Running);
    assert_eq!(bench.detail(a).await.attempts, []);
    let former = bench.acquire_again().await;
    assert!(bench.owner.epoch > former.epoch);
    assert_eq!(bench.detail(a).await.attempts[0].error, INTERRUPTED_ERROR);
    assert_eq!(bench.claim(10, at(0)).await, [a]);
    assert_eq!(bench.claim(10, at(0)).await, [b]);
}

/// A former owner cannot give up what is another's by now.
pub async fn a_former_owner_gives_nothing_up(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    let [a] = bench.log(["x"]).await;
    let former = bench.acquire_again().await;
    bench.store.release(&former).await.unwrap();
    assert_eq!(bench.claim(1, at(0)).await, [a]);
    bench.store.release(&former).await.unwrap();
    bench.settle(a, Outcome::Completed).await;
    let nobodys = crate::Ownership { queue: outgoing("nobody"), epoch: 1 };
    bench.store.release(&nobodys).await.expect("a queue that nobody heard of is no error");
}

/// What this process may have is free: nobody waits for it, whether it has it, gave it up, or never asked.
pub async fn a_queue_of_this_process_is_free(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.store.wait_until_free(&bench.queue).await.unwrap();
    bench.store.release(&bench.owner).await.unwrap();
    bench.store.wait_until_free(&bench.queue).await.unwrap();
    bench.store.wait_until_free(&outgoing("nobody")).await.unwrap();
    bench.store.heartbeat().await.unwrap();
    own(&*bench.store, &bench.queue).await;
}

/// A queue without an owner takes what is logged for it, and keeps it for the next one.
pub async fn a_queue_without_an_owner_loses_nothing(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    let stuck = bench.log_settled("x", retry(5)).await;
    bench.store.release(&bench.owner).await.unwrap();
    let [behind, fresh] = bench.log(["x", "y"]).await;
    bench.acquire_again().await;
    assert_eq!(bench.claim(10, at(0)).await, [fresh]);
    assert_eq!(bench.claim(10, at(5)).await, [stuck]);
    bench.settle(stuck, Outcome::Completed).await;
    assert_eq!(bench.claim(10, at(5)).await, [behind]);
}
