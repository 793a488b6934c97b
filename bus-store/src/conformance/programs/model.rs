//! A naive queue: all deliveries in one list, and what is true of them as plain questions to that list. It has no index
//! and no lanes, and shares nothing with any store but the words.

mod changes;
mod claims;

use bus_core::{DeliveryId, DeliveryState, ObjectOperation, TaskId, Timestamp};

use crate::StoreError;
use crate::doubt::Doubt;
use crate::operate::Counters;
use crate::queue::{Awaited, Scope};
use crate::task_log::NewTask;

/// Why a store is wrong.
#[derive(Debug)]
pub(super) struct Wrong(pub(super) String);

impl From<String> for Wrong {
    fn from(why: String) -> Self {
        Self(why)
    }
}

impl From<StoreError> for Wrong {
    fn from(error: StoreError) -> Self {
        Self(format!("it refused to {error}"))
    }
}

/// Ends with what is wrong, unless this is so.
macro_rules! ensure {
    ($is_so:expr, $($otherwise:tt)+) => {
        if !$is_so {
            return Err($crate::conformance::programs::model::Wrong(format!($($otherwise)+)));
        }
    };
}
pub(super) use ensure;

/// What is known of a queue.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    pub(super) scope: Scope,
    pub(super) standing: Standing,
    /// Every delivery that was ever logged, in that order.
    pub(super) all: Vec<Delivery>,
    /// Without `open`, which is counted.
    pub(super) counted: Counters,
}

/// What is known of the queue's connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Standing {
    /// Nobody ever registered it, and what is logged for it is open all the same.
    #[default]
    Unheard,
    Registered,
    Deleted,
}

/// What is known of a delivery.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent facts, naive on purpose")]
pub(super) struct Delivery {
    pub(super) id: DeliveryId,
    pub(super) task: TaskId,
    pub(super) key: String,
    pub(super) is_create: bool,
    /// What it was sent with: key and digest.
    pub(super) sent: Option<(String, Vec<u8>)>,
    pub(super) stage: Stage,
    pub(super) is_claimed: bool,
    pub(super) is_beside: bool,
    pub(super) was_beside: bool,
    pub(super) superseded_by: Option<DeliveryId>,
    /// How people see it while nothing else is to be said.
    pub(super) shown: DeliveryState,
    pub(super) attempts: u32,
    pub(super) was_called: bool,
    pub(super) awaited: Vec<Awaited>,
    pub(super) asks: u32,
    pub(super) waiting_since: Option<Timestamp>,
    pub(super) defers: u32,
    pub(super) deferred_since: Option<Timestamp>,
    pub(super) recorded: usize,
    pub(super) interventions: usize,
    pub(super) reason: Option<String>,
    pub(super) doubt: Doubt,
    pub(super) doubt_since: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Never claimed, or put back.
    Fresh,
    /// To be tried again at this time.
    Due(Timestamp),
    Parked,
    Ended(DeliveryState, Timestamp),
    /// Ended, and not kept any more.
    Pruned,
}

impl Delivery {
    pub(super) fn logged(id: DeliveryId, task: TaskId, new: &NewTask) -> Self {
        let sent = new.idempotency.as_ref();
        Self {
            id,
            task,
            key: new.key.clone(),
            is_create: new.operation == ObjectOperation::Create,
            sent: sent.map(|sent| (sent.key.clone(), sent.digest.clone())),
            stage: Stage::Fresh,
            is_claimed: false,
            is_beside: false,
            was_beside: false,
            superseded_by: None,
            shown: DeliveryState::Available,
            attempts: 0,
            was_called: false,
            awaited: Vec::new(),
            asks: 0,
            waiting_since: None,
            defers: 0,
            deferred_since: None,
            recorded: 0,
            interventions: 0,
            reason: None,
            doubt: Doubt::None,
            doubt_since: None,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        !matches!(self.stage, Stage::Ended(..) | Stage::Pruned)
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.stage == Stage::Fresh
    }

    fn is_in_line(&self) -> bool {
        self.is_open() && !self.is_beside
    }

    /// Whether its time has come.
    fn is_due(&self, now: Timestamp) -> bool {
        match self.stage {
            Stage::Fresh => true,
            Stage::Due(due) => due <= now,
            Stage::Parked | Stage::Ended(..) | Stage::Pruned => false,
        }
    }

    /// The time that it is kept until.
    fn kept_until(&self, now: Timestamp) -> Option<Timestamp> {
        match self.stage {
            Stage::Due(due) if due > now && !self.is_claimed => Some(due),
            _ => None,
        }
    }

    /// Whether it waits for a reference, and is not to be asked again yet.
    fn is_waiting(&self, now: Timestamp) -> bool {
        self.shown == DeliveryState::Waiting && self.kept_until(now).is_some()
    }

    /// What people see as its due time.
    pub(super) fn due(&self) -> Option<Timestamp> {
        match self.stage {
            Stage::Due(due) if !self.is_claimed && due > Timestamp::EPOCH => Some(due),
            _ => None,
        }
    }
}

impl Model {
    pub(super) fn open(&self) -> impl Iterator<Item = &Delivery> {
        self.all.iter().filter(|one| one.is_open())
    }

    pub(super) fn kept(&self) -> impl Iterator<Item = &Delivery> {
        self.all.iter().filter(|one| matches!(one.stage, Stage::Ended(..)))
    }

    pub(super) fn claimed(&self) -> impl Iterator<Item = &Delivery> {
        self.open().filter(|one| one.is_claimed)
    }

    /// What is claimed, or in doubt.
    pub(super) fn unsettled(&self) -> impl Iterator<Item = &Delivery> {
        self.open().filter(|one| one.is_claimed || one.doubt != Doubt::None)
    }

    pub(super) fn get(&self, id: DeliveryId) -> Option<&Delivery> {
        self.all.iter().find(|one| one.id == id)
    }

    pub(super) fn counters(&self) -> Counters {
        Counters { open: self.open().count() as u64, ..self.counted }
    }

    fn is_key_claimed(&self, key: &str) -> bool {
        self.claimed().any(|one| one.key == key)
    }

    /// Those of its key that stand in line before it.
    fn before<'a>(&'a self, of: &'a Delivery) -> impl Iterator<Item = &'a Delivery> {
        self.all.iter().filter(|one| one.is_in_line() && one.key == of.key && one.id < of.id)
    }

    /// Whether it is passed over where the queue is in order: it waits, or stands behind one of its key that does.
    fn is_passed(&self, one: &Delivery, now: Timestamp) -> bool {
        one.is_waiting(now) || self.before(one).any(|before| before.is_waiting(now))
    }

    /// Whether a claim of one delivery may bring this one, as far as time is no matter.
    fn is_next(&self, one: &Delivery, now: Timestamp) -> bool {
        if !one.is_open()
            || one.is_claimed
            || self.is_key_claimed(&one.key)
            || self.before(one).next().is_some()
        {
            return false;
        }
        match self.scope {
            Scope::Key => true,
            Scope::Queue => {
                let in_line = |other: &&Delivery| other.is_in_line() && other.id < one.id;
                let is_first = self.all.iter().filter(in_line).all(|other| self.is_passed(other, now));
                self.claimed().next().is_none() && (one.is_beside || is_first)
            }
        }
    }

    /// Whether a claim of one delivery may bring this one now.
    pub(super) fn is_ready(&self, one: &Delivery, now: Timestamp) -> bool {
        one.is_due(now) && self.is_next(one, now)
    }

    /// What somebody has to be told about: keys with something to claim, or just that there is something where the
    /// queue is in order.
    pub(super) fn ready_keys(&self, now: Timestamp) -> Vec<&str> {
        let ready = self.open().filter(|one| self.is_ready(one, now));
        ready.map(|one| if self.scope == Scope::Key { one.key.as_str() } else { "" }).collect()
    }

    /// The first of those that keep this one blocked.
    pub(super) fn blocked_by(&self, one: &Delivery) -> Option<DeliveryId> {
        if one.is_beside || one.is_claimed || !matches!(one.stage, Stage::Fresh | Stage::Due(_)) {
            return None;
        }
        let is_exception = |other: &Delivery| !other.is_fresh();
        let first_in_line = self.before(one).next().map(|first| first.id);
        let holds = |other: &&Delivery| {
            let runs = other.key == one.key && other.is_claimed;
            let is_first = first_in_line == Some(other.id) && is_exception(other);
            let holds_queue = self.scope == Scope::Queue
                && other.is_in_line()
                && other.id < one.id
                && (other.is_claimed || (is_exception(other) && other.shown != DeliveryState::Waiting));
            runs || is_first || holds_queue
        };
        self.open().find(holds).map(|holder| holder.id)
    }

    /// What people see.
    pub(super) fn state(&self, one: &Delivery) -> DeliveryState {
        match one.stage {
            Stage::Ended(state, _) => state,
            _ if one.is_claimed => DeliveryState::Running,
            _ if self.blocked_by(one).is_some() => DeliveryState::Blocked,
            _ => one.shown,
        }
    }
}
