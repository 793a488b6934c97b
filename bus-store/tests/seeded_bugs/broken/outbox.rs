//! The outbox of a broken store: the store in memory has none, so here is a table that others can write into.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use bus_core::{TaskId, Timestamp};
use bus_store::conformance::{Foreign, TransactionEnd};
use bus_store::outbox::OUTBOX_BYTES_MAX;
use bus_store::{
    Commit, Drift, EntryEnd, Outbox, OutboxCounts, OutboxEntry, ParkedEntry, Relayed, RelayedTasks,
    StoreError, StoreErrorKind, StoreFuture,
};
use tokio::sync::watch;
use uuid::Uuid;

use super::settling::Settling;
use super::{Broken, lock};
use crate::Bug;

/// What others have left.
#[derive(Default)]
pub(crate) struct Table {
    state: Mutex<State>,
    bell: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    latest: i64,
    entries: BTreeMap<i64, Vec<u8>>,
    /// With the place where each stood.
    parked: Vec<(i64, ParkedEntry)>,
    names: BTreeSet<Uuid>,
    settling: Settling,
}

/// Somebody else's way to the table.
pub(crate) struct Elsewhere {
    pub(crate) table: Arc<Table>,
    pub(crate) bug: Bug,
}

impl Foreign for Elsewhere {
    fn execute(&self, _: &str, texts: &[&str], end: TransactionEnd) -> Result<(), String> {
        let mut state = lock(&self.table.state);
        let mut settling = state.settling.clone();
        let texts: Vec<_> = (state.latest + 1..).zip(texts.iter().filter(|text| !text.is_empty())).collect();
        for (id, text) in &texts {
            settling.leave(*id, text, self.bug)?;
        }
        if end == TransactionEnd::Committed || self.bug == Bug::KeepsWhatWasRolledBack {
            state.latest = texts.last().map_or(state.latest, |(id, _)| *id);
            state.entries.extend(texts.into_iter().map(|(id, text)| (id, text.as_bytes().to_vec())));
            state.settling = settling;
        }
        drop(state);
        self.table.ring();
        Ok(())
    }
}

impl Table {
    fn ring(&self) {
        self.bell.send_modify(|rings| *rings += 1);
    }

    /// Takes what is to be relayed out of the table; answers how many tasks of each entry are to be logged.
    pub(crate) fn take_out(&self, commit: &mut Commit, bug: Bug) -> Result<Vec<usize>, StoreError> {
        commit.check()?;
        let mut state = lock(&self.state);
        state.settling.check(commit, bug)?;
        let relayed = std::mem::take(&mut commit.relayed);
        let first: Vec<i64> = state.entries.keys().take(relayed.len()).copied().collect();
        if bug != Bug::RelaysWhatItIsTold && !relayed.iter().map(|relayed| relayed.id).eq(first) {
            let message = "the entries are not the first ones; look again";
            return Err(StoreError::new(StoreErrorKind::Conflict, "commit", message));
        }
        let mut counts = Vec::new();
        for Relayed { id, end } in relayed {
            let kept = state.entries.get(&id).cloned();
            if bug != Bug::KeepsWhatWasRelayed {
                state.entries.remove(&id);
            }
            let before = commit.tasks.len();
            match end {
                EntryEnd::Logged { key, tasks } => {
                    let is_known = !state.names.insert(key);
                    if !is_known || bug == Bug::LogsAnEntryAgain {
                        commit.tasks.extend(tasks);
                    }
                }
                EntryEnd::Settled(settled) => state.settling.carry_out(id, *settled, commit, bug),
                EntryEnd::Untold if bug == Bug::ParksWhatConcernsNobody => {
                    let parked_id = i64::try_from(state.parked.len() + 1).expect("few are parked");
                    let (text, error) = (kept.unwrap_or_default(), String::new());
                    let parked = ParkedEntry { id: parked_id, text, error, parked_at: commit.now };
                    state.parked.push((id, parked));
                }
                EntryEnd::Untold => {}
                EntryEnd::Parked { error } => {
                    state.settling.forget(id, bug);
                    let text = kept.filter(|_| bug != Bug::ForgetsWhatItParks).unwrap_or_default();
                    let parked = state.parked.len() + 1;
                    let parked_id = i64::try_from(parked).expect("few are parked");
                    state
                        .parked
                        .push((id, ParkedEntry { id: parked_id, text, error, parked_at: commit.now }));
                }
            }
            counts.push(commit.tasks.len() - before);
        }
        Ok(counts)
    }

    /// What of the deliveries that others may settle.
    pub(super) fn settling<T>(&self, ask: impl FnOnce(&mut Settling) -> T) -> T {
        ask(&mut lock(&self.state).settling)
    }

    /// The laws prune all there is, and no name is known any more then.
    pub(crate) fn forget_names(&self) {
        lock(&self.state).names.clear();
    }
}

/// The tasks of each relayed entry, of which the last of a commit are.
pub(crate) fn relayed_of(tasks: &mut Vec<TaskId>, counts: &[usize]) -> RelayedTasks {
    let own = tasks.len() - counts.iter().sum::<usize>();
    let mut relayed = tasks.split_off(own).into_iter();
    counts.iter().map(|count| relayed.by_ref().take(*count).collect()).collect()
}

impl Outbox for Broken {
    fn outbox(&self, limit: usize) -> StoreFuture<'_, Vec<OutboxEntry>> {
        let mut bytes = 0;
        let fits = |entry: &OutboxEntry| {
            let fits = bytes < OUTBOX_BYTES_MAX;
            bytes += entry.text.len();
            fits
        };
        let state = lock(&self.outbox.state);
        let entries = state.entries.iter().map(|(id, text)| OutboxEntry { id: *id, text: text.clone() });
        let entries = entries.take_while(fits).take(limit).collect();
        self.if_open(entries)
    }

    fn parked_entries(&self, limit: usize) -> StoreFuture<'_, Vec<ParkedEntry>> {
        let state = lock(&self.outbox.state);
        self.if_open(state.parked.iter().take(limit).map(|(_, parked)| parked.clone()).collect())
    }

    fn retry_entry(&self, id: i64) -> StoreFuture<'_, bool> {
        let mut state = lock(&self.outbox.state);
        let found = state.parked.iter().position(|(_, parked)| parked.id == id);
        if let Some(found) = found {
            let (place, parked) = state.parked.remove(found);
            let last = state.latest + 1;
            let place = if self.bug == Bug::PutsBackAtTheEnd { last } else { place };
            state.entries.insert(place, parked.text);
            self.outbox.ring();
        }
        self.if_open(found.is_some())
    }

    fn outbox_counts(&self) -> StoreFuture<'_, OutboxCounts> {
        let state = lock(&self.outbox.state);
        let count = |length: usize| u64::try_from(length).expect("few are there");
        self.if_open(OutboxCounts { entries: count(state.entries.len()), parked: count(state.parked.len()) })
    }

    fn outbox_bell(&self) -> watch::Receiver<u64> {
        self.outbox.bell.subscribe()
    }

    fn ring_outbox(&self) {
        self.outbox.ring();
    }

    fn capture_drift(&self) -> StoreFuture<'_, Vec<Drift>> {
        self.if_open(Vec::new())
    }
}

impl Broken {
    /// An answer of the table, unless the store is closed.
    fn if_open<T: Send + 'static>(&self, answer: T) -> StoreFuture<'_, T> {
        Box::pin(async move {
            use bus_store::TaskLog;
            if self.bug != Bug::NeverCloses {
                self.inner.commit(Commit::at(Timestamp::EPOCH)).await?;
            }
            Ok(answer)
        })
    }
}
