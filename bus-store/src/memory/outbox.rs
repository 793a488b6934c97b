//! The outbox of the store in memory: nothing but the store itself can write there, so it is empty.

use tokio::sync::watch;

use super::MemoryStore;
use crate::outbox::{Drift, Outbox, OutboxCounts, OutboxEntry, ParkedEntry};
use crate::task_log::Commit;
use crate::{StoreError, StoreErrorKind, StoreFuture};

impl Outbox for MemoryStore {
    fn outbox(&self, _: usize) -> StoreFuture<'_, Vec<OutboxEntry>> {
        self.with("outbox", |_| Ok(Vec::new()))
    }

    fn parked_entries(&self, _: usize) -> StoreFuture<'_, Vec<ParkedEntry>> {
        self.with("parked entries", |_| Ok(Vec::new()))
    }

    fn retry_entry(&self, _: i64) -> StoreFuture<'_, bool> {
        self.with("retry entry", |_| Ok(false))
    }

    fn outbox_counts(&self) -> StoreFuture<'_, OutboxCounts> {
        self.with("outbox counts", |_| Ok(OutboxCounts::default()))
    }

    fn outbox_bell(&self) -> watch::Receiver<u64> {
        self.0.outbox_bell.subscribe()
    }

    fn ring_outbox(&self) {
        self.0.outbox_bell.send_modify(|rings| *rings += 1);
    }

    fn capture_drift(&self) -> StoreFuture<'_, Vec<Drift>> {
        self.with("capture drift", |_| Ok(Vec::new()))
    }
}

/// No entry is there that could be relayed.
pub(super) fn refuse_relayed(commit: &Commit) -> Result<(), StoreError> {
    let Some(first) = commit.relayed.first() else { return Ok(()) };
    let message = format!("entry {} is not the first of the outbox; look again", first.id);
    Err(StoreError::new(StoreErrorKind::Conflict, "commit", message))
}
