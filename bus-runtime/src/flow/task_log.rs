//! Writes a change down for everybody who subscribed: one task, one delivery for each connector.

use std::collections::BTreeMap;

use bus_core::payload::Payload;
use bus_core::{
    ChangeSummary, ConnectorName, DataType, Direction, ErrorPolicy, ObjectKey, ReferenceTarget,
    TranslationRecord,
};
use bus_store::{NewDelivery, NewTask, ObjectRecord};

use super::change::HostChange;
use crate::error::{BusError, BusErrorKind};
use crate::registry::Roster;
use crate::shared::Shared;

/// The longest title, in characters.
const TITLE_CHARS_MAX: usize = 450;

/// Who is told of a change, and how much: the highest data type where several lines of one connector match.
pub(crate) fn subscribers(roster: &Roster, change: &HostChange) -> BTreeMap<ConnectorName, DataType> {
    let mut told = BTreeMap::new();
    for (subscriber, subscription) in roster.matcher().matching(change.before.as_ref(), &change.summary) {
        let Some(enlisted) = roster.get(&subscriber.connector).filter(|enlisted| enlisted.logs()) else {
            continue;
        };
        let is_echo = change.summary.origin.as_ref() == Some(&subscriber.connector);
        if is_echo
            || !change.concerns(subscription.data_type)
            || !enlisted.wants(subscriber.route, &change.summary)
        {
            continue;
        }
        let data_type = told.entry(subscriber.connector.clone()).or_insert(subscription.data_type);
        *data_type = subscription.data_type.max(*data_type);
    }
    told
}

/// The task of a change; `None` when nobody is to be told, or logging is switched off.
pub(crate) async fn record(shared: &Shared, change: &HostChange) -> Result<Option<NewTask>, BusError> {
    let switches = *shared.switches.borrow();
    if !(switches.bus && switches.log_outgoing) {
        return Ok(None);
    }
    let told = subscribers(&shared.roster(), change);
    let Some(most) = told.values().copied().max() else { return Ok(None) };
    for listener in &shared.listeners {
        listener
            .before_logging(&change.summary)
            .map_err(|veto| vetoed(&change.summary, &veto.to_string()))?;
    }
    let mut payload = change.payload.clone().reduced_to(most);
    if most.translates() {
        add_translation_records(shared, &mut payload).await?;
    }
    let data = serde_json::to_vec(&payload).map_err(|error| {
        BusError::new(BusErrorKind::Malformed, format!("{} cannot be written as JSON", name(&change.summary)))
            .with_source(error)
    })?;
    check_size(shared, &name(&change.summary), data.len())?;
    let now = shared.now();
    let deliveries = told.into_iter().map(|(connector, data_type)| NewDelivery {
        connector,
        data_type,
        policy: ErrorPolicy::Default,
        idempotency_key: shared.new_uuid(),
    });
    Ok(Some(NewTask {
        direction: Direction::Outgoing,
        subject: change.summary.object_type.to_string(),
        key: outgoing_key(&change.summary.object_type, &change.summary.id),
        operation: change.summary.operation,
        title: title(shared, &change.summary),
        data,
        content_type: "application/json".to_owned(),
        site: change.summary.site.clone(),
        origin: change.summary.origin.clone(),
        logged_at: now,
        deliveries: deliveries.collect(),
    }))
}

/// What order is kept for: the object, by type and id.
fn outgoing_key(object_type: &bus_core::ObjectType, id: &bus_core::ObjectId) -> String {
    format!("{object_type}={id}")
}

/// The object behind an outgoing key.
pub(crate) fn object_of_key(subject: &str, key: &str) -> Option<ObjectKey> {
    let id = key.strip_prefix(subject)?.strip_prefix('=')?;
    Some(ObjectKey { object_type: subject.parse().ok()?, id: bus_core::ObjectId::from_text(id) })
}

/// What an object is larger than is never logged.
pub(crate) fn check_size(shared: &Shared, what: &str, bytes: usize) -> Result<(), BusError> {
    let limit = shared.limits.payload_bytes_max;
    if bytes <= limit {
        return Ok(());
    }
    Err(BusError::new(
        BusErrorKind::TooLarge,
        format!(
            "{what} is {bytes} bytes, more than the {limit} of `payload_bytes_max`; send less, or raise the limit"
        ),
    ))
}

async fn add_translation_records(shared: &Shared, payload: &mut Payload) -> Result<(), BusError> {
    let mut records: BTreeMap<ObjectKey, Option<TranslationRecord>> = BTreeMap::new();
    for reference in &mut payload.references {
        let ReferenceTarget::Host(id) = &reference.target else { continue };
        let key = ObjectKey { object_type: reference.object_type.clone(), id: id.clone() };
        if !records.contains_key(&key) {
            let found = shared.store.object(&key).await;
            let found = found.map_err(|error| BusError::store("look up what an object refers to", error))?;
            records.insert(key.clone(), found.map(translation_record));
        }
        reference.record = records.get(&key).cloned().flatten();
    }
    Ok(())
}

fn translation_record(object: ObjectRecord) -> TranslationRecord {
    TranslationRecord {
        guid: object.guid,
        code_name: object.code_name,
        site: object.site,
        parent: object.parent,
        group: object.group,
    }
}

/// For people: `Create User Ada Lovelace`.
fn title(shared: &Shared, change: &ChangeSummary) -> String {
    let display =
        shared.registry.object_type(change.object_type.as_str()).map_or("", |object| object.display);
    let display = if display.is_empty() { change.object_type.as_str() } else { display };
    let name = change.display_name.clone().or_else(|| change.code_name.clone());
    let name = name.unwrap_or_else(|| change.id.to_string());
    let operation = change.operation.as_str();
    let mut title = operation[..1].to_uppercase();
    title.push_str(&operation[1..]);
    shorten_title(&format!("{title} {display} {name}"))
}

/// A title as it is kept.
pub(crate) fn shorten_title(title: &str) -> String {
    title.chars().take(TITLE_CHARS_MAX).collect()
}

fn name(change: &ChangeSummary) -> String {
    format!("{} {}", change.object_type, change.id)
}

fn vetoed(change: &ChangeSummary, reason: &str) -> BusError {
    BusError::new(
        BusErrorKind::Vetoed,
        format!("a listener of the application refuses to {} {}: {reason}", change.operation, name(change)),
    )
}

/// Tells the listeners what was logged.
pub(crate) fn announce(shared: &Shared, change: &ChangeSummary, task: bus_core::TaskId) {
    for listener in &shared.listeners {
        listener.after_logging(change, task);
    }
}
