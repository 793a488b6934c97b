//! Laws of idempotency keys, part of [`TaskLog`](crate::TaskLog): what is sent twice is logged once.

use std::collections::BTreeSet;
use std::sync::Arc;

use bus_core::Direction;

use super::Rig;
use super::bench::{
    Bench, at, connector, delivery_for, discarded, kind_of, own, save_new, settlement, task, user, user_key,
};
use crate::StoreErrorKind;
use crate::queue::{Outcome, QueueId};
use crate::task_log::{Commit, IdempotencyKey, NewTask};

/// A key that comes again with the same digest is answered with the task that came first, and nothing is logged.
pub async fn the_same_key_is_logged_once(rig: &dyn Rig) {
    let bench = open_incoming(rig).await;
    let first = send(&bench, [sent(&bench, "k", 1)]).await;
    let before = (bench.counters().await, bench.open_deliveries().await, bench.rings());
    let again = send(&bench, [sent(&bench, "k", 1)]).await;
    assert_eq!((&again.tasks, &again.repeated), (&first.tasks, &first.tasks));
    assert_eq!(first.repeated, []);
    assert_eq!((bench.counters().await, bench.open_deliveries().await, bench.rings()), before);
}

/// A key that comes twice within one commit is logged once, too; what comes with it is logged as ever.
pub async fn the_same_key_within_a_commit_is_logged_once(rig: &dyn Rig) {
    let bench = open_incoming(rig).await;
    let tasks = [sent(&bench, "k", 1), task(&bench.queue, "y"), sent(&bench, "k", 1), sent(&bench, "l", 1)];
    let committed = send(&bench, tasks).await;
    let [k, y, k_again, l] = committed.tasks[..] else { panic!("each task is answered: {committed:?}") };
    assert_eq!((k_again, committed.repeated), (k, vec![k]));
    assert!(k < y && y < l);
    assert_eq!(bench.counters().await.logged, 3);
}

/// A key that comes again with another digest is refused, and nothing of the commit is true.
pub async fn the_same_key_for_something_else_is_refused(rig: &dyn Rig) {
    let bench = open_incoming(rig).await;
    send(&bench, [sent(&bench, "k", 1)]).await;
    let claimed = bench.claim_one(at(0)).await.delivery;
    let before = (bench.counters().await, bench.open_deliveries().await, bench.rings());
    for tasks in
        [vec![sent(&bench, "k", 2)], vec![sent(&bench, "k", 1), sent(&bench, "l", 1), sent(&bench, "l", 2)]]
    {
        let commit = Commit {
            settlements: vec![settlement(claimed, Outcome::Completed)],
            ownership: Some(bench.owner.clone()),
            objects: vec![save_new(user(1))],
            tasks,
            ..Commit::at(at(0))
        };
        let refused = bench.store.commit(commit).await;
        assert_eq!(kind_of(refused), Some(StoreErrorKind::KeyReused));
        assert_eq!((bench.counters().await, bench.open_deliveries().await, bench.rings()), before);
        assert_eq!(bench.store.object(&user_key(1)).await.unwrap(), None);
    }
    // The keys of a refused commit were not taken.
    assert_eq!(send(&bench, [sent(&bench, "l", 2)]).await.repeated, []);
}

/// What else is in a commit becomes true, whether or not its task was there before.
pub async fn what_comes_with_a_repeated_task_is_written(rig: &dyn Rig) {
    let bench = open_incoming(rig).await;
    send(&bench, [sent(&bench, "k", 1)]).await;
    let claimed = bench.claim_one(at(0)).await.delivery;
    let commit = Commit {
        settlements: vec![settlement(claimed, Outcome::Completed)],
        ownership: Some(bench.owner.clone()),
        objects: vec![save_new(user(1))],
        tasks: vec![sent(&bench, "k", 1)],
        ..Commit::at(at(0))
    };
    assert_eq!(bench.commit(commit).await.repeated.len(), 1);
    assert!(bench.store.object(&user_key(1)).await.unwrap().is_some());
    assert!(!bench.is_open(claimed).await);
}

/// A key belongs to one connector: another one may be given the same.
pub async fn a_key_belongs_to_one_connector(rig: &dyn Rig) {
    let bench = open_incoming(rig).await;
    let of_crm = send(&bench, [sent(&bench, "k", 1)]).await;
    let deliveries = vec![delivery_for(&connector("shop"))];
    let of_shop = send(&bench, [NewTask { deliveries, ..sent(&bench, "k", 2) }]).await;
    assert_eq!(of_shop.repeated, []);
    assert_ne!(of_crm.tasks, of_shop.tasks);
}

/// Any text is a key, and any bytes are a digest; what differs is different.
pub async fn keys_and_digests_are_compared_byte_by_byte(rig: &dyn Rig) {
    let bench = open_incoming(rig).await;
    let keys = ["", "k", "K", "k ", "ü", "u\u{308}", "k\0", "'; --"];
    for key in keys {
        assert_eq!(send(&bench, [sent(&bench, key, 1)]).await.repeated, [], "{key:?}");
    }
    for key in keys {
        assert_eq!(send(&bench, [sent(&bench, key, 1)]).await.repeated.len(), 1, "{key:?}");
    }
    let with = |digest: &[u8]| {
        let idempotency = Some(IdempotencyKey { key: "d".to_owned(), digest: digest.to_vec() });
        NewTask { idempotency, ..task(&bench.queue, "x") }
    };
    send(&bench, [with(&[0xff, 0])]).await;
    for other in [&[0xff][..], &[0xff, 0, 0], &[], &[0xfe, 0]] {
        let refused = bench.store.commit(Commit { tasks: vec![with(other)], ..Commit::at(at(0)) }).await;
        assert_eq!(kind_of(refused), Some(StoreErrorKind::KeyReused), "{other:?}");
    }
    assert_eq!(send(&bench, [with(&[0xff, 0])]).await.repeated.len(), 1);
}

/// A key is known while its task is open, and while it is kept after that; when it is pruned, the key is new again.
pub async fn a_key_is_known_until_its_task_is_pruned(rig: &dyn Rig) {
    let bench = open_incoming(rig).await;
    let first = send(&bench, [sent(&bench, "k", 1), sent(&bench, "l", 1)]).await;
    for id in bench.claim(10, at(0)).await {
        bench.settle(id, discarded()).await;
    }
    assert_eq!(send(&bench, [sent(&bench, "k", 1)]).await.repeated, first.tasks[..1], "it has ended");
    let refused = bench.store.commit(Commit { tasks: vec![sent(&bench, "k", 2)], ..Commit::at(at(0)) }).await;
    assert_eq!(kind_of(refused), Some(StoreErrorKind::KeyReused));
    assert_eq!(bench.store.prune(&bench.queue, at(1), 1).await.unwrap(), 1);
    let anew = send(&bench, [sent(&bench, "k", 2), sent(&bench, "l", 1)]).await;
    assert_eq!(anew.repeated, first.tasks[1..], "the other one is kept");
    assert!(anew.tasks[0] > first.tasks[1]);
    assert_eq!(bench.counters().await.logged, 3);
}

/// An idempotency key is for one incoming task of one connector; for anything else it is refused.
pub async fn a_key_is_for_one_incoming_delivery(rig: &dyn Rig) {
    let bench = open_incoming(rig).await;
    let deliveries = vec![delivery_for(&connector("crm")), delivery_for(&connector("shop"))];
    let several = NewTask { deliveries, ..sent(&bench, "k", 1) };
    let outgoing = NewTask { direction: Direction::Outgoing, ..sent(&bench, "k", 1) };
    for wrong in [several, outgoing] {
        let refused = bench.store.commit(Commit { tasks: vec![wrong], ..Commit::at(at(0)) }).await;
        assert_eq!(kind_of(refused), Some(StoreErrorKind::Unsupported));
    }
    assert_eq!(bench.counters().await.logged, 0);
}

/// Of many that send the same key at once, one is logged, and all are answered with it.
pub async fn of_concurrent_senders_of_a_key_one_is_logged(rig: &dyn Rig) {
    let bench = open_incoming(rig).await;
    let mut senders = Vec::new();
    for _ in 0..16 {
        let (store, task) = (Arc::clone(&bench.store), sent(&bench, "k", 1));
        senders.push(tokio::spawn(async move {
            store.commit(Commit { tasks: vec![task], ..Commit::at(at(0)) }).await.expect("commit")
        }));
    }
    let (mut tasks, mut repeated) = (BTreeSet::new(), 0);
    for sender in senders {
        let committed = sender.await.expect("it was sent");
        tasks.extend(committed.tasks);
        repeated += committed.repeated.len();
    }
    assert_eq!((tasks.len(), repeated), (1, 15));
    assert_eq!(bench.counters().await.logged, 1);
}

/// A store with the queue `crm incoming`.
async fn open_incoming(rig: &dyn Rig) -> Bench {
    let mut bench = Bench::open(rig).await;
    bench.queue = QueueId::new(connector("crm"), Direction::Incoming);
    bench.owner = own(&*bench.store, &bench.queue).await;
    bench
}

fn sent(bench: &Bench, key: &str, digest: u8) -> NewTask {
    let idempotency = Some(IdempotencyKey { key: key.to_owned(), digest: vec![digest; 32] });
    NewTask { idempotency, ..task(&bench.queue, &format!("of {key}")) }
}

async fn send<const N: usize>(bench: &Bench, tasks: [NewTask; N]) -> crate::Committed {
    bench.commit(Commit { tasks: tasks.into(), ..Commit::at(at(0)) }).await
}
