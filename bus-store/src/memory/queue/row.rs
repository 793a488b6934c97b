//! One delivery, in memory.

use std::collections::VecDeque;
use std::sync::Arc;

use bus_core::{DeliveryId, DeliveryState, TaskId, Timestamp};

use crate::doubt::{Doubt, Unsettled};
use crate::operate::{ATTEMPTS_KEPT_MAX, Attempt, INTERVENTIONS_KEPT_MAX, Intervened, shorten_error};
use crate::queue::{Awaited, Claimed};
use crate::reviews::ConflictRecord;
use crate::task_log::{NewDelivery, NewTask};

/// A delivery, open or ended.
#[derive(Debug)]
pub(in crate::memory) struct Row {
    pub(in crate::memory) task: Arc<LoggedTask>,
    pub(in crate::memory) delivery: NewDelivery,
    pub(in crate::memory) stage: Stage,
    /// What people see while it is neither claimed nor blocked.
    pub(in crate::memory) shown: DeliveryState,
    /// How many attempts were charged since the budget was last reset.
    pub(in crate::memory) attempts: u32,
    /// Whether its connector was ever called, as far as that was charged or recorded.
    pub(in crate::memory) called: bool,
    pub(super) asks: u32,
    pub(super) waiting_since: Option<Timestamp>,
    pub(super) defers: u32,
    pub(super) deferred_since: Option<Timestamp>,
    pub(in crate::memory) awaited: Vec<Awaited>,
    /// Whether it stands beside its lane now.
    pub(super) beside: bool,
    /// Whether it ever did.
    pub(super) stepped_aside: bool,
    pub(super) superseded_by: Option<DeliveryId>,
    pub(in crate::memory) reason: Option<String>,
    pub(in crate::memory) log: VecDeque<Attempt>,
    pub(in crate::memory) interventions: VecDeque<Intervened>,
    pub(in crate::memory) doubt: Doubt,
    doubt_since: Option<Timestamp>,
    pub(in crate::memory) conflict: Option<ConflictRecord>,
}

/// A task as it was logged, shared by its deliveries.
#[derive(Debug)]
pub(in crate::memory) struct LoggedTask {
    pub(in crate::memory) id: TaskId,
    pub(in crate::memory) new: NewTask,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::memory) enum Stage {
    Fresh,
    Claimed,
    Due(Timestamp),
    Parked,
    Ended(Timestamp),
}

impl Row {
    pub(super) fn new(task: Arc<LoggedTask>, delivery: NewDelivery) -> Self {
        Self {
            task,
            delivery,
            stage: Stage::Fresh,
            shown: DeliveryState::Available,
            attempts: 0,
            called: false,
            asks: 0,
            waiting_since: None,
            defers: 0,
            deferred_since: None,
            awaited: Vec::new(),
            beside: false,
            stepped_aside: false,
            superseded_by: None,
            reason: None,
            log: VecDeque::new(),
            interventions: VecDeque::new(),
            doubt: Doubt::None,
            doubt_since: None,
            conflict: None,
        }
    }

    pub(in crate::memory) fn key(&self) -> &str {
        &self.task.new.key
    }

    /// When it is tried or asked again, if that is a matter of time.
    pub(in crate::memory) fn due(&self) -> Option<Timestamp> {
        match self.stage {
            Stage::Due(due) => Some(due).filter(|due| *due > Timestamp::EPOCH),
            _ => None,
        }
    }

    pub(in crate::memory) fn ended_at(&self) -> Option<Timestamp> {
        match self.stage {
            Stage::Ended(at) => Some(at),
            _ => None,
        }
    }

    pub(super) fn end_wait(&mut self) {
        self.waiting_since = None;
        self.asks = 0;
    }

    pub(super) fn end_deferral(&mut self) {
        self.deferred_since = None;
        self.defers = 0;
    }

    /// Gives it all of its attempts, as if it neither waited nor was deferred.
    pub(in crate::memory) fn begin_anew(&mut self) {
        self.attempts = 0;
        if self.doubt == Doubt::InDoubt {
            self.doubt = Doubt::TriedAnyway;
        }
        self.end_wait();
        self.end_deferral();
    }

    /// What is in doubt about it from now on; since when is known where it was before.
    pub(super) fn set_doubt(&mut self, doubt: Doubt, now: Timestamp) {
        self.doubt_since = (doubt != Doubt::None).then(|| self.doubt_since.unwrap_or(now));
        self.doubt = doubt;
    }

    /// Whether it is known what became of it.
    pub(in crate::memory) fn is_settled(&self) -> bool {
        self.stage != Stage::Claimed && self.doubt == Doubt::None
    }

    pub(super) fn as_unsettled(&self, id: DeliveryId) -> Unsettled {
        Unsettled {
            delivery: id,
            key: self.key().to_owned(),
            operation: self.task.new.operation,
            is_claimed: self.stage == Stage::Claimed,
            in_doubt_since: self.doubt_since,
        }
    }

    /// Keeps what was said about an attempt.
    pub(super) fn record(&mut self, at: Timestamp, charged: bool, error: String) {
        let error = shorten_error(error);
        self.called = true;
        self.reason = Some(error.clone());
        push_latest(&mut self.log, Attempt { at, charged, error }, ATTEMPTS_KEPT_MAX);
    }

    pub(in crate::memory) fn intervened(&mut self, intervened: Intervened) {
        push_latest(&mut self.interventions, intervened, INTERVENTIONS_KEPT_MAX);
    }

    pub(in crate::memory) fn as_claimed(&self, id: DeliveryId) -> Claimed {
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
            defers: self.defers,
            deferred_since: self.deferred_since,
            aside: self.stepped_aside,
            superseded_by: self.superseded_by,
            logged_at: new.logged_at,
            travel: new.travel,
            is_redelivered: new.redelivers.is_some(),
            doubt: match self.doubt {
                Doubt::None if new.redelivers.is_some() => Doubt::TriedAnyway,
                doubt => doubt,
            },
        }
    }
}

fn push_latest<T>(kept: &mut VecDeque<T>, newest: T, most: usize) {
    if kept.len() == most {
        kept.pop_front();
    }
    kept.push_back(newest);
}
