//! What people do to deliveries.

use bus_core::{DeliveryId, DeliveryState, Timestamp};
use serde::{Deserialize, Serialize};

/// What an operator does to deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Tried again at once, at its place, with all of its attempts; where it is in doubt, in spite of that.
    Retry,
    /// Ended, after it was called at least once.
    Skip,
    /// Ended before it was ever called.
    Cancel,
    /// Ended with its connector, called or not.
    Discard,
    /// Tried again as by a retry, after a person has decided between its two sides.
    Resolve,
}

/// The most deliveries that one intervention names.
pub const INTERVENTION_ITEMS_MAX: usize = 1_000;

/// The most later deliveries of the same key that a verdict lists.
pub const LATER_LISTED_MAX: usize = 100;

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intervention {
    /// What is to be done.
    pub verb: Verb,
    /// To which deliveries.
    pub items: Vec<Selected>,
    /// Who asks.
    pub by: String,
    /// Why, if they said.
    pub reason: Option<String>,
    /// When.
    pub now: Timestamp,
}

/// A delivery that an operator chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Selected {
    /// The delivery.
    pub delivery: DeliveryId,
    /// The state that the operator saw. In another one nothing is done to it; `None` for whichever.
    pub seen: Option<DeliveryState>,
}

/// What became of an operator's wish, for one delivery. Nothing was changed unless it is `Done`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was done.
    Done {
        /// Where a create was ended: the later open ones of the same object, which may make no sense without it.
        later: Vec<DeliveryId>,
    },
    /// A retry of what is ready anyway.
    Ready,
    /// A retry of what stands behind this one.
    BlockedBy(DeliveryId),
    /// Its connector is working on it: wait until that has ended.
    Running,
    /// A skip of what was never called: cancel it.
    NeverCalled,
    /// A cancel of what was called already: skip it.
    WasCalled,
    /// A decision about what was never parked for one.
    NoConflict,
    /// It is not in the state that was seen any more, but in this one.
    Changed(DeliveryState),
    /// It has ended, in this state.
    Ended(DeliveryState),
    /// There is no such delivery, or it is not kept any more.
    Unknown,
}

/// An intervention that was carried out on a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intervened {
    /// When.
    pub at: Timestamp,
    /// What was done.
    pub verb: Verb,
    /// Who did it.
    pub by: String,
    /// Why, if they said.
    pub reason: Option<String>,
}
