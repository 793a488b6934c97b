//! What the application logs within transactions of its own, until it is in the queues.

use std::fmt;

use bus_core::{DeliveryId, ObjectKey, TaskId, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use uuid::Uuid;

use crate::StoreFuture;
use crate::exchange::ExchangeWrite;
use crate::identity::Binding;
use crate::queue::QueueId;
use crate::task_log::NewTask;

/// The most bytes of entries that one look answers, unless the first one alone has more.
pub const OUTBOX_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Where transactions that are not the store's own leave entries: the application executes the store's statement
/// ([`Capabilities::log_statement`](crate::Capabilities)) with one text, in the transaction that changes its own tables.
///
/// What is in the text is the caller's: the store keeps it and gives it back. [`Commit::relayed`](crate::Commit) turns
/// entries into tasks. Where the store claims no such statement, there is never an entry.
///
/// One thing in the text is the store's, too: `"settles"`, a [`Settles`]. The statement fails, and with it the
/// transaction, unless that delivery is claimed by that owner in that attempt, and no other entry settles it. Once the
/// transaction is committed, nothing else becomes of the delivery: other outcomes are refused, and so are new owners of
/// the queue, until the entry is relayed ([`EntryEnd::Settled`]).
pub trait Outbox {
    /// The oldest entries, in the order in which they became true; at most `limit`, and `OUTBOX_BYTES_MAX` bytes beyond
    /// the first. Entries of transactions that have not been committed are not among them, nor can an entry ever
    /// appear before one that was answered.
    fn outbox(&self, limit: usize) -> StoreFuture<'_, Vec<OutboxEntry>>;

    /// The entries that were parked, the longest parked first; at most `limit`, and as many bytes as above.
    fn parked_entries(&self, limit: usize) -> StoreFuture<'_, Vec<ParkedEntry>>;

    /// Puts an entry that was parked back to its place among those that are to be relayed. Whether it was there.
    fn retry_entry(&self, id: i64) -> StoreFuture<'_, bool>;

    /// How many there are. Counts them: for people.
    fn outbox_counts(&self) -> StoreFuture<'_, OutboxCounts>;

    /// Rings when there may be entries: another transaction was committed, by whomever. What is committed without the
    /// store's doing is noticed after a second at most.
    fn outbox_bell(&self) -> watch::Receiver<u64>;

    /// Rings it by hand: for whoever knows that something was committed.
    fn ring_outbox(&self);

    /// How the application's own tables differ from what was captured of them when that was set up: what is changed there
    /// may go untold. Cheap: it looks at tables and triggers, not at rows.
    fn capture_drift(&self) -> StoreFuture<'_, Vec<Drift>>;
}

/// What a transaction of the application has logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Grows with each later entry.
    pub id: i64,
    /// The text; bytes, because what was written by hand may be anything.
    pub text: Vec<u8>,
}

/// An entry that could not be turned into tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedEntry {
    /// What it is called by, to be tried again.
    pub id: i64,
    /// The text, as it was found.
    pub text: Vec<u8>,
    /// Why.
    pub error: String,
    /// When it was parked.
    pub parked_at: Timestamp,
}

/// How many entries there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutboxCounts {
    /// Those that are to be relayed.
    pub entries: u64,
    /// Those that were parked.
    pub parked: u64,
}

/// One entry, and what becomes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Relayed {
    /// The entry.
    pub id: i64,
    /// What becomes of it.
    pub end: EntryEnd,
}

/// What becomes of an entry.
#[derive(Debug, Clone, PartialEq)]
pub enum EntryEnd {
    /// Its tasks are logged.
    Logged {
        /// What it was called when it was made: an entry of a name whose tasks are still kept is dropped, so that a
        /// statement that was executed twice is logged once.
        key: Uuid,
        /// At least one.
        tasks: Vec<NewTask>,
    },
    /// The delivery that it settles is completed, and what follows from that is written.
    Settled(Box<SettledEntry>),
    /// It cannot be read: it is set aside with its text, and holds nobody. A delivery that it would have settled is
    /// claimed as before.
    Parked {
        /// Why, for people.
        error: String,
    },
    /// Nobody is to be told of it: it leaves nothing behind.
    Untold,
}

/// The delivery that an entry settles, and in whose hands that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settles {
    /// The queue that it is claimed from.
    pub queue: QueueId,
    /// The epoch of its owner.
    pub epoch: i64,
    /// The delivery.
    pub delivery: DeliveryId,
    /// The attempt that is running.
    pub attempt: u32,
}

/// What follows from an entry that settles a delivery.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SettledEntry {
    /// Bindings that end.
    pub unbound: Vec<Binding>,
    /// New bindings; the newest word counts.
    pub bindings: Vec<Binding>,
    /// New tasks; there may be none.
    pub tasks: Vec<NewTask>,
    /// What was exchanged with the external system about the object.
    pub exchanged: Vec<ExchangeWrite>,
    /// The object that is gone: its bindings end when its delete has been delivered.
    pub deleted: Option<ObjectKey>,
}

impl EntryEnd {
    /// The tasks that it becomes.
    pub fn tasks(&self) -> &[NewTask] {
        match self {
            Self::Logged { tasks, .. } => tasks,
            Self::Settled(settled) => &settled.tasks,
            Self::Parked { .. } | Self::Untold => &[],
        }
    }

    /// The bindings that are made with it.
    pub fn bindings(&self) -> &[Binding] {
        match self {
            Self::Settled(settled) => &settled.bindings,
            Self::Logged { .. } | Self::Parked { .. } | Self::Untold => &[],
        }
    }
}

/// The new tasks of each relayed entry; none for one that was parked, or that had been logged before.
pub type RelayedTasks = Vec<Vec<TaskId>>;

/// A captured table of the application is not as it was when its capture was set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// The type of the objects that may go untold; `None` where that is all of them.
    pub object_type: Option<String>,
    /// What is different, and what to do.
    pub what: String,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.object_type {
            Some(object_type) => write!(f, "capture of {object_type}: {}", self.what),
            None => write!(f, "capture: {}", self.what),
        }
    }
}
