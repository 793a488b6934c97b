//! What the writer does when a piece of work goes wrong.

use std::sync::mpsc::{Receiver, Sender, channel};

use bus_core::{ConnectorName, Direction, Timestamp};
use bus_store::{Operate, Queue, QueueId, Store, StoreErrorKind};
use rusqlite::ffi;
use tempfile::TempDir;

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

/// What became of a piece of work that shared its transaction with two others, and of the store after it.
async fn check<W: Write<Answer = ()>>(write: W, kind: StoreErrorKind) {
    let (_folder, store, let_go, holding) = open().await;
    let (one, two) = (queue("one"), queue("two"));
    let (before, bad, after, ()) = tokio::join!(
        store.acquire(&one, Timestamp::EPOCH),
        store.write(write),
        store.acquire(&two, Timestamp::EPOCH),
        async { let_go.send(()).unwrap() },
    );
    holding.await.unwrap().unwrap();
    assert_eq!(bad.unwrap_err().kind(), kind);
    assert_eq!((before.unwrap().epoch, after.unwrap().epoch), (1, 1));
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
async fn a_full_disk_fails_all_who_share_the_transaction_and_the_store_goes_on() {
    let (_folder, store, let_go, holding) = open().await;
    let one = queue("one");
    let (before, full, ()) =
        tokio::join!(store.acquire(&one, Timestamp::EPOCH), store.write(Fails(ffi::SQLITE_FULL)), async {
            let_go.send(()).unwrap();
        },);
    holding.await.unwrap().unwrap();
    assert_eq!(before.unwrap_err().kind(), StoreErrorKind::Unavailable);
    assert_eq!(full.unwrap_err().kind(), StoreErrorKind::Unavailable);
    assert_eq!(store.acquire(&one, Timestamp::EPOCH).await.unwrap().epoch, 1);
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
    let closed = store.acquire(&one, Timestamp::EPOCH).await.unwrap_err();
    assert_eq!(closed.kind(), StoreErrorKind::Closed);
    assert!(closed.to_string().contains("has stopped itself"), "{closed}");
    assert_eq!(store.queues().await.unwrap_err().kind(), StoreErrorKind::Closed);
    assert!(*bell.borrow() > 0, "whoever listens is rung, asks, and is told");
    store.close().await;
}
