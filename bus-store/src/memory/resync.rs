//! Resyncs, in memory.

use std::collections::BTreeMap;

use super::{MemoryStore, State};
use crate::resync::{
    ENDED_RESYNCS_KEPT, NewResync, ResyncId, ResyncRecord, ResyncState, Resynced, Resyncs, not_there,
    runs_already,
};
use crate::{StoreError, StoreErrorKind, StoreFuture};

/// The resyncs, and how many there ever were.
#[derive(Debug, Default)]
pub(super) struct ResyncTable {
    by_id: BTreeMap<ResyncId, ResyncRecord>,
    begun: i64,
}

impl Resyncs for MemoryStore {
    fn begin_resync(&self, new: NewResync) -> StoreFuture<'_, ResyncId> {
        self.with("begin resync", move |state| {
            let table = &mut state.resyncs;
            let same = |known: &&ResyncRecord| {
                known.state == ResyncState::Running
                    && (&known.what.connector, &known.what.types) == (&new.connector, &new.types)
            };
            if let Some(running) = table.by_id.values().find(same) {
                let reason = runs_already(running.resync, &new);
                return Err(StoreError::new(StoreErrorKind::Conflict, "begin resync", reason));
            }
            table.begun += 1;
            let resync = ResyncId(table.begun);
            let forgotten = table.begun - ENDED_RESYNCS_KEPT;
            table.by_id.retain(|id, known| known.state == ResyncState::Running || id.0 > forgotten);
            let record = ResyncRecord {
                resync,
                what: new,
                state: ResyncState::Running,
                place: 0,
                logged: 0,
                skipped: 0,
            };
            table.by_id.insert(resync, record);
            state.revision += 1;
            Ok(resync)
        })
    }

    fn resyncs(&self) -> StoreFuture<'_, Vec<ResyncRecord>> {
        self.with("resyncs", |state| Ok(state.resyncs.by_id.values().cloned().collect()))
    }

    fn cancel_resync(&self, resync: ResyncId) -> StoreFuture<'_, bool> {
        self.with("cancel resync", move |state| {
            let known = state.resyncs.by_id.get_mut(&resync);
            let Some(running) = known.filter(|known| known.state == ResyncState::Running) else {
                return Ok(false);
            };
            running.state = ResyncState::Cancelled;
            state.revision += 1;
            Ok(true)
        })
    }
}

impl ResyncTable {
    /// Forgets those of a connector that is deleted.
    pub(super) fn forget(&mut self, connector: &bus_core::ConnectorName) {
        self.by_id.retain(|_, known| known.what.connector != *connector);
    }

    fn at(&self, chunk: &Resynced) -> Option<&ResyncRecord> {
        let known = self.by_id.get(&chunk.resync)?;
        (known.state == ResyncState::Running && known.place == chunk.from).then_some(known)
    }

    /// To be called for a chunk that was found to be where it says.
    pub(super) fn advance(&mut self, chunk: &Resynced) {
        if let Some(known) = self.by_id.get_mut(&chunk.resync) {
            known.place = chunk.to;
            known.logged += chunk.logged;
            known.skipped += chunk.skipped;
            known.state = if chunk.ends { ResyncState::Done } else { known.state };
        }
    }
}

impl State {
    /// Refuses a chunk that somebody else has done.
    pub(super) fn check_resynced(&self, chunk: Option<&Resynced>) -> Result<(), StoreError> {
        match chunk.filter(|chunk| self.resyncs.at(chunk).is_none()) {
            Some(Resynced { resync, from, .. }) => {
                Err(StoreError::new(StoreErrorKind::Conflict, "commit", not_there(*resync, *from)))
            }
            None => Ok(()),
        }
    }
}
