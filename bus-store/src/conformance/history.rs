//! Laws of what has ended, part of [`Operate`](crate::Operate): it is kept until it is pruned, and counted for ever.

use bus_core::{DeliveryId, DeliveryState, Operation};

use super::Rig;
use super::bench::{
    Bench, at, bound_to, connector, delivery_for, discarded, done, outgoing, own, parked, redelivery, retry,
    settlement, task, waiting_for,
};
use crate::operate::{Attempt, Audit, DeliveryFilter, DeliverySummary, Verb};
use crate::queue::{Outcome, Wanted};
use crate::task_log::{Commit, NewTask};

/// What ended can be looked at, however it ended: its data, its attempts, and when that was.
pub async fn what_ended_is_kept_with_how_it_ended(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [completed, discarded_by_policy, skipped, discarded_by_hand, cancelled] =
        bench.log(["a", "b", "c", "d", "e"]).await;
    assert_eq!(bench.claim(4, at(0)).await.len(), 4);
    bench.settle_at(completed, Outcome::Completed, at(1)).await;
    bench.settle_at(discarded_by_policy, discarded(), at(2)).await;
    bench.settle(skipped, retry(9)).await;
    bench.settle(discarded_by_hand, parked()).await;
    assert_eq!(bench.intervene(Verb::Skip, [skipped]).await, [done()]);
    assert_eq!(bench.intervene(Verb::Discard, [discarded_by_hand]).await, [done()]);
    assert_eq!(bench.intervene(Verb::Cancel, [cancelled]).await, [done()]);
    for (id, key, state, attempts, ended_at, reason) in [
        (completed, "a", DeliveryState::Completed, 1, at(1), None),
        (discarded_by_policy, "b", DeliveryState::Discarded, 1, at(2), Some("by policy")),
        (skipped, "c", DeliveryState::Skipped, 1, at(0), Some("the peer answered 500")),
        (discarded_by_hand, "d", DeliveryState::Discarded, 1, at(0), Some("the peer answered 422")),
        (cancelled, "e", DeliveryState::Cancelled, 0, at(0), None),
    ] {
        let detail = bench.detail(id).await;
        let summary = &detail.summary;
        assert_eq!((summary.state, summary.key.as_str(), summary.attempts), (state, key, attempts));
        assert_eq!((summary.ended_at, summary.due), (Some(ended_at), None), "{key}");
        assert_eq!(summary.reason.as_deref(), reason, "{key}");
        assert_eq!(detail.data, key.as_bytes());
        assert_eq!((detail.awaited.len(), detail.blocked_by), (0, None));
    }
    assert_eq!(bench.open_deliveries().await, []);
    let counters = bench.counters().await;
    assert_eq!((counters.completed, counters.discarded, counters.skipped), (1, 2, 1));
    assert_eq!((counters.cancelled, counters.open), (1, 0));
}

/// What its connector discards says why, as an attempt that counted.
pub async fn what_was_discarded_says_why(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let id = bench.log_settled("x", discarded()).await;
    let attempt = Attempt { at: at(0), charged: true, error: "by policy".to_owned() };
    assert_eq!(bench.detail(id).await.attempts, [attempt]);
}

/// What completed after all still shows what went wrong before, but no reason why it should not have.
pub async fn what_completed_shows_what_went_wrong_before(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let id = bench.log_settled("x", retry(1)).await;
    bench.claim_and_settle(at(1), waiting_for(bound_to(4), 2)).await;
    bench.claim_and_settle(at(2), Outcome::Completed).await;
    let detail = bench.detail(id).await;
    assert_eq!((detail.attempts.len(), detail.summary.attempts), (1, 2));
    assert_eq!((detail.summary.reason, detail.awaited), (None, Vec::new()));
}

/// A list can be of what ended in one way, oldest first, over pages, and of one key; an open list shows none of it.
pub async fn what_ended_is_listed_by_how_it_ended(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.log_keys("x", 12).await;
    bench.log(["y", "y"]).await;
    let (mut completed, mut discarded_ids) = (Vec::new(), Vec::new());
    for (number, id) in bench.claim(100, at(0)).await.into_iter().enumerate() {
        if number % 2 == 0 {
            bench.settle(id, Outcome::Completed).await;
            completed.push(id);
        } else {
            bench.settle(id, discarded()).await;
            discarded_ids.push(id);
        }
    }
    let [open] = bench.log(["y"]).await;
    for (state, expected) in [
        (DeliveryState::Completed, &completed),
        (DeliveryState::Discarded, &discarded_ids),
        (DeliveryState::Skipped, &Vec::new()),
    ] {
        let mut seen = Vec::new();
        loop {
            let filter = DeliveryFilter {
                state: Some(state),
                after: seen.last().copied(),
                limit: 3,
                ..DeliveryFilter::default()
            };
            let page = list(&bench, filter).await;
            assert!(page.iter().all(|summary| summary.state == state && summary.ended_at == Some(at(0))));
            if page.is_empty() {
                break;
            }
            seen.extend(page.into_iter().map(|summary| summary.delivery));
        }
        assert_eq!(seen, *expected, "{state}");
    }
    let of_y = |state| DeliveryFilter { state, key: Some("y".to_owned()), ..DeliveryFilter::default() };
    let page = list(&bench, of_y(Some(DeliveryState::Completed))).await;
    assert_eq!(page.iter().map(|summary| summary.delivery).collect::<Vec<_>>(), completed[6..]);
    let page = list(&bench, of_y(None)).await;
    assert_eq!(page.iter().map(|summary| summary.delivery).collect::<Vec<_>>(), [open]);
}

/// What repeats an ended delivery says which, while it is open and when it has ended itself.
pub async fn what_is_redelivered_names_what_it_repeats(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let first = bench.log_settled("x", Outcome::Completed).await;
    let again = NewTask { redelivers: Some(redelivery(first)), ..task(&bench.queue, "x") };
    let [second] = bench.log_tasks([again]).await;
    assert_eq!(bench.detail(second).await.summary.redelivers, Some(redelivery(first)));
    bench.claim_and_settle(at(0), Outcome::Completed).await;
    assert_eq!(bench.detail(second).await.summary.redelivers, Some(redelivery(first)));
    assert_eq!(bench.detail(first).await.summary.redelivers, None);
}

/// Pruning forgets the longest ended first, as many as it is asked to, and says how many those were.
pub async fn the_longest_ended_is_pruned_first(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let logged = bench.log(["a", "b", "c", "d"]).await;
    bench.claim(10, at(0)).await;
    for (id, ended) in logged.into_iter().zip([4, 2, 1, 3]) {
        bench.settle_at(id, Outcome::Completed, at(ended)).await;
    }
    let [a, b, c, d] = logged;
    for (limit, pruned, left) in
        [(0, 0, vec![a, b, c, d]), (1, 1, vec![a, b, d]), (2, 2, vec![a]), (9, 1, vec![]), (9, 0, vec![])]
    {
        assert_eq!(bench.store.prune(&bench.queue, at(9), limit).await.unwrap(), pruned);
        assert_eq!(kept(&bench, logged).await, left);
        bench.audit().await;
    }
}

/// Pruning spares what is open, what ended at that time or later, and what is in another queue.
pub async fn pruning_spares_what_is_open_and_what_ended_later(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [before, then, stuck, fresh] = bench.log(["a", "b", "c", "d"]).await;
    bench.claim(3, at(0)).await;
    bench.settle_at(before, Outcome::Completed, at(4)).await;
    bench.settle_at(then, Outcome::Completed, at(5)).await;
    bench.settle(stuck, parked()).await;
    assert_eq!(bench.store.prune(&outgoing("shop"), at(5), 100).await.unwrap(), 0);
    assert_eq!(bench.store.prune(&bench.queue, at(5), 100).await.unwrap(), 1);
    assert_eq!(kept(&bench, [before, then, stuck, fresh]).await, [then, stuck, fresh]);
    assert_eq!(bench.open_deliveries().await.len(), 2);
}

/// Pruning changes no counter: the books balance without what was pruned.
pub async fn pruning_leaves_the_counters(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    for outcome in [Outcome::Completed, discarded(), retry(9)] {
        bench.log_settled(&format!("{outcome:?}"), outcome).await;
    }
    let before = bench.counters().await;
    assert_eq!(bench.store.prune(&bench.queue, at(1), 100).await.unwrap(), 2);
    assert_eq!(bench.counters().await, before);
    assert_eq!(bench.audit().await, Audit { counters: before, open_rows: 1, ended_rows: 0 });
}

/// A task's data is there as long as any of its deliveries is.
pub async fn data_is_kept_until_the_last_delivery_of_its_task_is_pruned(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let shop = outgoing("shop");
    let owner = own(&*bench.store, &shop).await;
    let deliveries = vec![delivery_for(&connector("crm")), delivery_for(&connector("shop"))];
    let tasks = vec![NewTask { deliveries, ..task(&bench.queue, "x") }];
    bench.commit(Commit { tasks, ..Commit::at(at(0)) }).await;
    let of_crm = bench.claim_and_settle(at(0), Outcome::Completed).await.delivery;
    assert_eq!(bench.store.prune(&bench.queue, at(1), 100).await.unwrap(), 1);
    assert_eq!(bench.store.delivery(of_crm).await.unwrap(), None);
    let claim = bench.store.claim(&owner, Wanted::up_to(1), at(0)).await.unwrap();
    let of_shop = &claim.deliveries[0];
    assert_eq!(of_shop.data, b"x");
    let settlements = vec![settlement(of_shop.delivery, Outcome::Completed)];
    bench.try_settle(&owner, settlements, at(0)).await.unwrap();
    assert_eq!(bench.detail(of_shop.delivery).await.data, b"x");
    assert_eq!(bench.store.prune(&shop, at(1), 100).await.unwrap(), 1);
    assert_eq!(bench.store.delivery(of_shop.delivery).await.unwrap(), None);
}

/// What was pruned leaves its key behind in order: later ones go on, and nothing comes again.
pub async fn pruning_changes_no_order(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [first, second, third] = bench.log(["x", "x", "x"]).await;
    bench.claim(2, at(0)).await;
    bench.settle(first, Outcome::Completed).await;
    bench.settle(second, retry(5)).await;
    bench.store.prune(&bench.queue, at(9), 100).await.unwrap();
    assert_eq!(bench.claim(10, at(5)).await, [second]);
    bench.settle(second, Outcome::Completed).await;
    bench.store.prune(&bench.queue, at(9), 100).await.unwrap();
    assert_eq!(bench.claim(10, at(5)).await, [third]);
}

/// An audit counts what is open and what is kept, and finds no fault, whatever was done.
pub async fn an_audit_finds_what_was_counted(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    assert_eq!(bench.audit().await, Audit::default());
    bench.log_keys("x", 8).await;
    for (number, id) in bench.claim(8, at(0)).await.into_iter().enumerate() {
        let outcome = [Outcome::Completed, discarded(), retry(9), parked()][number % 4].clone();
        bench.settle(id, outcome).await;
        let ended = bench.counters().await.ended();
        let audit = bench.audit().await;
        assert_eq!((audit.open_rows, audit.ended_rows), (8 - ended, ended));
    }
    let stuck = bench.log_settled("y", parked()).await;
    bench.intervene(Verb::Skip, [stuck]).await;
    let audit = bench.audit().await;
    assert_eq!((audit.open_rows, audit.ended_rows, audit.counters), (4, 5, bench.counters().await));
    let nobody = bench.store.audit(&outgoing("nobody")).await.unwrap();
    assert_eq!(nobody, Audit::default());
}

/// What ended, of whichever operation, is not given again by any claim, also not to a new owner.
pub async fn what_ended_never_comes_again(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    for operation in Operation::all() {
        let new = NewTask { operation, ..task(&bench.queue, "x") };
        let [id] = bench.log_tasks([new]).await;
        bench.intervene(Verb::Cancel, [id]).await;
        bench.acquire_again().await;
        assert_eq!(bench.claim(10, at(99)).await, []);
        assert_eq!(bench.state(id).await, DeliveryState::Cancelled);
    }
}

async fn list(bench: &Bench, filter: DeliveryFilter) -> Vec<DeliverySummary> {
    bench.store.deliveries(&bench.queue, &filter).await.expect("deliveries")
}

/// Those of these that are kept.
async fn kept<const N: usize>(bench: &Bench, deliveries: [DeliveryId; N]) -> Vec<DeliveryId> {
    let mut kept = Vec::new();
    for id in deliveries {
        if bench.store.delivery(id).await.expect("delivery").is_some() {
            kept.push(id);
        }
    }
    kept
}
