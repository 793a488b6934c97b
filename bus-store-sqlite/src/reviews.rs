//! Objects that both sides have changed, and of which a person decides.

use bus_core::{DeliveryId, ObjectKey};
use bus_store::{
    ConflictRecord, Decision, Intervention, QueueId, Reviews, Selected, StoreFuture, Verb, Verdict,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::SqliteStore;
use crate::code::{corrupt, id_from_text, id_text, limit as sql_limit, object_type};
use crate::error::Fault;
use crate::operate::intervene::intervene;
use crate::session::{FIND_QUEUE, Session, find_queue};
use crate::writer::{Progress, Write};

const COLUMNS: &str = "seq, object_type, object_id, base, host, external, fields, resolved";

impl Reviews for SqliteStore {
    fn conflict(&self, delivery: DeliveryId) -> StoreFuture<'_, Option<ConflictRecord>> {
        self.read("conflict", move |db| conflict(db, delivery))
    }

    fn conflicts(
        &self,
        queue: &QueueId,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<ConflictRecord>> {
        let queue = queue.clone();
        self.read("conflicts", move |db| {
            let Some(queue) = find_queue(&mut *db.prepare_cached(FIND_QUEUE)?, &queue)? else {
                return Ok(Vec::new());
            };
            let sql = format!(
                "SELECT {COLUMNS} FROM bus_conflict WHERE queue = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"
            );
            let mut list = db.prepare_cached(&sql)?;
            let mut rows = list.query([queue, after.map_or(0, |after| after.0), sql_limit(limit)])?;
            let mut conflicts = Vec::new();
            while let Some(row) = rows.next()? {
                conflicts.push(record(row)?);
            }
            Ok(conflicts)
        })
    }

    fn resolve(&self, decision: Decision) -> StoreFuture<'_, Verdict> {
        self.write(Resolve(decision))
    }
}

fn conflict(db: &Connection, delivery: DeliveryId) -> Result<Option<ConflictRecord>, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM bus_conflict WHERE seq = ?1");
    let mut find = db.prepare_cached(&sql)?;
    let mut rows = find.query([delivery.0])?;
    rows.next()?.map(record).transpose()
}

fn record(row: &Row<'_>) -> Result<ConflictRecord, Fault> {
    let delivery = DeliveryId(row.get(0)?);
    let object = ObjectKey { object_type: object_type(row.get(1)?)?, id: id_from_text(row.get(2)?) };
    Ok(ConflictRecord {
        delivery,
        object,
        base: row.get(3)?,
        host: row.get(4)?,
        external: row.get(5)?,
        fields: read_json(delivery, &row.get::<_, String>(6)?)?,
        resolved: read_json(delivery, &row.get::<_, String>(7)?)?,
    })
}

/// Keeps what stands against each other, in the place of what did.
pub(crate) fn keep_conflict(
    session: &Session<'_>,
    queue: i64,
    conflict: &ConflictRecord,
) -> Result<(), Fault> {
    let ConflictRecord { delivery, object, base, host, external, fields, resolved } = conflict;
    let sql = "INSERT OR REPLACE INTO bus_conflict
                   (seq, queue, object_type, object_id, base, host, external, fields, resolved)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    session.prepare(sql)?.execute(params![
        delivery.0,
        queue,
        object.object_type.as_str(),
        id_text(&object.id),
        base,
        host,
        external,
        write_json(*delivery, fields)?,
        write_json(*delivery, resolved)?,
    ])?;
    Ok(())
}

/// Forgets it with its delivery.
pub(crate) fn end_conflict(session: &Session<'_>, seq: i64) -> Result<(), Fault> {
    session.prepare("DELETE FROM bus_conflict WHERE seq = ?1")?.execute([seq])?;
    Ok(())
}

/// Whether a person was ever asked about this delivery.
pub(crate) fn is_in_conflict(session: &Session<'_>, seq: i64) -> Result<bool, Fault> {
    let sql = "SELECT 1 FROM bus_conflict WHERE seq = ?1";
    let found: Option<i64> = session.prepare(sql)?.query_row([seq], |row| row.get(0)).optional()?;
    Ok(found.is_some())
}

struct Resolve(Decision);

impl Write for Resolve {
    type Answer = Verdict;
    const OPERATION: &'static str = "resolve";

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<Verdict>, Fault> {
        let Decision { delivery, fields, by, reason, now } = self.0.clone();
        let item = Selected { delivery, seen: None };
        let asked = Intervention { verb: Verb::Resolve, items: vec![item], by, reason, now };
        let verdict = intervene(session, &asked, item)?;
        if matches!(verdict, Verdict::Done { .. })
            && let Some(mut conflict) = conflict(session.db, delivery)?
        {
            conflict.resolved.extend(fields);
            let sql = "UPDATE bus_conflict SET resolved = ?2 WHERE seq = ?1";
            let resolved = write_json(delivery, &conflict.resolved)?;
            session.prepare(sql)?.execute(params![delivery.0, resolved])?;
        }
        Ok(Progress::Done(verdict))
    }
}

fn read_json<T: DeserializeOwned>(delivery: DeliveryId, text: &str) -> Result<T, Fault> {
    serde_json::from_str(text)
        .map_err(|error| corrupt(format!("the conflict of delivery {delivery} cannot be read: {error}")))
}

fn write_json<T: Serialize>(delivery: DeliveryId, value: &T) -> Result<String, Fault> {
    serde_json::to_string(value)
        .map_err(|error| corrupt(format!("the conflict of delivery {delivery} is no JSON: {error}")))
}
