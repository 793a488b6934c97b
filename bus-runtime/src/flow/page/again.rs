//! A page told once more, although nothing about it has changed: as it is now, to one connector alone.

use bus_core::{ConnectorName, ErrorPolicy, PageOperation};
use bus_store::{NewDelivery, NewTask, PageRecord, PageWrite};

use super::{change, state_operation};
use crate::error::BusError;
use crate::flow::task_log::{is_unordered, subscribers, task, written};
use crate::shared::Shared;

/// The task, told as this, and the write that goes into its commit: the page as it is, so that whoever changes it at the same
/// time comes before this, or after, never between. `None` where the connector is not told of the page.
pub(crate) async fn told_now(
    shared: &Shared,
    connector: &ConnectorName,
    page: PageRecord,
    operation: PageOperation,
) -> Result<Option<(PageWrite, NewTask)>, BusError> {
    let node = page.node.guid;
    let failed = |error| BusError::store(&format!("read page {node}"), error);
    let roster = shared.roster();
    let Some(enlisted) = roster.get(connector) else { return Ok(None) };
    // Whoever is not told of updates was told of it all the same.
    let told_as =
        [Some(PageOperation::Update), state_operation(page.content.state), Some(PageOperation::Create)];
    let mut told = None;
    for told_as in told_as.into_iter().flatten() {
        let change = change(&page, told_as, None).map_err(failed)?;
        told = told.or_else(|| subscribers(&roster, &change).get(connector).copied());
    }
    let Some(told) = told else { return Ok(None) };
    let delivery = NewDelivery {
        connector: connector.clone(),
        data_type: told.data_type,
        policy: ErrorPolicy::Default,
        idempotency_key: shared.new_uuid(),
    };
    let change = change(&page, operation, None).map_err(failed)?;
    let data = written(shared, &change.summary, change.payload, told.data_type).await?;
    let own = is_unordered(enlisted).then(|| shared.new_uuid());
    let task = task(shared, &change.summary, data, own, vec![delivery]);
    let write = PageWrite::Save { node, version: page.node.version, page: page.content };
    Ok(Some((write, task)))
}
