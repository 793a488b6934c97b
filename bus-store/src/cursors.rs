//! How far a connector that asks its external system has come.

use bus_core::{ConnectorName, Direction, Timestamp};

use crate::{Commit, StoreError, StoreErrorKind, StoreFuture};

/// Where polling goes on. Moved by [`TaskLog::commit`](crate::TaskLog::commit), together with the tasks that were polled
/// and only for the owner of the connector's incoming queue: so one poller at a time moves it, and no task is lost between
/// two polls. It is gone when the connector is deleted.
pub trait Cursors {
    /// How far this connector has come; of version 0 where it was never polled.
    fn cursor(&self, connector: &ConnectorName) -> StoreFuture<'_, Cursor>;

    /// Forgets how far it has come, so that the next poll begins anew. A poll that is under way then moves nothing.
    fn forget_cursor(&self, connector: &ConnectorName) -> StoreFuture<'_, ()>;
}

/// How far a connector has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cursor {
    /// What the connector called the place; `None` to begin with.
    pub cursor: Option<String>,
    /// Grows with each move.
    pub version: i64,
    /// When it was moved last.
    pub polled_at: Option<Timestamp>,
}

/// That a connector has come further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorMove {
    /// The connector.
    pub connector: ConnectorName,
    /// The place, as it calls it.
    pub cursor: String,
    /// The version of the cursor that was polled with.
    pub expected: i64,
}

impl CursorMove {
    /// Whether the commit that it is part of may carry it: for the owner of the connector's incoming queue.
    pub(crate) fn check(&self, commit: &Commit) -> Result<(), StoreError> {
        let owned = commit.ownership.as_ref().map(|ownership| &ownership.queue);
        let is_owned = owned
            .is_some_and(|queue| queue.direction == Direction::Incoming && queue.connector == self.connector);
        if is_owned {
            return Ok(());
        }
        let message = format!(
            "the cursor of `{}` moves for the owner of its incoming queue only; claim that queue and pass its ownership",
            self.connector
        );
        Err(StoreError::new(StoreErrorKind::Unsupported, "commit", message))
    }

    /// Why it is refused, where the cursor is in this version.
    pub fn refusal(&self, version: i64) -> String {
        let Self { connector, expected, .. } = self;
        format!(
            "the cursor of {connector} is of version {version}, not {expected}; poll again, from where it is"
        )
    }
}
