//! A row of a captured table, as a trigger left it in the outbox: columns, and nothing that was decided. It is read as its
//! object type here, and matched with who subscribes now.

use bus_core::payload::Payload;
use bus_core::{ChangeSummary, ObjectOperation, ObjectType};
use bus_store::{EntryEnd, StoreError, StoreErrorKind};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::change::{HostChange, Stored, has_external_reference};
use super::task_log;
use crate::error::{BusError, BusErrorKind};
use crate::host::HostError;
use crate::shared::Shared;

/// An entry of a captured row.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(rename = "v")]
    _v: u32,
    raw: Raw,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(rename = "type")]
    object_type: ObjectType,
    op: RawOperation,
    old: Option<Map<String, Value>>,
    new: Option<Map<String, Value>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawOperation {
    Insert,
    /// An insert that took the place of a row: what that was is not known.
    Replace,
    Update,
    Delete,
}

/// Why a row is not told of now.
pub(super) enum Unread {
    /// It cannot be read, or was refused: it waits for a person.
    Parked(String),
    /// It is to be tried again.
    Failed(StoreError),
}

impl From<String> for Unread {
    fn from(reason: String) -> Self {
        Self::Parked(reason)
    }
}

/// What becomes of a captured row, and what is told of it.
pub(super) async fn read(shared: &Shared, text: &[u8]) -> Result<(EntryEnd, Option<ChangeSummary>), Unread> {
    let no_row = |error: serde_json::Error| format!("it is not a row as capture leaves it: {error}");
    let Entry { raw, .. } = serde_json::from_slice(text).map_err(no_row)?;
    let Some(change) = change(shared, raw)? else { return Ok((EntryEnd::Untold, None)) };
    let recorded = task_log::record(shared, std::slice::from_ref(&change)).await.map_err(unrecorded)?;
    if recorded.tasks.is_empty() {
        return Ok((EntryEnd::Untold, None));
    }
    let end = EntryEnd::Logged { key: shared.new_uuid(), tasks: recorded.tasks };
    Ok((end, Some(change.summary)))
}

/// What is wrong with a row stays wrong; a store or a repository may answer later.
fn unrecorded(error: BusError) -> Unread {
    let is_of_the_row =
        matches!(error.kind(), BusErrorKind::Vetoed | BusErrorKind::TooLarge | BusErrorKind::Malformed);
    if is_of_the_row {
        return Unread::Parked(error.to_string());
    }
    Unread::Failed(match error.into_host() {
        Ok(HostError::Store(error)) => error,
        Ok(HostError::Repository(error)) => unavailable(&error.to_string()),
        Err(error) => unavailable(&error.to_string()),
    })
}

fn unavailable(message: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "relay", message.to_owned())
}

/// What happened to the object; `None` when nothing about it is different.
fn change(shared: &Shared, raw: Raw) -> Result<Option<HostChange>, String> {
    let Raw { object_type, op, old, new } = raw;
    let was = old.map(|columns| stored(shared, &object_type, columns)).transpose()?;
    let is = new.map(|columns| stored(shared, &object_type, columns)).transpose()?;
    if let (Some(was), Some(is)) = (&was, &is)
        && was.record.key != is.record.key
    {
        return Err(format!(
            "it was {}, and would be {}: an id does not change",
            was.record.key, is.record.key
        ));
    }
    match (op, was, is) {
        (RawOperation::Insert, None, Some(is)) => Ok(HostChange::saved(None, &is, None)),
        (RawOperation::Replace, None, Some(is)) => Ok(Some(HostChange::again(&is, ObjectOperation::Update))),
        (RawOperation::Update, Some(was), Some(is)) => Ok(HostChange::saved(Some(&was), &is, None)),
        (RawOperation::Delete, Some(was), None) => Ok(Some(HostChange::deleted(&was, None))),
        _ => Err("it holds other rows than its operation has: insert and replace have a new one, delete an old one, update \
                  both"
            .to_owned()),
    }
}

/// A row, read as what its type is.
fn stored(shared: &Shared, object_type: &ObjectType, columns: Map<String, Value>) -> Result<Stored, String> {
    let Some(declared) = shared.registry.object_type(object_type.as_str()) else {
        return Err(format!(
            "this program does not declare {object_type}; add the type to each program that works on the store, then retry it"
        ));
    };
    let (references, children) = (Vec::new(), Vec::new());
    let payload = Payload { object: columns, references, children, page: None, version: declared.version };
    let parts = (declared.parts)(payload).map_err(|error| {
        format!(
            "its columns cannot be read as {object_type} ({}): {error}; name the columns after the fields, give the field a \
             `#[serde(default)]`, or apply the capture anew with another reading, then retry it",
            declared.place
        )
    })?;
    if parts.id.is_none() {
        return Err(format!("its row has no id that {object_type} could have: 0 and NULL are none"));
    }
    if let Some(at) = has_external_reference(&parts.payload) {
        return Err(format!(
            "the reference at {at} is no id of the host's objects; mend the row, or leave the column out"
        ));
    }
    Stored::of(&shared.registry, parts).map_err(|error| error.to_string())
}
