//! Resyncs.

use bus_core::Timestamp;
use bus_store::resync::{ENDED_RESYNCS_KEPT, not_there, runs_already};
use bus_store::{
    NewResync, ResyncId, ResyncRecord, ResyncState, Resynced, Resyncs, StoreErrorKind, StoreFuture,
};
use rusqlite::{OptionalExtension, Row, params};

use crate::SqliteStore;
use crate::code::{Code, connector_name, count};
use crate::error::{Fault, refusal};
use crate::session::Session;
use crate::writer::{Progress, Write};

impl Resyncs for SqliteStore {
    fn begin_resync(&self, new: NewResync) -> StoreFuture<'_, ResyncId> {
        self.write(BeginResync(new))
    }

    fn resyncs(&self) -> StoreFuture<'_, Vec<ResyncRecord>> {
        self.read("resyncs", |db| {
            let sql = "SELECT id, connector, types, asked_by, reason, begun_at, state, place, logged, skipped
                       FROM bus_resync ORDER BY id";
            let mut list = db.prepare_cached(sql)?;
            let mut rows = list.query([])?;
            let mut resyncs = Vec::new();
            while let Some(row) = rows.next()? {
                resyncs.push(record(row)?);
            }
            Ok(resyncs)
        })
    }

    fn cancel_resync(&self, resync: ResyncId) -> StoreFuture<'_, bool> {
        self.write(CancelResync(resync))
    }
}

fn record(row: &Row<'_>) -> Result<ResyncRecord, Fault> {
    Ok(ResyncRecord {
        resync: ResyncId(row.get(0)?),
        what: NewResync {
            connector: connector_name(row.get(1)?)?,
            types: row.get(2)?,
            by: row.get(3)?,
            reason: row.get(4)?,
            begun_at: Timestamp::from_micros(row.get(5)?),
        },
        state: ResyncState::from_code(row.get(6)?)?,
        place: count(row.get(7)?),
        logged: count(row.get(8)?),
        skipped: count(row.get(9)?),
    })
}

struct BeginResync(NewResync);

impl Write for BeginResync {
    type Answer = ResyncId;
    const OPERATION: &'static str = "begin resync";

    fn weight(&self) -> usize {
        1 + self.0.by.len() + self.0.reason.as_ref().map_or(0, String::len)
    }

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<ResyncId>, Fault> {
        let NewResync { connector, types, by, reason, begun_at } = &self.0;
        let sql = "SELECT id FROM bus_resync WHERE connector = ?1 AND types = ?2 AND state = 0";
        let running =
            session.prepare(sql)?.query_row([connector.as_str(), types], |row| row.get(0)).optional()?;
        if let Some(running) = running {
            return Err(refusal(StoreErrorKind::Conflict, runs_already(ResyncId(running), &self.0)));
        }
        let sql = "INSERT INTO bus_resync
                       (connector, types, asked_by, reason, begun_at, state, place, logged, skipped)
                   VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, 0, 0)";
        let parameters = params![connector.as_str(), types, by, reason, begun_at.as_micros()];
        session.prepare(sql)?.execute(parameters)?;
        let id = session.db.last_insert_rowid();
        let sql = "DELETE FROM bus_resync WHERE state <> 0 AND id <= ?1";
        session.prepare(sql)?.execute([id - ENDED_RESYNCS_KEPT])?;
        session.connectors_changed();
        Ok(Progress::Done(ResyncId(id)))
    }
}

struct CancelResync(ResyncId);

impl Write for CancelResync {
    type Answer = bool;
    const OPERATION: &'static str = "cancel resync";

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<bool>, Fault> {
        let sql = "UPDATE bus_resync SET state = ?2 WHERE id = ?1 AND state = 0";
        let cancelled = ResyncState::Cancelled.to_code();
        let was_running = session.prepare(sql)?.execute(params![self.0.0, cancelled])? > 0;
        session.connectors_changed();
        Ok(Progress::Done(was_running))
    }
}

/// Moves a resync on, if nobody else has done this chunk.
pub(crate) fn advance(session: &Session<'_>, chunk: &Resynced) -> Result<(), Fault> {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let state = if chunk.ends { ResyncState::Done } else { ResyncState::Running };
    let sql = "UPDATE bus_resync SET place = ?3, logged = logged + ?4, skipped = skipped + ?5, state = ?6
               WHERE id = ?1 AND place = ?2 AND state = 0";
    let moved = session.prepare(sql)?.execute(params![
        chunk.resync.0,
        number(chunk.from),
        number(chunk.to),
        number(chunk.logged),
        number(chunk.skipped),
        state.to_code(),
    ])?;
    if moved == 0 {
        return Err(refusal(StoreErrorKind::Conflict, not_there(chunk.resync, chunk.from)));
    }
    Ok(())
}
