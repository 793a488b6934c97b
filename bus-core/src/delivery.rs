//! Tasks and deliveries, as people and programs refer to them.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id_type!(
    /// A task: one change, or one external object, written down. Later tasks have larger ids.
    TaskId
);
id_type!(
    /// A delivery: one task for one connector. Later deliveries have larger ids.
    DeliveryId
);

/// What people see of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Ready for its turn.
    Available,
    /// Its connector is working on it.
    Running,
    /// It failed and is tried again at its due time.
    Retryable,
    /// It waits for an object that it refers to.
    Waiting,
    /// An earlier delivery of the same object stands before it.
    Blocked,
    /// It waits for a person.
    Parked,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Available, Self::Running, Self::Retryable, Self::Waiting, Self::Blocked, Self::Parked];

    /// The word shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Running => "running",
            Self::Retryable => "retryable",
            Self::Waiting => "waiting",
            Self::Blocked => "blocked",
            Self::Parked => "parked",
        }
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
