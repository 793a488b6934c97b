//! What outcomes do to a queue, in memory.

use std::ops::Bound;

use bus_core::{DeliveryId, DeliveryState, Timestamp};

use super::QueueState;
use super::row::{Row, Stage};
use crate::doubt::Doubt;
use crate::operate::shorten_error;
use crate::queue::{Outcome, Scope};

impl QueueState {
    /// What this outcome puts back: whatever is claimed later, of the key, or of the queue.
    pub(in crate::memory) fn displaced_by(&self, id: DeliveryId, outcome: &Outcome) -> Vec<DeliveryId> {
        let lane = self.rows.get(&id).and_then(|row| self.lanes.get(row.key()));
        let claimed = match (self.scope, outcome) {
            _ if !holds_key(outcome) => None,
            (Scope::Key, _) | (Scope::Queue, Outcome::Waiting { .. }) => lane.map(|lane| &lane.claimed),
            (Scope::Queue, _) => Some(&self.claimed),
        };
        let later = (Bound::Excluded(id), Bound::Unbounded);
        claimed.into_iter().flat_map(|claimed| claimed.range(later)).copied().collect()
    }

    /// Writes the outcome of a claimed delivery. Answers what it displaced.
    pub(in crate::memory) fn settle(
        &mut self,
        id: DeliveryId,
        outcome: Outcome,
        doubt: Doubt,
        now: Timestamp,
    ) -> Vec<DeliveryId> {
        let displaced = self.displaced_by(id, &outcome);
        let is_holding = holds_key(&outcome);
        let Some(row) = self.rows.get_mut(&id) else { return displaced };
        let key = row.key().to_owned();
        row.set_doubt(doubt, now);
        if !matches!(outcome, Outcome::Waiting { .. }) {
            row.end_wait();
        }
        if !matches!(outcome, Outcome::Deferred { .. }) {
            row.end_deferral();
        }
        match outcome {
            Outcome::Completed => {
                row.called = true;
                row.reason = None;
                self.end(id, DeliveryState::Completed, now);
                self.supersede(id, &key);
                return displaced;
            }
            Outcome::Discarded { error } => {
                row.record(now, true, error);
                self.end(id, DeliveryState::Discarded, now);
                return displaced;
            }
            Outcome::Retry { due, error } => {
                self.counters.retried += 1;
                row.record(now, true, error);
                row.stage = Stage::Due(due);
                row.shown = DeliveryState::Retryable;
            }
            Outcome::Released { due, error } => row.put_off(now, due, error, false),
            Outcome::Aside { due, error, charged } => row.put_off(now, due, error, charged),
            Outcome::Deferred { due, error } => {
                row.deferred_since = row.deferred_since.or(Some(now));
                row.defers += 1;
                row.put_off(now, due, Some(error), false);
                row.shown = put_off_as(due, DeliveryState::Scheduled);
            }
            Outcome::Waiting { awaited, due, reason } => {
                if row.waiting_since.is_none() {
                    row.waiting_since = Some(now);
                    self.counters.waited += 1;
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
        self.claimed.remove(&id);
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
        self.index(&key);
        for id in &displaced {
            self.put_back(*id);
        }
        displaced
    }

    /// Tells the earlier ones that stand aside that a later one of their key has completed.
    fn supersede(&mut self, completed: DeliveryId, key: &str) {
        let Some(lane) = self.lanes.get(key) else { return };
        for id in lane.beside.range(..completed) {
            if let Some(row) = self.rows.get_mut(id) {
                row.superseded_by = row.superseded_by.max(Some(completed));
            }
        }
    }

    /// Makes a claimed delivery that was not called fresh again.
    fn put_back(&mut self, id: DeliveryId) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        row.stage = Stage::Fresh;
        row.attempts -= 1;
        let key = row.key().to_owned();
        self.claimed.remove(&id);
        if let Some(lane) = self.lanes.get_mut(&key) {
            lane.claimed.remove(&id);
        }
        self.index(&key);
    }
}

/// Whether later deliveries of the key must wait after this outcome.
fn holds_key(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Retry { .. }
        | Outcome::Released { .. }
        | Outcome::Deferred { .. }
        | Outcome::Waiting { .. } => true,
        Outcome::Parked { aside, .. } => !aside,
        Outcome::Completed | Outcome::Aside { .. } | Outcome::Discarded { .. } => false,
    }
}

/// How people see what is tried again at `due`: what is due at once is available.
fn put_off_as(due: Timestamp, state: DeliveryState) -> DeliveryState {
    if due > Timestamp::EPOCH { state } else { DeliveryState::Available }
}

impl Row {
    /// It is tried again at `due`, and nothing was decided about it.
    fn put_off(&mut self, now: Timestamp, due: Timestamp, error: Option<String>, charged: bool) {
        let failed = error.is_some();
        self.shown =
            put_off_as(due, if failed { DeliveryState::Retryable } else { DeliveryState::Scheduled });
        self.stage = Stage::Due(due);
        self.called |= charged;
        if !charged {
            self.attempts -= 1;
        }
        if let Some(error) = error {
            self.record(now, charged, error);
        }
    }
}
