//! What a store can and cannot do.

use std::fmt;

/// What a store can and cannot do. A law that needs more than a store has is reported as a gap, with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The store's name, for people.
    pub name: &'static str,
    /// What an acknowledged task survives.
    pub durability: Durability,
    /// Whether the same data can be opened again after `close`.
    pub reopens: bool,
    /// The statement that a transaction of the application executes, with one text, to leave an entry in the
    /// [`Outbox`](crate::Outbox); an empty text leaves none. `None` where no such transaction can reach the store.
    pub log_statement: Option<&'static str>,
    /// Whether an entry can settle a delivery ([`Settles`](crate::Settles)).
    pub settles_by_entry: bool,
}

/// What an acknowledged task survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// D0: nothing; it lives and dies with the process.
    Nothing,
    /// D1: the end of the process.
    ProcessKill,
    /// D2: the loss of power.
    PowerLoss,
    /// D3: the loss of one machine.
    MachineLoss,
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "D0 (lost with the process)",
            Self::ProcessKill => "D1 (survives a process kill)",
            Self::PowerLoss => "D2 (survives a power loss)",
            Self::MachineLoss => "D3 (survives the loss of one machine)",
        })
    }
}
