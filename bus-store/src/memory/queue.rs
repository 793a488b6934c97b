//! Whose turn it is, in memory.
//!
//! A queue is its open deliveries, and a lane for each key that has any. Two indexes say what is ready, so that a
//! claim meets nothing that is blocked; whatever changes a lane ends with `QueueState::index`, which derives the
//! lane's part of both indexes anew. Longer than other files because nothing of that can be understood alone.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::mem;
use std::ops::Bound;
use std::sync::Arc;

use bus_core::{DeliveryId, DeliveryState, TaskId, Timestamp};

use super::{MemoryStore, State};
use crate::operate::{ATTEMPTS_KEPT_MAX, Attempt, Counters, INTERRUPTED_ERROR, shorten_error};
use crate::queue::{Awaited, Claim, Claimed, Outcome, Ownership, Queue, QueueId};
use crate::task_log::{NewDelivery, NewTask};
use crate::{StoreError, StoreErrorKind, StoreFuture};

impl Queue for MemoryStore {
    fn wait_for_ownership(&self) -> StoreFuture<'_, ()> {
        // There is no other process: whoever holds the store may work on it.
        self.with("wait for ownership", |_| Ok(()))
    }

    fn acquire(&self, queue: &QueueId, now: Timestamp) -> StoreFuture<'_, Ownership> {
        let id = queue.clone();
        Box::pin(async move {
            let acquired = self.with("acquire", move |state| {
                let queue = state.queues.entry(id.clone()).or_default();
                let interrupted = queue.acquire(now);
                Ok((Ownership { queue: id, epoch: queue.epoch }, interrupted))
            });
            let (ownership, interrupted) = acquired.await?;
            if interrupted {
                self.0.doorbell.ring(&ownership.queue);
            }
            Ok(ownership)
        })
    }

    fn claim(&self, ownership: &Ownership, limit: usize, now: Timestamp) -> StoreFuture<'_, Claim> {
        let ownership = ownership.clone();
        self.with("claim", move |state| {
            let State { queues, waits, .. } = state;
            let queue = owned(queues, &ownership, "claim")?;
            let claimed = queue.claim(limit, now);
            for id in &claimed {
                waits.end(&(ownership.queue.clone(), *id), &queue.stop_waiting(*id));
            }
            let deliveries = claimed.iter().map(|id| queue.rows[id].as_claimed(*id)).collect();
            Ok(Claim { deliveries, next_due: queue.next_due(now) })
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

/// One queue: its open deliveries, and what became of the others.
#[derive(Debug, Default)]
pub(super) struct QueueState {
    pub(super) epoch: i64,
    pub(super) rows: BTreeMap<DeliveryId, Row>,
    pub(super) ended: Counters,
    lanes: HashMap<String, Lane>,
    /// The first of each lane where that is fresh and nothing of the lane is claimed.
    fresh: BTreeSet<DeliveryId>,
    /// What time makes ready: the first of a lane where that is an exception, and what stands beside a lane with
    /// nothing earlier in it.
    timed: BTreeSet<(Timestamp, DeliveryId)>,
}

/// An open delivery.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) task: Arc<LoggedTask>,
    pub(super) delivery: NewDelivery,
    stage: Stage,
    /// What people see while it is neither claimed nor blocked.
    shown: DeliveryState,
    /// How many attempts were charged.
    pub(super) attempts: u32,
    asks: u32,
    waiting_since: Option<Timestamp>,
    pub(super) awaited: Vec<Awaited>,
    /// Whether it stands beside its lane now.
    beside: bool,
    /// Whether it ever did.
    stepped_aside: bool,
    /// Whether it is claimed alone.
    alone: bool,
    pub(super) reason: Option<String>,
    pub(super) log: VecDeque<Attempt>,
}

/// A task as it was logged, shared by its deliveries.
#[derive(Debug)]
pub(super) struct LoggedTask {
    pub(super) id: TaskId,
    pub(super) new: NewTask,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Fresh,
    Claimed,
    Due(Timestamp),
    Parked,
}

/// The open deliveries of one key.
#[derive(Debug, Default)]
struct Lane {
    /// Those that stand in line.
    line: BTreeSet<DeliveryId>,
    /// Those that stepped aside.
    beside: BTreeSet<DeliveryId>,
    /// Those that are claimed, in line or beside it.
    claimed: BTreeSet<DeliveryId>,
    /// The latest that completed.
    completed_to: Option<DeliveryId>,
    /// Its part of the indexes.
    fresh: Option<DeliveryId>,
    timed: Vec<(Timestamp, DeliveryId)>,
}

impl QueueState {
    pub(super) fn log(&mut self, id: DeliveryId, task: Arc<LoggedTask>, delivery: NewDelivery) {
        let key = task.new.key.clone();
        self.rows.insert(id, Row::new(task, delivery));
        self.lanes.entry(key.clone()).or_default().line.insert(id);
        self.ended.logged += 1;
        self.index(&key);
    }

    /// Begins a new epoch; whether something was interrupted by that.
    fn acquire(&mut self, now: Timestamp) -> bool {
        self.epoch += 1;
        let claimed: Vec<DeliveryId> = self.lanes.values().flat_map(|lane| &lane.claimed).copied().collect();
        for id in &claimed {
            let Some(row) = self.rows.get_mut(id) else {
                continue;
            };
            row.record(now, true, INTERRUPTED_ERROR.to_owned());
            row.stage = Stage::Due(Timestamp::EPOCH);
            row.shown = DeliveryState::Available;
            row.alone = true;
            let key = row.task.new.key.clone();
            if let Some(lane) = self.lanes.get_mut(&key) {
                lane.claimed.clear();
            }
            self.index(&key);
        }
        !claimed.is_empty()
    }

    fn claim(&mut self, limit: usize, now: Timestamp) -> Vec<DeliveryId> {
        let half = limit.min((limit / 2).max(1));
        let mut claimed = Vec::new();
        self.claim_due(&mut claimed, half, now);
        if claimed.first().is_some_and(|first| self.rows[first].alone) {
            return claimed;
        }
        self.claim_fresh(&mut claimed, limit);
        // What fresh work leaves, what is due may take.
        self.claim_due(&mut claimed, limit, now);
        claimed
    }

    /// Adds what is due, until there are `limit`, in the order of due times.
    fn claim_due(&mut self, claimed: &mut Vec<DeliveryId>, limit: usize, now: Timestamp) {
        let end = Bound::Included((now, DeliveryId(i64::MAX)));
        let mut begin = Bound::Unbounded;
        while claimed.len() < limit {
            let Some(&entry) = self.timed.range((begin, end)).next() else {
                return;
            };
            begin = Bound::Excluded(entry);
            let (_, id) = entry;
            let row = &self.rows[&id];
            let lane = &self.lanes[&row.task.new.key];
            if row.beside && lane.completed_to.is_some_and(|completed| completed > id) {
                self.end(id);
                self.ended.discarded += 1;
                continue;
            }
            if !lane.claimed.is_empty() {
                continue;
            }
            let alone = row.alone;
            if alone && !claimed.is_empty() {
                return;
            }
            self.mark_claimed(id);
            claimed.push(id);
            if alone {
                return;
            }
        }
    }

    /// Adds what is fresh, until there are `limit`, oldest first; of each lane as much as stands in a row.
    fn claim_fresh(&mut self, claimed: &mut Vec<DeliveryId>, limit: usize) {
        let mut picked = Vec::new();
        let mut followers = BTreeSet::new();
        let mut heads = self.fresh.iter().copied().peekable();
        while claimed.len() + picked.len() < limit {
            let follower = followers.first().copied();
            let next = match (heads.peek().copied(), follower) {
                (Some(head), Some(follower)) => head.min(follower),
                (Some(only), None) | (None, Some(only)) => only,
                (None, None) => break,
            };
            if Some(next) == follower {
                followers.remove(&next);
            } else {
                heads.next();
            }
            picked.push(next);
            let lane = &self.lanes[&self.rows[&next].task.new.key];
            let behind = lane.line.range((Bound::Excluded(next), Bound::Unbounded)).next();
            followers.extend(behind.filter(|id| self.rows[id].stage == Stage::Fresh));
        }
        for id in &picked {
            self.mark_claimed(*id);
        }
        claimed.extend(picked);
    }

    fn mark_claimed(&mut self, id: DeliveryId) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        row.stage = Stage::Claimed;
        row.attempts += 1;
        if row.waiting_since.is_some() {
            row.asks += 1;
        }
        let key = row.task.new.key.clone();
        if let Some(lane) = self.lanes.get_mut(&key) {
            lane.claimed.insert(id);
        }
        self.index(&key);
    }

    fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        let later = (Bound::Excluded((now, DeliveryId(i64::MAX))), Bound::Unbounded);
        self.timed.range(later).next().map(|(due, _)| *due)
    }

    /// Forgets what a delivery waits for, and answers what that was.
    pub(super) fn stop_waiting(&mut self, id: DeliveryId) -> Vec<Awaited> {
        self.rows.get_mut(&id).map(|row| mem::take(&mut row.awaited)).unwrap_or_default()
    }

    pub(super) fn is_claimed(&self, id: DeliveryId) -> bool {
        self.rows.get(&id).is_some_and(|row| row.stage == Stage::Claimed)
    }

    /// What else is claimed of its key, and later.
    pub(super) fn claimed_behind(&self, id: DeliveryId) -> Vec<DeliveryId> {
        let lane = self.rows.get(&id).and_then(|row| self.lanes.get(&row.task.new.key));
        let claimed = lane.into_iter().flat_map(|lane| &lane.claimed).copied();
        claimed.filter(|other| *other > id).collect()
    }

    /// Whether something of this key can be claimed now.
    pub(super) fn is_ready(&self, key: &str, now: Timestamp) -> bool {
        self.lanes.get(key).is_some_and(|lane| {
            let due = lane.timed.iter().any(|(due, _)| *due <= now);
            lane.claimed.is_empty() && (lane.fresh.is_some() || due)
        })
    }

    /// Writes the outcome of a claimed delivery. Answers what it displaced.
    pub(super) fn settle(&mut self, id: DeliveryId, outcome: Outcome, now: Timestamp) -> Vec<DeliveryId> {
        let Some(row) = self.rows.get_mut(&id) else {
            return Vec::new();
        };
        let key = row.task.new.key.clone();
        if !matches!(outcome, Outcome::Waiting { .. }) {
            row.waiting_since = None;
            row.asks = 0;
        }
        let is_holding = holds_key(&outcome);
        match outcome {
            Outcome::Completed => {
                self.ended.completed += 1;
                if let Some(lane) = self.lanes.get_mut(&key) {
                    lane.completed_to = lane.completed_to.max(Some(id));
                }
                self.end(id);
                return Vec::new();
            }
            Outcome::Discarded { .. } => {
                self.ended.discarded += 1;
                self.end(id);
                return Vec::new();
            }
            Outcome::Retry { due, error } => {
                self.ended.retried += 1;
                row.record(now, true, error);
                row.stage = Stage::Due(due);
                row.shown = DeliveryState::Retryable;
            }
            Outcome::Released { due, error } => row.put_off(now, due, error, false),
            Outcome::Aside { due, error, charged } => row.put_off(now, due, error, charged),
            Outcome::Waiting { awaited, due, reason } => {
                if row.waiting_since.is_none() {
                    row.waiting_since = Some(now);
                    self.ended.waited += 1;
                }
                row.attempts -= 1;
                row.awaited = awaited;
                row.reason = Some(shorten_error(reason));
                row.stage = Stage::Due(due);
                row.shown = DeliveryState::Waiting;
            }
            Outcome::Parked { error, .. } => {
                row.record(now, true, error);
                row.stage = Stage::Parked;
                row.shown = DeliveryState::Parked;
            }
        }
        row.beside = !is_holding;
        row.stepped_aside |= row.beside;
        if let Some(lane) = self.lanes.get_mut(&key) {
            lane.claimed.remove(&id);
            let (to, from) = if is_holding {
                (&mut lane.line, &mut lane.beside)
            } else {
                (&mut lane.beside, &mut lane.line)
            };
            from.remove(&id);
            to.insert(id);
        }
        let displaced = if is_holding { self.claimed_behind(id) } else { Vec::new() };
        for id in &displaced {
            self.put_back(*id);
        }
        self.index(&key);
        displaced
    }

    /// Makes a claimed delivery that was not called fresh again.
    fn put_back(&mut self, id: DeliveryId) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        row.stage = Stage::Fresh;
        row.attempts -= 1;
        if let Some(lane) = self.lanes.get_mut(&row.task.new.key) {
            lane.claimed.remove(&id);
        }
    }

    /// Makes a delivery that waits due at once.
    pub(super) fn wake(&mut self, id: DeliveryId) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        row.stage = Stage::Due(Timestamp::EPOCH);
        row.shown = DeliveryState::Available;
        let key = row.task.new.key.clone();
        self.index(&key);
    }

    /// A delivery is not open any more.
    fn end(&mut self, id: DeliveryId) {
        let Some(row) = self.rows.remove(&id) else { return };
        let key = &row.task.new.key;
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.line.remove(&id);
            lane.beside.remove(&id);
            lane.claimed.remove(&id);
        }
        self.index(key);
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
                Stage::Fresh | Stage::Claimed | Stage::Parked => {}
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

    /// What people see of a delivery.
    pub(super) fn state(&self, id: DeliveryId, row: &Row) -> DeliveryState {
        let lane = &self.lanes[&row.task.new.key];
        let first = lane.line.first().copied();
        let is_held = !lane.claimed.is_empty()
            || (first != Some(id) && first.is_some_and(|first| self.rows[&first].stage != Stage::Fresh));
        match row.stage {
            Stage::Claimed => DeliveryState::Running,
            Stage::Fresh | Stage::Due(_) if is_held && !row.beside => DeliveryState::Blocked,
            _ => row.shown,
        }
    }

    pub(super) fn counters(&self) -> Counters {
        Counters { open: self.rows.len() as u64, ..self.ended }
    }
}

/// Whether later deliveries of the key must wait after this outcome.
pub(super) fn holds_key(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Retry { .. } | Outcome::Released { .. } | Outcome::Waiting { .. } => true,
        Outcome::Parked { aside, .. } => !aside,
        Outcome::Completed | Outcome::Aside { .. } | Outcome::Discarded { .. } => false,
    }
}

impl Row {
    fn new(task: Arc<LoggedTask>, delivery: NewDelivery) -> Self {
        Self {
            task,
            delivery,
            stage: Stage::Fresh,
            shown: DeliveryState::Available,
            attempts: 0,
            asks: 0,
            waiting_since: None,
            awaited: Vec::new(),
            beside: false,
            stepped_aside: false,
            alone: false,
            reason: None,
            log: VecDeque::new(),
        }
    }

    /// When it is tried or asked again, if that is a matter of time.
    pub(super) fn due(&self) -> Option<Timestamp> {
        match self.stage {
            Stage::Due(due) => Some(due).filter(|due| *due > Timestamp::EPOCH),
            Stage::Fresh | Stage::Claimed | Stage::Parked => None,
        }
    }

    /// It is tried again at `due`, and nothing was decided about it.
    fn put_off(&mut self, now: Timestamp, due: Timestamp, error: Option<String>, charged: bool) {
        let failed = error.is_some() && due > Timestamp::EPOCH;
        self.shown = if failed { DeliveryState::Retryable } else { DeliveryState::Available };
        self.stage = Stage::Due(due);
        if !charged {
            self.attempts -= 1;
        }
        if let Some(error) = error {
            self.record(now, charged, error);
        }
    }

    fn record(&mut self, at: Timestamp, charged: bool, error: String) {
        let error = shorten_error(error);
        self.reason = Some(error.clone());
        if self.log.len() == ATTEMPTS_KEPT_MAX {
            self.log.pop_front();
        }
        self.log.push_back(Attempt { at, charged, error });
    }

    fn as_claimed(&self, id: DeliveryId) -> Claimed {
        let Self { delivery, .. } = self;
        let LoggedTask { id: task, new } = &*self.task;
        Claimed {
            delivery: id,
            task: *task,
            key: new.key.clone(),
            subject: new.subject.clone(),
            operation: new.operation,
            data_type: delivery.data_type,
            policy: delivery.policy,
            data: new.data.clone(),
            content_type: new.content_type.clone(),
            site: new.site.clone(),
            origin: new.origin.clone(),
            idempotency_key: delivery.idempotency_key,
            attempt: self.attempts,
            asks: self.asks,
            waiting_since: self.waiting_since,
            aside: self.stepped_aside,
            logged_at: new.logged_at,
        }
    }
}
