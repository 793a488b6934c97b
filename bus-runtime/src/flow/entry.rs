//! What a transaction of the application leaves in the outbox: a change, with everything that was decided when it was
//! logged. Whoever relays it needs neither the object's Rust type nor a connector.

use bus_core::payload::Payload;
use bus_core::{ChangeSummary, ConnectorName, DataType, Direction, ErrorPolicy, ObjectKey, Timestamp};
use bus_store::{EntryEnd, NewDelivery, NewTask, Travel};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::keys::object_of_key;
use super::task_log::{check_size, shorten_title};
use crate::error::{BusError, BusErrorKind};
use crate::shared::Shared;

/// The way in which entries are written now.
const VERSION: u32 = 1;

/// The longest reason that is kept of an entry that cannot be read, in characters: it may repeat what stands there.
const REASON_CHARS_MAX: usize = 1_000;

/// An entry, as it is written. What it does not know is refused, not passed over.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    v: u32,
    /// What it is called, so that a statement that is executed twice is logged once.
    key: Uuid,
    change: ChangeSummary,
    title: String,
    logged_at: Timestamp,
    /// The payload, byte by byte: numbers are not read and written again.
    data: Box<RawValue>,
    tasks: Vec<EntryTask>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryTask {
    key: String,
    deliveries: Vec<EntryDelivery>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryDelivery {
    connector: ConnectorName,
    data_type: DataType,
    idempotency_key: Uuid,
}

/// Of an entry, what tells how the rest is written.
#[derive(Deserialize)]
struct Version {
    v: u32,
}

/// A change and its tasks, as the text of an entry; empty where there are none.
pub(crate) fn write(change: &ChangeSummary, tasks: Vec<NewTask>, key: Uuid) -> Result<String, BusError> {
    let Some(first) = tasks.first() else { return Ok(String::new()) };
    let unwritable = |error: String| {
        let what = format!("{} {} cannot be written as JSON", change.object_type, change.id);
        BusError::new(BusErrorKind::Malformed, what).with_source(error)
    };
    let data = String::from_utf8(first.data.clone()).map_err(|error| unwritable(error.to_string()))?;
    let entry = Entry {
        v: VERSION,
        key,
        change: change.clone(),
        title: first.title.clone(),
        logged_at: first.logged_at,
        data: RawValue::from_string(data).map_err(|error| unwritable(error.to_string()))?,
        tasks: tasks.into_iter().map(EntryTask::of).collect(),
    };
    serde_json::to_string(&entry).map_err(|error| unwritable(error.to_string()))
}

impl EntryTask {
    fn of(task: NewTask) -> Self {
        let deliveries = task.deliveries.into_iter().map(|delivery| EntryDelivery {
            connector: delivery.connector,
            data_type: delivery.data_type,
            idempotency_key: delivery.idempotency_key,
        });
        Self { key: task.key, deliveries: deliveries.collect() }
    }
}

/// What becomes of an entry, and the change that it is about.
pub(crate) fn read(shared: &Shared, text: &[u8]) -> (EntryEnd, Option<ChangeSummary>) {
    match try_read(shared, text) {
        Ok((key, tasks, change)) => (EntryEnd::Logged { key, tasks }, Some(change)),
        Err(reason) => {
            let error = reason.chars().take(REASON_CHARS_MAX).collect();
            (EntryEnd::Parked { error }, None)
        }
    }
}

fn try_read(shared: &Shared, text: &[u8]) -> Result<(Uuid, Vec<NewTask>, ChangeSummary), String> {
    let not_ours = |error: serde_json::Error| format!("it was not written by `Bus::log`: {error}");
    let Version { v } = serde_json::from_slice(text).map_err(not_ours)?;
    if v != VERSION {
        return Err(format!(
            "it was written by another version of the bus (v is {v}, this one knows {VERSION}); update this program, \
             then retry it"
        ));
    }
    let entry: Entry = serde_json::from_slice(text).map_err(not_ours)?;
    let Entry { key, change, title, logged_at, data, tasks, .. } = entry;
    let data = data.get().as_bytes();
    serde_json::from_slice::<Payload>(data).map_err(|error| format!("its data is no object: {error}"))?;
    let object = ObjectKey { object_type: change.object_type.clone(), id: change.id.clone() };
    check_size(shared, &object.to_string(), data.len()).map_err(|error| error.to_string())?;
    let new = |task: EntryTask| {
        if object_of_key(object.object_type.as_str(), &task.key).as_ref() != Some(&object) {
            return Err(format!("its key `{}` is not that of {object}", task.key));
        }
        if task.deliveries.is_empty() {
            return Err("it has a task without a delivery".to_owned());
        }
        Ok(NewTask {
            direction: Direction::Outgoing,
            subject: object.object_type.to_string(),
            key: task.key,
            operation: change.operation,
            title: shorten_title(&title),
            data: data.to_vec(),
            content_type: "application/json".to_owned(),
            site: change.site.clone(),
            origin: change.origin.clone(),
            logged_at,
            redelivers: None,
            idempotency: None,
            travel: Travel::default(),
            deliveries: task.deliveries.into_iter().map(EntryDelivery::into_new).collect(),
        })
    };
    let tasks = tasks.into_iter().map(new).collect::<Result<Vec<_>, _>>()?;
    if tasks.is_empty() {
        return Err("it has no tasks".to_owned());
    }
    Ok((key, tasks, change))
}

impl EntryDelivery {
    fn into_new(self) -> NewDelivery {
        NewDelivery {
            connector: self.connector,
            data_type: self.data_type,
            policy: ErrorPolicy::Default,
            idempotency_key: self.idempotency_key,
        }
    }
}
