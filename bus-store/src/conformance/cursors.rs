//! Laws of [`Cursors`](crate::Cursors): a poll is written whole, by one owner, or not at all.

use bus_core::Direction;

use super::bench::{Bench, at, connector, kind_of, own, task};
use super::connectors::record;
use super::{Rig, Verdict, needs_reopening};
use crate::cursors::{Cursor, CursorMove};
use crate::queue::{Ownership, QueueId};
use crate::task_log::{Commit, IdempotencyKey, NewTask};
use crate::{StoreError, StoreErrorKind};

/// What was polled and how far it went are written together, or neither is.
pub async fn a_cursor_and_its_tasks_become_true_together(rig: &dyn Rig) {
    let (bench, owner) = polled(rig).await;
    assert_eq!(bench.store.cursor(&connector("crm")).await.unwrap(), Cursor::default());
    poll(&bench, &owner, "first", 0, vec![named("a", 1)]).await.unwrap();
    let first = Cursor { cursor: Some("first".to_owned()), version: 1, polled_at: Some(at(5)) };
    assert_eq!(known(&bench).await, first);
    assert_eq!(bench.counters().await.logged, 1);
    // The second of these is refused, and with it all else.
    let refused = poll(&bench, &owner, "second", 1, vec![named("b", 1), named("a", 2)]).await;
    assert_eq!(kind_of(refused), Some(StoreErrorKind::KeyReused));
    assert_eq!(known(&bench).await, first);
    assert_eq!(bench.counters().await.logged, 1);
    poll(&bench, &owner, "second", 1, vec![named("b", 1)]).await.unwrap();
    assert_eq!((known(&bench).await.version, bench.counters().await.logged), (2, 2));
    assert_eq!(bench.store.cursor(&connector("shop")).await.unwrap(), Cursor::default(), "it is the CRM's");
}

/// Whoever polled from where the cursor is no longer writes nothing.
pub async fn a_cursor_that_moved_meanwhile_is_a_conflict(rig: &dyn Rig) {
    let (bench, owner) = polled(rig).await;
    poll(&bench, &owner, "first", 0, vec![]).await.unwrap();
    for expected in [0, 2] {
        let refused = poll(&bench, &owner, "late", expected, vec![named("a", 1)]).await.unwrap_err();
        assert_eq!(refused.kind(), StoreErrorKind::Conflict);
        assert!(refused.to_string().contains("is of version 1"), "{refused}");
    }
    assert_eq!((known(&bench).await.cursor.as_deref(), bench.counters().await.logged), (Some("first"), 0));
}

/// Of two who take each other for the poller, the one that owns the queue moves the cursor.
pub async fn a_former_owner_moves_no_cursor(rig: &dyn Rig) {
    let (bench, former) = polled(rig).await;
    let owner = own(&*bench.store, &bench.queue).await;
    let refused = poll(&bench, &former, "late", 0, vec![named("a", 1)]).await;
    assert_eq!(kind_of(refused), Some(StoreErrorKind::Stale));
    assert_eq!(known(&bench).await, Cursor::default());
    poll(&bench, &owner, "first", 0, vec![named("a", 1)]).await.unwrap();
    assert_eq!(bench.counters().await.logged, 1);
}

/// Nobody else moves it: not who owns nothing, nor another queue.
pub async fn a_cursor_moves_for_the_owner_of_its_incoming_queue_only(rig: &dyn Rig) {
    let (bench, _) = polled(rig).await;
    let outgoing = own(&*bench.store, &QueueId::new(connector("crm"), Direction::Outgoing)).await;
    let of_shop = own(&*bench.store, &QueueId::new(connector("shop"), Direction::Incoming)).await;
    for ownership in [None, Some(outgoing), Some(of_shop)] {
        let cursor = Some(moved("first", 0));
        let refused = bench.store.commit(Commit { ownership, cursor, ..Commit::at(at(5)) }).await;
        assert_eq!(kind_of(refused), Some(StoreErrorKind::Unsupported));
    }
    assert_eq!(known(&bench).await, Cursor::default());
}

/// A cursor that is forgotten begins anew, and a poll that was under way moves nothing.
pub async fn a_forgotten_cursor_begins_anew(rig: &dyn Rig) {
    let (bench, owner) = polled(rig).await;
    for before in [0, 2] {
        if before > 0 {
            poll(&bench, &owner, "first", before - 1, vec![]).await.unwrap();
        }
        bench.store.forget_cursor(&connector("crm")).await.unwrap();
        assert_eq!(known(&bench).await, Cursor { version: before + 1, ..Cursor::default() });
        let refused = poll(&bench, &owner, "second", before, vec![named("a", 1)]).await;
        assert_eq!(kind_of(refused), Some(StoreErrorKind::Conflict));
    }
    assert_eq!(bench.counters().await.logged, 0);
}

/// A connector of the name of a deleted one begins anew.
pub async fn a_cursor_ends_with_its_connector(rig: &dyn Rig) {
    let (bench, owner) = polled(rig).await;
    bench.store.save_connector(record("crm")).await.unwrap();
    poll(&bench, &owner, "first", 0, vec![]).await.unwrap();
    bench.store.delete_connector(&connector("crm")).await.unwrap();
    assert_eq!(known(&bench).await, Cursor::default());
}

/// It is as durable as the tasks.
pub async fn a_cursor_survives_reopening(rig: &dyn Rig) -> Verdict {
    let (mut bench, owner) = polled(rig).await;
    needs_reopening!(bench.store);
    poll(&bench, &owner, "first \u{1F9E6}", 0, vec![named("a", 1)]).await.unwrap();
    bench.store.close().await;
    bench.store = rig.open().await;
    let cursor = known(&bench).await;
    assert_eq!((cursor.cursor.as_deref(), cursor.version), (Some("first \u{1F9E6}"), 1));
    Verdict::Kept
}

/// A bench at the incoming queue of the CRM, and its owner.
async fn polled(rig: &dyn Rig) -> (Bench, Ownership) {
    let mut bench = Bench::open(rig).await;
    bench.queue = QueueId::new(connector("crm"), Direction::Incoming);
    let owner = own(&*bench.store, &bench.queue).await;
    (bench, owner)
}

async fn poll(
    bench: &Bench,
    owner: &Ownership,
    cursor: &str,
    expected: i64,
    tasks: Vec<NewTask>,
) -> Result<(), StoreError> {
    let (ownership, cursor) = (Some(owner.clone()), Some(moved(cursor, expected)));
    bench.store.commit(Commit { ownership, tasks, cursor, ..Commit::at(at(5)) }).await.map(|_| ())
}

fn moved(cursor: &str, expected: i64) -> CursorMove {
    CursorMove { connector: connector("crm"), cursor: cursor.to_owned(), expected }
}

async fn known(bench: &Bench) -> Cursor {
    bench.store.cursor(&connector("crm")).await.unwrap()
}

/// A task that its sender calls this, with this digest.
fn named(key: &str, digest: u8) -> NewTask {
    let queue = QueueId::new(connector("crm"), Direction::Incoming);
    let idempotency = Some(IdempotencyKey { key: key.to_owned(), digest: vec![digest] });
    NewTask { idempotency, ..task(&queue, key) }
}
