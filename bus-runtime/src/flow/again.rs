//! An object told once more, although nothing about it has changed: as it is now.

use bus_core::{ChangeSummary, ConnectorName, DataType, ErrorPolicy, ObjectOperation};
use bus_store::{Expected, NewDelivery, NewTask, ObjectWrite};

use super::change::{HostChange, Stored};
use super::children::{Pending, snapshot};
use super::task_log::{Told, is_unordered, subscribers, task, written};
use crate::error::BusError;
use crate::registry::Roster;
use crate::shared::Shared;

/// What an update is told as to whoever is not told of updates, but was told of the object.
const TOLD_AS: [ObjectOperation; 2] = [ObjectOperation::Update, ObjectOperation::Create];

/// The task, and the write that goes into its commit: the object as it is, so that whoever changes it at the same time
/// comes before this, or after, never between; none for what lives in the application's own tables. With `own`, its order is kept for nothing else.
pub(crate) async fn as_it_is(
    shared: &Shared,
    live: Stored,
    change: &ChangeSummary,
    data_type: DataType,
    own: Option<uuid::Uuid>,
    deliveries: Vec<NewDelivery>,
) -> Result<(Option<ObjectWrite>, NewTask), BusError> {
    let Stored { record, payload } = live;
    let payload = if data_type.has_children() {
        snapshot(shared, &record.key, payload, &Pending::default()).await?
    } else {
        payload
    };
    let data = written(shared, change, payload, data_type).await?;
    let expected = Expected::Version(record.version);
    let is_built_in = shared.host().repository(&record.key.object_type).is_none();
    let check = is_built_in.then_some(ObjectWrite::Check { key: record.key, expected });
    Ok((check, task(shared, change, data, own, deliveries)))
}

/// The same for one connector alone; `None` where that is not told of the object as it is now.
pub(crate) async fn told_now(
    shared: &Shared,
    connector: &ConnectorName,
    live: Stored,
) -> Result<Option<(Option<ObjectWrite>, NewTask)>, BusError> {
    let roster = shared.roster();
    let Some(enlisted) = roster.get(connector) else { return Ok(None) };
    let Some(Told { data_type, .. }) = told_of(&roster, connector, &live) else { return Ok(None) };
    let change = live.summary(ObjectOperation::Update, None);
    let own = is_unordered(enlisted).then(|| shared.new_uuid());
    let delivery = NewDelivery {
        connector: connector.clone(),
        data_type,
        policy: ErrorPolicy::Default,
        idempotency_key: shared.new_uuid(),
    };
    as_it_is(shared, live, &change, data_type, own, vec![delivery]).await.map(Some)
}

/// How a connector is told of this object as it is now, if it is.
fn told_of(roster: &Roster, connector: &ConnectorName, live: &Stored) -> Option<Told> {
    TOLD_AS.into_iter().find_map(|operation| {
        subscribers(roster, &HostChange::again(live, operation)).get(connector).copied()
    })
}
