//! How far a connector that asks its external system has come.

use bus_core::{ConnectorName, Timestamp};
use bus_store::{Cursor, CursorMove, Cursors, StoreErrorKind, StoreFuture};
use rusqlite::{OptionalExtension, Row, params};

use crate::SqliteStore;
use crate::error::{Fault, refusal};
use crate::session::Session;
use crate::writer::{Progress, Write};

impl Cursors for SqliteStore {
    fn cursor(&self, connector: &ConnectorName) -> StoreFuture<'_, Cursor> {
        let connector = connector.clone();
        self.read("cursor", move |db| {
            let sql = "SELECT cursor, version, polled_at FROM bus_cursor WHERE connector = ?1";
            let read = |row: &Row<'_>| {
                let polled_at: Option<i64> = row.get(2)?;
                let polled_at = polled_at.map(Timestamp::from_micros);
                Ok(Cursor { cursor: row.get(0)?, version: row.get(1)?, polled_at })
            };
            let found = db.prepare_cached(sql)?.query_row([connector.as_str()], read).optional()?;
            Ok(found.unwrap_or_default())
        })
    }

    fn forget_cursor(&self, connector: &ConnectorName) -> StoreFuture<'_, ()> {
        self.write(ForgetCursor(connector.clone()))
    }
}

struct ForgetCursor(ConnectorName);

impl Write for ForgetCursor {
    type Answer = ();
    const OPERATION: &'static str = "forget cursor";

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<()>, Fault> {
        let sql = "INSERT INTO bus_cursor (connector, version) VALUES (?1, 1)
                   ON CONFLICT (connector) DO UPDATE SET cursor = NULL, version = version + 1, polled_at = NULL";
        session.prepare(sql)?.execute([self.0.as_str()])?;
        Ok(Progress::Done(()))
    }
}

/// Moves a cursor, if it is as whoever moves it has seen it.
pub(crate) fn move_cursor(session: &Session<'_>, moved: &CursorMove, now: Timestamp) -> Result<(), Fault> {
    let CursorMove { connector, cursor, expected } = moved;
    let sql = "SELECT version FROM bus_cursor WHERE connector = ?1";
    let known: Option<i64> =
        session.prepare(sql)?.query_row([connector.as_str()], |row| row.get(0)).optional()?;
    let version = known.unwrap_or_default();
    if version != *expected {
        return Err(refusal(StoreErrorKind::Conflict, moved.refusal(version)));
    }
    let sql =
        "INSERT OR REPLACE INTO bus_cursor (connector, cursor, version, polled_at) VALUES (?1, ?2, ?3, ?4)";
    session.prepare(sql)?.execute(params![connector.as_str(), cursor, version + 1, now.as_micros()])?;
    Ok(())
}
