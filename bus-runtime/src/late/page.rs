//! The same of pages.

use bus_core::{ConnectorName, Culture, PageOperation};
use bus_store::{NewTask, PageWrite};
use uuid::Uuid;

use super::Bus;
use crate::Result;
use crate::error::BusError;
use crate::flow::page::again;

impl Bus {
    /// The page as it is now, and the task for this connector alone.
    pub(super) async fn page_as_told_now(
        &self,
        connector: &ConnectorName,
        node: Uuid,
        culture: &Culture,
    ) -> Result<Option<(PageWrite, NewTask)>> {
        let failed = |error| BusError::store(&format!("look for page {node} ({culture})"), error);
        let page = self.shared.store.page(node, culture).await.map_err(failed)?;
        match page {
            Some(page) => again::told_now(&self.shared, connector, page, PageOperation::Update).await,
            None => Ok(None),
        }
    }
}
