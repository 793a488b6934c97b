//! Pages of a broken store.

use bus_core::{Culture, ObjectType, SiteName};
use bus_store::{Commit, NodeRecord, PageRecord, PageWrite, Pages, StoreFuture};
use uuid::Uuid;

use super::Broken;
use crate::Bug;

impl Broken {
    /// What becomes of a commit's pages before it is made.
    pub(super) async fn spoil_pages(&self, commit: &mut Commit) {
        if self.bug != Bug::SavesPagesWhateverIsThere {
            return;
        }
        for write in &mut commit.pages {
            let PageWrite::Save { node, version, .. } = write else { continue };
            if let Ok(Some(there)) = self.inner.node(*node).await {
                *version = there.version;
            }
        }
    }
}

impl Pages for Broken {
    fn node(&self, guid: Uuid) -> StoreFuture<'_, Option<NodeRecord>> {
        self.inner.node(guid)
    }

    fn node_at(&self, site: &SiteName, path: &str) -> StoreFuture<'_, Option<NodeRecord>> {
        let (found, path) = (self.inner.node_at(site, path), path.to_owned());
        match self.bug {
            Bug::FindsPathsAsWritten => {
                Box::pin(async move { Ok(found.await?.filter(|node| node.path == path)) })
            }
            _ => found,
        }
    }

    fn page(&self, node: Uuid, culture: &Culture) -> StoreFuture<'_, Option<PageRecord>> {
        self.inner.page(node, culture)
    }

    fn list_nodes(
        &self,
        site: &SiteName,
        beneath: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<NodeRecord>> {
        let Some(beneath) = beneath.filter(|_| self.bug == Bug::TakesAliasesForPatterns) else {
            return self.inner.list_nodes(site, beneath, after, limit);
        };
        let (pattern, all) = (format!("{beneath}/%"), self.inner.list_nodes(site, None, after, usize::MAX));
        Box::pin(async move {
            let like = all.await?.into_iter().filter(|node| is_like(&node.path, &pattern));
            Ok(like.take(limit).collect())
        })
    }

    fn walk_nodes(
        &self,
        classes: &[ObjectType],
        after: u64,
        limit: usize,
    ) -> StoreFuture<'_, Vec<(u64, NodeRecord)>> {
        let after = if self.bug == Bug::WalksPagesInCircles { 0 } else { after };
        self.inner.walk_nodes(classes, after, limit)
    }
}

/// As `LIKE` compares: `%` for any run of letters, `_` for any letter.
fn is_like(text: &str, pattern: &str) -> bool {
    let (mut text_left, mut pattern_left) = (text.chars(), pattern.chars());
    match pattern_left.next() {
        None => text.is_empty(),
        Some('%') => {
            let rest = pattern_left.as_str();
            is_like(text, rest) || text_left.next().is_some_and(|_| is_like(text_left.as_str(), pattern))
        }
        Some(letter) => {
            text_left
                .next()
                .is_some_and(|other| letter == '_' || other.to_lowercase().eq(letter.to_lowercase()))
                && is_like(text_left.as_str(), pattern_left.as_str())
        }
    }
}
