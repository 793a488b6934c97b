//! The relay: takes what the application logged in transactions of its own out of the outbox and into the queues, in the
//! order in which it became true. Every process on the store has one; who comes second finds the entries gone and looks
//! again, so that there is nothing to own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bus_store::{Commit, EntryEnd, NewTask, OutboxEntry, ParkedEntry, Relayed, StoreError, StoreErrorKind};

use crate::Result;
use crate::bus::Bus;
use crate::error::BusError;
use crate::flow::listening::{self, Announcement};
use crate::flow::{entry, express};
use crate::operate::Operator;
use crate::shared::Shared;

/// How many entries are relayed in one commit.
const BATCH: usize = 500;

/// How many parked entries are told at once.
const PARKED_LISTED_MAX: usize = 100;

/// How long the relay waits after an error of the store before it tries again.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// What the application has logged in transactions of its own and is not in the queues.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxStatus {
    /// How many entries are about to be taken into the queues.
    pub entries: u64,
    /// How many could not be read, and wait for a person.
    pub parked: u64,
    /// The first hundred of these, the longest parked first.
    pub parked_entries: Vec<ParkedEntry>,
}

/// Starts the relay of a bus whose store can be written by transactions of the application; it ends with the bus.
pub(crate) fn start(bus: &Bus) {
    if bus.shared.store.capabilities().log_statement.is_none() {
        return;
    }
    let bus = bus.clone();
    tokio::spawn(async move {
        let stopping = bus.shared.stopping.clone();
        tokio::select! {
            () = stopping.cancelled() => {}
            () = bus.relay_for_ever() => {}
        }
    });
}

impl Bus {
    /// Has what the application has committed taken into the queues at once, instead of within a second. Cheap: to be
    /// called after each commit that executed a statement of [`Bus::log`], by whoever cannot wait.
    pub fn relay_soon(&self) {
        self.shared.store.ring_outbox();
    }

    /// What the application has logged in transactions of its own and is not in the queues.
    pub async fn outbox(&self) -> Result<OutboxStatus> {
        let failed = |error| BusError::store("look at the outbox", error);
        let counts = self.shared.store.outbox_counts().await.map_err(failed)?;
        let parked_entries = self.shared.store.parked_entries(PARKED_LISTED_MAX).await.map_err(failed)?;
        Ok(OutboxStatus { entries: counts.entries, parked: counts.parked, parked_entries })
    }

    /// Tries an entry that could not be read again, at its place: after an update of this program, say. Whether it was
    /// there. It carries its object as that was: where later changes of the same object have been relayed by then, log
    /// the object once more after it.
    ///
    /// # Errors
    ///
    /// `BadName` for an operator without a name; `Store`.
    pub async fn retry_entry(&self, id: i64, by: &Operator) -> Result<bool> {
        by.check()?;
        let retried = self.shared.store.retry_entry(id).await;
        let retried = retried.map_err(|error| BusError::store(&format!("retry entry {id}"), error))?;
        tracing::info!(by = %by.name, reason = by.reason.as_deref(), entry = id, retried, "an operator retries an entry");
        Ok(retried)
    }

    async fn relay_for_ever(&self) {
        let mut bell = self.shared.store.outbox_bell();
        loop {
            bell.mark_unchanged();
            match relay_all(&self.shared).await {
                Ok(()) => {
                    // A store that is gone rings no more.
                    if bell.changed().await.is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == StoreErrorKind::Closed => return,
                Err(error) => {
                    tracing::warn!(%error, "failed to relay what the application has logged; tried again soon");
                    let soon = self.shared.now().plus(PAUSE_AFTER_ERROR);
                    tokio::select! {
                        () = self.shared.clock.sleep_until(soon) => {}
                        _ = bell.changed() => {}
                    }
                }
            }
        }
    }
}

/// Relays until there is nothing left.
pub(crate) async fn relay_all(shared: &Arc<Shared>) -> Result<(), StoreError> {
    let mut limit = BATCH;
    loop {
        let entries = shared.store.outbox(limit).await?;
        if entries.is_empty() {
            return Ok(());
        }
        let is_alone = entries.len() == 1;
        match relay_once(shared, entries, None).await {
            Ok(()) => limit = BATCH,
            // Somebody else has relayed them.
            Err(error) if error.kind() == StoreErrorKind::Conflict => tokio::task::yield_now().await,
            // One of them may be at fault: it alone is not to keep the others.
            Err(error) if is_of_the_entry(&error) && !is_alone => limit = 1,
            Err(error) if is_of_the_entry(&error) => park_first(shared, &error).await?,
            Err(error) => return Err(error),
        }
    }
}

/// Sets the first entry aside, which the store does not take.
async fn park_first(shared: &Arc<Shared>, error: &StoreError) -> Result<(), StoreError> {
    let entries = shared.store.outbox(1).await?;
    match relay_once(shared, entries, Some(error)).await {
        Err(error) if error.kind() == StoreErrorKind::Conflict => Ok(()),
        parked => parked,
    }
}

/// Relays these in one commit; parks them where it is known that the store does not take them.
async fn relay_once(
    shared: &Arc<Shared>,
    entries: Vec<OutboxEntry>,
    not_taken: Option<&StoreError>,
) -> Result<(), StoreError> {
    let now = shared.now();
    let mut commit = Commit::at(now);
    let mut changes = Vec::new();
    for OutboxEntry { id, text } in entries {
        let (end, change) = match not_taken {
            None => entry::read(shared, &text).await?,
            Some(error) => (EntryEnd::Parked { error: error.to_string() }, None),
        };
        if let EntryEnd::Parked { error } = &end {
            tracing::error!(entry = id, %error, "an entry of the outbox cannot be logged, and is parked");
        }
        let data = end.tasks().first().map(|task| task.data.as_slice());
        changes.push(change.map(|change| Announcement::relayed(shared, change, data)));
        commit.relayed.push(Relayed { id, end });
    }
    commit.claim_for = express::owners(shared, tasks(&commit.relayed), &BTreeSet::new());
    let (committed, _) = express::commit(shared, commit, BTreeSet::new()).await?;
    for (change, tasks) in changes.into_iter().zip(committed.relayed) {
        let Some(change) = change else { continue };
        if tasks.is_empty() {
            tracing::warn!(change = %change.name(), "a statement was executed twice; it is logged once");
        }
        listening::tell(shared, &[change], &tasks, None);
    }
    Ok(())
}

fn tasks(relayed: &[Relayed]) -> impl Iterator<Item = &NewTask> {
    relayed.iter().flat_map(|relayed| relayed.end.tasks())
}

/// Whether a store that says so may be well otherwise.
fn is_of_the_entry(error: &StoreError) -> bool {
    matches!(error.kind(), StoreErrorKind::Unsupported | StoreErrorKind::Corrupt | StoreErrorKind::KeyReused)
}
