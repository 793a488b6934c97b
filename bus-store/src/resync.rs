//! Resyncs: one connector is told of all objects once more, a chunk at a time, across restarts.

use std::fmt;

use bus_core::{ConnectorName, Timestamp};

use crate::StoreFuture;

/// How many resyncs that have ended are kept.
pub const ENDED_RESYNCS_KEPT: i64 = 100;

/// Which resyncs there are, and how far they are. They get on by [`TaskLog::commit`](crate::TaskLog::commit).
pub trait Resyncs {
    /// Writes down that a resync is to be done. Raises the revision
    /// ([`Connectors::revision`](crate::Connectors::revision)). Of those that have ended, all but the latest hundred are
    /// forgotten.
    ///
    /// # Errors
    ///
    /// `Conflict` while one of the same connector and the same types runs.
    fn begin_resync(&self, new: NewResync) -> StoreFuture<'_, ResyncId>;

    /// All that run, and those of the ended that are kept, in the order in which they were begun.
    fn resyncs(&self) -> StoreFuture<'_, Vec<ResyncRecord>>;

    /// Ends a resync where it is; whether it ran. Raises the revision.
    fn cancel_resync(&self, resync: ResyncId) -> StoreFuture<'_, bool>;
}

/// What a resync is called. Never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResyncId(pub i64);

impl fmt::Display for ResyncId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A resync that is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewResync {
    /// Who is told.
    pub connector: ConnectorName,
    /// Of which object types: `app.user`, or a pattern, `app.%`.
    pub types: String,
    /// Who asked for it.
    pub by: String,
    /// Why, if they said.
    pub reason: Option<String>,
    /// When.
    pub begun_at: Timestamp,
}

/// A resync, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResyncRecord {
    /// What it is called.
    pub resync: ResyncId,
    /// What is done.
    pub what: NewResync,
    /// Whether it runs, or how it ended.
    pub state: ResyncState,
    /// Behind which place in the order of the objects it goes on ([`Objects::walk_objects`](crate::Objects::walk_objects)).
    pub place: u64,
    /// How many objects were logged for the connector.
    pub logged: u64,
    /// How many objects could not be logged.
    pub skipped: u64,
}

/// Whether a resync runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResyncState {
    /// It has not come to the end yet.
    Running,
    /// Every object was looked at.
    Done,
    /// Somebody has ended it.
    Cancelled,
}

impl ResyncState {
    /// For people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for ResyncState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A chunk of a resync, whose tasks become true together with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resynced {
    /// Which one.
    pub resync: ResyncId,
    /// Where it is: another place means that somebody else did this chunk.
    pub from: u64,
    /// Where it is afterwards.
    pub to: u64,
    /// How many more objects were logged.
    pub logged: u64,
    /// How many more could not be.
    pub skipped: u64,
    /// Whether that was the last of them.
    pub ends: bool,
}

/// Why a chunk is refused.
pub fn not_there(resync: ResyncId, from: u64) -> String {
    format!("resync {resync} does not run, or is not at place {from} any more; read it again")
}

/// Why a resync is not begun.
pub fn runs_already(resync: ResyncId, new: &NewResync) -> String {
    format!("resync {resync} of `{}` for `{}` runs; wait for its end, or cancel it", new.types, new.connector)
}
