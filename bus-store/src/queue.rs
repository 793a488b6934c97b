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
//! - Where order is kept within the whole queue ([`Scope::Queue`]), what is retried, released, deferred, interrupted or
//!   parked holds not only its key, but all that is later in the queue.
//! - A parked delivery is not claimed. It holds its key, unless it was parked aside.

use std::fmt;

use bus_core::{
    ConnectorName, Culture, DataType, DeliveryId, Direction, ErrorPolicy, ObjectId, ObjectType, Operation,
    SiteName, TaskId, Timestamp,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::StoreFuture;
use crate::doubt::{Doubt, Unsettled};
use crate::exchange::Travel;
use crate::objects::ObjectQuery;

/// Where deliveries are claimed. Outcomes are written by [`TaskLog::commit`](crate::TaskLog::commit).
pub trait Queue {
    /// Becomes the owner of a queue, with a higher epoch than any owner before, or says who is. It is to be had where
    /// nobody owns it, where this process does (its claim begins anew then), where the process that does has ended,
    /// however it ended, and where that process is silent: it has not answered since
    /// [`terms.silent`](Terms::silent) was seen.
    ///
    /// Whatever a former owner had claimed and not settled is charged one attempt (recorded as
    /// [`INTERRUPTED_ERROR`](crate::operate::INTERRUPTED_ERROR)), is due at once, is [in doubt](Doubt), and from then on is
    /// claimed alone. So a delivery that kills the process is found. What stepped aside stays aside; what had begun to wait, or to be
    /// deferred, goes on with that.
    ///
    /// From then on the queue keeps order within [`terms.scope`](Terms::scope).
    ///
    /// # Errors
    ///
    /// `Conflict` while an entry of the outbox settles one of its deliveries: relay it, then ask again.
    fn acquire(&self, queue: &QueueId, terms: Terms, now: Timestamp) -> StoreFuture<'_, Acquired>;

    /// Gives a queue up: the next who asks may have it. What is claimed still counts as interrupted then. Nothing
    /// happens when it has another owner by now.
    fn release(&self, ownership: &Ownership) -> StoreFuture<'_, ()>;

    /// Returns when asking for the queue again may bring something: at once when this process may have it, and else when
    /// its owner has given it up or has ended. An owner that is merely silent is not noticed here.
    fn wait_until_free(&self, queue: &QueueId) -> StoreFuture<'_, ()>;

    /// Says that this process is alive, to whoever asked for one of its queues since it was said last. To be called
    /// several times within a lease; costs a write only when somebody asked.
    fn heartbeat(&self) -> StoreFuture<'_, ()>;

    /// Claims up to `wanted.limit` deliveries that may run now, durably, before it returns: an attempt is written
    /// before the connector is called. Several fresh ones of one key may be claimed together, in order, to be run one
    /// after the other; never more than one of a key that has an exception (failed, waited).
    ///
    /// A delivery that was charged an attempt before is claimed alone, so that a crash never charges it for a call that
    /// did not happen; so is one that was interrupted. Others that are due (by due time) come before what is fresh (by
    /// id), but take at most half of the slots, and at least one, while fresh work is ready. Whoever claims again and
    /// again alternates [`wanted.first`](Wanted::first), so that neither kind starves the other.
    ///
    /// Where order is kept within the queue ([`Scope::Queue`]), deliveries come by id: a run of fresh ones, or one
    /// exception alone; nothing while anything is claimed; and nothing behind what holds its key, except behind what
    /// waits for a reference. What stepped aside is claimed when it is due.
    ///
    /// # Errors
    ///
    /// `Stale` when the queue has another owner by now.
    fn claim(&self, ownership: &Ownership, wanted: Wanted, now: Timestamp) -> StoreFuture<'_, Claim>;

    /// The deliveries of this subject (object type, kind) in this queue that are claimed or in doubt, oldest first, up to
    /// `limit`. At a fixed cost for each that is, whatever its subject, and none for what waits for its turn.
    fn unsettled(&self, queue: &QueueId, subject: &str, limit: usize) -> StoreFuture<'_, Vec<Unsettled>>;
}

/// On what terms a queue is owned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// Within what order is kept.
    pub scope: Scope,
    /// The heartbeat of the present owner that was seen a lease ago: if it has not changed, that owner is silent.
    pub silent: Option<Heartbeat>,
}

/// Within what order is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Within each key: what is stuck keeps only its own key waiting.
    #[default]
    Key,
    /// Within the queue: nothing overtakes what is retried or parked. What waits for a reference keeps only its own key
    /// waiting, because what it waits for may stand behind it.
    Queue,
}

/// What came of asking for a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acquired {
    /// It is this process's.
    Owned(Ownership),
    /// Another process has it, and was alive when it gave this sign.
    Taken(Heartbeat),
}

/// The last sign of life of a process that owns a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// Which process, in the store's own words.
    pub owner: String,
    /// Changes when the process answers.
    pub beat: i64,
}

/// What a claim is to bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// At most this many.
    pub limit: usize,
    /// What comes first.
    pub first: First,
}

/// What comes first in a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum First {
    /// What is due.
    #[default]
    Due,
    /// What is fresh; what is due has what is left.
    Fresh,
    /// Nothing but what is fresh, for an owner that still works on its last claim: never what was charged, which is claimed
    /// alone; and nothing while anything is due, nor where order is kept within the queue, so that the next claim gives that
    /// its turn. It may bring less than is ready.
    OnlyFresh,
}

impl Wanted {
    /// Up to this many, what is due first.
    pub const fn up_to(limit: usize) -> Self {
        Self { limit, first: First::Due }
    }
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// The connector whose incoming task made this change.
    pub origin: Option<ConnectorName>,
    /// The same for every attempt.
    pub idempotency_key: Uuid,
    /// Which attempt this is: those charged since the budget was last reset, and this one. The first is 1.
    pub attempt: u32,
    /// How often it was claimed again since it began to wait, this claim included; 0 when it does not wait.
    pub asks: u32,
    /// Since when it waits for a reference, if it does: since the first of its `Waiting` outcomes in a row. A wake
    /// and an interruption do not change it, any other outcome ends it.
    pub waiting_since: Option<Timestamp>,
    /// How often it was deferred in a row.
    pub defers: u32,
    /// Since when it is deferred, if it is: since the first of its `Deferred` outcomes in a row.
    pub deferred_since: Option<Timestamp>,
    /// Whether it ever stepped aside; stays so.
    pub aside: bool,
    /// The latest of its key that completed while this one stood aside.
    pub superseded_by: Option<DeliveryId>,
    /// When it was logged.
    pub logged_at: Timestamp,
    /// Where it stands on its way through several systems.
    pub travel: Travel,
    /// Whether an operator had it delivered once more.
    pub is_redelivered: bool,
    /// Whether an earlier call of it may have taken effect. What repeats an ended delivery is `TriedAnyway`: nobody asked
    /// what had become of that.
    pub doubt: Doubt,
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
    /// The connector puts it off until `due`. Not charged; holds its key.
    Deferred {
        /// When it may run again.
        due: Timestamp,
        /// Why; an attempt is recorded, that did not count.
        error: String,
    },
    /// Steps aside until `due`: later deliveries of its key may pass. When it is claimed again it says which of them
    /// completed in the meantime ([`Claimed::superseded_by`]).
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
    /// That this delivery is neither claimed nor in doubt any more, whatever became of it.
    Settled {
        /// The delivery, of whichever queue. One that is not kept is settled.
        delivery: DeliveryId,
    },
    /// A page of the host.
    Page {
        /// The GUID of its node.
        node: Uuid,
        /// The culture; any, if none is given.
        culture: Option<Culture>,
    },
}
