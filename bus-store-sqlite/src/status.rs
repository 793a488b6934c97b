//! What all threads of a store, and its callers, know of each other.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use bus_store::{Doorbell, StoreError, StoreErrorKind};
use tokio::sync::watch;

/// Whether the store is open, why it is not, and the doorbells.
#[derive(Debug, Default)]
pub(crate) struct Status {
    pub(crate) doorbell: Doorbell,
    /// Of the outbox, which transactions of others write into.
    pub(crate) outbox_bell: watch::Sender<u64>,
    /// Of late references that are resolved.
    pub(crate) late_bell: watch::Sender<u64>,
    is_closed: AtomicBool,
    failure: OnceLock<String>,
}

impl Status {
    /// Refuses when the store is closed.
    pub(crate) fn check_open(&self, operation: &'static str) -> Result<(), StoreError> {
        if self.is_closed.load(Ordering::Acquire) || self.failure.get().is_some() {
            return Err(Self::closed(self.failure(), operation));
        }
        Ok(())
    }

    /// From now on every call is refused. Whoever listens is rung, asks again, and is told.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.ring_all();
    }

    /// Stops the store for good, for this reason.
    pub(crate) fn fail(&self, reason: String) {
        let _ = self.failure.set(reason);
        self.ring_all();
    }

    /// Rings every bell: somebody else may have written anything.
    pub(crate) fn ring_all(&self) {
        self.doorbell.ring_all();
        self.ring_outbox();
        self.ring_late();
    }

    pub(crate) fn ring_outbox(&self) {
        self.outbox_bell.send_modify(|rings| *rings += 1);
    }

    pub(crate) fn ring_late(&self) {
        self.late_bell.send_modify(|rings| *rings += 1);
    }

    /// Why the store has stopped, if it has.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// The answer of a store that is closed.
    pub(crate) fn closed(failure: Option<&str>, operation: &'static str) -> StoreError {
        let message = failure.map_or_else(
            || "the store is closed: open it again".to_owned(),
            |reason| format!("the store has stopped itself ({reason}): mend that, then start again"),
        );
        StoreError::new(StoreErrorKind::Closed, operation, message)
    }
}
