//! Laws of attempts, due times and what comes together, part of [`Queue`](crate::Queue).

use bus_core::{DeliveryId, Timestamp};

use super::Rig;
use super::bench::{Bench, aside, at, deferred, ids, parked, released, released_at_once, retry, waiting};
use crate::queue::{First, Outcome, Wanted};

/// Only what is settled as failed, or interrupted, uses up an attempt.
pub async fn only_charged_outcomes_use_up_attempts(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let stepped = |charged| Outcome::Aside { due: at(0), error: None, charged };
    let [id] = bench.log(["x"]).await;
    for (outcome, attempt) in [
        (released_at_once(), 1),
        (deferred(0), 1),
        (released(0), 1),
        (waiting(0), 1),
        (stepped(false), 1),
        (retry(0), 1),
        (released(0), 2),
        (stepped(true), 2),
        (waiting(0), 3),
        (retry(0), 3),
        (deferred(0), 4),
        (parked(), 4),
    ] {
        let claimed = bench.claim_and_settle(at(0), outcome.clone()).await;
        assert_eq!(claimed.attempt, attempt, "at the claim before {outcome:?}");
    }
    assert_eq!(bench.detail(id).await.summary.attempts, 4);
}

/// Due means that its time has come, to the microsecond.
pub async fn what_is_due_is_claimed_not_before(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.log(["x"]).await;
    bench.claim_and_settle(at(0), retry(5)).await;
    let just_before = Timestamp::from_micros(at(5).as_micros() - 1);
    let claim = bench.claim_whole(10, just_before).await;
    assert_eq!((ids(&claim), claim.next_due), (vec![], Some(at(5))));
    assert_eq!(bench.claim(10, at(5)).await.len(), 1);
}

/// The next due time is the earliest one that is not reached, of whatever time makes ready.
pub async fn the_next_due_time_is_the_earliest_to_come(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let mut settled = Vec::new();
    for (key, outcome) in
        [("v", retry(9)), ("w", deferred(8)), ("x", released(6)), ("y", waiting(7)), ("z", aside(5))]
    {
        settled.extend(bench.log([key]).await);
        bench.claim_and_settle(at(0), outcome).await;
    }
    let [retried, deferred, released, waits, stepped] = settled[..] else { panic!("five were logged") };
    assert_eq!(bench.claim_whole(10, at(0)).await.next_due, Some(at(5)));
    for (second, id, next) in [
        (5, stepped, Some(6)),
        (6, released, Some(7)),
        (7, waits, Some(8)),
        (8, deferred, Some(9)),
        (9, retried, None),
    ] {
        let claim = bench.claim_whole(10, at(second)).await;
        assert_eq!((ids(&claim), claim.next_due), (vec![id], next.map(at)));
    }
}

/// What is blocked, parked or running has no due time, and what is due already is not the next.
pub async fn what_time_does_not_make_ready_has_no_due_time(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [a, b] = bench.log(["x", "x"]).await;
    bench.claim(10, at(0)).await;
    // Both are exceptions; only the first of them can become ready by time.
    bench.settle(b, retry(3)).await;
    bench.settle(a, retry(9)).await;
    assert_eq!(bench.claim_whole(10, at(0)).await.next_due, Some(at(9)));
    assert_eq!(bench.claim(10, at(9)).await, [a]);
    bench.settle(a, parked()).await;
    assert_eq!(bench.claim_whole(10, at(0)).await.next_due, None);

    bench.log(["y", "z"]).await;
    for id in bench.claim(10, at(0)).await {
        bench.settle(id, retry(5)).await;
    }
    let claim = bench.claim_whole(1, at(6)).await;
    assert_eq!((claim.deliveries.len(), claim.next_due), (1, None));
}

/// What is due comes first, but takes at most half of the slots, and at least one, while there is fresh work; alone,
/// each takes them all.
pub async fn what_is_due_takes_at_most_half_while_there_is_fresh_work(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.log_keys("due", 12).await;
    let due = bench.claim(100, at(0)).await;
    for id in &due {
        bench.settle(*id, released(1)).await;
    }
    bench.log_keys("fresh", 12).await;
    let is_due = |id: &DeliveryId| due.contains(id);
    let mut claimed = bench.claim(8, at(1)).await;
    assert_eq!((claimed.len(), claimed.iter().filter(|id| is_due(id)).count()), (8, 4));
    assert!(claimed[..4].iter().all(is_due), "what is due comes first");
    let one = bench.claim(1, at(1)).await;
    assert!(one.iter().all(is_due), "at least one");
    claimed.extend(one);
    // The fresh ones are claimed by whoever ignores what is due.
    while claimed.iter().filter(|id| !is_due(id)).count() < 12 {
        claimed.extend(bench.claim(2, at(0)).await);
    }
    let rest = bench.claim(100, at(1)).await;
    assert_eq!(rest.len(), 24 - claimed.len());
    assert!(rest.iter().all(is_due), "without fresh work, what is due takes all of the slots");
}

/// What is due comes in the order of its due times.
pub async fn what_is_due_comes_by_due_time(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [a, b, c] = bench.log(["x", "y", "z"]).await;
    bench.claim(10, at(0)).await;
    for (id, due) in [(a, 3), (b, 1), (c, 2)] {
        bench.settle(id, released(due)).await;
    }
    assert_eq!(bench.claim(2, at(9)).await, [b, c]);
    assert_eq!(bench.claim(2, at(9)).await, [a]);
}

/// How often a delivery was asked again, and since when, is told while it waits, and starts anew when it waits anew.
pub async fn a_waiting_delivery_knows_how_long_and_how_often(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.log(["x"]).await;
    let mut claimed = bench.claim_and_settle(at(0), waiting(1)).await;
    assert_eq!((claimed.asks, claimed.waiting_since), (0, None));
    for ask in 1..=3 {
        claimed = bench.claim_and_settle(at(10 * ask), waiting(10 * ask + 1)).await;
        assert_eq!((i64::from(claimed.asks), claimed.waiting_since), (ask, Some(at(0))));
    }
    assert_eq!(bench.counters().await.waited, 1, "it began to wait once");
    claimed = bench.claim_and_settle(at(40), retry(41)).await;
    assert_eq!((claimed.asks, claimed.waiting_since), (4, Some(at(0))));
    claimed = bench.claim_and_settle(at(50), waiting(51)).await;
    assert_eq!((claimed.asks, claimed.waiting_since), (0, None), "any other outcome ends the wait");
    claimed = bench.claim_and_settle(at(60), Outcome::Completed).await;
    assert_eq!((claimed.asks, claimed.waiting_since), (1, Some(at(50))));
    assert_eq!(bench.counters().await.waited, 2);
}

/// What was charged an attempt before is claimed alone, so that a crash charges only what was called; what was not
/// comes together.
pub async fn what_was_charged_before_is_claimed_alone(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let charged_aside = Outcome::Aside { due: at(1), error: None, charged: true };
    let mut charged = Vec::new();
    for (key, outcome) in [("v", retry(1)), ("w", charged_aside), ("x", retry(2))] {
        charged.push(bench.log_settled(key, outcome).await);
    }
    bench.claim_and_settle(at(2), released(3)).await;
    let mut together = Vec::new();
    for (key, outcome) in [("y", released(4)), ("z", deferred(5)), ("a", waiting(6)), ("b", aside(7))] {
        together.push(bench.log_settled(key, outcome).await);
    }
    let [fresh, behind] = bench.log(["fresh", "fresh"]).await;
    let mut alone = Vec::new();
    for _ in 0..3 {
        let claimed = bench.claim(10, at(9)).await;
        assert_eq!(claimed.len(), 1, "{claimed:?}");
        alone.extend(claimed);
    }
    alone.sort();
    assert_eq!(alone, charged);
    let claimed = bench.claim(10, at(9)).await;
    assert_eq!(claimed, [&together[..], &[fresh, behind]].concat());
}

/// What is due before something that was charged comes without it, and it comes next.
pub async fn what_is_due_before_what_was_charged_comes_without_it(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let early = bench.log_settled("x", released(1)).await;
    let charged = bench.log_settled("y", retry(2)).await;
    let late = bench.log_settled("z", released(3)).await;
    let claimed = bench.claim(10, at(9)).await;
    assert_eq!(claimed[0], early);
    assert!(!claimed.contains(&charged));
    bench.settle(early, released(4)).await;
    assert_eq!(bench.claim(10, at(9)).await, [charged], "it is the first that is due");
    if !claimed.contains(&late) {
        assert_eq!(bench.claim(10, at(9)).await, [late, early]);
    }
}

/// Fresh work comes first when that is wanted; what is due and was never charged takes what is left.
pub async fn fresh_work_comes_first_when_it_is_wanted(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let due = [bench.log_settled("a", released(1)).await, bench.log_settled("b", released(2)).await];
    let charged = bench.log_settled("c", retry(3)).await;
    let [x, y, z] = bench.log(["x", "y", "z"]).await;
    let wanted = |limit| Wanted { limit, first: First::Fresh };
    assert_eq!(ids(&bench.claim_wanted(wanted(2), at(9)).await), [x, y]);
    assert_eq!(ids(&bench.claim_wanted(wanted(2), at(9)).await), [z, due[0]]);
    assert_eq!(ids(&bench.claim_wanted(wanted(2), at(9)).await), [due[1]], "without fresh work, what is due");
    assert_eq!(ids(&bench.claim_wanted(wanted(2), at(9)).await), [charged], "alone also then");
    assert_eq!(ids(&bench.claim_wanted(wanted(0), at(9)).await), []);
}

/// Whoever alternates what comes first starves neither what is due, though each of that comes alone, nor what is
/// fresh.
pub async fn alternating_claims_starve_neither_kind(rig: &dyn Rig) {
    const EACH: usize = 8;
    let bench = Bench::open(rig).await;
    for number in 0..EACH {
        bench.log_settled(&format!("due {number}"), retry(1)).await;
    }
    bench.log_keys("fresh", 4 * EACH).await;
    let (mut due, mut fresh) = (0, 0);
    for round in 1..=EACH {
        for first in [First::Due, First::Fresh] {
            for claimed in bench.claim_wanted(Wanted { limit: 4, first }, at(1)).await.deliveries {
                *(if claimed.attempt > 1 { &mut due } else { &mut fresh }) += 1;
            }
        }
        assert_eq!((due, fresh), (round, 4 * round));
    }
}

/// Whoever works on what it has claimed can have more of what is fresh; what is due keeps its turn, and what was charged
/// still comes alone.
pub async fn a_claim_ahead_brings_only_what_is_fresh(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let ahead = |limit| Wanted { limit, first: First::OnlyFresh };
    let [x, y, z] = bench.log(["x", "y", "z"]).await;
    assert_eq!(bench.claim(1, at(0)).await, [x]);
    assert_eq!(ids(&bench.claim_wanted(ahead(1), at(0)).await), [y]);
    let [behind_x] = bench.log(["x"]).await;
    assert_eq!(ids(&bench.claim_wanted(ahead(9), at(0)).await), [z], "nothing of a key that is claimed");
    bench.settle(y, retry(3)).await;
    let [w] = bench.log(["w"]).await;
    let early = bench.claim_wanted(ahead(0), at(2)).await;
    assert_eq!(early.next_due, Some(at(3)), "it says when the next is due, as any claim");
    assert_eq!(ids(&bench.claim_wanted(ahead(9), at(3)).await), [], "what is due has its turn first");
    assert_eq!(bench.claim(9, at(3)).await, [y], "and what was charged comes alone");
    bench.settle(x, Outcome::Completed).await;
    let usual = Wanted { limit: 9, first: First::Fresh };
    let mut rest = ids(&bench.claim_wanted(usual, at(3)).await);
    rest.sort_unstable();
    assert_eq!(rest, [behind_x, w], "nothing is lost");
}
