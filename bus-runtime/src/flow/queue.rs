//! Whose turn it is, as a worker meets it: the owner's side of a queue of the store.

use std::sync::Arc;
use std::time::Duration;

use bus_core::Timestamp;
use bus_store::{
    Acquired, Claim, Commit, Committed, First, Ownership, QueueId, Scope, StoreError, StoreErrorKind, Terms,
    Wanted,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::{Ordering, Processing};
use crate::relay;
use crate::shared::Shared;

/// The most deliveries that are claimed at once. The next may be claimed while these are worked on, so that a crash can
/// charge an attempt without a call to twice as many.
pub(crate) const CLAIM_MAX: usize = 100;

/// A queue that this process owns.
pub(crate) struct OwnedQueue {
    shared: Arc<Shared>,
    pub(crate) ownership: Ownership,
    bell: watch::Receiver<u64>,
    claim_max: usize,
    /// What comes first in the next claim: what is due and what is fresh take turns.
    first: First,
}

/// Asks for a queue, once what transactions of the application have settled of it is in the books.
pub(crate) async fn acquire(
    shared: &Arc<Shared>,
    queue: &QueueId,
    terms: &Terms,
) -> Result<Acquired, StoreError> {
    loop {
        match shared.store.acquire(queue, terms.clone(), shared.now()).await {
            Err(error) if error.kind() == StoreErrorKind::Conflict => relay::relay_all(shared).await?,
            acquired => return acquired,
        }
    }
}

impl OwnedQueue {
    /// Becomes the owner, as soon as nobody else is: at once when the process of the present owner ends, and after the
    /// lease when that is silent. `None` when it was told to stop before; `standing_by` is called when it has to wait.
    pub(crate) async fn acquire(
        shared: Arc<Shared>,
        queue: &QueueId,
        processing: &Processing,
        is_claimed_one_by_one: bool,
        stopping: &CancellationToken,
        standing_by: impl Fn(),
    ) -> Result<Option<Self>, StoreError> {
        // Listening begins before the first look, so that nothing falls in between.
        let bell = shared.store.doorbell(queue);
        let scope = match processing.ordering {
            Ordering::Connector => Scope::Queue,
            Ordering::Object | Ordering::None => Scope::Key,
        };
        // What the owner has begun may take as long as a call.
        let patience = Duration::from_millis(processing.lease_ms + processing.call_timeout_ms);
        let claim_max = if is_claimed_one_by_one { 1 } else { CLAIM_MAX };
        let mut terms = Terms { scope, silent: None };
        loop {
            let seen = match acquire(&shared, queue, &terms).await? {
                Acquired::Owned(ownership) => {
                    return Ok(Some(Self { shared, ownership, bell, claim_max, first: First::Due }));
                }
                Acquired::Taken(seen) => seen,
            };
            if terms.silent.is_none() {
                tracing::info!(%queue, owner = seen.owner, "another process works on this queue; this one stands by");
            }
            standing_by();
            tokio::select! {
                () = stopping.cancelled() => return Ok(None),
                free = shared.store.wait_until_free(queue) => {
                    free?;
                    terms.silent = None;
                }
                () = shared.clock.sleep_until(shared.now().plus(patience)) => terms.silent = Some(seen),
            }
        }
    }

    /// Begins anew: what was put back goes first.
    pub(crate) fn begin(&mut self) {
        self.first = First::Due;
    }

    /// What may run now. Also answers how often the bell had rung before the look.
    pub(crate) async fn claim(&mut self) -> Result<(u64, Claim), StoreError> {
        let rings = *self.bell.borrow_and_update();
        let (wanted, now) = (self.wanted(), self.shared.now());
        let claim = self.shared.store.claim(&self.ownership, wanted, now).await?;
        Ok((rings, claim))
    }

    fn wanted(&mut self) -> Wanted {
        let next = match self.first {
            First::Due => First::Fresh,
            First::Fresh | First::OnlyFresh => First::Due,
        };
        Wanted { limit: self.claim_max, first: std::mem::replace(&mut self.first, next) }
    }

    /// Writes outcomes, and claims what may run then; answers what became of either, and how often the bell had rung
    /// before. Handed over together, both share a flush where the store can do that.
    pub(crate) async fn settle_and_claim(
        &mut self,
        outcomes: Commit,
    ) -> (Result<Committed, StoreError>, u64, Result<Claim, StoreError>) {
        let rings = *self.bell.borrow_and_update();
        let (wanted, now) = (self.wanted(), self.shared.now());
        // A claim that came first would find the same keys held, and be as right.
        let (settled, claim) = tokio::join!(
            self.shared.store.commit(outcomes),
            self.shared.store.claim(&self.ownership, wanted, now),
        );
        (settled, rings, claim)
    }

    /// Writes outcomes, and claims what is fresh while what was claimed before is worked on; with both, the outcomes are
    /// written first. Whoever is to wait for it has to poll it.
    pub(crate) fn settle_and_claim_ahead(
        &self,
        outcomes: Commit,
    ) -> impl Future<Output = (Result<Committed, StoreError>, Result<Claim, StoreError>)> + Send + use<> {
        let (shared, ownership) = (Arc::clone(&self.shared), self.ownership.clone());
        let wanted = Wanted { limit: self.claim_max, first: First::OnlyFresh };
        async move {
            let now = shared.now();
            tokio::join!(shared.store.commit(outcomes), shared.store.claim(&ownership, wanted, now))
        }
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
