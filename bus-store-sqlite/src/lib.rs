//! The embedded store of the integration bus: one `SQLite` file.
//!
//! One thread writes, and makes durable with one commit whatever has queued up; two read. Each trait of the store has
//! its file here, named like the trait's own. The tables stand in `migrations/`, and [`migrations_sql`] prints them.
//!
//! ```no_run
//! # fn main() -> Result<(), bus_store::StoreError> {
//! use bus_store_sqlite::{SqliteOptions, SqliteStore};
//!
//! let store = SqliteStore::open("bus.db", SqliteOptions::default())?;
//! # Ok(())
//! # }
//! ```
//!
//! What to know about the file:
//!
//! - It may be the application's own: all tables begin with `bus_` (beside `SQLite`'s own `sqlite_sequence`), and
//!   `application_id` and `user_version` are left alone. Its journal becomes a write-ahead log, so `-wal` and `-shm` stand beside it while it is open, and
//!   `-owner-1`, `-owner-2` … are the locks of the processes that work on queues.
//! - It belongs on a local disk. Several processes of one machine may log into it; each queue is worked on by one of
//!   them, and when that ends, in whatever way, or hangs, by another.
//! - After an error of the disk the store stops itself and says so: what is on the disk is not known any more. A full
//!   disk, or quota, only fails the calls that it meets.
//! - What a call has begun is carried out, also when the caller stops waiting for the answer.

pub mod capture;
mod checkpoint;
mod code;
mod connectors;
mod cursors;
mod error;
mod exchange;
mod failpoint;
mod identity;
mod late;
mod objects;
mod open;
mod operate;
mod outbox;
mod owner;
mod pages;
mod queue;
mod reader;
mod resync;
mod reviews;
mod schema;
mod session;
mod sites;
mod status;
mod task_log;
mod wake;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use bus_core::BoxFuture;
use bus_store::{Capabilities, Store, StoreError, StoreErrorKind, StoreFuture};
use rusqlite::Connection;
use tokio::sync::{OnceCell, Semaphore, oneshot, watch};

use crate::error::Fault;
use crate::open::{Purpose, connect};
use crate::owner::{Process, Slots};
use crate::reader::{Read, Reader};
use crate::session::Memo;
use crate::status::Status;
use crate::writer::{Message, Waiting, Write, Writer};

pub use open::{SqliteOptions, Synchronous};
pub use schema::migrations_sql;

/// How many threads read.
const READERS: usize = 2;

/// How much memory the work that waits for the writer may hold, in KiB; who brings more waits before it.
const WAITING_KIB_MAX: u32 = 64 * 1024;

/// How much work may wait for the readers.
const WAITING_READS_MAX: usize = 1_024;

/// A store in an `SQLite` file. Clones are handles to the same store; it is closed by [`Store::close`], or when the last
/// handle is dropped.
#[derive(Debug, Clone)]
pub struct SqliteStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    options: SqliteOptions,
    status: Arc<Status>,
    slots: Arc<Slots>,
    /// This process among those that own queues, once it has asked for one.
    process: OnceCell<Process>,
    writes: Sender<Message>,
    write_share: Arc<Semaphore>,
    reads: Sender<Option<Read>>,
    read_share: Arc<Semaphore>,
    /// Each thread of the store holds a receiver of this until it ends.
    running: watch::Sender<()>,
}

impl SqliteStore {
    /// Opens the store in this file. The file, its folder and its tables are made where they are missing.
    ///
    /// It reads and writes the file before it returns, which takes milliseconds; where that is too long for an
    /// executor's thread, call it from a blocking one.
    ///
    /// # Errors
    ///
    /// `Unsupported` when `SQLite`, the file system or the file's version is not one that the store can work with;
    /// `Corrupt` when the file is not a database; `Unavailable` when it cannot be reached, written or locked. Each
    /// names the file and the remedy.
    pub fn open(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self, StoreError> {
        let (path, db) = open::prepare(path.as_ref(), options)?;
        let status = Arc::new(Status::default());
        let running = watch::Sender::new(());

        let (nudges, checkpoints) = checkpoint::checkpoints();
        let (writes, inbox) = channel();
        let mut memo = Memo::default();
        memo.look(&db).map_err(|error| error::told(&error, "open"))?;
        let writing = Writer {
            db,
            inbox,
            status: Arc::clone(&status),
            nudges,
            memo,
            pages_max: options.pages_max,
            is_reserve_open: false,
            pauses_left: 0,
        };
        start("bus-sqlite-write", &running, move || writing.run())?;

        let db = connect(&path, options, Purpose::Checkpoints)?;
        start("bus-sqlite-checkpoint", &running, move || checkpoints.run(&db))?;

        let (reads, inbox) = channel();
        let inbox = Arc::new(Mutex::new(inbox));
        for _ in 0..READERS {
            let db = connect(&path, options, Purpose::Reading)?;
            let reader = Reader { db, inbox: Arc::clone(&inbox), status: Arc::clone(&status) };
            start("bus-sqlite-read", &running, move || reader.run())?;
        }
        let slots = Arc::new(Slots::of(&path));
        Ok(Self(Arc::new(Shared {
            path,
            options,
            status,
            slots,
            process: OnceCell::new(),
            writes,
            write_share: Arc::new(Semaphore::new(WAITING_KIB_MAX as usize)),
            reads,
            read_share: Arc::new(Semaphore::new(WAITING_READS_MAX)),
            running,
        })))
    }

    /// The file, by its full path.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// How it was opened.
    pub fn options(&self) -> SqliteOptions {
        self.0.options
    }

    /// Has the writer do this, and waits for the commit that holds it.
    fn write<W: Write>(&self, write: W) -> StoreFuture<'_, W::Answer> {
        Box::pin(async move {
            let closed = || Status::closed(self.0.status.failure(), W::OPERATION);
            self.0.status.check_open(W::OPERATION)?;
            let kib = u32::try_from(write.weight() / 1024).unwrap_or(u32::MAX);
            let kib = kib.saturating_add(1).min(WAITING_KIB_MAX);
            let share = Arc::clone(&self.0.write_share).acquire_many_owned(kib).await;
            let share = share.map_err(|_| closed())?;
            let (caller, answer) = oneshot::channel();
            let job = Message::Job(Box::new(Waiting::new(write, caller, share)));
            self.0.writes.send(job).map_err(|_| closed())?;
            answer.await.unwrap_or_else(|_| Err(closed()))
        })
    }

    /// Has a reader do this, in one read transaction.
    fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> StoreFuture<'_, T> {
        Box::pin(async move {
            let closed = || Status::closed(self.0.status.failure(), operation);
            self.0.status.check_open(operation)?;
            let _share = self.0.read_share.acquire().await.map_err(|_| closed())?;
            let (caller, answer) = oneshot::channel();
            let work: Read = Box::new(move |db| {
                let _ = caller.send(read(db).map_err(|fault| fault.told(operation)));
            });
            self.0.reads.send(Some(work)).map_err(|_| closed())?;
            answer.await.unwrap_or_else(|_| Err(closed()))
        })
    }
}

impl Store for SqliteStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "SQLite",
            durability: self.0.options.synchronous.durability(),
            reopens: true,
            log_statement: Some(outbox::LOG_STATEMENT),
            settles_by_entry: true,
        }
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.0.status.close();
            // A thread that has ended already does not listen any more.
            let _ = self.0.writes.send(Message::Close);
            for _ in 0..READERS {
                let _ = self.0.reads.send(None);
            }
            self.0.running.closed().await;
            self.0.slots.give_up();
        })
    }
}

/// Starts a thread of the store, which counts as running until it ends.
fn start(
    name: &str,
    running: &watch::Sender<()>,
    work: impl FnOnce() + Send + 'static,
) -> Result<(), StoreError> {
    let running = running.subscribe();
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
        work();
        drop(running);
    });
    thread.map(drop).map_err(|error| {
        let message = "a thread of the store could not be started: allow this process more of them";
        StoreError::new(StoreErrorKind::Unavailable, "open", message).with_source(error)
    })
}
