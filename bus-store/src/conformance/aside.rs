//! Laws of stepping aside, part of [`Queue`](crate::Queue).

use bus_core::{DeliveryState, Timestamp};

use super::Rig;
use super::bench::{Bench, aside, at, deferred, discarded, done, parked, parked_aside, released, retry};
use crate::operate::Verb;
use crate::queue::Outcome;

/// What stepped aside runs again when it is due, and says that it did step aside.
pub async fn what_stepped_aside_runs_again_when_it_is_due(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [a] = bench.log(["x"]).await;
    assert!(!bench.claim_and_settle(at(0), aside(5)).await.aside);
    assert_eq!(bench.claim(10, at(4)).await, []);
    let claimed = bench.claim_and_settle(at(5), retry(6)).await;
    assert_eq!((claimed.delivery, claimed.aside), (a, true));
    assert!(bench.claim_one(at(6)).await.aside, "it stays so");
}

/// What stepped aside says, when it is claimed again, which of the later ones of its key completed last.
pub async fn what_was_overtaken_says_by_which(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [old, _, newest] = bench.log(["x", "x", "x"]).await;
    assert_eq!(bench.claim(1, at(0)).await, [old]);
    bench.settle(old, aside(5)).await;
    for id in bench.claim(10, at(0)).await {
        bench.settle(id, Outcome::Completed).await;
    }
    let claimed = bench.claim_and_settle(at(5), aside(6)).await;
    assert_eq!((claimed.delivery, claimed.superseded_by), (old, Some(newest)));
    let claimed = bench.claim_and_settle(at(6), retry(7)).await;
    assert_eq!(claimed.superseded_by, Some(newest), "it stays so");
    let claimed = bench.claim_and_settle(at(7), Outcome::Completed).await;
    assert_eq!(claimed.superseded_by, Some(newest), "also in line");
}

/// Only what completed, and only what is later, supersedes.
pub async fn only_a_later_success_supersedes(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [first, second, third] = bench.log(["x", "x", "x"]).await;
    bench.claim(10, at(0)).await;
    bench.settle(first, Outcome::Completed).await;
    bench.settle(second, aside(5)).await;
    bench.settle(third, discarded()).await;
    let claimed = bench.claim_and_settle(at(5), Outcome::Completed).await;
    assert_eq!((claimed.delivery, claimed.superseded_by), (second, None));

    let [fourth, fifth, other] = bench.log(["x", "x", "y"]).await;
    bench.claim(10, at(5)).await;
    bench.settle(fourth, aside(6)).await;
    bench.settle(fifth, parked_aside()).await;
    bench.settle(other, Outcome::Completed).await;
    let claimed = bench.claim_one(at(6)).await;
    assert_eq!(
        (claimed.delivery, claimed.superseded_by),
        (fourth, None),
        "another key's success is not its own"
    );
}

/// What stepped aside does not run while another one of its key does, nor lets another one run beside it.
pub async fn what_stepped_aside_never_runs_beside_its_key(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [old, new] = bench.log(["x", "x"]).await;
    bench.claim(1, at(0)).await;
    bench.settle(old, aside(5)).await;
    assert_eq!(bench.claim(1, at(0)).await, [new]);
    assert_eq!(bench.claim(10, at(5)).await, [], "the later one runs");
    assert_eq!(bench.state(old).await, DeliveryState::Scheduled, "beside its key, it is not blocked");
    bench.settle(new, discarded()).await;
    assert_eq!(bench.claim(10, at(5)).await, [old]);
    let [newest] = bench.log(["x"]).await;
    assert_eq!(bench.claim(10, at(5)).await, [], "the earlier one runs");
    assert_eq!(bench.state(newest).await, DeliveryState::Blocked);
    bench.settle(old, Outcome::Completed).await;
    assert_eq!(bench.claim(10, at(5)).await, [newest]);
}

/// What stepped aside does not overtake an earlier one that holds the key.
pub async fn what_stepped_aside_does_not_overtake_what_holds_the_key(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [first, second] = bench.log(["x", "x"]).await;
    bench.claim(10, at(0)).await;
    bench.settle(second, aside(3)).await;
    bench.settle(first, retry(9)).await;
    let claim = bench.claim_whole(10, at(3)).await;
    assert_eq!((claim.deliveries.len(), claim.next_due), (0, Some(at(9))));
    assert_eq!(bench.claim(10, at(9)).await, [first]);
    bench.settle(first, Outcome::Completed).await;
    let claimed = bench.claim_one(at(9)).await;
    assert_eq!(
        (claimed.delivery, claimed.superseded_by),
        (second, None),
        "an earlier success supersedes nothing"
    );
}

/// An outcome that holds the key puts what had stepped aside back to its place.
pub async fn what_stepped_aside_can_hold_its_key_again(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    for outcome in [retry(9), released(9), deferred(9)] {
        let [old] = bench.log(["x"]).await;
        bench.claim_and_settle(at(0), aside(5)).await;
        bench.claim_and_settle(at(5), outcome.clone()).await;
        let [new] = bench.log(["x"]).await;
        assert_eq!(bench.claim(10, at(5)).await, [], "{outcome:?}");
        assert_eq!(bench.claim(10, at(9)).await, [old]);
        bench.settle(old, Outcome::Completed).await;
        assert_eq!(bench.claim(10, at(9)).await, [new]);
        bench.settle(new, Outcome::Completed).await;
    }
    bench.log(["z"]).await;
    bench.claim_and_settle(at(0), aside(5)).await;
    bench.claim_and_settle(at(5), parked()).await;
    bench.log(["z"]).await;
    assert_eq!(bench.claim(10, at(99)).await, []);
}

/// What stood behind an earlier one of its key, and was met there when it was due, is claimed once that has ended, in
/// whichever way, or has stepped aside as well.
pub async fn what_stood_behind_its_key_is_claimed_once_that_lets_go(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    for ends in ["completes", "is skipped", "steps aside"] {
        let [first, behind] = bench.log([ends, ends]).await;
        assert_eq!(bench.claim(2, at(0)).await, [first, behind]);
        bench.settle(behind, aside(1)).await;
        bench.settle(first, retry(9)).await;
        // It is due, and looked for more than once.
        assert_eq!(bench.claim(10, at(2)).await, [], "{ends}");
        assert_eq!(bench.claim(10, at(3)).await, [], "{ends}");
        if ends == "is skipped" {
            assert_eq!(bench.intervene(Verb::Skip, [first]).await, [done()]);
        } else {
            assert_eq!(bench.claim(10, at(9)).await, [first], "{ends}");
            bench.settle(first, if ends == "completes" { Outcome::Completed } else { aside(99) }).await;
        }
        assert_eq!(bench.claim(10, at(10)).await, [behind], "{ends}");
        bench.settle(behind, Outcome::Completed).await;
    }
}

/// What was parked aside holds nothing, and does not run.
pub async fn what_is_parked_aside_holds_nothing(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [stuck, next] = bench.log(["x", "x"]).await;
    bench.claim(1, at(0)).await;
    bench.settle(stuck, parked_aside()).await;
    let claim = bench.claim_whole(10, Timestamp::from_micros(i64::MAX)).await;
    assert_eq!((super::bench::ids(&claim), claim.next_due), (vec![next], None));
    bench.settle(next, Outcome::Completed).await;
    assert_eq!(bench.state(stuck).await, DeliveryState::Parked);
}

/// What was interrupted after it had stepped aside is aside still, and later ones may pass.
pub async fn an_interruption_leaves_aside_what_stepped_aside(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    let [old] = bench.log(["x"]).await;
    bench.claim_and_settle(at(0), aside(5)).await;
    assert_eq!(bench.claim(1, at(5)).await, [old]);
    bench.acquire_again().await;
    let claimed = bench.claim_and_settle(at(5), aside(7)).await;
    assert_eq!((claimed.delivery, claimed.aside, claimed.attempt), (old, true, 2));
    let [new] = bench.log(["x"]).await;
    assert_eq!(bench.claim(10, at(5)).await, [new]);
    bench.settle(new, Outcome::Completed).await;
    let claimed = bench.claim_one(at(7)).await;
    assert_eq!((claimed.delivery, claimed.superseded_by), (old, Some(new)));
}
