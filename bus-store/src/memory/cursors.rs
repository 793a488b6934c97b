//! How far a connector that asks its external system has come, in memory.

use bus_core::{ConnectorName, Timestamp};

use super::{MemoryStore, State};
use crate::cursors::{Cursor, CursorMove, Cursors};
use crate::task_log::Commit;
use crate::{StoreError, StoreErrorKind, StoreFuture};

impl Cursors for MemoryStore {
    fn cursor(&self, connector: &ConnectorName) -> StoreFuture<'_, Cursor> {
        let connector = connector.clone();
        self.with("cursor", move |state| Ok(state.cursors.get(&connector).cloned().unwrap_or_default()))
    }

    fn forget_cursor(&self, connector: &ConnectorName) -> StoreFuture<'_, ()> {
        let connector = connector.clone();
        self.with("forget cursor", move |state| {
            let known = state.cursors.entry(connector).or_default();
            *known = Cursor { version: known.version + 1, ..Cursor::default() };
            Ok(())
        })
    }
}

impl State {
    /// Whether the cursor is as whoever moves it has seen it.
    pub(super) fn check_cursor(&self, commit: &Commit) -> Result<(), StoreError> {
        let Some(moved) = &commit.cursor else { return Ok(()) };
        let version = self.cursors.get(&moved.connector).map_or(0, |known| known.version);
        if version == moved.expected {
            return Ok(());
        }
        Err(StoreError::new(StoreErrorKind::Conflict, "commit", moved.refusal(version)))
    }

    pub(super) fn move_cursor(&mut self, moved: Option<CursorMove>, now: Timestamp) {
        if let Some(CursorMove { connector, cursor, expected }) = moved {
            let cursor = Cursor { cursor: Some(cursor), version: expected + 1, polled_at: Some(now) };
            self.cursors.insert(connector, cursor);
        }
    }
}
