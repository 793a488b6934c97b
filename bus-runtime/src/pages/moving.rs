//! Moving a page, with whatever stands beneath it.

use uuid::Uuid;

use super::PageStore;
use crate::Result;
use crate::error::{BusError, BusErrorKind};
use crate::flow::page::wanted;
use crate::objects::Saved;

impl PageStore {
    /// Lets a node stand beneath this parent, or, without one, on the first level of its site, with this alias, and logs that for
    /// whoever subscribed, in one transaction. Whatever stands beneath it goes along. `None` when it stands there already.
    ///
    /// It is one change, about the node that is moved: it carries the page in the first of its cultures, and where it stood
    /// before ([`bus_core::PageNode::moved_from`]). Lines that take pages of its class are told of it where their `path`, `culture` and
    /// `site` fit it, or any page beneath it, where that stood or stands. What stands beneath it is not told of by itself: address
    /// pages by their GUIDs.
    ///
    /// Where somebody subscribed to pages by path or culture, all that stands beneath the node is read.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such node, or no such parent; `BadName` for an alias that is none; `Malformed` when the parent is
    /// the node itself or stands beneath it; `Conflict` when another page stands there, or the parent stands on another site; `TooLarge`
    /// when a path would have more than 1,000 characters or 50 levels; `Vetoed`, `Store`.
    pub async fn move_to(&self, node: Uuid, parent: Option<Uuid>, alias: &str) -> Result<Option<Saved>> {
        let alias = wanted::alias(alias)?;
        self.again_after_conflicts(async || {
            let Some(page) = self.first_page(node).await? else {
                let message = format!("move page {node} to `{alias}`: it is not there; mend the GUID");
                return Err(BusError::new(BusErrorKind::NotFound, message));
            };
            let plan = self.trees().moved(page, parent, &alias).await?;
            Ok(self.carry_out(plan).await?.saved)
        })
        .await
    }
}
