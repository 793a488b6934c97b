//! The same of pages.

use bus_core::{ConnectorName, Culture, ErrorPolicy, PageOperation};
use bus_store::{NewDelivery, NewTask, PageWrite};
use uuid::Uuid;

use super::Bus;
use crate::Result;
use crate::error::BusError;
use crate::flow::page::{change, state_operation};
use crate::flow::task_log::{is_unordered, subscribers, task, written};

impl Bus {
    /// The page as it is now, and the task for this connector alone.
    pub(super) async fn page_as_told_now(
        &self,
        connector: &ConnectorName,
        node: Uuid,
        culture: &Culture,
    ) -> Result<Option<(PageWrite, NewTask)>> {
        let shared = &self.shared;
        let failed = |error| BusError::store(&format!("look for page {node} ({culture})"), error);
        let Some(page) = shared.store.page(node, culture).await.map_err(failed)? else { return Ok(None) };
        let roster = shared.roster();
        let Some(enlisted) = roster.get(connector) else { return Ok(None) };
        // Whoever is not told of updates was told of it all the same.
        let told_as =
            [Some(PageOperation::Update), state_operation(page.content.state), Some(PageOperation::Create)];
        let mut told = None;
        for operation in told_as.into_iter().flatten() {
            let change = change(&page, operation, None).map_err(failed)?;
            told = told.or_else(|| subscribers(&roster, &change).get(connector).copied());
        }
        let Some(told) = told else { return Ok(None) };
        let delivery = NewDelivery {
            connector: connector.clone(),
            data_type: told.data_type,
            policy: ErrorPolicy::Default,
            idempotency_key: shared.new_uuid(),
        };
        let change = change(&page, PageOperation::Update, None).map_err(failed)?;
        let data = written(shared, &change.summary, change.payload, told.data_type).await?;
        let own = is_unordered(enlisted).then(|| shared.new_uuid());
        let task = task(shared, &change.summary, data, own, vec![delivery]);
        // Written as it is: whoever changes it at the same time comes before this, or after, never between.
        let write = PageWrite::Save { node, version: page.node.version, page: page.content };
        Ok(Some((write, task)))
    }
}
