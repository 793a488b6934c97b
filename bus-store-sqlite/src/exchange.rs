//! What an external system and the host have told each other about one object that travels both ways.

use bus_core::{ConnectorName, DeliveryId, Direction, ObjectKey, TaskId, Timestamp};
use bus_store::exchange::SENT_KEPT_MAX;
use bus_store::{Agreed, Binding, Exchange, ExchangeWrite, Exchanged, QueueId, Said, Sent, StoreFuture};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::SqliteStore;
use crate::code::{corrupt, id_text, limit as sql_limit};
use crate::error::Fault;
use crate::session::{FIND_QUEUE, Session, find_queue};
use crate::writer::{Progress, Write};

impl Exchange for SqliteStore {
    fn exchanged(&self, binding: &Binding, key: &str) -> StoreFuture<'_, Exchanged> {
        let (binding, key) = (binding.clone(), key.to_owned());
        self.read("exchanged", move |db| {
            Ok(Exchanged {
                agreed: agreed(db, &binding)?,
                sent: sent(db, &binding)?,
                claimed: claimed(db, &binding.connector, &key)?,
            })
        })
    }

    fn forget_sent(&self, before: Timestamp, limit: usize) -> StoreFuture<'_, usize> {
        self.write(ForgetSent { before, limit })
    }
}

fn agreed(db: &Connection, binding: &Binding) -> Result<Option<Agreed>, Fault> {
    let sql = "SELECT data, is_given, alternations, at FROM bus_agreed
               WHERE object_type = ?1 AND object_id = ?2 AND connector = ?3 AND external_id = ?4";
    let read = |row: &Row<'_>| {
        Ok(Agreed {
            data: row.get(0)?,
            is_given: row.get(1)?,
            alternations: row.get(2)?,
            at: Timestamp::from_micros(row.get(3)?),
        })
    };
    let Binding { connector, object, external_id } = binding;
    let parameters =
        params![object.object_type.as_str(), id_text(&object.id), connector.as_str(), external_id];
    Ok(db.prepare_cached(sql)?.query_row(parameters, read).optional()?)
}

fn sent(db: &Connection, binding: &Binding) -> Result<Vec<Sent>, Fault> {
    let Binding { connector, object, external_id } = binding;
    let sql = "SELECT seq, task, hop, at, fields FROM bus_sent
               WHERE object_type = ?1 AND object_id = ?2 AND connector = ?3 AND external_id = ?4 ORDER BY seq";
    let mut find = db.prepare_cached(sql)?;
    let parameters =
        params![object.object_type.as_str(), id_text(&object.id), connector.as_str(), external_id];
    let mut rows = find.query(parameters)?;
    let mut sent = Vec::new();
    while let Some(row) = rows.next()? {
        let (delivery, fields): (i64, String) = (row.get(0)?, row.get(4)?);
        let fields = serde_json::from_str(&fields).map_err(|error| {
            corrupt(format!("what delivery {delivery} has sent of {object} cannot be read: {error}"))
        })?;
        sent.push(Sent {
            delivery: DeliveryId(delivery),
            task: TaskId(row.get(1)?),
            hop: row.get(2)?,
            at: Timestamp::from_micros(row.get(3)?),
            fields,
        });
    }
    Ok(sent)
}

/// What is claimed of a key going out: in the line up to where that is claimed, and at the side.
fn claimed(db: &Connection, connector: &ConnectorName, key: &str) -> Result<Vec<DeliveryId>, Fault> {
    let queue = QueueId::new(connector.clone(), Direction::Outgoing);
    let Some(queue) = find_queue(&mut *db.prepare_cached(FIND_QUEUE)?, &queue)? else {
        return Ok(Vec::new());
    };
    let sql = "SELECT seq FROM bus_pending
               WHERE queue = ?1 AND seq <= (SELECT claimed_to FROM bus_queue WHERE id = ?1) AND key = ?2
               UNION ALL SELECT seq FROM bus_side WHERE queue = ?1 AND key = ?2 AND state = 1 ORDER BY seq";
    let mut find = db.prepare_cached(sql)?;
    let claimed = find.query_map(params![queue, key], |row| row.get(0).map(DeliveryId))?;
    Ok(claimed.collect::<Result<_, _>>()?)
}

/// Writes down what was exchanged, if the object is bound like that. A full store keeps the room for what ends.
pub(crate) fn write_exchange(
    session: &Session<'_>,
    write: &ExchangeWrite,
    now: Timestamp,
) -> Result<(), Fault> {
    let ExchangeWrite { binding, said } = write;
    let Binding { connector, object, external_id } = binding;
    let (object_type, object_id) = (object.object_type.as_str(), id_text(&object.id));
    if let Said::Heard { up_to } = said {
        let sql =
            "DELETE FROM bus_sent WHERE object_type = ?1 AND object_id = ?2 AND connector = ?3 AND seq <= ?4";
        session.prepare(sql)?.execute(params![object_type, object_id, connector.as_str(), up_to.0])?;
        return Ok(());
    }
    let sql = "SELECT EXISTS (SELECT 1 FROM bus_binding WHERE object_type = ?1 AND object_id = ?2
                                  AND connector = ?3 AND external_id = ?4 AND ended IS NULL)";
    let bound = params![object_type, object_id, connector.as_str(), external_id];
    if session.is_full() || !session.prepare(sql)?.query_row(bound, |row| row.get::<_, bool>(0))? {
        return Ok(());
    }
    match said {
        Said::Given { data } => write_agreed(session, binding, data, None, now)?,
        Said::Taken { data, alternations } => {
            write_agreed(session, binding, data, Some(*alternations), now)?;
        }
        Said::Sent(sent) => write_sent(session, binding, sent)?,
        Said::Heard { .. } => {}
    }
    Ok(())
}

/// What both sides have: given, or taken after so many alternations.
fn write_agreed(
    session: &Session<'_>,
    Binding { connector, object, external_id }: &Binding,
    data: &[u8],
    taken_after: Option<u32>,
    now: Timestamp,
) -> Result<(), Fault> {
    let sql = "INSERT INTO bus_agreed
                   (object_type, object_id, connector, external_id, at, is_given, alternations, data)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6 IS NULL, coalesce(?6, 0), ?7)
               ON CONFLICT DO UPDATE
               SET at = excluded.at, is_given = excluded.is_given, data = excluded.data,
                   alternations = CASE WHEN ?6 IS NULL AND external_id = excluded.external_id
                                       THEN alternations ELSE excluded.alternations END,
                   external_id = excluded.external_id";
    session.prepare(sql)?.execute(params![
        object.object_type.as_str(),
        id_text(&object.id),
        connector.as_str(),
        external_id,
        now.as_micros(),
        taken_after,
        data
    ])?;
    Ok(())
}

fn write_sent(session: &Session<'_>, binding: &Binding, sent: &Sent) -> Result<(), Fault> {
    let Binding { connector, object, external_id } = binding;
    let (object_type, object_id) = (object.object_type.as_str(), id_text(&object.id));
    let fields = serde_json::to_string(&sent.fields)
        .map_err(|error| corrupt(format!("what was sent of {object} is no JSON: {error}")))?;
    let sql = "INSERT OR REPLACE INTO bus_sent
                   (object_type, object_id, connector, seq, external_id, task, hop, at, fields)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    session.prepare(sql)?.execute(params![
        object_type,
        object_id,
        connector.as_str(),
        sent.delivery.0,
        external_id,
        sent.task.0,
        sent.hop,
        sent.at.as_micros(),
        fields
    ])?;
    // The earliest beyond what is kept, and what was sent to whatever it was bound to before.
    let sql = "DELETE FROM bus_sent WHERE object_type = ?1 AND object_id = ?2 AND connector = ?3
                   AND (external_id <> ?4
                        OR seq <= (SELECT seq FROM bus_sent
                                   WHERE object_type = ?1 AND object_id = ?2 AND connector = ?3
                                   ORDER BY seq DESC LIMIT 1 OFFSET ?5))";
    let parameters =
        params![object_type, object_id, connector.as_str(), external_id, sql_limit(SENT_KEPT_MAX)];
    session.prepare(sql)?.execute(parameters)?;
    Ok(())
}

/// Forgets what was exchanged about an object, with this connector or with all of them.
pub(crate) fn end_exchange(
    session: &Session<'_>,
    object: &ObjectKey,
    connector: Option<&ConnectorName>,
) -> Result<(), Fault> {
    let parameters =
        params![object.object_type.as_str(), id_text(&object.id), connector.map(ConnectorName::as_str)];
    for sql in [
        "DELETE FROM bus_agreed WHERE object_type = ?1 AND object_id = ?2 AND (?3 IS NULL OR connector = ?3)",
        "DELETE FROM bus_sent WHERE object_type = ?1 AND object_id = ?2 AND (?3 IS NULL OR connector = ?3)",
    ] {
        session.prepare(sql)?.execute(parameters)?;
    }
    Ok(())
}

/// Forgets what was sent to a connector that is deleted: nothing of it is heard any more.
pub(crate) fn forget_sent_to(session: &Session<'_>, connector: &str) -> Result<(), Fault> {
    session.prepare("DELETE FROM bus_sent WHERE connector = ?1")?.execute([connector])?;
    Ok(())
}

struct ForgetSent {
    before: Timestamp,
    limit: usize,
}

impl Write for ForgetSent {
    type Answer = usize;
    const OPERATION: &'static str = "forget sent";

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<usize>, Fault> {
        let sql = "DELETE FROM bus_sent WHERE (object_type, object_id, connector, seq) IN (
                       SELECT object_type, object_id, connector, seq FROM bus_sent WHERE at < ?1 ORDER BY at LIMIT ?2)";
        let parameters = params![self.before.as_micros(), sql_limit(self.limit)];
        Ok(Progress::Done(session.prepare(sql)?.execute(parameters)?))
    }
}
