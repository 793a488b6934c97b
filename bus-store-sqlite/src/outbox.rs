//! What the application logs within transactions of its own, until it is in the queues.

use bus_core::Timestamp;
use bus_store::outbox::OUTBOX_BYTES_MAX;
use bus_store::{
    Drift, EntryEnd, Outbox, OutboxCounts, OutboxEntry, ParkedEntry, Relayed, StoreErrorKind, StoreFuture,
};
use rusqlite::{OptionalExtension, Row, params};
use tokio::sync::watch;
use uuid::Uuid;

use crate::SqliteStore;
use crate::capture;
use crate::code::{count, limit as sql_limit};
use crate::error::{Fault, refusal};
use crate::session::Session;
use crate::writer::{Progress, Write};

/// What a transaction of the application executes. An empty text leaves nothing behind, so that whoever executes it
/// need not ask whether anybody wants to know.
pub(crate) const LOG_STATEMENT: &str = "INSERT INTO bus_outbox (entry) SELECT ?1 WHERE ?1 <> ''";

/// Under whose name the keys of entries are kept, beside those of external objects: no connector's.
const NO_CONNECTOR: &str = "";

impl Outbox for SqliteStore {
    fn outbox(&self, limit: usize) -> StoreFuture<'_, Vec<OutboxEntry>> {
        self.read("outbox", move |db| {
            let mut list = db.prepare_cached("SELECT id, entry FROM bus_outbox ORDER BY id LIMIT ?1")?;
            let mut rows = list.query([sql_limit(limit)])?;
            let (mut entries, mut bytes) = (Vec::new(), 0);
            while bytes < OUTBOX_BYTES_MAX
                && let Some(row) = rows.next()?
            {
                let entry = OutboxEntry { id: row.get(0)?, text: text(row, 1)? };
                bytes += entry.text.len();
                entries.push(entry);
            }
            Ok(entries)
        })
    }

    fn parked_entries(&self, limit: usize) -> StoreFuture<'_, Vec<ParkedEntry>> {
        self.read("parked entries", move |db| {
            let sql = "SELECT id, entry, error, parked_at FROM bus_outbox_parked ORDER BY id LIMIT ?1";
            let mut list = db.prepare_cached(sql)?;
            let mut rows = list.query([sql_limit(limit)])?;
            let (mut entries, mut bytes) = (Vec::new(), 0);
            while bytes < OUTBOX_BYTES_MAX
                && let Some(row) = rows.next()?
            {
                let text = text(row, 1)?;
                bytes += text.len();
                let parked_at = Timestamp::from_micros(row.get(3)?);
                entries.push(ParkedEntry { id: row.get(0)?, text, error: row.get(2)?, parked_at });
            }
            Ok(entries)
        })
    }

    fn retry_entry(&self, id: i64) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            let was_there = self.write(RetryEntry { id }).await?;
            if was_there {
                self.ring_outbox();
            }
            Ok(was_there)
        })
    }

    fn outbox_counts(&self) -> StoreFuture<'_, OutboxCounts> {
        self.read("outbox counts", |db| {
            let sql = "SELECT (SELECT count(*) FROM bus_outbox), (SELECT count(*) FROM bus_outbox_parked)";
            let counts =
                |row: &Row<'_>| Ok(OutboxCounts { entries: count(row.get(0)?), parked: count(row.get(1)?) });
            Ok(db.prepare_cached(sql)?.query_row([], counts)?)
        })
    }

    fn outbox_bell(&self) -> watch::Receiver<u64> {
        self.0.status.outbox_bell.subscribe()
    }

    fn ring_outbox(&self) {
        self.0.status.ring_outbox();
    }

    fn capture_drift(&self) -> StoreFuture<'_, Vec<Drift>> {
        self.read("capture drift", |db| capture::drift(db, capture::Depth::Schema))
    }
}

/// A text as its bytes: what was written by hand may be none.
fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<u8>> {
    Ok(row.get_ref(column)?.as_bytes()?.to_vec())
}

/// Puts an entry back to where it stood, or, where another one has taken that place by now, to the end.
struct RetryEntry {
    id: i64,
}

impl Write for RetryEntry {
    type Answer = bool;
    const OPERATION: &'static str = "retry entry";

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<bool>, Fault> {
        let sql = "INSERT INTO bus_outbox (id, entry)
                   SELECT CASE WHEN EXISTS (SELECT 1 FROM bus_outbox WHERE id = place) THEN NULL ELSE place END, entry
                   FROM bus_outbox_parked WHERE id = ?1";
        let put_back = session.prepare(sql)?.execute([self.id])?;
        session.prepare("DELETE FROM bus_outbox_parked WHERE id = ?1")?.execute([self.id])?;
        Ok(Progress::Done(put_back > 0))
    }
}

/// Takes these entries out of the outbox, if they are its first ones; those that are parked are kept aside.
pub(crate) fn take_out(session: &Session<'_>, relayed: &[Relayed], now: Timestamp) -> Result<(), Fault> {
    let Some(last) = relayed.last() else { return Ok(()) };
    let mut first = session.prepare("SELECT id FROM bus_outbox WHERE id <= ?1 ORDER BY id")?;
    let there: Vec<i64> = first.query_map([last.id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    if !there.iter().eq(relayed.iter().map(|relayed| &relayed.id)) {
        let message = "the entries are not the first of the outbox any more: look again";
        return Err(refusal(StoreErrorKind::Conflict, message));
    }
    let park = "INSERT INTO bus_outbox_parked (place, entry, error, parked_at)
                SELECT id, entry, ?2, ?3 FROM bus_outbox WHERE id = ?1";
    for Relayed { id, end } in relayed {
        if let EntryEnd::Parked { error } = end {
            session.prepare(park)?.execute(params![id, error, now.as_micros()])?;
        }
    }
    session.prepare("DELETE FROM bus_outbox WHERE id <= ?1")?.execute([last.id])?;
    Ok(())
}

/// Whether an entry of this name was relayed before, and its first task is still kept; notes the name otherwise.
pub(crate) fn was_relayed(session: &mut Session<'_>, key: Uuid) -> Result<bool, Fault> {
    let key = key.to_string();
    let sql = "SELECT 1 FROM bus_idempotency WHERE connector = ?1 AND key = ?2";
    let known: Option<i64> =
        session.prepare(sql)?.query_row([NO_CONNECTOR, &key], |row| row.get(0)).optional()?;
    if known.is_none() {
        // The number of its first task is the next one.
        let next = session.sequence()?.task + 1;
        let sql = "INSERT INTO bus_idempotency (connector, key, digest, task) VALUES (?1, ?2, x'', ?3)";
        session.prepare(sql)?.execute(params![NO_CONNECTOR, key, next])?;
    }
    Ok(known.is_some())
}
