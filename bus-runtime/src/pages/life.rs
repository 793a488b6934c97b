//! How far a page has come, and its end.

use bus_core::{Culture, PageOperation, PageState};
use bus_store::{NodeRecord, PageContent, PageRecord, PageWrite};
use uuid::Uuid;

use super::{PageStore, saved, wanted};
use crate::Result;
use crate::error::{BusError, BusErrorKind};
use crate::flow::page::change;
use crate::objects::Saved;

impl PageStore {
    /// Publishes the page of this node in this culture, and logs that for whoever subscribed, in one transaction. The change
    /// carries the whole page. `None` when it was published already: then nothing is logged.
    ///
    /// # Errors
    ///
    /// `NotFound` when the node is no page in this culture; `BadName`, `Vetoed`, `TooLarge`, `Conflict`, `Store`.
    pub async fn publish(&self, node: Uuid, culture: &str) -> Result<Option<Saved>> {
        self.bring(node, culture, PageState::Published, PageOperation::Publish).await
    }

    /// Archives a page: it is kept, and not shown any more. `None` when it was archived already.
    ///
    /// # Errors
    ///
    /// As for [`PageStore::publish`].
    pub async fn archive(&self, node: Uuid, culture: &str) -> Result<Option<Saved>> {
        self.bring(node, culture, PageState::Archived, PageOperation::Archive).await
    }

    /// Rejects a page: whoever had to approve it did not. `None` when it was rejected already.
    ///
    /// # Errors
    ///
    /// As for [`PageStore::publish`].
    pub async fn reject(&self, node: Uuid, culture: &str) -> Result<Option<Saved>> {
        self.bring(node, culture, PageState::Rejected, PageOperation::Reject).await
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
            self.end(page, PageOperation::Delete).await.map(Some)
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
            self.end(page, PageOperation::DeleteAll).await.map(Some)
        })
        .await
    }

    async fn bring(
        &self,
        node: Uuid,
        culture: &str,
        state: PageState,
        operation: PageOperation,
    ) -> Result<Option<Saved>> {
        let culture = wanted::culture(culture)?;
        self.again_after_conflicts(async || {
            let Some(page) = self.page(node, &culture).await? else {
                let message = format!("page {node} is not there in culture {culture}; mend GUID or culture");
                return Err(BusError::new(BusErrorKind::NotFound, message));
            };
            if page.content.state == state {
                return Ok(None);
            }
            let what = format!("{operation} page {} ({culture})", page.node.path);
            let version = page.node.version;
            let page = PageRecord { content: PageContent { state, ..page.content }, ..page };
            let write = PageWrite::Save { node, page: page.content.clone(), version };
            let (saved, _) = self.write(&what, write, page, operation).await?;
            Ok(Some(saved))
        })
        .await
    }

    /// Deletes a page, or, with `DeleteAll`, its node.
    async fn end(&self, page: PageRecord, operation: PageOperation) -> Result<Saved> {
        let PageRecord { node, content } = &page;
        let what = format!("{operation} page {} ({})", node.path, content.culture);
        let culture = (operation == PageOperation::Delete).then(|| content.culture.clone());
        if culture.is_none() || node.cultures.len() == 1 {
            self.check_nothing_beneath(&what, node).await?;
        }
        let write = PageWrite::Delete { node: node.guid, culture, version: node.version };
        let change = change(&page, operation, None).map_err(|error| BusError::store(&what, error))?;
        let synchronous = self.commit(&what, &node.site, vec![write], &[change]).await?;
        saved(node.guid, &content.culture, synchronous)
    }

    /// The store refuses it as well; here it is refused before listeners are asked.
    async fn check_nothing_beneath(&self, what: &str, node: &NodeRecord) -> Result<()> {
        let first = self.shared.store.list_nodes(&node.site, Some(&node.path), None, 1).await;
        match first.map_err(|error| BusError::store(what, error))?.first() {
            Some(first) => {
                let message =
                    format!("{what}: page {} stands beneath it; delete or move that first", first.path);
                Err(BusError::new(BusErrorKind::Conflict, message))
            }
            None => Ok(()),
        }
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
