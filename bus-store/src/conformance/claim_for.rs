//! Laws of logging and claiming in one step, part of [`TaskLog`](crate::TaskLog).

use bus_core::{DeliveryId, DeliveryState, Direction};

use super::Rig;
use super::bench::{
    Bench, aside, at, connector, holding, kind_of, outgoing, own, parked_aside, released_at_once, retry,
    save_over, settlement, task, user, waiting,
};
use crate::StoreErrorKind;
use crate::operate::INTERRUPTED_ERROR;
use crate::queue::{Outcome, Ownership, QueueId, Scope};
use crate::task_log::{Commit, Committed, IdempotencyKey, NewTask};

/// What is logged for an owner with time is claimed at once, as a claim would have brought it, and settled as ever.
pub async fn what_is_logged_for_an_idle_owner_is_claimed_at_once(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let committed = log_and_claim(&bench, ["x"]).await;
    let [(owner, claimed)] = &committed.claimed[..] else { panic!("one was claimed: {committed:?}") };
    assert_eq!((owner, claimed.task), (&bench.owner, committed.tasks[0]));
    assert_eq!((claimed.key.as_str(), claimed.attempt, claimed.data.as_slice()), ("x", 1, b"x".as_slice()));
    assert_eq!(bench.state(claimed.delivery).await, DeliveryState::Running);
    assert_eq!(bench.claim(10, at(0)).await, [], "it is not claimed twice");
    bench.settle(claimed.delivery, released_at_once()).await;
    let again = bench.claim_one(at(0)).await;
    assert_eq!(again, *claimed, "a claim brings the same");
    bench.settle(again.delivery, Outcome::Completed).await;
    assert_eq!(bench.counters().await.completed, 1);
}

/// The doorbell is not rung for what is handed over at once, but for whatever else was logged.
pub async fn what_is_claimed_at_once_does_not_ring(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let before = bench.rings();
    let committed = log_and_claim(&bench, ["x"]).await;
    assert_eq!((committed.claimed.len(), bench.rings()), (1, before));
    let committed = log_and_claim(&bench, ["y", "z"]).await;
    assert_eq!(committed.claimed.len(), 1);
    assert!(bench.rings() > before, "the second one is to be heard of");
    let before = bench.rings();
    assert_eq!(log_and_claim(&bench, ["y"]).await.claimed, []);
    assert!(bench.rings() > before, "it was not claimed");
}

/// However much stands between: nothing is claimed at once behind an earlier one of its key.
pub async fn nothing_is_claimed_at_once_far_behind_its_key(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.log(["x"]).await;
    bench.log_keys("other", 1_100).await;
    let (tasks, claim_for) = (vec![task(&bench.queue, "x")], vec![bench.owner.clone()]);
    let committed = bench.commit(Commit { tasks, claim_for, ..Commit::at(at(0)) }).await;
    assert_eq!(committed.claimed, []);
}

/// Nothing is claimed at once behind what is open in line of its key, or claimed.
pub async fn nothing_is_claimed_at_once_behind_its_key(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    for (number, outcome) in holding(9).into_iter().chain([waiting(9), released_at_once()]).enumerate() {
        let key = format!("x {number}");
        let [id] = bench.log([key.as_str()]).await;
        assert_eq!(bench.claim(1, at(0)).await, [id]);
        assert_eq!(log_and_claim(&bench, [&key]).await.claimed, [], "it runs");
        bench.settle(id, outcome.clone()).await;
        assert_eq!(log_and_claim(&bench, [&key]).await.claimed, [], "{outcome:?}");
    }
    bench.log(["fresh"]).await;
    assert_eq!(log_and_claim(&bench, ["fresh"]).await.claimed, [], "it would overtake a fresh one");
}

/// What stands aside, and what has ended, holds nothing.
pub async fn what_stands_aside_is_passed_at_once(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    for (number, outcome) in [Outcome::Completed, aside(9), parked_aside()].into_iter().enumerate() {
        let key = format!("x {number}");
        bench.log_settled(&key, outcome.clone()).await;
        assert_eq!(log_and_claim(&bench, [&key]).await.claimed.len(), 1, "{outcome:?}");
    }
    bench.log_settled("y", aside(1)).await;
    assert_eq!(bench.claim(1, at(1)).await.len(), 1);
    assert_eq!(log_and_claim(&bench, ["y"]).await.claimed, [], "while it runs, it holds its key");
}

/// What is settled in the same commit does not stand before what it logs: outcomes come first.
pub async fn what_is_settled_with_it_lets_it_be_claimed_at_once(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    for (number, (outcome, claimed)) in
        [(Outcome::Completed, 1), (aside(9), 1), (retry(9), 0)].into_iter().enumerate()
    {
        let key = format!("x {number}");
        let [running] = bench.log([&key]).await;
        assert_eq!(bench.claim(1, at(0)).await, [running]);
        let commit = Commit {
            settlements: vec![settlement(running, outcome.clone())],
            ownership: Some(bench.owner.clone()),
            tasks: vec![task(&bench.queue, &key)],
            claim_for: vec![bench.owner.clone()],
            ..Commit::at(at(0))
        };
        assert_eq!(bench.commit(commit).await.claimed.len(), claimed, "{outcome:?}");
    }
}

/// What was there already is not claimed: only what is new.
pub async fn what_is_repeated_is_not_claimed_at_once(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let incoming = own(&*bench.store, &QueueId::new(connector("crm"), Direction::Incoming)).await;
    let idempotency = Some(IdempotencyKey { key: "k".to_owned(), digest: vec![1] });
    let sent = NewTask { idempotency, ..task(&incoming.queue, "x") };
    for expected in [1, 0] {
        let (tasks, claim_for) = (vec![sent.clone()], vec![incoming.clone()]);
        let committed = bench.commit(Commit { tasks, claim_for, ..Commit::at(at(0)) }).await;
        assert_eq!((committed.claimed.len(), committed.repeated.len()), (expected, 1 - expected));
    }
}

/// Of several new ones in a queue only the first is claimed at once.
pub async fn only_the_first_new_one_is_claimed_at_once(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let committed = log_and_claim(&bench, ["x", "x", "y"]).await;
    assert_eq!(claimed_ids(&committed).len(), 1);
    let first = claimed_ids(&committed)[0];
    let claimed = bench.claim_whole(10, at(0)).await.deliveries;
    assert_eq!(claimed.iter().map(|claimed| claimed.key.as_str()).collect::<Vec<_>>(), ["y"]);
    bench.settle(first, Outcome::Completed).await;
    assert_eq!(bench.claim_one(at(0)).await.key, "x");
}

/// One commit claims for the owners of several queues, and for each what is its own.
pub async fn owners_of_several_queues_are_each_given_their_own(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let shop = own(&*bench.store, &outgoing("shop")).await;
    let erp = own(&*bench.store, &outgoing("erp")).await;
    let committed = bench
        .commit(Commit {
            tasks: vec![task(&shop.queue, "x"), task(&bench.queue, "x")],
            claim_for: vec![bench.owner.clone(), shop.clone(), erp, bench.owner.clone()],
            ..Commit::at(at(0))
        })
        .await;
    let owners: Vec<&Ownership> = committed.claimed.iter().map(|(owner, _)| owner).collect();
    assert_eq!(owners, [&bench.owner, &shop]);
    let tasks: Vec<_> = committed.claimed.iter().map(|(_, claimed)| claimed.task).collect();
    assert_eq!(tasks, [committed.tasks[1], committed.tasks[0]]);
}

/// Nothing is claimed for a former owner; the commit is true all the same, and not counted as late.
pub async fn nothing_is_claimed_at_once_for_a_former_owner(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    let former = bench.acquire_again().await;
    let released = own(&*bench.store, &outgoing("shop")).await;
    bench.store.release(&released).await.unwrap();
    let before = bench.rings();
    let committed = bench
        .commit(Commit {
            tasks: vec![task(&bench.queue, "x"), task(&released.queue, "x")],
            claim_for: vec![former, released],
            ..Commit::at(at(0))
        })
        .await;
    assert_eq!((committed.tasks.len(), committed.claimed), (2, vec![]));
    assert!(bench.rings() > before);
    assert_eq!(bench.counters().await.stale, 0);
    assert_eq!(bench.claim(10, at(0)).await.len(), 1);
}

/// What was claimed at once and not settled is interrupted by the next owner, like anything that was claimed.
pub async fn what_was_claimed_at_once_can_be_interrupted(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    let [id] = claimed_ids(&log_and_claim(&bench, ["x"]).await)[..] else { panic!("one was claimed") };
    let former = bench.acquire_again().await;
    assert_eq!(bench.detail(id).await.attempts[0].error, INTERRUPTED_ERROR);
    let late = bench.try_settle(&former, vec![settlement(id, retry(1))], at(0)).await;
    assert_eq!(kind_of(late), Some(StoreErrorKind::Stale));
    assert_eq!(bench.claim_one(at(0)).await.attempt, 2);
}

/// A refused commit claims nothing.
pub async fn a_refused_commit_claims_nothing(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let commit = Commit {
        objects: vec![save_over(user(1), 5)],
        tasks: vec![task(&bench.queue, "x")],
        claim_for: vec![bench.owner.clone()],
        ..Commit::at(at(0))
    };
    assert_eq!(kind_of(bench.store.commit(commit).await), Some(StoreErrorKind::Conflict));
    assert_eq!(bench.counts().await.running, 0);
    assert_eq!(bench.counters().await.logged, 0);
}

/// Where order is kept within the queue, something is claimed at once only when nothing else is there.
pub async fn where_the_queue_is_in_order_nothing_overtakes_at_once(rig: &dyn Rig) {
    let mut bench = Bench::open_in_order(rig).await;
    let [first] = claimed_ids(&log_and_claim(&bench, ["x"]).await)[..] else { panic!("one was claimed") };
    assert_eq!(log_and_claim(&bench, ["y"]).await.claimed, [], "another one runs");
    bench.settle(first, Outcome::Completed).await;
    assert_eq!(log_and_claim(&bench, ["z"]).await.claimed, [], "another one is fresh");
    for id in bench.claim(10, at(0)).await {
        bench.settle(id, Outcome::Completed).await;
    }
    for outcome in holding(9) {
        let [stuck] = claimed_ids(&log_and_claim(&bench, ["x"]).await)[..] else { panic!("one was claimed") };
        bench.settle(stuck, outcome.clone()).await;
        assert_eq!(log_and_claim(&bench, ["y"]).await.claimed, [], "{outcome:?}");
        bench.acquire_with(Scope::Key).await;
        bench.intervene(crate::operate::Verb::Discard, [stuck]).await;
        for id in bench.claim(10, at(9)).await {
            bench.settle(id, Outcome::Completed).await;
        }
        bench.acquire_with(Scope::Queue).await;
    }
}

/// Logs a task for each of these keys, for an owner that has time.
async fn log_and_claim<const N: usize>(bench: &Bench, keys: [&str; N]) -> Committed {
    let tasks = keys.map(|key| task(&bench.queue, key)).into();
    bench.commit(Commit { tasks, claim_for: vec![bench.owner.clone()], ..Commit::at(at(0)) }).await
}

fn claimed_ids(committed: &Committed) -> Vec<DeliveryId> {
    committed.claimed.iter().map(|(_, claimed)| claimed.delivery).collect()
}
