//! What can happen to an object, and how much of it a delivery carries.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What happened to an object (the task type).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectOperation {
    /// It came into being.
    Create,
    /// At least one of its fields (or, for snapshots, of its children) changed.
    Update,
    /// It is gone; the change carries all that it was.
    Delete,
    /// It was assigned to a site; the change carries the whole object.
    AddToSite,
    /// It is not assigned to a site any more; the change carries the whole object.
    RemoveFromSite,
}

impl ObjectOperation {
    /// All of them: those of an object's life in its order, then those of its sites.
    pub const ALL: [Self; 5] =
        [Self::Create, Self::Update, Self::Delete, Self::AddToSite, Self::RemoveFromSite];

    /// The word used in attributes, titles and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::AddToSite => "add_to_site",
            Self::RemoveFromSite => "remove_from_site",
        }
    }

    /// Whether it is about the object and one site, not about the object alone.
    pub const fn is_of_site(self) -> bool {
        matches!(self, Self::AddToSite | Self::RemoveFromSite)
    }
}

impl fmt::Display for ObjectOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much a task carries. Ordered: a later one carries more and has the higher priority when several
/// subscriptions of one connector match one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum DataType {
    /// The object's own fields; references stay the host's ids, nothing is translated.
    Simple,
    /// The fields, with references translated.
    #[default]
    SimpleSnapshot,
    /// The fields and the children, with references translated throughout.
    Snapshot,
}

impl DataType {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Simple, Self::SimpleSnapshot, Self::Snapshot];

    /// The word used in attributes and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::SimpleSnapshot => "simple_snapshot",
            Self::Snapshot => "snapshot",
        }
    }

    /// Whether references are translated.
    pub const fn translates(self) -> bool {
        !matches!(self, Self::Simple)
    }

    /// Whether children travel along.
    pub const fn has_children(self) -> bool {
        matches!(self, Self::Snapshot)
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which way a task travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the host to the external system.
    Outgoing,
    /// From the external system into the host.
    Incoming,
}

impl Direction {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Outgoing, Self::Incoming];

    /// The word used in logs and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Outgoing => "outgoing",
            Self::Incoming => "incoming",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the bus does when an incoming task fails; chosen by whoever logs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum ErrorPolicy {
    /// Tried again with back-off, then parked; later tasks of the same external object wait for it.
    #[default]
    Default,
    /// At its first turn it steps aside without an attempt, so that what is logged right after it goes first.
    SkipOnce,
    /// On a failure it steps aside: tried again, but nothing ever waits for it, even when it is parked.
    SkipOnError,
    /// On a failure it is discarded, with a trace of why. Waiting and outages are not failures.
    DeleteOnError,
}

impl ErrorPolicy {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Default, Self::SkipOnce, Self::SkipOnError, Self::DeleteOnError];

    /// The word used in logs and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::SkipOnce => "skip_once",
            Self::SkipOnError => "skip_on_error",
            Self::DeleteOnError => "delete_on_error",
        }
    }
}

/// Who is told of what an incoming task changes in the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Echo {
    /// Every subscriber but the connector that it came from, which knows already.
    #[default]
    Others,
    /// Nobody.
    None,
    /// Every subscriber, the connector that it came from, too.
    All,
}

impl fmt::Display for ErrorPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
