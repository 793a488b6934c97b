//! How far a page has come, and its end.

use bus_core::{Culture, PageOperation, PageState};
use bus_store::PageRecord;
use uuid::Uuid;

use super::PageStore;
use crate::Result;
use crate::error::{BusError, BusErrorKind};
use crate::flow::page::wanted;
use crate::objects::Saved;

impl PageStore {
    /// Publishes the page of this node in this culture, and logs that for whoever subscribed, in one transaction. The change
    /// carries the whole page. `None` when it was published already: then nothing is logged.
    ///
    /// # Errors
    ///
    /// `NotFound` when the node is no page in this culture; `BadName`, `Vetoed`, `TooLarge`, `Conflict`, `Store`.
    pub async fn publish(&self, node: Uuid, culture: &str) -> Result<Option<Saved>> {
        self.bring(node, culture, PageState::Published).await
    }

    /// Archives a page: it is kept, and not shown any more. `None` when it was archived already.
    ///
    /// # Errors
    ///
    /// As for [`PageStore::publish`].
    pub async fn archive(&self, node: Uuid, culture: &str) -> Result<Option<Saved>> {
        self.bring(node, culture, PageState::Archived).await
    }

    /// Rejects a page: whoever had to approve it did not. `None` when it was rejected already.
    ///
    /// # Errors
    ///
    /// As for [`PageStore::publish`].
    pub async fn reject(&self, node: Uuid, culture: &str) -> Result<Option<Saved>> {
        self.bring(node, culture, PageState::Rejected).await
    }

    /// Deletes the page of this node in this culture, and logs that with all that it was, in one transaction; with its last
    /// culture the node is gone. `None` when it was not there.
    ///
    /// # Errors
    ///
    /// `Conflict` when it is the last culture, and pages stand beneath the node; `BadName`, `Vetoed`, `TooLarge`, `Store`.
    pub async fn delete(&self, node: Uuid, culture: &str) -> Result<Option<Saved>> {
        let culture = wanted::culture(culture)?;
        self.again_after_conflicts(async || {
            let Some(page) = self.page(node, &culture).await? else { return Ok(None) };
            self.end(page, PageOperation::Delete).await
        })
        .await
    }

    /// Deletes a node in all of its cultures, and logs that as one change, which carries the page in the first of them, in one
    /// transaction. `None` when it was not there.
    ///
    /// # Errors
    ///
    /// `Conflict` when pages stand beneath it; `Vetoed`, `TooLarge`, `Store`.
    pub async fn delete_all(&self, node: Uuid) -> Result<Option<Saved>> {
        self.again_after_conflicts(async || {
            let Some(page) = self.first_page(node).await? else { return Ok(None) };
            self.end(page, PageOperation::DeleteAll).await
        })
        .await
    }

    async fn bring(&self, node: Uuid, culture: &str, state: PageState) -> Result<Option<Saved>> {
        let culture = wanted::culture(culture)?;
        self.again_after_conflicts(async || {
            let Some(page) = self.page(node, &culture).await? else {
                let message = format!("page {node} is not there in culture {culture}; mend GUID or culture");
                return Err(BusError::new(BusErrorKind::NotFound, message));
            };
            Ok(self.carry_out(self.trees().brought(page, state)?).await?.saved)
        })
        .await
    }

    /// Deletes a page, or, with `DeleteAll`, its node.
    async fn end(&self, page: PageRecord, operation: PageOperation) -> Result<Option<Saved>> {
        let plan = self.trees().deleted(page, operation).await?;
        Ok(self.carry_out(plan).await?.saved)
    }

    pub(super) async fn page(&self, node: Uuid, culture: &Culture) -> Result<Option<PageRecord>> {
        let page = self.shared.store.page(node, culture).await;
        page.map_err(|error| BusError::store(&format!("load page {node}"), error))
    }

    /// A node in the first of its cultures.
    pub(super) async fn first_page(&self, node: Uuid) -> Result<Option<PageRecord>> {
        let Some(known) = self.node(node).await? else { return Ok(None) };
        let Some(first) = known.cultures.first() else { return Ok(None) };
        self.page(node, first).await
    }
}
