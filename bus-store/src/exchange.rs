//! What an external system and the host have told each other about one object that travels both ways.

use std::collections::BTreeMap;

use bus_core::{DeliveryId, Echo, TaskId, Timestamp};

use crate::StoreFuture;
use crate::identity::Binding;

/// How many sendings of one object to one connector are kept: the latest.
pub const SENT_KEPT_MAX: usize = 16;

/// What was exchanged about objects. Written by [`TaskLog::commit`](crate::TaskLog::commit); it ends with the binding, and
/// with the object.
pub trait Exchange {
    /// What was exchanged about an object for as long as it has been bound like this, and which deliveries of this
    /// outgoing key its connector has claimed at this moment: all as of one instant.
    fn exchanged(&self, binding: &Binding, key: &str) -> StoreFuture<'_, Exchanged>;

    /// Forgets up to `limit` sendings from before this, of whichever object. Answers how many.
    fn forget_sent(&self, before: Timestamp, limit: usize) -> StoreFuture<'_, usize>;
}

/// What was exchanged about one object with one connector.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exchanged {
    /// What both sides had when they were last known to be equal.
    pub agreed: Option<Agreed>,
    /// What was written there and not heard of since, oldest first; at most [`SENT_KEPT_MAX`].
    pub sent: Vec<Sent>,
    /// What is claimed of the object's key going out, oldest first: it may have been written there without anybody here
    /// knowing yet.
    pub claimed: Vec<DeliveryId>,
}

/// What both sides had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// The host's fields, with the host's ids: a JSON object.
    pub data: Vec<u8>,
    /// Whether it was given to the external system; else it was taken from there.
    pub is_given: bool,
    /// How often the two sides had answered each other in a row when something was taken last.
    pub alternations: u32,
    /// When it was given or taken.
    pub at: Timestamp,
}

/// That an object was written there, or may have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// By which delivery.
    pub delivery: DeliveryId,
    /// Of which task.
    pub task: TaskId,
    /// How far the change had travelled.
    pub hop: u8,
    /// When.
    pub at: Timestamp,
    /// A digest of each of its fields.
    pub fields: BTreeMap<String, u64>,
}

/// Something that was exchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeWrite {
    /// About what: without effect where this is not how the object is bound.
    pub binding: Binding,
    /// What.
    pub said: Said,
}

/// What was exchanged. Without effect while the store is full: what comes back is taken for news then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// The external system has what the host had: both have this now.
    Given {
        /// The host's fields, with the host's ids: a JSON object.
        data: Vec<u8>,
    },
    /// The host has what the external system has: both have this now.
    Taken {
        /// The host's fields, with the host's ids: a JSON object.
        data: Vec<u8>,
        /// How often the two sides have answered each other in a row by now.
        alternations: u32,
    },
    /// It was written there, or may have been. A delivery is kept once, as it was said last.
    Sent(Sent),
    /// What this delivery has written there has come back: it is forgotten, and what was sent before it, too.
    Heard {
        /// The delivery.
        up_to: DeliveryId,
    },
}

/// Where a change stands on its way through several systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Travel {
    /// The task without which this one would not be.
    pub cause: Option<TaskId>,
    /// How often something answered something on the way here; 0 for what a person or a program did by itself.
    pub hop: u8,
    /// Who is told of what an incoming task changes.
    pub echo: Echo,
}
