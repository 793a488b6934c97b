//! Laws of deleted connectors, between [`Connectors`](crate::Connectors) and [`TaskLog`](crate::TaskLog): whoever still
//! logs for one leaves nothing open behind it.

use std::sync::Arc;

use bus_core::{DeliveryId, DeliveryState, Direction};

use super::bench::{Bench, at, connector, delivery_for, kind_of, outgoing, own, task};
use super::connectors::record;
use super::{Rig, Verdict, needs_reopening};
use crate::StoreErrorKind;
use crate::operate::{DELETED_REASON, DeliveryFilter, Verb};
use crate::queue::QueueId;
use crate::task_log::{Commit, IdempotencyKey, NewTask};

/// What is logged for a deleted connector, in whichever direction, is counted and has ended, with the reason; nobody
/// is rung for it.
pub async fn what_is_logged_for_a_deleted_connector_is_discarded(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    delete(&bench).await;
    for direction in Direction::ALL {
        bench.queue = QueueId::new(connector("crm"), direction);
        let rings = bench.rings();
        let tasks = vec![task(&bench.queue, "x"), task(&bench.queue, "x")];
        let committed = bench.commit(Commit { tasks, ..Commit::at(at(5)) }).await;
        assert_eq!((committed.tasks.len(), committed.repeated.len()), (2, 0));
        let counters = bench.counters().await;
        assert_eq!((counters.logged, counters.discarded, counters.open), (2, 2, 0));
        assert_eq!(bench.open_deliveries().await, []);
        let discarded = discarded(&bench).await;
        assert_eq!(discarded.len(), 2);
        for (id, task) in discarded.into_iter().zip(committed.tasks) {
            let detail = bench.detail(id).await;
            let summary = &detail.summary;
            assert_eq!((summary.task, summary.state), (task, DeliveryState::Discarded));
            assert_eq!((summary.ended_at, summary.attempts, summary.due), (Some(at(5)), 0, None));
            assert_eq!(summary.reason.as_deref(), Some(DELETED_REASON));
            assert_eq!((detail.data.as_slice(), detail.attempts.len()), (b"x".as_slice(), 0));
        }
        let audit = bench.audit().await;
        assert_eq!((audit.open_rows, audit.ended_rows), (0, 2));
        assert_eq!(bench.rings(), rings, "there is nothing to do");
    }
}

/// The other connectors of the same change get it, and it is kept for them when what was discarded is pruned.
pub async fn what_is_logged_for_others_too_stays_open_for_them(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    delete(&bench).await;
    let deliveries = ["crm", "erp", "shop"].map(|name| delivery_for(&connector(name))).into();
    let tasks = vec![NewTask { deliveries, ..task(&bench.queue, "x") }];
    bench.commit(Commit { tasks, ..Commit::at(at(0)) }).await;
    assert_eq!(discarded(&bench).await.len(), 1);
    assert_eq!(bench.store.prune(&bench.queue, at(1), 10).await.unwrap(), 1);
    for name in ["erp", "shop"] {
        bench.queue = outgoing(name);
        bench.owner = own(&*bench.store, &bench.queue).await;
        assert_eq!(bench.claim_one(at(0)).await.data, b"x");
    }
}

/// An owner of its queue that has time is given nothing at once, nor by a claim.
pub async fn nothing_is_claimed_for_a_deleted_connector(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    delete(&bench).await;
    let (tasks, claim_for) = (vec![task(&bench.queue, "x")], vec![bench.owner.clone()]);
    let committed = bench.commit(Commit { tasks, claim_for, ..Commit::at(at(0)) }).await;
    assert_eq!(committed.claimed, []);
    assert_eq!(bench.claim(10, at(99)).await, []);
    assert_eq!(bench.counts().await.running, 0);
}

/// A key that came with what was discarded is known: sent again, it is answered with the task that came first.
pub async fn a_key_that_came_for_a_deleted_connector_is_known(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    delete(&bench).await;
    bench.queue = QueueId::new(connector("crm"), Direction::Incoming);
    let sent = || async {
        let idempotency = Some(IdempotencyKey { key: "k".to_owned(), digest: vec![1] });
        let tasks = vec![NewTask { idempotency, ..task(&bench.queue, "x") }];
        bench.commit(Commit { tasks, ..Commit::at(at(0)) }).await
    };
    let first = sent().await;
    let again = sent().await;
    assert_eq!((&again.tasks, &again.repeated), (&first.tasks, &first.tasks));
    assert_eq!(bench.counters().await.logged, 1);
    assert_eq!(bench.store.prune(&bench.queue, at(1), 10).await.unwrap(), 1);
    assert_eq!(sent().await.repeated, []);
}

/// Once a connector of that name is registered again, what is logged from then on is open; what was discarded stays so.
pub async fn what_is_registered_again_is_logged_for_again(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    delete(&bench).await;
    let tasks = vec![task(&bench.queue, "x")];
    bench.commit(Commit { tasks, ..Commit::at(at(0)) }).await;
    let before = discarded(&bench).await;
    bench.store.save_connector(record("shop")).await.unwrap();
    let tasks = vec![task(&bench.queue, "x")];
    bench.commit(Commit { tasks, ..Commit::at(at(0)) }).await;
    assert_eq!(bench.open_deliveries().await, [], "somebody else was registered");
    bench.store.save_connector(record("crm")).await.unwrap();
    let [open] = bench.log(["x"]).await;
    assert_eq!(bench.claim(10, at(0)).await, [open]);
    assert_eq!(discarded(&bench).await[..1], before);
}

/// A deletion that is refused changes nothing: what is logged afterwards is open.
pub async fn a_connector_that_was_not_deleted_is_logged_for(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.store.save_connector(record("crm")).await.unwrap();
    let [first] = bench.log(["x"]).await;
    let refused = bench.store.delete_connector(&connector("crm")).await;
    assert_eq!(kind_of(refused), Some(StoreErrorKind::Conflict));
    let [second] = bench.log(["y"]).await;
    assert_eq!(bench.claim(10, at(0)).await, [first, second]);
}

/// That a connector was deleted is known after reopening.
pub async fn what_was_deleted_stays_deleted_after_reopening(rig: &dyn Rig) -> Verdict {
    let mut bench = Bench::open(rig).await;
    needs_reopening!(bench.store);
    delete(&bench).await;
    bench.store.close().await;
    bench.store = rig.open().await;
    let tasks = vec![task(&bench.queue, "x")];
    bench.commit(Commit { tasks, ..Commit::at(at(0)) }).await;
    assert_eq!((bench.open_deliveries().await, discarded(&bench).await.len()), (Vec::new(), 1));
    Verdict::Kept
}

/// However many log for a connector while it is deleted: once it is, nothing is open for it.
pub async fn nothing_that_is_logged_while_a_connector_is_deleted_stays_open(rig: &dyn Rig) {
    const LOGGED_EACH: u64 = 25;
    let bench = Bench::open(rig).await;
    for round in 1..=4 {
        bench.store.save_connector(record("crm")).await.unwrap();
        let senders: Vec<_> = (0..4)
            .map(|_| {
                let (store, queue) = (Arc::clone(&bench.store), bench.queue.clone());
                tokio::spawn(async move {
                    for _ in 0..LOGGED_EACH {
                        let tasks = vec![task(&queue, "x")];
                        store.commit(Commit { tasks, ..Commit::at(at(0)) }).await.expect("log");
                    }
                })
            })
            .collect();
        while kind_of(bench.store.delete_connector(&connector("crm")).await).is_some() {
            for open in bench.open_deliveries().await {
                bench.intervene(Verb::Discard, [open.delivery]).await;
            }
        }
        for sender in senders {
            sender.await.expect("it has logged");
        }
        assert_eq!(bench.open_deliveries().await, []);
        let counters = bench.counters().await;
        assert_eq!((counters.logged, counters.open), (round * 4 * LOGGED_EACH, 0));
        bench.audit().await;
    }
}

/// Registers and deletes the connector of the bench's queue.
async fn delete(bench: &Bench) {
    let name = &bench.queue.connector;
    bench.store.save_connector(record(name.as_str())).await.unwrap();
    assert!(bench.store.delete_connector(name).await.unwrap());
}

/// What was discarded of the bench's queue.
async fn discarded(bench: &Bench) -> Vec<DeliveryId> {
    let filter = DeliveryFilter { state: Some(DeliveryState::Discarded), ..DeliveryFilter::default() };
    let listed = bench.store.deliveries(&bench.queue, &filter).await.unwrap();
    listed.into_iter().map(|summary| summary.delivery).collect()
}
