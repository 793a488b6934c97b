//! The threads that read, each with a connection of its own.
//!
//! A piece of work sees one state of the store, in a read transaction that ends with it: a long one would keep the
//! write-ahead log from being started anew.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use crate::status::Status;

/// A piece of work for a reader; it answers its caller itself.
pub(crate) type Read = Box<dyn FnOnce(&Connection) + Send>;

/// A reader's thread.
pub(crate) struct Reader {
    pub(crate) db: Connection,
    pub(crate) inbox: Arc<Mutex<Receiver<Option<Read>>>>,
    pub(crate) status: Arc<Status>,
}

impl Reader {
    /// Works until it is told to close, or everybody who could ask is gone.
    pub(crate) fn run(self) {
        while let Some(read) = self.next() {
            // Whoever asked for what panics is told by the end of the channel; the reader goes on.
            if catch_unwind(AssertUnwindSafe(|| self.read(read))).is_err() {
                tracing::error!("a reader of the store panicked");
            }
            if !self.db.is_autocommit()
                && let Err(error) = self.db.execute_batch("ROLLBACK")
            {
                self.status.fail(error.to_string());
                return;
            }
        }
    }

    fn next(&self) -> Option<Read> {
        let inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        inbox.recv().ok().flatten()
    }

    fn read(&self, read: Read) {
        let begun = self.db.prepare_cached("BEGIN DEFERRED").and_then(|mut begin| begin.execute([]));
        match begun {
            Ok(_) => read(&self.db),
            // Without a transaction the work still sees sound data, statement by statement; its own statements
            // tell what is wrong.
            Err(error) => {
                tracing::warn!(%error, "could not begin to read");
                read(&self.db);
            }
        }
    }
}
