//! Calls whose answer nobody has: whether they took effect is known to the external system only.

use bus_core::{DeliveryId, Operation, Timestamp};
use serde::{Deserialize, Serialize};

/// Whether a call of a delivery may have taken effect, and its answer never came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// It was not called, or it is known what came of that.
    #[default]
    None,
    /// Nobody knows.
    InDoubt,
    /// Nobody knew, and then an operator wished it to be tried all the same.
    TriedAnyway,
}

/// A delivery of which it is not known what becomes of it: it is claimed, or in doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsettled {
    /// The delivery.
    pub delivery: DeliveryId,
    /// What order is kept for.
    pub key: String,
    /// What happened to the object.
    pub operation: Operation,
    /// Whether it is claimed.
    pub is_claimed: bool,
    /// Since when it is in doubt, if it is: since the first of its doubts in a row.
    pub in_doubt_since: Option<Timestamp>,
}
