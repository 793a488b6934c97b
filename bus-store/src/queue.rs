//! Whose turn it is.
//!
//! A queue is one registered connector and one direction. Its deliveries of one key take their turns one after the
//! other, in the order in which they were logged; what *holds* a key (running, retried, waiting, parked) keeps the
//! later ones of that key, and nobody else, waiting.
//!
//! - A delivery is *fresh* until it is claimed, and again when it was put back without having been called
//!   ([`Committed::displaced`](crate::Committed::displaced)). Fresh ones of one key may be claimed together, in order,
//!   by one claim; while any of them is claimed, no other claim brings anything of that key.
//! - A delivery that was retried, released, waiting or interrupted is an *exception* of its key: it stands at its
//!   place, and is claimed when it is the first of its key and due, and nothing else of the key with it.
//! - A delivery that stepped *aside* stands beside its key: it holds nothing while it is not claimed. When it is
//!   due it is claimed like any other, but never while something of its key is claimed, nor while an earlier one
//!   that did not step aside is open. An outcome that holds the key puts it back to its place.
//! - A parked delivery is not claimed. It holds its key, unless it was parked aside.

use std::fmt;

use bus_core::{
    ConnectorName, DataType, DeliveryId, Direction, ErrorPolicy, ObjectId, ObjectOperation, ObjectType,
    SiteName, TaskId, Timestamp,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::StoreFuture;
use crate::objects::ObjectQuery;

/// Where deliveries are claimed. Outcomes are written by [`TaskLog::commit`](crate::TaskLog::commit).
pub trait Queue {
    /// Waits until this process may work on the store's queues, and then for as long as the store is open. One
    /// process at a time; the end of the one that could (a crash included) lets the next one in at once. Where the
    /// queues are free, and the store can tell without waiting, it answers at the first poll.
    fn wait_for_ownership(&self) -> StoreFuture<'_, ()>;

    /// Becomes the owner of a queue, with a higher epoch than any owner before. Whatever a former owner had claimed
    /// and not settled is charged one attempt (recorded as [`INTERRUPTED_ERROR`](crate::operate::INTERRUPTED_ERROR)),
    /// is due at once, and from then on is claimed alone: a claim that brings it brings nothing else. So a delivery
    /// that kills the process is found. What stepped aside stays aside; what had begun to wait goes on waiting.
    fn acquire(&self, queue: &QueueId, now: Timestamp) -> StoreFuture<'_, Ownership>;

    /// Claims up to `limit` deliveries that may run now, durably, before it returns: an attempt is written before
    /// the connector is called. Never more than one delivery of a key that has an exception (failed, waited); several
    /// fresh ones of one key may be claimed together, in order, to be run one after the other.
    ///
    /// What is due (by due time) comes before what is fresh (by id), but takes at most half of the slots, and at
    /// least one, while fresh work is ready. What stepped aside, is due, and has been overtaken by a later
    /// delivery of its key that completed, is discarded here instead of claimed.
    ///
    /// # Errors
    ///
    /// `Stale` when the queue has another owner by now.
    fn claim(&self, ownership: &Ownership, limit: usize, now: Timestamp) -> StoreFuture<'_, Claim>;
}

/// One registered connector and one direction.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QueueId {
    /// The registered connector.
    pub connector: ConnectorName,
    /// Which way.
    pub direction: Direction,
}

impl QueueId {
    /// The queue of this connector in this direction.
    pub fn new(connector: ConnectorName, direction: Direction) -> Self {
        Self { connector, direction }
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.connector, self.direction)
    }
}

/// The right to settle: a queue and the epoch in which it was acquired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership {
    /// The queue.
    pub queue: QueueId,
    /// Grows with every owner; a settlement with an old one changes nothing.
    pub epoch: i64,
}

/// What a claim brought.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Claim {
    /// The deliveries, oldest first within each key.
    pub deliveries: Vec<Claimed>,
    /// The earliest due time after `now` of anything that only time keeps from being ready (retried, released,
    /// waiting, aside). What stands behind another one of its key, or is parked, has none. What is due already and
    /// did not fit into the limit is not meant: a full claim says to claim again.
    pub next_due: Option<Timestamp>,
}

/// A delivery whose turn it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Its task.
    pub task: TaskId,
    /// What order is kept for.
    pub key: String,
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
    /// The connector whose incoming task made this change.
    pub origin: Option<ConnectorName>,
    /// The same for every attempt.
    pub idempotency_key: Uuid,
    /// Which attempt this is: those charged so far, and this one. The first is 1.
    pub attempt: u32,
    /// How often it was claimed again since it began to wait, this claim included; 0 when it does not wait.
    pub asks: u32,
    /// Since when it waits for a reference, if it does: since the first of its `Waiting` outcomes in a row. A wake
    /// and an interruption do not change it, any other outcome ends it.
    pub waiting_since: Option<Timestamp>,
    /// Whether it ever stepped aside; stays so.
    pub aside: bool,
    /// When it was logged.
    pub logged_at: Timestamp,
}

/// What became of a claimed delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct Settlement {
    /// The delivery; one that this ownership has claimed.
    pub delivery: DeliveryId,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a claimed delivery. What is not charged gives the attempt back that the claim took. Errors and
/// reasons are kept as [`shorten_error`](crate::operate::shorten_error) leaves them.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Done. Final.
    Completed,
    /// Failed; again at `due`. Charged; holds its key.
    Retry {
        /// When.
        due: Timestamp,
        /// Why; an attempt is recorded.
        error: String,
    },
    /// Not done and not its fault (an outage, a shutdown): again at `due`. Not charged; holds its key.
    Released {
        /// When; `Timestamp::EPOCH` for at once.
        due: Timestamp,
        /// Why, where an attempt is to be recorded.
        error: Option<String>,
    },
    /// Waits for one of `awaited` to arrive, and is asked again at `due` at the latest. Not charged; holds its key.
    /// If one of them is there already, it is ready at once: the check is part of the same write.
    Waiting {
        /// What it waits for; at least one.
        awaited: Vec<Awaited>,
        /// When it is asked again if nothing arrives.
        due: Timestamp,
        /// For people: what is missing.
        reason: String,
    },
    /// Steps aside until `due`: later deliveries of its key may pass. When it is due and a later one of its key (a
    /// larger id) has completed in the meantime, it is discarded as superseded instead of claimed.
    Aside {
        /// When it may run again.
        due: Timestamp,
        /// Why, where an attempt is to be recorded.
        error: Option<String>,
        /// Whether this counts as an attempt.
        charged: bool,
    },
    /// Waits for a person. Charged. Holds its key unless `aside`.
    Parked {
        /// Why.
        error: String,
        /// Whether later deliveries of its key may pass.
        aside: bool,
    },
    /// Ended without success by policy. Charged. Final; counted, and recorded with its reason.
    Discarded {
        /// Why.
        error: String,
    },
}

/// What a delivery waits for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Awaited {
    /// A binding of this object of the host for this connector: the external system knows it then.
    Bound {
        /// The registered connector.
        connector: ConnectorName,
        /// The object's type.
        object_type: ObjectType,
        /// The object's id.
        object: ObjectId,
    },
    /// A binding of this external id for this connector, to an object that exists.
    Known {
        /// The registered connector.
        connector: ConnectorName,
        /// The object's type.
        object_type: ObjectType,
        /// The external id.
        external_id: String,
    },
    /// An object of the host.
    Exists(ObjectQuery),
}
