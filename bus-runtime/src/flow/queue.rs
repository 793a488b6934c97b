//! Whose turn it is, as a worker meets it: the owner's side of a queue of the store.

use std::sync::Arc;

use bus_core::Timestamp;
use bus_store::{Claim, Commit, Ownership, QueueId, StoreError};
use tokio::sync::watch;

use crate::shared::Shared;

/// The most deliveries that are claimed at once: what a crash can charge an attempt without a call.
pub(crate) const CLAIM_MAX: usize = 100;

/// A queue that this process owns.
pub(crate) struct OwnedQueue {
    shared: Arc<Shared>,
    pub(crate) ownership: Ownership,
    bell: watch::Receiver<u64>,
}

impl OwnedQueue {
    pub(crate) async fn acquire(shared: Arc<Shared>, queue: &QueueId) -> Result<Self, StoreError> {
        // Listening begins before the first look, so that nothing falls in between.
        let bell = shared.store.doorbell(queue);
        let ownership = shared.store.acquire(queue, shared.now()).await?;
        Ok(Self { shared, ownership, bell })
    }

    /// What may run now. Also answers how often the bell had rung before the look.
    pub(crate) async fn claim(&mut self) -> Result<(u64, Claim), StoreError> {
        let rings = *self.bell.borrow_and_update();
        let claim = self.shared.store.claim(&self.ownership, CLAIM_MAX, self.shared.now()).await?;
        Ok((rings, claim))
    }

    /// Writes outcomes, and claims what may run then; answers as `claim` does. Handed over together, both share a flush
    /// where the store can do that.
    pub(crate) async fn settle_and_claim(&mut self, outcomes: Commit) -> Result<(u64, Claim), StoreError> {
        let rings = *self.bell.borrow_and_update();
        let now = self.shared.now();
        // A claim that came first would find the same keys held, and be as right.
        let (settled, claim) = tokio::join!(
            self.shared.store.commit(outcomes),
            self.shared.store.claim(&self.ownership, CLAIM_MAX, now),
        );
        settled?;
        Ok((rings, claim?))
    }

    /// Returns when the bell has rung since the last claim, or something becomes due.
    pub(crate) async fn wait(&mut self, next_due: Option<Timestamp>) {
        let shared = Arc::clone(&self.shared);
        tokio::select! {
            changed = self.bell.changed() => {
                if changed.is_err() {
                    // The store is closed: nothing will ever ring again.
                    shared.stopping.cancelled().await;
                }
            }
            () = sleep_until(&shared, next_due) => {}
        }
    }
}

pub(crate) async fn sleep_until(shared: &Shared, at: Option<Timestamp>) {
    match at {
        Some(at) => shared.clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}
