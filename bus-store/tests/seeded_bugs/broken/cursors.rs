//! How far a broken store says that a connector has come.

use bus_core::ConnectorName;
use bus_store::{Commit, Cursor, Cursors, StoreFuture, TaskLog};

use super::Broken;
use crate::Bug;

impl Broken {
    /// What becomes of a commit's cursor before it is made.
    pub(super) async fn spoil_cursor(&self, commit: &mut Commit) {
        if self.bug == Bug::MovesTheCursorFromAnywhere
            && let Some(moved) = &mut commit.cursor
            && let Ok(known) = self.inner.cursor(&moved.connector).await
        {
            moved.expected = known.version;
        }
        if self.bug == Bug::MovesTheCursorAlone && commit.check().is_ok() && commit.cursor.is_some() {
            let alone = Commit {
                cursor: commit.cursor.clone(),
                ownership: commit.ownership.clone(),
                ..Commit::at(commit.now)
            };
            if self.inner.commit(alone).await.is_ok() {
                commit.cursor = None;
            }
        }
    }
}

impl Cursors for Broken {
    fn cursor(&self, connector: &ConnectorName) -> StoreFuture<'_, Cursor> {
        self.inner.cursor(connector)
    }

    fn forget_cursor(&self, connector: &ConnectorName) -> StoreFuture<'_, ()> {
        self.inner.forget_cursor(connector)
    }
}
