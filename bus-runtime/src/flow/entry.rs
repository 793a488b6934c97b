//! What a transaction of the application leaves in the outbox: a change, with everything that was decided when it was
//! logged. Whoever relays it needs neither the object's Rust type nor a connector.

use bus_core::payload::Payload;
use bus_core::{
    ChangeSummary, ConnectorName, DataType, DeliveryId, Direction, Echo, ErrorPolicy, ObjectKey,
    ObjectOperation, TaskId, Timestamp,
};
use bus_store::{
    Binding, EntryEnd, ExchangeWrite, NewDelivery, NewTask, Said, SettledEntry, Settles, StoreError, Travel,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::keys::object_of_key;
use super::raw::{self, Unread};
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
    /// The delivery that it settles. The store reads this, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settles: Option<Settles>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    bindings: Vec<Binding>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unbound: Vec<Binding>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    travel: Option<EntryTravel>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    exchanged: Vec<EntryExchange>,
}

/// Where a change that came in stands on its way.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryTravel {
    cause: Option<TaskId>,
    hop: u8,
    echo: Echo,
}

/// What an incoming task has said about its object.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum EntryExchange {
    Heard { external_id: String, up_to: DeliveryId },
    Taken { external_id: String, alternations: u32, data: Box<RawValue> },
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
    /// A trigger has left it.
    raw: Option<serde::de::IgnoredAny>,
}

/// A change and its tasks, as the text of an entry; empty where there are none.
pub(crate) fn write(change: &ChangeSummary, tasks: Vec<NewTask>, key: Uuid) -> Result<String, BusError> {
    if tasks.is_empty() {
        return Ok(String::new());
    }
    write_entry(change, None, SettledEntry { tasks, ..SettledEntry::default() }, key)
}

/// A change that settles a delivery, and all that follows from it, as the text of an entry.
pub(crate) fn write_settled(
    change: &ChangeSummary,
    settles: &Settles,
    settled: SettledEntry,
    key: Uuid,
) -> Result<String, BusError> {
    write_entry(change, Some(settles.clone()), settled, key)
}

fn write_entry(
    change: &ChangeSummary,
    settles: Option<Settles>,
    settled: SettledEntry,
    key: Uuid,
) -> Result<String, BusError> {
    let SettledEntry { tasks, bindings, unbound, exchanged, deleted: _ } = settled;
    let unwritable = |error: String| {
        let what = format!("{} {} cannot be written as JSON", change.object_type, change.id);
        BusError::new(BusErrorKind::Malformed, what).with_source(error)
    };
    let exchanged = exchanged.into_iter().filter_map(|write| EntryExchange::of(write).transpose());
    let exchanged = exchanged.collect::<Result<_, _>>().map_err(|error| unwritable(error.to_string()))?;
    let (is_settling, first_travel) = (settles.is_some(), tasks.first().map(|task| task.travel));
    let first = tasks.first();
    let data = first.map_or_else(|| b"null".to_vec(), |first| first.data.clone());
    let data = String::from_utf8(data).map_err(|error| unwritable(error.to_string()))?;
    let entry = Entry {
        v: VERSION,
        key,
        change: change.clone(),
        title: first.map_or_else(String::new, |first| first.title.clone()),
        logged_at: first.map_or(Timestamp::EPOCH, |first| first.logged_at),
        data: RawValue::from_string(data).map_err(|error| unwritable(error.to_string()))?,
        tasks: tasks.into_iter().map(EntryTask::of).collect(),
        settles,
        bindings,
        unbound,
        travel: first_travel.filter(|_| is_settling).map(EntryTravel::of),
        exchanged,
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
pub(crate) async fn read(
    shared: &Shared,
    text: &[u8],
) -> Result<(EntryEnd, Option<ChangeSummary>), StoreError> {
    let read = match is_raw(text) {
        Ok(true) => raw::read(shared, text).await,
        Ok(false) => try_read(shared, text).map_err(Unread::Parked).map(|Read { end, change }| {
            let is_told = !end.tasks().is_empty();
            (end, is_told.then_some(change))
        }),
        Err(reason) => Err(Unread::Parked(reason)),
    };
    match read {
        Ok(read) => Ok(read),
        Err(Unread::Failed(error)) => Err(error),
        Err(Unread::Parked(reason)) => {
            let error = reason.chars().take(REASON_CHARS_MAX).collect();
            Ok((EntryEnd::Parked { error }, None))
        }
    }
}

/// Whether it is a row of a captured table; refuses what another version has written.
fn is_raw(text: &[u8]) -> Result<bool, String> {
    let Version { v, raw } = serde_json::from_slice(text).map_err(not_ours)?;
    if v != VERSION {
        return Err(format!(
            "it was written by another version of the bus (v is {v}, this one knows {VERSION}); update this program, \
             then retry it"
        ));
    }
    Ok(raw.is_some())
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to map_err")]
fn not_ours(error: serde_json::Error) -> String {
    format!("it was not written by `Bus::log`: {error}")
}

struct Read {
    end: EntryEnd,
    change: ChangeSummary,
}

fn try_read(shared: &Shared, text: &[u8]) -> Result<Read, String> {
    let entry: Entry = serde_json::from_slice(text).map_err(not_ours)?;
    let Entry {
        key,
        change,
        title,
        logged_at,
        data,
        tasks,
        settles,
        bindings,
        unbound,
        travel,
        exchanged,
        ..
    } = entry;
    let data = data.get().as_bytes();
    if !tasks.is_empty() {
        serde_json::from_slice::<Payload>(data).map_err(|error| format!("its data is no object: {error}"))?;
    }
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
            travel: travel.as_ref().map_or_else(Travel::default, EntryTravel::read),
            deliveries: task.deliveries.into_iter().map(EntryDelivery::into_new).collect(),
        })
    };
    let tasks = tasks.into_iter().map(new).collect::<Result<Vec<_>, _>>()?;
    let end = if let Some(settles) = settles {
        let exchanged = exchanged.into_iter().map(|said| said.read(&settles, &object)).collect();
        let deleted = (change.operation == ObjectOperation::Delete).then_some(object);
        EntryEnd::Settled(Box::new(SettledEntry { unbound, bindings, tasks, exchanged, deleted }))
    } else if tasks.is_empty() {
        return Err("it has no tasks".to_owned());
    } else {
        EntryEnd::Logged { key, tasks }
    };
    Ok(Read { end, change })
}

impl EntryTravel {
    fn of(Travel { cause, hop, echo }: Travel) -> Self {
        Self { cause, hop, echo }
    }

    fn read(&self) -> Travel {
        Travel { cause: self.cause, hop: self.hop, echo: self.echo }
    }
}

impl EntryExchange {
    /// An incoming task takes and hears; it gives and sends nothing.
    fn of(write: ExchangeWrite) -> Result<Option<Self>, serde_json::Error> {
        let external_id = write.binding.external_id;
        Ok(match write.said {
            Said::Heard { up_to } => Some(Self::Heard { external_id, up_to }),
            Said::Taken { data, alternations } => {
                Some(Self::Taken { external_id, alternations, data: serde_json::from_slice(&data)? })
            }
            Said::Given { .. } | Said::Sent(_) => None,
        })
    }

    fn read(self, settles: &Settles, object: &ObjectKey) -> ExchangeWrite {
        let (external_id, said) = match self {
            Self::Heard { external_id, up_to } => (external_id, Said::Heard { up_to }),
            Self::Taken { external_id, alternations, data } => {
                (external_id, Said::Taken { data: data.get().as_bytes().to_vec(), alternations })
            }
        };
        let connector = settles.queue.connector.clone();
        ExchangeWrite { binding: Binding { connector, object: object.clone(), external_id }, said }
    }
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
