//! What people ask of the store, and do to it.

pub(crate) mod intervene;
mod list;
mod select;

use bus_core::{DeliveryId, Timestamp};
use bus_store::operate::{
    Audit, Counters, DeliveryDetail, DeliveryFilter, DeliverySummary, INTERVENTION_ITEMS_MAX, Intervention,
    Operate, QueueCounts, Verdict, Waiting,
};
use bus_store::{QueueId, StoreError, StoreErrorKind, StoreFuture};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::SqliteStore;
use crate::code::{Code, connector_name, count, limit as sql_limit};
use crate::error::Fault;
use crate::session::{FIND_QUEUE, find_queue};
use crate::task_log::history::Prune;
use crate::wake::read_awaited;

use intervene::Intervene;
use select::Looked;

impl Operate for SqliteStore {
    fn queues(&self) -> StoreFuture<'_, Vec<QueueId>> {
        self.read("queues", |db| {
            let sql = "SELECT id, connector, direction FROM bus_queue ORDER BY connector, direction";
            let mut list = db.prepare_cached(sql)?;
            let mut rows = list.query([])?;
            let mut queues = Vec::new();
            while let Some(row) = rows.next()? {
                queues.push(queue_id(row)?);
            }
            Ok(queues)
        })
    }

    fn counters(&self, queue: &QueueId) -> StoreFuture<'_, Counters> {
        let queue = queue.clone();
        self.read("counters", move |db| {
            let Some(id) = find_queue(&mut *db.prepare_cached(FIND_QUEUE)?, &queue)? else {
                return Ok(Counters::default());
            };
            counters(db, id)
        })
    }

    fn queue_counts(&self, queue: &QueueId) -> StoreFuture<'_, QueueCounts> {
        let queue = queue.clone();
        self.read("queue counts", move |db| {
            looked(db, &queue)?.map_or(Ok(QueueCounts::default()), |looked| list::queue_counts(db, &looked))
        })
    }

    fn deliveries(&self, queue: &QueueId, filter: &DeliveryFilter) -> StoreFuture<'_, Vec<DeliverySummary>> {
        let (queue, filter) = (queue.clone(), filter.clone());
        self.read("deliveries", move |db| {
            looked(db, &queue)?.map_or(Ok(Vec::new()), |looked| list::deliveries(db, &looked, &filter))
        })
    }

    fn delivery(&self, delivery: DeliveryId) -> StoreFuture<'_, Option<DeliveryDetail>> {
        self.read("delivery", move |db| select::detail(db, delivery))
    }

    fn open_of_key(&self, queue: &QueueId, key: &str, limit: usize) -> StoreFuture<'_, Vec<DeliveryId>> {
        let (queue, key) = (queue.clone(), key.to_owned());
        self.read("open of key", move |db| {
            let Some(id) = find_queue(&mut *db.prepare_cached(FIND_QUEUE)?, &queue)? else {
                return Ok(Vec::new());
            };
            let sql = "SELECT seq FROM bus_side WHERE queue = ?1 AND key = ?2
                       UNION ALL SELECT seq FROM bus_pending WHERE queue = ?1 AND key = ?2 ORDER BY seq LIMIT ?3";
            let mut find = db.prepare_cached(sql)?;
            let open = find.query_map(params![id, key, sql_limit(limit)], |row| row.get(0).map(DeliveryId))?;
            Ok(open.collect::<Result<_, _>>()?)
        })
    }

    fn awaited_by_key(&self, queue: &QueueId, key: &str) -> StoreFuture<'_, Option<Waiting>> {
        let (queue, key) = (queue.clone(), key.to_owned());
        self.read("awaited by key", move |db| {
            let Some(id) = find_queue(&mut *db.prepare_cached(FIND_QUEUE)?, &queue)? else {
                return Ok(None);
            };
            let sql = "SELECT seq, awaited FROM bus_side WHERE queue = ?1 AND key = ?2 AND aside = 0
                       ORDER BY seq LIMIT 1";
            let read = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, Option<String>>(1)?));
            let first = db.prepare_cached(sql)?.query_row(params![id, key], read).optional()?;
            let Some((seq, Some(awaited))) = first else { return Ok(None) };
            Ok(Some(Waiting { delivery: DeliveryId(seq), awaited: read_awaited(&awaited)? }))
        })
    }

    fn intervene(&self, intervention: Intervention) -> StoreFuture<'_, Vec<Verdict>> {
        if intervention.items.len() > INTERVENTION_ITEMS_MAX {
            let message = format!(
                "{} deliveries at once are more than {INTERVENTION_ITEMS_MAX}: send them in parts",
                intervention.items.len()
            );
            let error = StoreError::new(StoreErrorKind::Unsupported, "intervene", message);
            return Box::pin(async move { Err(error) });
        }
        self.write(Intervene(intervention))
    }

    fn prune(&self, queue: &QueueId, ended_before: Timestamp, limit: usize) -> StoreFuture<'_, usize> {
        self.write(Prune { queue: queue.clone(), ended_before, limit })
    }

    fn audit(&self, queue: &QueueId) -> StoreFuture<'_, Audit> {
        let queue = queue.clone();
        self.read("audit", move |db| {
            let Some(id) = find_queue(&mut *db.prepare_cached(FIND_QUEUE)?, &queue)? else {
                return Ok(Audit::default());
            };
            let sql = "SELECT (SELECT count(*) FROM bus_pending WHERE queue = ?1)
                           + (SELECT count(*) FROM bus_side WHERE queue = ?1),
                           (SELECT count(*) FROM bus_history WHERE queue = ?1)";
            let rows = |row: &Row<'_>| Ok((count(row.get(0)?), count(row.get(1)?)));
            let (open_rows, ended_rows) = db.prepare_cached(sql)?.query_row([id], rows)?;
            Ok(Audit { counters: counters(db, id)?, open_rows, ended_rows })
        })
    }
}

fn counters(db: &Connection, queue: i64) -> Result<Counters, Fault> {
    let sql = "SELECT logged, open, completed, skipped, discarded, cancelled, retried, waited, stale
               FROM bus_queue WHERE id = ?1";
    let read = |row: &Row<'_>| {
        Ok(Counters {
            logged: count(row.get(0)?),
            open: count(row.get(1)?),
            completed: count(row.get(2)?),
            skipped: count(row.get(3)?),
            discarded: count(row.get(4)?),
            cancelled: count(row.get(5)?),
            retried: count(row.get(6)?),
            waited: count(row.get(7)?),
            stale: count(row.get(8)?),
        })
    };
    Ok(db.prepare_cached(sql)?.query_row([queue], read)?)
}

fn looked(db: &Connection, queue: &QueueId) -> Result<Option<Looked>, Fault> {
    let sql = "SELECT id, connector, direction, scope FROM bus_queue WHERE connector = ?1 AND direction = ?2";
    let mut find = db.prepare_cached(sql)?;
    let mut rows = find.query(params![queue.connector.as_str(), queue.direction.to_code()])?;
    rows.next()?.map(|row| Looked::read(db, row)).transpose()
}

/// From the columns id, connector, direction.
fn queue_id(row: &Row<'_>) -> Result<QueueId, Fault> {
    Ok(QueueId::new(connector_name(row.get(1)?)?, Code::from_code(row.get(2)?)?))
}
