//! Writes a change down for everybody who subscribed: one task, one delivery for each connector. Where some of them
//! keep no order, those have a task of their own, because order is kept by the task's key.

use std::collections::{BTreeMap, BTreeSet};

use bus_core::payload::Payload;
use bus_core::{
    ChangeSummary, ConnectorName, DataType, Direction, Echo, ErrorPolicy, ObjectKey, Operation,
    PageOperation, ReferenceTarget, TranslationRecord,
};
use bus_store::{NewDelivery, NewTask, ObjectRecord, Travel};

use super::change::HostChange;
use super::keys::{outgoing_key, page_key};
use super::listening::{self, Announcement};
use super::page::{page_of, record_of_page};
use crate::config::Ordering;
use crate::error::{BusError, BusErrorKind};
use crate::host::HostError;
use crate::registry::{Enlisted, Roster};
use crate::shared::Shared;

/// The longest title, in characters.
const TITLE_CHARS_MAX: usize = 450;

/// How a connector is told of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Told {
    pub(crate) data_type: DataType,
    /// Before the logging call returns, if that can be.
    pub(crate) sync: bool,
}

/// What is to be logged of a change.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) tasks: Vec<NewTask>,
    /// Who is to be told before the logging call returns.
    pub(crate) synchronous: BTreeSet<ConnectorName>,
    /// Each change that somebody hears of.
    pub(crate) announced: Vec<Announcement>,
}

/// Who is told of a change, and how: the highest priority where several lines of one connector match.
pub(crate) fn subscribers(roster: &Roster, change: &HostChange) -> BTreeMap<ConnectorName, Told> {
    let mut told: BTreeMap<ConnectorName, Told> = BTreeMap::new();
    let matcher = roster.matcher();
    let matching: Vec<_> = if change.places.is_empty() {
        matcher.matching(change.before.as_ref(), &change.summary).collect()
    } else {
        matcher.matching_any(&change.places, &change.summary).collect()
    };
    for (subscriber, subscription) in matching {
        let Some(enlisted) = roster.get(&subscriber.connector).filter(|enlisted| enlisted.logs()) else {
            continue;
        };
        if !is_told(change, &subscriber.connector)
            || !change.concerns(subscription.data_type)
            || !enlisted.wants(subscriber.route, &change.summary)
        {
            continue;
        }
        let by_this = Told { data_type: subscription.data_type, sync: subscription.sync };
        let known = told.entry(subscriber.connector.clone()).or_insert(by_this);
        known.data_type = known.data_type.max(by_this.data_type);
        known.sync |= by_this.sync;
    }
    told
}

/// Whether a connector is told of a change at all: the one that it came from knows already.
fn is_told(change: &HostChange, connector: &ConnectorName) -> bool {
    match change.travel.echo {
        Echo::Others => change.summary.origin.as_ref() != Some(connector),
        Echo::None => change.summary.origin.is_none(),
        Echo::All => true,
    }
}

/// The tasks of changes that become true together, in their order; none when nobody is to be told, or logging is
/// switched off. A veto of one is a veto of all.
pub(crate) async fn record(shared: &Shared, changes: &[HostChange]) -> Result<Recorded, BusError> {
    let mut recorded = Recorded::default();
    let switches = *shared.switches.borrow();
    let is_logging = switches.bus && switches.log_outgoing;
    for change in changes {
        record_one(shared, change, is_logging, &mut recorded).await?;
    }
    Ok(recorded)
}

async fn record_one(
    shared: &Shared,
    change: &HostChange,
    is_logging: bool,
    recorded: &mut Recorded,
) -> Result<(), BusError> {
    let roster = shared.roster();
    let told = if is_logging { subscribers(&roster, change) } else { BTreeMap::new() };
    let most = told.values().map(|told| told.data_type).max();
    // What comes in is logged already, whether anybody is told of what it changes or not.
    let is_heard = most.is_some() || change.summary.origin.is_some();
    let forms = if is_heard { listening::forms(shared, change) } else { None };
    listening::ask(shared, &change.summary, forms.as_ref(), most.is_some())?;
    let first = most.is_some().then_some(recorded.tasks.len());
    recorded.announced.extend(Announcement::of(change, first, forms));
    let Some(most) = most else { return Ok(()) };
    let data = written(shared, &change.summary, change.payload.clone(), most).await?;
    recorded.synchronous.extend(told.iter().filter(|(_, told)| told.sync).map(|(name, _)| name.clone()));
    let (unordered, ordered): (Vec<_>, Vec<_>) =
        told.into_iter().partition(|(name, _)| roster.get(name).is_some_and(|known| is_unordered(known)));
    for (told, is_unordered) in [(ordered, false), (unordered, true)] {
        if !told.is_empty() {
            let deliveries = told.into_iter().map(|(connector, told)| NewDelivery {
                connector,
                data_type: told.data_type,
                policy: ErrorPolicy::Default,
                idempotency_key: shared.new_uuid(),
            });
            let own = is_unordered.then(|| shared.new_uuid());
            let mut task = task(shared, &change.summary, data.clone(), own, deliveries.collect());
            task.travel = Travel { echo: Echo::default(), ..change.travel };
            recorded.tasks.push(task);
        }
    }
    Ok(())
}

/// Whether deliveries of one object may overtake each other.
pub(crate) fn is_unordered(enlisted: &Enlisted) -> bool {
    enlisted.processing.ordering == Ordering::None
}

/// A change as it is kept for those who are told at most this much, with its translation records.
pub(crate) async fn written(
    shared: &Shared,
    change: &ChangeSummary,
    payload: Payload,
    most: DataType,
) -> Result<Vec<u8>, BusError> {
    let mut payload = payload.reduced_to(most);
    if most.translates() {
        let added = add_translation_records(shared, &mut payload).await;
        added.map_err(|error| BusError::host("look up what an object refers to", error))?;
    }
    let data = serde_json::to_vec(&payload).map_err(|error| {
        BusError::new(BusErrorKind::Malformed, format!("{} cannot be written as JSON", name(change)))
            .with_source(error)
    })?;
    check_size(shared, &name(change), data.len())?;
    Ok(data)
}

/// A task of a change; with `own`, its order is kept for nothing else.
pub(crate) fn task(
    shared: &Shared,
    change: &ChangeSummary,
    data: Vec<u8>,
    own: Option<uuid::Uuid>,
    deliveries: Vec<NewDelivery>,
) -> NewTask {
    let key = match &change.page {
        Some(_) => page_key(&change.id, own),
        None => {
            outgoing_key(&ObjectKey { object_type: change.object_type.clone(), id: change.id.clone() }, own)
        }
    };
    NewTask {
        direction: Direction::Outgoing,
        subject: change.object_type.to_string(),
        key,
        operation: change.operation,
        title: title(display_of(shared, change), change),
        data,
        content_type: "application/json".to_owned(),
        site: change.site.clone(),
        origin: change.origin.clone(),
        logged_at: shared.now(),
        redelivers: None,
        idempotency: None,
        travel: Travel::default(),
        deliveries,
    }
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

/// Notes what identifies each referenced object apart from its id.
pub(crate) async fn add_translation_records(shared: &Shared, payload: &mut Payload) -> Result<(), HostError> {
    let mut records: BTreeMap<ObjectKey, Option<TranslationRecord>> = BTreeMap::new();
    for reference in &mut payload.references {
        let ReferenceTarget::Host(id) = &reference.target else { continue };
        let key = ObjectKey { object_type: reference.object_type.clone(), id: id.clone() };
        if !records.contains_key(&key) {
            let record = match page_of(&key) {
                Some((node, culture)) => record_of_page(shared, node, culture).await?,
                None => shared.host().object(&key).await?.map(translation_record),
            };
            records.insert(key.clone(), record);
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
        culture: None,
        parent: object.parent,
        group: object.group,
    }
}

/// What people call objects of a type, or pages of a class, as it is declared; empty where it is not.
fn display_of(shared: &Shared, change: &ChangeSummary) -> &'static str {
    let (name_of_type, registry) = (change.object_type.as_str(), &shared.registry);
    match &change.page {
        Some(_) => registry.page_class(name_of_type).map_or("", |page| page.display),
        None => registry.object_type(name_of_type).map_or("", |object| object.display),
    }
}

/// For people: `Create User Ada Lovelace`, `Publish Article Launch (en-US)`.
pub(crate) fn title(display: &str, change: &ChangeSummary) -> String {
    let display = if display.is_empty() { change.object_type.as_str() } else { display };
    let name = change.display_name.clone().or_else(|| change.code_name.clone());
    let name = name.unwrap_or_else(|| change.id.to_string());
    let operation = words(change.operation);
    let mut title = operation[..1].to_uppercase();
    title.push_str(&operation[1..]);
    let is_of_all = change.operation == PageOperation::DeleteAll || change.operation == PageOperation::Move;
    let culture = change.page.as_ref().filter(|_| !is_of_all).map(|page| format!(" ({})", page.culture));
    shorten_title(&format!("{title} {display} {name}{}", culture.unwrap_or_default()))
}

/// An operation, for people: `add to site`.
pub(crate) fn words(operation: Operation) -> String {
    operation.as_str().replace('_', " ")
}

/// A title as it is kept.
pub(crate) fn shorten_title(title: &str) -> String {
    title.chars().take(TITLE_CHARS_MAX).collect()
}

/// The object of a change, for messages.
pub(crate) fn name(change: &ChangeSummary) -> String {
    format!("{} {}", change.object_type, change.id)
}
