//! What goes wrong inside, and how it is told.

use bus_store::{StoreError, StoreErrorKind};
use rusqlite::ErrorCode;

/// Why a piece of work was not done: the store refused it, or `SQLite` failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The caller asked for what cannot be; the rest of the transaction goes on without it.
    Refused { kind: StoreErrorKind, message: String },
    /// `SQLite` failed; the transaction is lost.
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error)
    }
}

impl Fault {
    /// As the caller is told.
    pub(crate) fn told(&self, operation: &'static str) -> StoreError {
        match self {
            Self::Refused { kind, message } => StoreError::new(*kind, operation, message.clone()),
            Self::Failed(error) => told(error, operation),
        }
    }
}

/// A refusal of this kind: `message` names the thing and the remedy.
pub(crate) fn refusal(kind: StoreErrorKind, message: impl Into<String>) -> Fault {
    Fault::Refused { kind, message: message.into() }
}

/// What `SQLite`'s failure means for the store and its callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// Something is in the way (a full disk, a lock): everybody in the transaction is told, the store goes on.
    Transient,
    /// One piece of work is at fault (too large, say): the others can go on without it.
    Guilty,
    /// What is on the disk is not known any more: the store stops.
    Fatal,
}

pub(crate) fn severity(error: &rusqlite::Error) -> Severity {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DiskFull
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::CannotOpen
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationInterrupted
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied,
        ) => Severity::Transient,
        Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            Severity::Fatal
        }
        _ => Severity::Guilty,
    }
}

/// Whether there is no room for what was to be written.
pub(crate) fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// `SQLite`'s failure, as the caller is told: what it is, and what to do.
pub(crate) fn told(error: &rusqlite::Error, operation: &'static str) -> StoreError {
    use StoreErrorKind::{Conflict, Corrupt, Unavailable, Unsupported};
    let (kind, message) = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => {
            (Unavailable, "the disk, or the store's quota, is full: make room, then try again")
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => (
            Unavailable,
            "another connection has kept the database locked: if code of this program has a transaction open, commit it \
             before you call the bus, or log with the statement of `Bus::log` in it; if it is another program, end its \
             long transaction; then try again",
        ),
        Some(ErrorCode::SystemIoFailure) => {
            (Unavailable, "the disk failed to read or write: check the disk, then start again")
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => (
            Unavailable,
            "the database cannot be written: allow this user to write to the file and its folder",
        ),
        Some(ErrorCode::CannotOpen) => (
            Unavailable,
            "the database, or its `-wal` file, cannot be opened: check its folder and permissions",
        ),
        Some(ErrorCode::OutOfMemory) => (Unavailable, "there is not enough memory: try again with less"),
        Some(ErrorCode::DatabaseCorrupt) => (
            Corrupt,
            "the database is damaged: restore it from a copy, or recover it with the `sqlite3` tool",
        ),
        Some(ErrorCode::NotADatabase) => (Corrupt, "the file is not an SQLite database: choose another file"),
        Some(ErrorCode::ConstraintViolation) => {
            (Conflict, "something with this name is there already: read again")
        }
        Some(ErrorCode::TooBig) => (Unsupported, "a value is larger than SQLite can hold: send less"),
        _ => {
            (Corrupt, "the database does not understand what it was asked: it was changed by another program")
        }
    };
    StoreError::new(kind, operation, message).with_source(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)
    }

    #[test]
    fn a_full_disk_passes_and_a_failed_sync_does_not() {
        assert_eq!(severity(&failure(rusqlite::ffi::SQLITE_FULL)), Severity::Transient);
        assert_eq!(severity(&failure(rusqlite::ffi::SQLITE_BUSY)), Severity::Transient);
        assert_eq!(severity(&failure(rusqlite::ffi::SQLITE_TOOBIG)), Severity::Guilty);
        assert_eq!(severity(&failure(rusqlite::ffi::SQLITE_IOERR_FSYNC)), Severity::Fatal);
        assert_eq!(severity(&failure(rusqlite::ffi::SQLITE_CORRUPT)), Severity::Fatal);
    }

    #[test]
    fn an_error_says_what_to_do() {
        let error = told(&failure(rusqlite::ffi::SQLITE_FULL), "commit");
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert_eq!(
            error.to_string(),
            "commit: the disk, or the store's quota, is full: make room, then try again"
        );
    }
}
