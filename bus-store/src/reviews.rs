//! Objects that both sides have changed, and of which a person decides.

use std::collections::BTreeMap;

use bus_core::{DeliveryId, ObjectKey, Side, Timestamp};
use serde::{Deserialize, Serialize};

use crate::StoreFuture;
use crate::operate::Verdict;
use crate::queue::QueueId;

/// The field that stands for the object as a whole, where the external system has deleted it.
pub const WHOLE_OBJECT: &str = "";

/// Conflicts of which a person decides. They are written by [`TaskLog::commit`](crate::TaskLog::commit) with the outcome
/// that parks their delivery, and end with it.
pub trait Reviews {
    /// What the two sides of an open delivery have, if it was ever parked for a person to decide between them.
    fn conflict(&self, delivery: DeliveryId) -> StoreFuture<'_, Option<ConflictRecord>>;

    /// Those of a queue after this delivery, oldest first, at most so many.
    fn conflicts(
        &self,
        queue: &QueueId,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<ConflictRecord>>;

    /// Keeps what was decided beside what was decided before, the newest word counting for each field, and has the delivery
    /// tried again, as [`Verb::Resolve`](crate::Verb::Resolve): all in one step, or nothing of it.
    fn resolve(&self, decision: Decision) -> StoreFuture<'_, Verdict>;
}

/// What the two sides of an object had when a delivery of it was parked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictRecord {
    /// The incoming delivery.
    pub delivery: DeliveryId,
    /// The host's object.
    pub object: ObjectKey,
    /// What both had when they were last known to be equal, with the host's ids: a JSON object. `None` where the external
    /// system had been told something newer before this was applied.
    pub base: Option<Vec<u8>>,
    /// What the host has: a JSON object.
    pub host: Vec<u8>,
    /// What the external system has sent: a JSON object; `None` where it was deleted there.
    pub external: Option<Vec<u8>>,
    /// The fields in which somebody has to decide, by their names in JSON; [`WHOLE_OBJECT`] where the external system has deleted it.
    pub fields: Vec<String>,
    /// What was decided so far, also of fields that were in conflict earlier.
    pub resolved: BTreeMap<String, Side>,
}

/// What a person has decided about a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Whose each field is.
    pub fields: BTreeMap<String, Side>,
    /// Who decides.
    pub by: String,
    /// Why, if they said.
    pub reason: Option<String>,
    /// When.
    pub now: Timestamp,
}
