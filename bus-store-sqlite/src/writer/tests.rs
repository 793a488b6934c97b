//! What the writer does when a piece of work goes wrong.

use std::sync::mpsc::{Receiver, Sender, channel};

use bus_core::{ConnectorName, DataType, Direction, ErrorPolicy, ObjectOperation, Timestamp};
use bus_store::{Commit, Committed, NewDelivery, NewTask, Operate, QueueId, Store, StoreErrorKind, TaskLog};
use rusqlite::ffi;
use tempfile::TempDir;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::*;
use crate::{SqliteOptions, SqliteStore};

/// Keeps the writer busy until it is let go, so that what is sent meanwhile shares the next transaction.
struct Hold {
    begun: Option<oneshot::Sender<()>>,
    held: Receiver<()>,
}

impl Write for Hold {
    type Answer = ();
    const OPERATION: &'static str = "hold";

    fn run(&mut self, _: &mut Session<'_>) -> Result<Progress<()>, Fault> {
        if let Some(begun) = self.begun.take() {
            begun.send(()).expect("somebody waits for it");
        }
        self.held.recv().expect("it is let go");
        Ok(Progress::Done(()))
    }
}

struct Panics;

impl Write for Panics {
    type Answer = ();
    const OPERATION: &'static str = "panic";

    fn run(&mut self, _: &mut Session<'_>) -> Result<Progress<()>, Fault> {
        panic!("as the test wants it");
    }
}

/// Fails as SQLite would with this code.
struct Fails(i32);

impl Write for Fails {
    type Answer = ();
    const OPERATION: &'static str = "fail";

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<()>, Fault> {
        session.db.execute_batch("DELETE FROM bus_queue")?;
        Err(rusqlite::Error::SqliteFailure(ffi::Error::new(self.0), None).into())
    }
}

async fn open() -> (TempDir, SqliteStore, Sender<()>, tokio::task::JoinHandle<Result<(), StoreError>>) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("bus.db"), SqliteOptions::default()).unwrap();
    let (let_go, held) = channel();
    let (begun, has_begun) = oneshot::channel();
    let holding = tokio::spawn({
        let store = store.clone();
        async move { store.write(Hold { begun: Some(begun), held }).await }
    });
    has_begun.await.unwrap();
    (folder, store, let_go, holding)
}

fn queue(name: &str) -> QueueId {
    QueueId::new(ConnectorName::parse(name).unwrap(), Direction::Outgoing)
}

async fn log(store: &SqliteStore, queue: &QueueId) -> Result<Committed, StoreError> {
    let task = NewTask {
        direction: queue.direction,
        subject: "app.user".to_owned(),
        key: "x".to_owned(),
        operation: ObjectOperation::Update,
        title: String::new(),
        data: Vec::new(),
        content_type: String::new(),
        site: None,
        origin: None,
        logged_at: Timestamp::EPOCH,
        redelivers: None,
        idempotency: None,
        deliveries: vec![NewDelivery {
            connector: queue.connector.clone(),
            data_type: DataType::Snapshot,
            policy: ErrorPolicy::Default,
            idempotency_key: Uuid::nil(),
        }],
    };
    store.commit(Commit { tasks: vec![task], ..Commit::at(Timestamp::EPOCH) }).await
}

/// What became of a piece of work that shared its transaction with two others, and of the store after it.
async fn check<W: Write<Answer = ()>>(write: W, kind: StoreErrorKind) {
    let (_folder, store, let_go, holding) = open().await;
    let (one, two) = (queue("one"), queue("two"));
    let (before, bad, after, ()) =
        tokio::join!(log(&store, &one), store.write(write), log(&store, &two), async {
            let_go.send(()).unwrap();
        },);
    holding.await.unwrap().unwrap();
    assert_eq!(bad.unwrap_err().kind(), kind);
    assert_eq!((before.unwrap().tasks.len(), after.unwrap().tasks.len()), (1, 1));
    assert_eq!(store.queues().await.unwrap(), [one, two]);
    store.close().await;
}

#[tokio::test]
async fn a_panic_fails_its_own_caller_and_nobody_else() {
    check(Panics, StoreErrorKind::Unsupported).await;
}

#[tokio::test]
async fn what_is_too_large_fails_its_own_caller_and_nobody_else() {
    check(Fails(ffi::SQLITE_TOOBIG), StoreErrorKind::Unsupported).await;
}

#[tokio::test]
async fn a_full_disk_fails_who_needs_room_and_nobody_else() {
    let (_folder, store, let_go, holding) = open().await;
    let one = queue("one");
    let (before, full, ()) = tokio::join!(log(&store, &one), store.write(Fails(ffi::SQLITE_FULL)), async {
        let_go.send(()).unwrap();
    },);
    holding.await.unwrap().unwrap();
    assert_eq!(before.unwrap().tasks.len(), 1);
    assert_eq!(full.unwrap_err().kind(), StoreErrorKind::Unavailable);
    assert_eq!(log(&store, &one).await.unwrap().tasks.len(), 1);
    store.close().await;
}

#[tokio::test]
async fn a_failed_sync_stops_the_store() {
    let (_folder, store, let_go, holding) = open().await;
    let one = queue("one");
    let bell = store.0.status.doorbell.listen(&one);
    let (failed, ()) = tokio::join!(store.write(Fails(ffi::SQLITE_IOERR_FSYNC)), async {
        let_go.send(()).unwrap();
    });
    holding.await.unwrap().unwrap();
    assert_eq!(failed.unwrap_err().kind(), StoreErrorKind::Unavailable);
    let closed = log(&store, &one).await.unwrap_err();
    assert_eq!(closed.kind(), StoreErrorKind::Closed);
    assert!(closed.to_string().contains("has stopped itself"), "{closed}");
    assert_eq!(store.queues().await.unwrap_err().kind(), StoreErrorKind::Closed);
    assert!(*bell.borrow() > 0, "whoever listens is rung, asks, and is told");
    store.close().await;
}

/// Is refused, after it has rung for everything that it was to do.
struct IsRefused;

impl Write for IsRefused {
    type Answer = ();
    const OPERATION: &'static str = "is refused";

    fn run(&mut self, _: &mut Session<'_>) -> Result<Progress<()>, Fault> {
        Err(crate::error::refusal(StoreErrorKind::Conflict, "no"))
    }
}

#[tokio::test]
async fn a_refusal_swallows_no_bell_of_those_who_share_its_transaction() {
    let (_folder, store, let_go, holding) = open().await;
    let (one, two) = (queue("one"), queue("two"));
    let bell = store.0.status.doorbell.listen(&one);
    let (before, refused, after, ()) =
        tokio::join!(log(&store, &one), store.write(IsRefused), log(&store, &two), async {
            let_go.send(()).unwrap();
        },);
    holding.await.unwrap().unwrap();
    before.unwrap();
    after.unwrap();
    assert_eq!(refused.unwrap_err().kind(), StoreErrorKind::Conflict);
    assert!(*bell.borrow() > 0, "what was logged has been rung for");
    store.close().await;
}
