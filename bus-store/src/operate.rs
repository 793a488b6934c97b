//! What people ask of a store.

use bus_core::{
    DataType, DeliveryId, DeliveryState, ErrorPolicy, ObjectOperation, SiteName, TaskId, Timestamp,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::StoreFuture;
use crate::queue::{Awaited, QueueId};

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

    /// Open deliveries of a queue, oldest first, at most `PAGE_ROWS_MAX`.
    fn deliveries(&self, queue: &QueueId, filter: &DeliveryFilter) -> StoreFuture<'_, Vec<DeliverySummary>>;

    /// Everything about one open delivery.
    fn delivery(&self, delivery: DeliveryId) -> StoreFuture<'_, Option<DeliveryDetail>>;
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

/// How many open deliveries are in which state. A store reads no clock, so a state says what is known without one:
///
/// - *running*: claimed, whether its call has begun or not.
/// - *blocked*: stands in the line of its key, neither claimed nor parked, while something of its key is claimed or
///   the first in line is an exception. Fresh ones behind a fresh one are available: they may be claimed together.
///   What stepped aside is never blocked.
/// - *retryable*: settled as `Retry`, or as `Released` or `Aside` with an error and a due time after
///   `Timestamp::EPOCH`.
/// - *waiting*: settled as `Waiting`, and nothing that it waits for has arrived.
/// - *parked*: settled as `Parked`.
/// - *available*: everything else: fresh, woken, interrupted, released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QueueCounts {
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

/// Which deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeliveryFilter {
    /// Only those in this state.
    pub state: Option<DeliveryState>,
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
    /// How many attempts were charged, that of a running one included.
    pub attempts: u32,
    /// When it is tried, or asked, again; `None` when that is at once, or does not depend on time.
    pub due: Option<Timestamp>,
    /// The last thing that was said about it.
    pub reason: Option<String>,
}

/// Everything about one open delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryDetail {
    /// What the list shows.
    pub summary: DeliverySummary,
    /// The object type of an outgoing task, the kind of an incoming one.
    pub subject: String,
    /// What happened.
    pub operation: ObjectOperation,
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
    /// When it was logged.
    pub logged_at: Timestamp,
    /// Its failed or interrupted attempts, oldest first; the latest 100 are kept.
    pub attempts: Vec<Attempt>,
    /// What it waits for; empty once something of it has arrived, and while it is running.
    pub awaited: Vec<Awaited>,
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

/// The most of an error's text that is kept, in bytes; what is longer is cut at a character.
pub const ERROR_BYTES_MAX: usize = 16 * 1024;

/// How many attempts of one delivery are kept.
pub const ATTEMPTS_KEPT_MAX: usize = 100;

/// An error's text as it is kept: at most [`ERROR_BYTES_MAX`] bytes, cut at a character, the cut marked.
pub fn shorten_error(mut error: String) -> String {
    const MARK: &str = "…";
    if error.len() > ERROR_BYTES_MAX {
        error.truncate(error.floor_char_boundary(ERROR_BYTES_MAX - MARK.len()));
        error.push_str(MARK);
    }
    error
}
