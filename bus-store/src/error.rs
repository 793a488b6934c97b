//! What goes wrong in a store.

use std::error::Error;
use std::fmt;

/// What went wrong in a store: what kind of trouble, in which operation, and the backend's own error behind it.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    operation: &'static str,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of trouble, as far as callers treat them differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// It cannot be reached, is locked by somebody else, or its disk is full; the same call may succeed later.
    Unavailable,
    /// What the caller expected is no longer so (a version, a name that is taken): read again, decide again.
    Conflict,
    /// An idempotency key was used before, for something else: nothing was changed.
    KeyReused,
    /// The queue has another owner by now: nothing was changed, stop working on it.
    Stale,
    /// What was asked for does not exist.
    NotFound,
    /// What is stored cannot be understood, or the file is not a store of the bus.
    Corrupt,
    /// This store, or this version of it, cannot do that.
    Unsupported,
    /// It has been closed.
    Closed,
}

impl StoreError {
    /// Trouble of this kind, in this operation: `message` names the thing and the remedy.
    pub fn new(kind: StoreErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self { kind, operation, message: message.into(), source: None }
    }

    /// With the backend's own error behind it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of trouble it is.
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// What was being done: `commit`, `claim`, `open`.
    pub const fn operation(&self) -> &'static str {
        self.operation
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.message)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
