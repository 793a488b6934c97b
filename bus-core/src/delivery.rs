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

/// What people see of a delivery. The last four are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Put off until a time, without having failed.
    Scheduled,
    /// Ready for its turn.
    Available,
    /// Its connector is working on it.
    Running,
    /// It failed and is tried again at its due time.
    Retryable,
    /// It waits for an object that it refers to.
    Waiting,
    /// An earlier delivery stands before it.
    Blocked,
    /// It waits for a person.
    Parked,
    /// It succeeded.
    Completed,
    /// An operator ended it after it was called.
    Skipped,
    /// It was ended by policy, by being superseded, or with its connector.
    Discarded,
    /// An operator ended it before it was called.
    Cancelled,
}

impl DeliveryState {
    /// Those of deliveries that are open.
    pub const OPEN: [Self; 7] = [
        Self::Scheduled,
        Self::Available,
        Self::Running,
        Self::Retryable,
        Self::Waiting,
        Self::Blocked,
        Self::Parked,
    ];

    /// Those of deliveries that have ended.
    pub const FINAL: [Self; 4] = [Self::Completed, Self::Skipped, Self::Discarded, Self::Cancelled];

    /// Whether it has ended: nothing will change it any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Skipped | Self::Discarded | Self::Cancelled)
    }

    /// The word shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Available => "available",
            Self::Running => "running",
            Self::Retryable => "retryable",
            Self::Waiting => "waiting",
            Self::Blocked => "blocked",
            Self::Parked => "parked",
            Self::Completed => "completed",
            Self::Skipped => "skipped",
            Self::Discarded => "discarded",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
