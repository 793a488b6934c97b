//! How words and ids are written into columns: small integers for what is chosen from a list, text for ids.

use bus_core::{
    Alias, ConnectorName, Culture, DataType, DeliveryState, Direction, Echo, ErrorPolicy, NameError,
    ObjectId, ObjectOperation, ObjectType, Operation, PageOperation, PageState, SiteName,
};
use bus_store::{ConnectorState, Doubt, RecordOwner, Redelivery, ResyncState, Scope, StoreErrorKind, Verb};
use rusqlite::Row;
use uuid::Uuid;

use crate::error::{Fault, refusal};

/// What of an outgoing or incoming task is written into a column.
pub(crate) trait Code: Copy + PartialEq + Sized + 'static {
    /// All of them, in the order of their codes.
    const ALL: &'static [Self];

    /// What a person would call the column.
    const NAME: &'static str;

    fn to_code(self) -> i64 {
        let place = Self::ALL.iter().position(|one| *one == self);
        place.and_then(|place| i64::try_from(place).ok()).unwrap_or(-1)
    }

    fn from_code(code: i64) -> Result<Self, Fault> {
        let known = usize::try_from(code).ok().and_then(|place| Self::ALL.get(place));
        known.copied().ok_or_else(|| corrupt(format!("{code} is no code of {}", Self::NAME)))
    }
}

macro_rules! codes {
    ($($word:ty, $name:literal: [$($one:ident),*];)*) => {$(
        impl Code for $word {
            const ALL: &'static [Self] = &[$(Self::$one),*];
            const NAME: &'static str = $name;
        }
    )*};
}

codes! {
    ObjectOperation, "an operation on objects": [Create, Update, Delete, AddToSite, RemoveFromSite];
    PageOperation, "an operation on pages": [Create, Update, Delete, DeleteAll, Publish, Archive, Reject, Move];
    Direction, "a direction": [Outgoing, Incoming];
    DataType, "a data type": [Simple, SimpleSnapshot, Snapshot];
    ErrorPolicy, "an error policy": [Default, SkipOnce, SkipOnError, DeleteOnError];
    ConnectorState, "a connector's state": [Enabled, Paused, Stopped, Disabled];
    RecordOwner, "a record's owner": [File, Operator];
    Scope, "a scope of order": [Key, Queue];
    Verb, "a verb": [Retry, Skip, Cancel, Discard, Resolve];
    SideState, "a state": [Fresh, Running, Retry, Ready, Waiting, Parked, Scheduled];
    LaneKind, "a lane": [Fresh, Due, Held, Waiting];
    Echo, "who is told": [Others, None, All];
    End, "an end": [Completed, Skipped, Discarded, Cancelled];
    Doubt, "a doubt": [None, InDoubt, TriedAnyway];
    PageState, "a page's state": [Draft, Published, Archived, Rejected];
    ResyncState, "a resync's state": [Running, Done, Cancelled];
}

/// What those of pages begin with, so that more operations on objects have room before them.
const PAGE_CODES: i64 = 10;

impl Code for Operation {
    const ALL: &'static [Self] = &[];
    const NAME: &'static str = "an operation";

    fn to_code(self) -> i64 {
        match self {
            Self::Object(operation) => operation.to_code(),
            Self::Page(operation) => PAGE_CODES + operation.to_code(),
        }
    }

    fn from_code(code: i64) -> Result<Self, Fault> {
        if code < PAGE_CODES {
            return ObjectOperation::from_code(code).map(Self::Object);
        }
        PageOperation::from_code(code - PAGE_CODES).map(Self::Page)
    }
}

/// Where a delivery of a key with an exception stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SideState {
    /// Not claimed yet, or put back without having been called.
    Fresh,
    /// Claimed.
    Running,
    /// Failed, and due again.
    Retry,
    /// An exception that is due (released, woken, interrupted).
    Ready,
    /// Waits for something to arrive.
    Waiting,
    /// Waits for a person.
    Parked,
    /// Put off until it is due, without having failed.
    Scheduled,
}

/// How a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Completed,
    Skipped,
    Discarded,
    Cancelled,
}

impl End {
    /// What people see.
    pub(crate) const fn shown(self) -> DeliveryState {
        match self {
            Self::Completed => DeliveryState::Completed,
            Self::Skipped => DeliveryState::Skipped,
            Self::Discarded => DeliveryState::Discarded,
            Self::Cancelled => DeliveryState::Cancelled,
        }
    }
}

impl SideState {
    /// What people see of it when nothing stands before it.
    pub(crate) const fn shown(self) -> DeliveryState {
        match self {
            Self::Fresh | Self::Ready => DeliveryState::Available,
            Self::Running => DeliveryState::Running,
            Self::Retry => DeliveryState::Retryable,
            Self::Waiting => DeliveryState::Waiting,
            Self::Parked => DeliveryState::Parked,
            Self::Scheduled => DeliveryState::Scheduled,
        }
    }
}

/// What keeps a key with an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LaneKind {
    /// Nothing: its head is fresh.
    Fresh,
    /// Its head, until that is due.
    Due,
    /// Something of it runs, or its head is parked.
    Held,
    /// Its head, which waits, until it asks again.
    Waiting,
}

/// An id as text, so that equal ids are equal texts.
pub(crate) fn id_text(id: &ObjectId) -> String {
    id.to_text()
}

/// The id that was written as this text.
#[expect(clippy::needless_pass_by_value, reason = "it is passed to map")]
pub(crate) fn id_from_text(text: String) -> ObjectId {
    ObjectId::from_text(&text)
}

pub(crate) fn connector_name(text: String) -> Result<ConnectorName, Fault> {
    ConnectorName::parse(text).map_err(|error| bad_name(&error))
}

pub(crate) fn object_type(text: String) -> Result<ObjectType, Fault> {
    ObjectType::parse(text).map_err(|error| bad_name(&error))
}

pub(crate) fn site_name(text: Option<String>) -> Result<Option<SiteName>, Fault> {
    text.map(site_name_from).transpose()
}

pub(crate) fn site_name_from(text: String) -> Result<SiteName, Fault> {
    SiteName::parse(text).map_err(|error| bad_name(&error))
}

pub(crate) fn culture(text: String) -> Result<Culture, Fault> {
    Culture::parse(text).map_err(|error| bad_name(&error))
}

pub(crate) fn alias(text: String) -> Result<Alias, Fault> {
    Alias::parse(text).map_err(|error| bad_name(&error))
}

/// Who asked for a redelivery, as it is written down.
pub(crate) fn redelivery_text(redelivery: &Redelivery) -> Result<String, Fault> {
    let written = serde_json::to_string(redelivery);
    written.map_err(|error| refusal(StoreErrorKind::Unsupported, format!("a redelivery in JSON: {error}")))
}

/// The redelivery that was written as this text.
pub(crate) fn redelivery(text: &str) -> Result<Redelivery, Fault> {
    let read = serde_json::from_str(text);
    read.map_err(|error| refusal(StoreErrorKind::Corrupt, format!("who asked for a redelivery: {error}")))
}

pub(crate) fn guid(row: &Row<'_>, column: usize) -> Result<Option<Uuid>, Fault> {
    let bytes: Option<[u8; 16]> = row.get(column)?;
    Ok(bytes.map(Uuid::from_bytes))
}

pub(crate) fn key_of_delivery(row: &Row<'_>, column: usize) -> Result<Uuid, Fault> {
    Ok(Uuid::from_bytes(row.get(column)?))
}

/// A count for the caller; counts are never negative.
pub(crate) fn count(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

/// A small count for the caller.
pub(crate) fn small_count(stored: i64) -> u32 {
    u32::try_from(stored.max(0)).unwrap_or(u32::MAX)
}

/// A limit as `SQLite` takes it.
pub(crate) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(crate) fn corrupt(message: String) -> Fault {
    refusal(StoreErrorKind::Corrupt, message)
}

fn bad_name(error: &NameError) -> Fault {
    corrupt(format!("a stored name cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_was_written() {
        for text in ["17", "-3", "017", "+5", "", "x", "9f2d6c2e-0000-4000-8000-000000000001"] {
            assert_eq!(id_from_text(text.to_owned()).to_text(), text);
        }
        let shouting = "9F2D6C2E-0000-4000-8000-000000000001".to_owned();
        assert_eq!(id_from_text(shouting.clone()).to_text(), shouting);
        assert!(matches!(id_from_text("17".to_owned()), ObjectId::Number(17)));
    }

    #[test]
    fn a_code_stands_for_one_word() {
        for state in SideState::ALL {
            assert!(SideState::from_code(state.to_code()).is_ok_and(|read| read == *state));
        }
        assert!(SideState::from_code(7).is_err());
        assert_eq!(SideState::Running.to_code(), 1, "the migration names these numbers");
        assert_eq!(LaneKind::Held.to_code(), 2, "the migration names these numbers");
        assert_eq!(Doubt::TriedAnyway.to_code(), 2, "the migration names these numbers");
        for operation in Operation::all() {
            assert!(Operation::from_code(operation.to_code()).is_ok_and(|read| read == operation));
        }
        assert_eq!(Operation::from(PageOperation::Move).to_code(), 17, "the migration names these numbers");
        for none in [-1, 5, 9, 18] {
            assert!(Operation::from_code(none).is_err(), "{none}");
        }
    }
}
