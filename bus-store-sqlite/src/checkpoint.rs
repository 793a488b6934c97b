//! Moves what was committed from the write-ahead log into the database file, off the path of the commits.
//!
//! A passive checkpoint disturbs nobody. It runs once the store has been quiet for a moment, or when the log has
//! grown by many pages. Under steady load it never catches the very last pages, so the log is started anew by the
//! writer itself, at `wal_autocheckpoint`: by then nearly everything has been moved, and little is left to do there.
//! The log's file is kept and written over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use rusqlite::Connection;

/// After how many pages, roughly, a checkpoint does not wait for a quiet moment.
const PAGES_BEFORE_CHECKPOINT: u64 = 1_000;

/// At how many pages of log the writer itself makes a checkpoint, as a backstop.
pub(crate) const PAGES_BEFORE_BACKSTOP: i64 = 4_000;

/// How long nothing may be committed for a moment to count as quiet.
const QUIET: Duration = Duration::from_secs(1);

/// Pages that any commit writes: a queue, the sequence, and a leaf of each table.
const PAGES_PER_COMMIT: u64 = 4;

/// Rows that share a page, roughly.
const ROWS_PER_PAGE: u64 = 8;

/// The writer's end: says that something was committed.
pub(crate) struct Nudges {
    sender: SyncSender<Nudge>,
    shared: Arc<Shared>,
    pages: u64,
}

/// The checkpoint thread's end.
pub(crate) struct Checkpoints {
    nudges: Receiver<Nudge>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    commits: AtomicU64,
    is_asked: AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nudge {
    /// Something was committed: when it is quiet.
    Written,
    /// Much was committed: now.
    Full,
}

/// The two ends.
pub(crate) fn checkpoints() -> (Nudges, Checkpoints) {
    let (sender, nudges) = sync_channel(2);
    let shared = Arc::new(Shared::default());
    (Nudges { sender, shared: Arc::clone(&shared), pages: 0 }, Checkpoints { nudges, shared })
}

impl Nudges {
    /// Something was committed that changed this many rows.
    pub(crate) fn committed(&mut self, rows: u64) {
        self.shared.commits.fetch_add(1, Ordering::Relaxed);
        self.pages += PAGES_PER_COMMIT + rows / ROWS_PER_PAGE;
        // A full channel means that the thread has been told already.
        if self.pages >= PAGES_BEFORE_CHECKPOINT {
            self.pages = 0;
            let _ = self.sender.try_send(Nudge::Full);
        } else if !self.shared.is_asked.swap(true, Ordering::AcqRel) {
            let _ = self.sender.try_send(Nudge::Written);
        }
    }
}

impl Checkpoints {
    /// Works until the writer is gone.
    pub(crate) fn run(self, db: &Connection) {
        while self.wait() {
            self.shared.is_asked.store(false, Ordering::Release);
            let moved = db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(2));
            if let Err(error) = moved {
                // The log grows until one succeeds; the writer meets the same trouble and says so.
                tracing::warn!(%error, "a checkpoint of the store failed");
            }
        }
    }

    /// Waits until there is something to do; whether there is.
    fn wait(&self) -> bool {
        let Ok(first) = self.nudges.recv() else {
            return false;
        };
        if first == Nudge::Full {
            return true;
        }
        loop {
            let before = self.shared.commits.load(Ordering::Relaxed);
            match self.nudges.recv_timeout(QUIET) {
                Ok(Nudge::Full) => return true,
                Err(RecvTimeoutError::Timeout) if before == self.shared.commits.load(Ordering::Relaxed) => {
                    return true;
                }
                Ok(Nudge::Written) | Err(RecvTimeoutError::Timeout) => {}
                // The last connection to close makes a checkpoint of its own.
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }
}
