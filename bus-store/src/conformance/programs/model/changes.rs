//! What becomes of the deliveries.

use bus_core::{DeliveryId, DeliveryState, Timestamp};

use super::{Delivery, Model, Stage, Standing, Wrong};
use crate::doubt::Doubt;
use crate::operate::{DELETED_REASON, INTERRUPTED_ERROR, Verb, Verdict};
use crate::queue::{Awaited, Outcome, Scope};

impl Model {
    pub(in super::super) fn log(&mut self, mut new: Delivery, now: Timestamp) {
        self.counted.logged += 1;
        if self.standing == Standing::Deleted {
            self.counted.discarded += 1;
            new.reason = Some(DELETED_REASON.to_owned());
            new.end(DeliveryState::Discarded, now);
        }
        self.all.push(new);
    }

    /// Somebody else is the owner from now on.
    pub(in super::super) fn acquire(&mut self, scope: Scope, now: Timestamp) {
        self.scope = scope;
        for one in self.all.iter_mut().filter(|one| one.is_open() && one.is_claimed) {
            one.is_claimed = false;
            one.record(INTERRUPTED_ERROR);
            one.be_in_doubt(Doubt::InDoubt, now);
            one.stage = Stage::Due(Timestamp::EPOCH);
            one.shown = DeliveryState::Available;
        }
    }

    /// What is put back when one of these that are claimed is settled so.
    fn displaced_by(&self, id: DeliveryId, outcome: &Outcome) -> Vec<DeliveryId> {
        let Some(settled) = self.get(id) else { return Vec::new() };
        let is_behind = |one: &&Delivery| {
            let in_queue = self.scope == Scope::Queue && !matches!(outcome, Outcome::Waiting { .. });
            one.id > id && (one.key == settled.key || in_queue)
        };
        let claimed = self.claimed().filter(is_behind).map(|one| one.id);
        if is_passing(outcome) { Vec::new() } else { claimed.collect() }
    }

    /// What these outcomes displace, one after the other; nothing where one of them comes too late.
    pub(in super::super) fn displaced_by_all(
        &self,
        all: &[(DeliveryId, Outcome)],
    ) -> Option<Vec<DeliveryId>> {
        let mut gone = Vec::new();
        let mut displaced = Vec::new();
        for (id, outcome) in all {
            if gone.contains(id) || !self.get(*id).is_some_and(|one| one.is_open() && one.is_claimed) {
                return None;
            }
            gone.push(*id);
            let behind = self.displaced_by(*id, outcome).into_iter().filter(|one| !gone.contains(one));
            let behind: Vec<_> = behind.collect();
            gone.extend(&behind);
            displaced.extend(behind);
        }
        Some(displaced)
    }

    /// Writes an outcome.
    pub(in super::super) fn settle(
        &mut self,
        id: DeliveryId,
        outcome: &Outcome,
        doubt: Doubt,
        now: Timestamp,
    ) {
        let displaced = self.displaced_by(id, outcome);
        for one in self.all.iter_mut().filter(|one| displaced.contains(&one.id)) {
            one.is_claimed = false;
            one.attempts -= 1;
            one.stage = Stage::Fresh;
        }
        let counted = &mut self.counted;
        let Some(one) = self.all.iter_mut().find(|one| one.id == id) else { return };
        one.is_claimed = false;
        one.be_in_doubt(doubt, now);
        if !matches!(outcome, Outcome::Waiting { .. }) {
            (one.asks, one.waiting_since) = (0, None);
        }
        if !matches!(outcome, Outcome::Deferred { .. }) {
            (one.defers, one.deferred_since) = (0, None);
        }
        let is_charged = match outcome {
            Outcome::Released { .. } | Outcome::Waiting { .. } | Outcome::Deferred { .. } => false,
            Outcome::Aside { charged, .. } => *charged,
            Outcome::Completed
            | Outcome::Retry { .. }
            | Outcome::Parked { .. }
            | Outcome::Discarded { .. } => true,
        };
        one.attempts -= u32::from(!is_charged);
        one.was_called |= is_charged;
        one.is_beside = is_passing(outcome);
        one.was_beside |= one.is_beside;
        match outcome {
            Outcome::Completed => {
                counted.completed += 1;
                one.reason = None;
                one.end(DeliveryState::Completed, now);
                let key = one.key.clone();
                let overtaken = |other: &&mut Delivery| {
                    other.is_open() && other.is_beside && other.key == key && other.id < id
                };
                for overtaken in self.all.iter_mut().filter(overtaken) {
                    overtaken.superseded_by = overtaken.superseded_by.max(Some(id));
                }
            }
            Outcome::Discarded { error } => {
                counted.discarded += 1;
                one.record(error);
                one.end(DeliveryState::Discarded, now);
            }
            Outcome::Retry { due, error } => {
                counted.retried += 1;
                one.put_off(*due, Some(error), DeliveryState::Retryable);
                one.shown = DeliveryState::Retryable;
            }
            Outcome::Released { due, error } | Outcome::Aside { due, error, .. } => {
                let failed = error.is_some();
                let shown = if failed { DeliveryState::Retryable } else { DeliveryState::Scheduled };
                one.put_off(*due, error.as_ref(), shown);
            }
            Outcome::Deferred { due, error } => {
                one.defers += 1;
                one.deferred_since = one.deferred_since.or(Some(now));
                one.put_off(*due, Some(error), DeliveryState::Scheduled);
            }
            Outcome::Waiting { awaited, due, reason } => {
                counted.waited += u64::from(one.waiting_since.is_none());
                one.waiting_since = one.waiting_since.or(Some(now));
                one.awaited.clone_from(awaited);
                one.reason = Some(reason.clone());
                one.stage = Stage::Due(*due);
                one.shown = DeliveryState::Waiting;
            }
            Outcome::Parked { error, .. } => {
                one.record(error);
                one.stage = Stage::Parked;
                one.shown = DeliveryState::Parked;
            }
        }
    }

    /// Whatever waits for something that is there by now is due at once.
    pub(in super::super) fn wake(&mut self, is_there: impl Fn(&Awaited) -> bool) {
        for one in self.all.iter_mut().filter(|one| one.is_open() && one.awaited.iter().any(&is_there)) {
            one.be_due_at_once();
        }
    }

    /// What an operator is told who wants this, and saw that; it is done, if it is.
    pub(in super::super) fn intervene(
        &mut self,
        verb: Verb,
        id: DeliveryId,
        seen: Option<DeliveryState>,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Verdict {
        let Some(one) = self.get(id).filter(|one| one.stage != Stage::Pruned) else {
            return Verdict::Unknown;
        };
        if let Stage::Ended(state, _) = one.stage {
            return Verdict::Ended(state);
        }
        let state = self.state(one);
        let is_ready = one.is_fresh() || (state == DeliveryState::Available && one.is_due(now));
        let later = self.open().filter(|other| other.key == one.key && other.id > id && one.is_create);
        let later: Vec<_> = later.map(|other| other.id).collect();
        match verb {
            _ if seen.is_some_and(|seen| seen != state) => return Verdict::Changed(state),
            _ if one.is_claimed => return Verdict::Running,
            Verb::Skip if !one.was_called => return Verdict::NeverCalled,
            Verb::Cancel if one.was_called => return Verdict::WasCalled,
            Verb::Retry => match self.blocked_by(one) {
                Some(holder) => return Verdict::BlockedBy(holder),
                None if is_ready => return Verdict::Ready,
                None => {}
            },
            Verb::Resolve => return Verdict::NoConflict,
            Verb::Skip | Verb::Cancel | Verb::Discard => {}
        }
        let (counted, state) = match verb {
            Verb::Skip => (&mut self.counted.skipped, DeliveryState::Skipped),
            Verb::Cancel => (&mut self.counted.cancelled, DeliveryState::Cancelled),
            _ => (&mut self.counted.discarded, DeliveryState::Discarded),
        };
        let Some(one) = self.all.iter_mut().find(|one| one.id == id) else { return Verdict::Unknown };
        one.interventions += 1;
        if verb == Verb::Retry {
            one.be_due_at_once();
            one.attempts = 0;
            one.doubt = if one.doubt == Doubt::InDoubt { Doubt::TriedAnyway } else { one.doubt };
            (one.asks, one.waiting_since) = (0, None);
            (one.defers, one.deferred_since) = (0, None);
            return Verdict::Done { later: Vec::new() };
        }
        *counted += 1;
        one.reason = reason.map(str::to_owned).or(one.reason.take());
        one.end(state, now);
        Verdict::Done { later: if verb == Verb::Discard { Vec::new() } else { later } }
    }

    /// Takes note of what was pruned, if that was right: `is_kept` says what is there still.
    pub(in super::super) fn prune(
        &mut self,
        before: Timestamp,
        limit: usize,
        pruned: usize,
        is_kept: impl Fn(DeliveryId) -> bool,
    ) -> Result<(), Wrong> {
        let ended_at = |one: &Delivery| match one.stage {
            Stage::Ended(_, at) => Some(at),
            _ => None,
        };
        let old = self.kept().filter(|one| ended_at(one).is_some_and(|at| at < before));
        let (left, gone): (Vec<_>, Vec<_>) = old.partition(|one| is_kept(one.id));
        let total = left.len() + gone.len();
        super::ensure!(
            gone.len() == total.min(limit) && pruned == gone.len(),
            "said to have pruned {pruned} of {total}, at most {limit}; gone are {gone:?}"
        );
        let latest = gone.iter().filter_map(|one| ended_at(one)).max();
        let is_in_order = left.iter().all(|one| ended_at(one) >= latest);
        super::ensure!(is_in_order, "{gone:?} were pruned before {left:?}");
        let gone: Vec<_> = gone.iter().map(|one| one.id).collect();
        for one in self.all.iter_mut().filter(|one| gone.contains(&one.id)) {
            one.stage = Stage::Pruned;
        }
        Ok(())
    }
}

impl Delivery {
    fn record(&mut self, error: &str) {
        self.recorded += 1;
        self.was_called = true;
        self.reason = Some(error.to_owned());
    }

    fn put_off(&mut self, due: Timestamp, error: Option<&String>, shown: DeliveryState) {
        self.stage = Stage::Due(due);
        self.shown = if due > Timestamp::EPOCH { shown } else { DeliveryState::Available };
        if let Some(error) = error {
            self.record(error);
        }
    }

    fn be_due_at_once(&mut self) {
        self.awaited.clear();
        self.stage = Stage::Due(Timestamp::EPOCH);
        self.shown = DeliveryState::Available;
    }

    /// Since when is known where it was so before.
    fn be_in_doubt(&mut self, doubt: Doubt, now: Timestamp) {
        self.doubt = doubt;
        self.doubt_since = (doubt != Doubt::None).then(|| self.doubt_since.unwrap_or(now));
    }

    fn end(&mut self, state: DeliveryState, now: Timestamp) {
        self.awaited.clear();
        self.be_in_doubt(Doubt::None, now);
        self.stage = Stage::Ended(state, now);
    }
}

/// Whether later ones may pass after this outcome.
fn is_passing(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Completed | Outcome::Discarded { .. } | Outcome::Aside { .. } => true,
        Outcome::Parked { aside, .. } => *aside,
        _ => false,
    }
}
