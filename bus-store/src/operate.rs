//! What people ask of a store.

mod intervene;

use bus_core::{
    ConnectorName, DataType, DeliveryId, DeliveryState, ErrorPolicy, Operation, SiteName, TaskId, Timestamp,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::StoreFuture;
use crate::doubt::Doubt;
use crate::queue::{Awaited, QueueId};
use crate::task_log::Redelivery;
pub use intervene::{
    INTERVENTION_ITEMS_MAX, Intervened, Intervention, LATER_LISTED_MAX, Selected, Verb, Verdict,
};

/// The most rows one page of a list has.
pub const PAGE_ROWS_MAX: usize = 1_000;

/// Where people look.
pub trait Operate {
    /// All queues that ever had something in them, or were acquired.
    fn queues(&self) -> StoreFuture<'_, Vec<QueueId>>;

    /// What became of everything that a queue was ever given. Cheap: the counters are written with each outcome.
    fn counters(&self, queue: &QueueId) -> StoreFuture<'_, Counters>;

    /// How many open deliveries of a queue are in which state. Its cost grows with the exceptions (retried,
    /// waiting, parked), not with the backlog.
    fn queue_counts(&self, queue: &QueueId) -> StoreFuture<'_, QueueCounts>;

    /// Deliveries of a queue, oldest first, at most `PAGE_ROWS_MAX`: the open ones, or, where the filter names a final
    /// state, those that ended so and are still kept.
    fn deliveries(&self, queue: &QueueId, filter: &DeliveryFilter) -> StoreFuture<'_, Vec<DeliverySummary>>;

    /// Everything about one delivery, open or ended; `None` where it is not kept any more, or never was.
    fn delivery(&self, delivery: DeliveryId) -> StoreFuture<'_, Option<DeliveryDetail>>;

    /// The open deliveries of a key, oldest first, at most `limit`. Looks through the whole queue where it has to: for
    /// people.
    fn open_of_key(&self, queue: &QueueId, key: &str, limit: usize) -> StoreFuture<'_, Vec<DeliveryId>>;

    /// What the first open delivery of a key waits for, if it waits. Costs the same however much is open.
    fn awaited_by_key(&self, queue: &QueueId, key: &str) -> StoreFuture<'_, Option<Waiting>>;

    /// Does what an operator asks, to each delivery that allows it, in the order given, all in one step; says of each
    /// what happened. What is done is written down with it: who, when, why.
    ///
    /// # Errors
    ///
    /// `Unsupported` for more than [`INTERVENTION_ITEMS_MAX`] items.
    fn intervene(&self, intervention: Intervention) -> StoreFuture<'_, Vec<Verdict>>;

    /// Forgets up to `limit` deliveries of a queue that ended before this, the longest ended first, with their attempts
    /// and, when a task has no other delivery left, its data and idempotency key. Answers how many. The counters stay.
    fn prune(&self, queue: &QueueId, ended_before: Timestamp, limit: usize) -> StoreFuture<'_, usize>;

    /// Counts what is there, and sets it beside the counters. Costs as much as there is: for people and tests.
    fn audit(&self, queue: &QueueId) -> StoreFuture<'_, Audit>;
}

/// What became of everything that a queue was ever given: `logged = open + completed + skipped + discarded +
/// cancelled`, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// All deliveries ever.
    pub logged: u64,
    /// Those that are not final yet.
    pub open: u64,
    /// Those that succeeded.
    pub completed: u64,
    /// Those that an operator ended after a failure.
    pub skipped: u64,
    /// Those that were ended by policy.
    pub discarded: u64,
    /// Those that an operator ended before they were called.
    pub cancelled: u64,
    /// How many outcomes were `Retry`.
    pub retried: u64,
    /// How often something began to wait for a reference; `Waiting` outcomes in a row count once.
    pub waited: u64,
    /// How many commits were refused because their settlements came too late.
    pub stale: u64,
}

impl Counters {
    /// Those that have ended.
    pub const fn ended(&self) -> u64 {
        self.completed + self.skipped + self.discarded + self.cancelled
    }
}

/// What is there, beside what was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Audit {
    /// What was counted with each outcome.
    pub counters: Counters,
    /// How many open deliveries there are.
    pub open_rows: u64,
    /// How many ended ones are kept.
    pub ended_rows: u64,
}

impl Audit {
    /// What does not add up; nothing, always.
    pub fn faults(&self) -> Vec<String> {
        let Self { counters, open_rows, ended_rows } = self;
        let mut faults = Vec::new();
        if counters.logged != counters.open + counters.ended() {
            faults.push(format!(
                "{} were logged, but {} are open and {} have ended",
                counters.logged,
                counters.open,
                counters.ended()
            ));
        }
        if counters.open != *open_rows {
            faults.push(format!("{} were counted as open, but {open_rows} are there", counters.open));
        }
        if *ended_rows > counters.ended() {
            faults.push(format!("{} were counted as ended, but {ended_rows} are kept", counters.ended()));
        }
        faults
    }
}

/// A delivery that waits for a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The delivery.
    pub delivery: DeliveryId,
    /// What it waits for.
    pub awaited: Vec<Awaited>,
}

/// How many open deliveries are in which state. A store reads no clock, so a state says what is known without one:
///
/// - *running*: claimed, whether its call has begun or not.
/// - *blocked*: stands in the line of its key, neither claimed nor parked, while something of its key is claimed or
///   the first in line is an exception; and, where order is kept within the queue, while an earlier one of the queue
///   that did not step aside is claimed, or is an exception other than waiting. Fresh ones behind a fresh one are
///   available: they may be claimed together. What stepped aside is never blocked.
/// - *retryable*: settled as `Retry`, or as `Released` or `Aside` with an error and a due time after
///   `Timestamp::EPOCH`.
/// - *scheduled*: settled as `Deferred`, or as `Released` or `Aside` without an error, with such a due time.
/// - *waiting*: settled as `Waiting`, and nothing that it waits for has arrived.
/// - *parked*: settled as `Parked`.
/// - *available*: everything else: fresh, woken, interrupted, released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QueueCounts {
    /// Put off until a time, without having failed.
    pub scheduled: u64,
    /// Ready for their turn.
    pub available: u64,
    /// Claimed.
    pub running: u64,
    /// Failed, with a due time.
    pub retryable: u64,
    /// Waiting for a reference.
    pub waiting: u64,
    /// Behind another one of their key.
    pub blocked: u64,
    /// Waiting for a person.
    pub parked: u64,
}

impl QueueCounts {
    /// Counts so many more that are open in this state; final ones are not counted here.
    pub const fn add(&mut self, state: DeliveryState, more: u64) {
        let place = match state {
            DeliveryState::Scheduled => &mut self.scheduled,
            DeliveryState::Available => &mut self.available,
            DeliveryState::Running => &mut self.running,
            DeliveryState::Retryable => &mut self.retryable,
            DeliveryState::Waiting => &mut self.waiting,
            DeliveryState::Blocked => &mut self.blocked,
            DeliveryState::Parked => &mut self.parked,
            DeliveryState::Completed
            | DeliveryState::Skipped
            | DeliveryState::Discarded
            | DeliveryState::Cancelled => return,
        };
        *place += more;
    }
}

/// Which deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeliveryFilter {
    /// Only those in this state; `None` for all that are open.
    pub state: Option<DeliveryState>,
    /// Only those of this key.
    pub key: Option<String>,
    /// Only those after this one.
    pub after: Option<DeliveryId>,
    /// At most this many; 0 means `PAGE_ROWS_MAX`.
    pub limit: usize,
}

/// One row of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliverySummary {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Its task.
    pub task: TaskId,
    /// Its queue.
    pub queue: QueueId,
    /// For people.
    pub title: String,
    /// What order is kept for.
    pub key: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// How many attempts were charged since the budget was last reset, that of a running one included.
    pub attempts: u32,
    /// When it is tried, or asked, again; `None` when that is at once, or does not depend on time.
    pub due: Option<Timestamp>,
    /// The last thing that was said about it.
    pub reason: Option<String>,
    /// When it ended, if it has.
    pub ended_at: Option<Timestamp>,
    /// The ended delivery that it repeats, if an operator asked for that.
    pub redelivers: Option<Redelivery>,
}

/// Everything about one delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryDetail {
    /// What the list shows.
    pub summary: DeliverySummary,
    /// The object type of an outgoing task, the kind of an incoming one.
    pub subject: String,
    /// What happened.
    pub operation: Operation,
    /// How much it carries.
    pub data_type: DataType,
    /// What happens when it fails.
    pub policy: ErrorPolicy,
    /// The object: a payload in JSON (outgoing), the bytes as received (incoming).
    pub data: Vec<u8>,
    /// What the bytes are.
    pub content_type: String,
    /// The site that was named, if any.
    pub site: Option<SiteName>,
    /// The same for every attempt.
    pub idempotency_key: Uuid,
    /// The connector whose incoming task made this change.
    pub origin: Option<ConnectorName>,
    /// When it was logged.
    pub logged_at: Timestamp,
    /// Its failed or interrupted attempts, oldest first; the latest 100 are kept.
    pub attempts: Vec<Attempt>,
    /// What it waits for; empty once something of it has arrived, and while it is running.
    pub awaited: Vec<Awaited>,
    /// What it stands behind, where it is blocked: the first that holds it.
    pub blocked_by: Option<DeliveryId>,
    /// What operators did to it, oldest first; the latest 100 are kept.
    pub interventions: Vec<Intervened>,
    /// Whether a call of it may have taken effect, and its answer never came.
    pub doubt: Doubt,
}

/// One try at a delivery that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it ended.
    pub at: Timestamp,
    /// Whether it counted.
    pub charged: bool,
    /// Why, at most [`ERROR_BYTES_MAX`] bytes.
    pub error: String,
}

/// The error recorded for an attempt whose process, or owner, ended before it was settled.
pub const INTERRUPTED_ERROR: &str = "the process ended while this was running";

/// The reason of what was logged for a connector that had been deleted.
pub const DELETED_REASON: &str = "its connector was deleted before this was logged";

/// The most of an error's text that is kept, in bytes; what is longer is cut at a character.
pub const ERROR_BYTES_MAX: usize = 16 * 1024;

/// How many attempts of one delivery are kept.
pub const ATTEMPTS_KEPT_MAX: usize = 100;

/// How many interventions of one delivery are kept.
pub const INTERVENTIONS_KEPT_MAX: usize = 100;

/// An error's text as it is kept: at most [`ERROR_BYTES_MAX`] bytes, cut at a character, the cut marked.
pub fn shorten_error(mut error: String) -> String {
    const MARK: &str = "…";
    if error.len() > ERROR_BYTES_MAX {
        error.truncate(error.floor_char_boundary(ERROR_BYTES_MAX - MARK.len()));
        error.push_str(MARK);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audit_names_each_fault() {
        let counters = Counters {
            logged: 9,
            open: 4,
            completed: 2,
            skipped: 1,
            discarded: 1,
            cancelled: 1,
            ..Counters::default()
        };
        let right = Audit { counters, open_rows: 4, ended_rows: 3 };
        assert_eq!(right.faults(), Vec::<String>::new());
        for (wrong, numbers) in [
            (
                Audit { counters: Counters { logged: 10, ..counters }, ..right },
                ["10 were logged", "4 are open", "5 have ended"],
            ),
            (Audit { open_rows: 3, ..right }, ["4 were counted", "as open", "3 are there"]),
            (Audit { ended_rows: 6, ..right }, ["5 were counted", "as ended", "6 are kept"]),
        ] {
            let faults = wrong.faults();
            let [fault] = &faults[..] else { panic!("one fault: {faults:?}") };
            assert!(numbers.iter().all(|number| fault.contains(number)), "{fault}");
        }
    }
}
