//! An object told once more, although nothing about it has changed: as it is now.

use bus_core::{ChangeSummary, DataType};
use bus_store::{Expected, NewDelivery, NewTask, ObjectWrite};

use super::change::Stored;
use super::children::{Pending, snapshot};
use super::task_log::{task, written};
use crate::error::BusError;
use crate::shared::Shared;

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
