//! Moving a page, with whatever stands beneath it.

use bus_core::{ChangeSummary, PageOperation};
use bus_store::pages::{beneath_itself, folded, path_beneath};
use bus_store::{NodeRecord, PageRecord, PageWrite, ParentNode};
use uuid::Uuid;

use super::{PageStore, saved, wanted};
use crate::Result;
use crate::error::{BusError, BusErrorKind};
use crate::flow::page::{change, places};
use crate::objects::Saved;

/// How many nodes of a subtree are read at once.
const READ_AT_ONCE: usize = 1_000;

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
            let what = format!("move page {node} to `{alias}`");
            let Some(page) = self.first_page(node).await? else {
                let message = format!("{what}: it is not there; mend the GUID");
                return Err(BusError::new(BusErrorKind::NotFound, message));
            };
            let before = &page.node;
            if before.parent == parent && before.alias == alias {
                return Ok(None);
            }
            let parent = self.parent(&what, parent).await?;
            let path = path_beneath(parent.as_ref().map(|parent| &*parent.path), &alias);
            if folded(&path).starts_with(&format!("{}/", folded(&before.path)))
                && parent.as_ref().is_some_and(|parent| parent.site == before.site)
            {
                return Err(BusError::new(BusErrorKind::Malformed, beneath_itself(&before.path, &path)));
            }
            let after = NodeRecord {
                parent: parent.as_ref().map(|parent| parent.guid),
                alias: alias.clone(),
                path,
                ..before.clone()
            };
            let places = self.places(&what, before, &after).await?;
            let moved = PageRecord { node: after, content: page.content.clone() };
            let change =
                change(&moved, PageOperation::Move, None).map_err(|error| BusError::store(&what, error))?;
            let change = change.moved(&before.path, places);
            let write = PageWrite::Move {
                node,
                parent: parent.map(|parent| ParentNode { guid: parent.guid, version: parent.version }),
                alias: alias.clone(),
                version: before.version,
            };
            let synchronous = self.commit(&what, &before.site, vec![write], &[change]).await?;
            saved(node, &moved.content.culture, synchronous).map(Some)
        })
        .await
    }

    /// Where all pages of a subtree stood and stand: what the move is matched on; only the node's own where nobody asks for more.
    async fn places(
        &self,
        what: &str,
        before: &NodeRecord,
        after: &NodeRecord,
    ) -> Result<Vec<ChangeSummary>> {
        let mut all = places(before, before, after);
        if !self.shared.roster().matcher().looks_where_pages_stand() {
            return Ok(all);
        }
        let mut last: Option<String> = None;
        loop {
            let nodes =
                self.shared.store.list_nodes(&before.site, Some(&before.path), last.as_deref(), READ_AT_ONCE);
            let nodes = nodes.await.map_err(|error| BusError::store(what, error))?;
            all.extend(nodes.iter().flat_map(|node| places(node, before, after)));
            match nodes.last() {
                Some(node) if nodes.len() == READ_AT_ONCE => last = Some(node.path.clone()),
                _ => return Ok(all),
            }
        }
    }
}
