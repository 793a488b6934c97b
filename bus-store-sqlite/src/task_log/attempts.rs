//! The failed and interrupted attempts of open deliveries.

use bus_core::Timestamp;
use bus_store::operate::{ATTEMPTS_KEPT_MAX, Attempt};
use rusqlite::{Connection, params};

use crate::error::Fault;
use crate::session::Session;

/// Records one, and forgets the oldest beyond those that are kept. The error is shortened by whoever has it.
pub(crate) fn record(
    session: &Session<'_>,
    seq: i64,
    at: Timestamp,
    is_charged: bool,
    error: &str,
) -> Result<(), Fault> {
    let sql = "INSERT INTO bus_attempt (seq, number, at, charged, error)
               SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4 FROM bus_attempt WHERE seq = ?1
               RETURNING number";
    let parameters = params![seq, at.as_micros(), is_charged, error];
    let number: i64 = session.prepare(sql)?.query_row(parameters, |row| row.get(0))?;
    let kept = i64::try_from(ATTEMPTS_KEPT_MAX).unwrap_or(i64::MAX);
    if number > kept {
        let sql = "DELETE FROM bus_attempt WHERE seq = ?1 AND number <= ?2";
        session.prepare(sql)?.execute([seq, number - kept])?;
    }
    Ok(())
}

/// Forgets those of a delivery that has ended.
pub(crate) fn forget(session: &Session<'_>, seq: i64) -> Result<(), Fault> {
    session.prepare("DELETE FROM bus_attempt WHERE seq = ?1")?.execute([seq])?;
    Ok(())
}

/// Those that are kept, oldest first.
pub(crate) fn of_delivery(db: &Connection, seq: i64) -> Result<Vec<Attempt>, Fault> {
    let sql = "SELECT at, charged, error FROM bus_attempt WHERE seq = ?1 ORDER BY number";
    let mut find = db.prepare_cached(sql)?;
    let attempts = find.query_map([seq], |row| {
        Ok(Attempt { at: Timestamp::from_micros(row.get(0)?), charged: row.get(1)?, error: row.get(2)? })
    })?;
    Ok(attempts.collect::<Result<_, _>>()?)
}
