//! Whose turn it is, in memory.
//!
//! A queue is its open deliveries, a lane for each key that has any, and those that ended. Two indexes say what is
//! ready, so that a claim meets nothing that is blocked; whatever changes a lane ends with `QueueState::index`, which
//! derives the lane's part of both indexes anew.

mod claim;
mod row;
mod settle;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem;
use std::sync::Arc;

use bus_core::{DeliveryId, DeliveryState, Timestamp};

pub(super) use row::{LoggedTask, Row};

use super::{MemoryStore, State};
use crate::doubt::{Doubt, Unsettled};
use crate::operate::{Counters, DELETED_REASON, INTERRUPTED_ERROR};
use crate::queue::{Acquired, Awaited, Claim, Ownership, Queue, QueueId, Scope, Terms, Wanted};
use crate::task_log::NewDelivery;
use crate::{StoreError, StoreErrorKind, StoreFuture};
use row::Stage;

impl Queue for MemoryStore {
    fn acquire(&self, queue: &QueueId, terms: Terms, now: Timestamp) -> StoreFuture<'_, Acquired> {
        let id = queue.clone();
        Box::pin(async move {
            // There is no other process that could have it, so nobody's silence matters.
            let acquired = self.with("acquire", move |state| {
                let queue = state.queues.entry(id.clone()).or_default();
                let interrupted = queue.acquire(terms.scope, now);
                Ok((Ownership { queue: id, epoch: queue.epoch }, interrupted))
            });
            let (ownership, interrupted) = acquired.await?;
            if interrupted {
                self.0.doorbell.ring(&ownership.queue);
            }
            Ok(Acquired::Owned(ownership))
        })
    }

    fn release(&self, ownership: &Ownership) -> StoreFuture<'_, ()> {
        let Ownership { queue, epoch } = ownership.clone();
        self.with("release", move |state| {
            if let Some(owned) = state.queues.get_mut(&queue).filter(|owned| owned.epoch == epoch) {
                // An epoch that is nobody's.
                owned.epoch += 1;
            }
            Ok(())
        })
    }

    fn wait_until_free(&self, _: &QueueId) -> StoreFuture<'_, ()> {
        self.with("wait until free", |_| Ok(()))
    }

    fn heartbeat(&self) -> StoreFuture<'_, ()> {
        self.with("heartbeat", |_| Ok(()))
    }

    fn claim(&self, ownership: &Ownership, wanted: Wanted, now: Timestamp) -> StoreFuture<'_, Claim> {
        let ownership = ownership.clone();
        self.with("claim", move |state| {
            let State { queues, waits, .. } = state;
            let queue = owned(queues, &ownership, "claim")?;
            let (claimed, next_due) = queue.claim(wanted, now);
            for id in &claimed {
                waits.end(&(ownership.queue.clone(), *id), &queue.stop_waiting(*id));
            }
            let deliveries = claimed.iter().map(|id| queue.rows[id].as_claimed(*id)).collect();
            Ok(Claim { deliveries, next_due })
        })
    }

    fn unsettled(&self, queue: &QueueId, subject: &str, limit: usize) -> StoreFuture<'_, Vec<Unsettled>> {
        let (id, subject) = (queue.clone(), subject.to_owned());
        self.with("unsettled", move |state| {
            let rows = state.queues.get(&id).into_iter().flat_map(|queue| &queue.rows);
            let of_subject = rows.filter(|(_, row)| !row.is_settled() && row.task.new.subject == subject);
            Ok(of_subject.take(limit).map(|(id, row)| row.as_unsettled(*id)).collect())
        })
    }
}

/// The queue, if this is its owner.
pub(super) fn owned<'a>(
    queues: &'a mut BTreeMap<QueueId, QueueState>,
    ownership: &Ownership,
    operation: &'static str,
) -> Result<&'a mut QueueState, StoreError> {
    let Ownership { queue, epoch } = ownership;
    let stale = || {
        StoreError::new(
            StoreErrorKind::Stale,
            operation,
            format!("queue `{queue}` is not owned in epoch {epoch} any more; acquire it again"),
        )
    };
    queues.get_mut(queue).filter(|owned| owned.epoch == *epoch).ok_or_else(stale)
}

/// One queue: its open deliveries, and those that ended and are kept.
#[derive(Debug, Default)]
pub(super) struct QueueState {
    pub(super) epoch: i64,
    pub(super) scope: Scope,
    pub(super) rows: BTreeMap<DeliveryId, Row>,
    pub(super) history: BTreeMap<DeliveryId, Row>,
    /// Counted with each outcome, not from the rows: an audit compares the two.
    pub(super) counters: Counters,
    lanes: HashMap<String, Lane>,
    claimed: BTreeSet<DeliveryId>,
    /// The first of each lane where that is fresh and nothing of the lane is claimed.
    fresh: BTreeSet<DeliveryId>,
    /// What time makes ready: the first of a lane where that is an exception, and what stands beside a lane with
    /// nothing earlier in it.
    timed: BTreeSet<(Timestamp, DeliveryId)>,
}

/// The open deliveries of one key.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Those that stand in line.
    pub(super) line: BTreeSet<DeliveryId>,
    /// Those that stepped aside.
    pub(super) beside: BTreeSet<DeliveryId>,
    /// Those that are claimed, in line or beside it.
    claimed: BTreeSet<DeliveryId>,
    /// Its part of the indexes.
    fresh: Option<DeliveryId>,
    timed: Vec<(Timestamp, DeliveryId)>,
}

impl QueueState {
    /// What is claimed of a key, oldest first.
    pub(super) fn claimed_of(&self, key: &str) -> Vec<DeliveryId> {
        self.lanes.get(key).map(|lane| lane.claimed.iter().copied().collect()).unwrap_or_default()
    }

    pub(super) fn log(&mut self, id: DeliveryId, task: Arc<LoggedTask>, delivery: NewDelivery) {
        let key = task.new.key.clone();
        self.rows.insert(id, Row::new(task, delivery));
        self.lanes.entry(key.clone()).or_default().line.insert(id);
        self.counters.logged += 1;
        self.counters.open += 1;
        self.index(&key);
    }

    /// Ends what was logged for a connector that had been deleted.
    pub(super) fn discard_new(&mut self, id: DeliveryId, now: Timestamp) {
        if let Some(row) = self.rows.get_mut(&id) {
            row.reason = Some(DELETED_REASON.to_owned());
        }
        self.end(id, DeliveryState::Discarded, now);
    }

    /// Begins a new epoch; whether something was interrupted by that.
    fn acquire(&mut self, scope: Scope, now: Timestamp) -> bool {
        self.epoch += 1;
        self.scope = scope;
        let interrupted = mem::take(&mut self.claimed);
        for id in &interrupted {
            let Some(row) = self.rows.get_mut(id) else { continue };
            row.record(now, true, INTERRUPTED_ERROR.to_owned());
            row.set_doubt(Doubt::InDoubt, now);
            row.stage = Stage::Due(Timestamp::EPOCH);
            row.shown = DeliveryState::Available;
            let key = row.key().to_owned();
            if let Some(lane) = self.lanes.get_mut(&key) {
                lane.claimed.clear();
            }
            self.index(&key);
        }
        !interrupted.is_empty()
    }

    pub(super) fn lane(&self, key: &str) -> Option<&Lane> {
        self.lanes.get(key)
    }

    /// Forgets what a delivery waits for, and answers what that was.
    pub(super) fn stop_waiting(&mut self, id: DeliveryId) -> Vec<Awaited> {
        self.rows.get_mut(&id).map(|row| mem::take(&mut row.awaited)).unwrap_or_default()
    }

    pub(super) fn is_claimed(&self, id: DeliveryId) -> bool {
        self.claimed.contains(&id)
    }

    /// Makes a delivery due at once.
    pub(super) fn wake(&mut self, id: DeliveryId) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        row.stage = Stage::Due(Timestamp::EPOCH);
        row.shown = DeliveryState::Available;
        let key = row.key().to_owned();
        self.index(&key);
    }

    /// A delivery is not open any more: it is history.
    pub(super) fn end(&mut self, id: DeliveryId, state: DeliveryState, now: Timestamp) {
        let Some(mut row) = self.rows.remove(&id) else { return };
        let key = row.key().to_owned();
        row.stage = Stage::Ended(now);
        row.set_doubt(Doubt::None, now);
        row.conflict = None;
        row.shown = state;
        self.history.insert(id, row);
        self.claimed.remove(&id);
        if let Some(lane) = self.lanes.get_mut(&key) {
            lane.line.remove(&id);
            lane.beside.remove(&id);
            lane.claimed.remove(&id);
        }
        let counters = &mut self.counters;
        counters.open -= 1;
        match state {
            DeliveryState::Completed => counters.completed += 1,
            DeliveryState::Skipped => counters.skipped += 1,
            DeliveryState::Cancelled => counters.cancelled += 1,
            _ => counters.discarded += 1,
        }
        self.index(&key);
    }

    /// Derives a lane's part of the indexes; a lane without deliveries is forgotten.
    fn index(&mut self, key: &str) {
        let Some(lane) = self.lanes.get_mut(key) else {
            return;
        };
        if let Some(id) = lane.fresh.take() {
            self.fresh.remove(&id);
        }
        for entry in lane.timed.drain(..) {
            self.timed.remove(&entry);
        }
        if lane.line.is_empty() && lane.beside.is_empty() {
            self.lanes.remove(key);
            return;
        }
        let first = lane.line.first().copied();
        if let Some(first) = first {
            match self.rows[&first].stage {
                Stage::Fresh if lane.claimed.is_empty() => lane.fresh = Some(first),
                Stage::Due(due) => lane.timed.push((due, first)),
                Stage::Fresh | Stage::Claimed | Stage::Parked | Stage::Ended(_) => {}
            }
        }
        for id in lane.beside.range(..first.unwrap_or(DeliveryId(i64::MAX))) {
            if let Stage::Due(due) = self.rows[id].stage {
                lane.timed.push((due, *id));
            }
        }
        self.fresh.extend(lane.fresh);
        self.timed.extend(&lane.timed);
    }

    /// Where order is kept within the queue: the first in line that holds whatever is later.
    pub(super) fn first_that_holds_the_queue(&self) -> Option<DeliveryId> {
        let holds = |row: &Row| match row.stage {
            Stage::Claimed | Stage::Parked => true,
            Stage::Due(_) => row.shown != DeliveryState::Waiting,
            Stage::Fresh | Stage::Ended(_) => false,
        };
        let mut line = self.rows.iter().filter(|(_, row)| !row.beside);
        match self.scope {
            Scope::Key => None,
            Scope::Queue => line.find(|(_, row)| holds(row)).map(|(id, _)| *id),
        }
    }

    /// What a delivery stands behind, if it is blocked; `holder` is the first that holds the queue.
    pub(super) fn blocked_by(
        &self,
        id: DeliveryId,
        row: &Row,
        holder: Option<DeliveryId>,
    ) -> Option<DeliveryId> {
        if row.beside || !matches!(row.stage, Stage::Fresh | Stage::Due(_)) {
            return None;
        }
        let lane = self.lanes.get(row.key())?;
        let first =
            lane.line.first().filter(|first| **first != id && self.rows[*first].stage != Stage::Fresh);
        let holder = holder.filter(|holder| *holder < id);
        lane.claimed.first().into_iter().chain(first).copied().chain(holder).min()
    }

    /// What people see of a delivery; `holder` is the first that holds the queue.
    pub(super) fn state(&self, id: DeliveryId, row: &Row, holder: Option<DeliveryId>) -> DeliveryState {
        match row.stage {
            Stage::Claimed => DeliveryState::Running,
            Stage::Fresh | Stage::Due(_) if self.blocked_by(id, row, holder).is_some() => {
                DeliveryState::Blocked
            }
            _ => row.shown,
        }
    }
}
