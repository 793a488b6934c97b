//! Laws of [`Doubt`](crate::Doubt), part of [`Queue`](crate::Queue): what a call came to that nobody has an answer of.

use bus_core::{DeliveryId, DeliveryState, ObjectOperation, Operation};

use super::Rig;
use super::bench::{
    Bench, at, done, intervention, kind_of, outgoing, own, parked, released_at_once, retry, settlement, task,
    waiting_for,
};
use crate::StoreErrorKind;
use crate::doubt::{Doubt, Unsettled};
use crate::operate::Verb;
use crate::queue::{Awaited, Outcome, Wanted};
use crate::task_log::{Commit, NewTask, Redelivery};

/// A doubt is told with the next claim, and ends with the first settlement that says nothing of one.
pub async fn a_doubt_lasts_until_a_settlement_without_one(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [id] = bench.log(["x"]).await;
    assert_eq!(bench.claim_one(at(0)).await.doubt, Doubt::None);
    for doubt in [Doubt::InDoubt, Doubt::TriedAnyway, Doubt::InDoubt] {
        doubted(&bench, id, released_at_once(), doubt).await;
        assert_eq!(bench.detail(id).await.doubt, doubt);
        assert_eq!(bench.claim_one(at(0)).await.doubt, doubt);
    }
    bench.settle(id, released_at_once()).await;
    assert_eq!(bench.detail(id).await.doubt, Doubt::None);
    assert_eq!(bench.claim_one(at(0)).await.doubt, Doubt::None);
}

/// What was claimed by an owner that is gone is in doubt: nobody knows whether it was called.
pub async fn what_was_interrupted_is_in_doubt(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    let [in_line, at_the_side] = bench.log(["x", "y"]).await;
    bench.claim(2, at(0)).await;
    bench.settle(at_the_side, released_at_once()).await;
    assert_eq!(bench.claim(1, at(0)).await, [at_the_side]);
    bench.acquire_again().await;
    for id in [in_line, at_the_side] {
        let claimed = bench.claim_one(at(0)).await;
        assert_eq!((claimed.delivery, claimed.doubt), (id, Doubt::InDoubt));
        bench.settle(id, Outcome::Completed).await;
        assert_eq!(bench.detail(id).await.doubt, Doubt::None, "it has ended");
    }
}

/// Who has it tried all the same says so, and that is told with the next claim.
pub async fn a_retry_of_what_is_in_doubt_is_told(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [id, certain] = bench.log(["x", "y"]).await;
    bench.claim(2, at(0)).await;
    doubted(&bench, id, parked(), Doubt::InDoubt).await;
    bench.settle(certain, parked()).await;
    assert_eq!(bench.intervene(Verb::Retry, [id, certain]).await, [done(), done()]);
    assert_eq!(bench.detail(id).await.doubt, Doubt::TriedAnyway);
    let claimed = bench.claim_whole(10, at(0)).await.deliveries;
    let told: Vec<_> = claimed.iter().map(|claimed| (claimed.delivery, claimed.doubt)).collect();
    assert_eq!(told, [(id, Doubt::TriedAnyway), (certain, Doubt::None)]);
}

/// What repeats an ended delivery may repeat what that has done.
pub async fn what_repeats_an_ended_one_is_tried_anyway(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let of = DeliveryId(1);
    let repeats = |key: &str| NewTask {
        redelivers: Some(Redelivery { of, by: "jane".to_owned(), reason: None }),
        ..task(&bench.queue, key)
    };
    let claim_for = vec![bench.owner.clone()];
    let tasks = vec![repeats("at once"), repeats("in line"), task(&bench.queue, "new")];
    let committed = bench.commit(Commit { tasks, claim_for, ..Commit::at(at(0)) }).await;
    let mut claimed: Vec<_> = committed.claimed.into_iter().map(|(_, claimed)| claimed).collect();
    claimed.extend(bench.claim_whole(10, at(0)).await.deliveries);
    let told: Vec<_> = claimed.iter().map(|claimed| (claimed.key.as_str(), claimed.doubt)).collect();
    let expected = [("at once", Doubt::TriedAnyway), ("in line", Doubt::TriedAnyway), ("new", Doubt::None)];
    assert_eq!(told, expected);
}

/// Who waits for the outcome of a delivery waits as long as that is in doubt, whoever claims it meanwhile, and is woken
/// when the doubt ends: by a settlement, or by an operator who ends the delivery.
pub async fn whoever_waits_for_an_outcome_waits_while_it_is_in_doubt(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    for number in 0..3 {
        let [doubtful] = bench.log([&format!("doubtful {number}")]).await;
        assert_eq!(bench.claim(10, at(0)).await, [doubtful]);
        let [waiter] = bench.log([&format!("waiter {number}")]).await;
        assert_eq!(bench.claim(10, at(0)).await, [waiter]);
        bench.settle(waiter, waiting_for(Awaited::Settled { delivery: doubtful }, 1_000)).await;
        doubted(&bench, doubtful, parked(), Doubt::InDoubt).await;
        assert_eq!(bench.state(waiter).await, DeliveryState::Waiting);
        if number > 0 {
            assert_eq!(bench.intervene(Verb::Retry, [doubtful]).await, [done()]);
            assert_eq!(bench.claim(10, at(0)).await, [doubtful], "who waits for it waits still");
        }
        match number {
            0 => {
                let skipped = bench.intervene(Verb::Skip, [doubtful]).await;
                assert_eq!(skipped, [done()]);
            }
            1 => {
                bench.settle(doubtful, retry(1_000)).await;
            }
            _ => {
                bench.acquire_again().await;
                assert_eq!(bench.state(waiter).await, DeliveryState::Waiting, "it was interrupted");
                assert_eq!(bench.claim(10, at(0)).await, [doubtful]);
                bench.settle(doubtful, Outcome::Completed).await;
            }
        }
        assert_eq!(bench.claim(10, at(0)).await, [waiter]);
        bench.settle(waiter, Outcome::Completed).await;
    }
}

/// What is claimed, in line or at the side, and what is in doubt is unsettled; with since when. Nothing else is.
pub async fn what_is_claimed_or_in_doubt_is_unsettled(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let shop = outgoing("shop");
    let create = |key: &str| NewTask { operation: ObjectOperation::Create.into(), ..task(&bench.queue, key) };
    let company = NewTask { subject: "app.company".to_owned(), ..task(&bench.queue, "company") };
    let logged =
        bench.log_tasks([create("x"), task(&bench.queue, "y"), company, create("z"), create("z")]).await;
    let [in_line, doubtful, _, behind, again] = logged;
    let owner = own(&*bench.store, &shop).await;
    bench.commit(Commit { tasks: vec![task(&shop, "x")], ..Commit::at(at(0)) }).await;
    bench.store.claim(&owner, Wanted::up_to(1), at(0)).await.unwrap();
    assert_eq!(bench.unsettled(10).await, [], "nothing is claimed");

    assert_eq!(bench.claim(10, at(0)).await.len(), 5);
    assert_eq!(ids(&bench.unsettled(10).await), [in_line, doubtful, behind, again]);
    assert_eq!(ids(&bench.unsettled(2).await), [in_line, doubtful]);
    doubted(&bench, doubtful, retry(100), Doubt::InDoubt).await;
    bench.settle(behind, released_at_once()).await;
    assert_eq!(bench.claim(10, at(0)).await, [behind], "at the side");
    let unsettled = |delivery, key: &str, operation, is_claimed, in_doubt_since| Unsettled {
        delivery,
        key: key.to_owned(),
        operation,
        is_claimed,
        in_doubt_since,
    };
    let (create, update) =
        (Operation::from(ObjectOperation::Create), Operation::from(ObjectOperation::Update));
    assert_eq!(
        bench.unsettled(10).await,
        [
            unsettled(in_line, "x", create, true, None),
            unsettled(doubtful, "y", update, false, Some(at(0))),
            unsettled(behind, "z", create, true, None),
        ]
    );
    bench.settle(in_line, Outcome::Completed).await;
    bench.settle(behind, retry(200)).await;
    assert_eq!(bench.claim(10, at(100)).await, [doubtful]);
    assert_eq!(bench.unsettled(10).await, [unsettled(doubtful, "y", update, true, Some(at(0)))]);
    let settled = Commit {
        settlements: vec![settlement(doubtful, retry(200))],
        doubts: vec![(doubtful, Doubt::InDoubt)],
        ownership: Some(bench.owner.clone()),
        ..Commit::at(at(100))
    };
    bench.commit(settled).await;
    let since = bench.unsettled(10).await.remove(0).in_doubt_since;
    assert_eq!(since, Some(at(0)), "it has been so since the first time");
    bench.intervene(Verb::Skip, [doubtful]).await;
    assert_eq!(bench.unsettled(10).await, []);
}

/// A commit that says something of a delivery which it does not settle contradicts itself.
pub async fn a_doubt_about_what_is_not_settled_is_refused(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [id, other] = bench.log(["x", "y"]).await;
    bench.claim(2, at(0)).await;
    let commit = Commit {
        settlements: vec![settlement(id, retry(1))],
        doubts: vec![(other, Doubt::InDoubt)],
        ownership: Some(bench.owner.clone()),
        ..Commit::at(at(0))
    };
    assert_eq!(kind_of(bench.store.commit(commit).await), Some(StoreErrorKind::Unsupported));
    assert_eq!(bench.state(id).await, DeliveryState::Running);
    let verdicts = bench.store.intervene(intervention(Verb::Retry, [id])).await.unwrap();
    assert_eq!(verdicts, [crate::operate::Verdict::Running]);
}

async fn doubted(bench: &Bench, delivery: DeliveryId, outcome: Outcome, doubt: Doubt) {
    let commit = Commit {
        settlements: vec![settlement(delivery, outcome)],
        doubts: vec![(delivery, doubt)],
        ownership: Some(bench.owner.clone()),
        ..Commit::at(at(0))
    };
    bench.commit(commit).await;
}

fn ids(unsettled: &[Unsettled]) -> Vec<DeliveryId> {
    unsettled.iter().map(|unsettled| unsettled.delivery).collect()
}
