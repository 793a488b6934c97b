//! What people ask of the store.

use bus_core::{DeliveryId, DeliveryState, TaskId, Timestamp};
use bus_store::operate::{
    Counters, DeliveryDetail, DeliveryFilter, DeliverySummary, Operate, PAGE_ROWS_MAX, QueueCounts,
};
use bus_store::{QueueId, StoreFuture};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::SqliteStore;
use crate::code::{
    Code, SideState, connector_name, count, key_of_delivery, limit as sql_limit, site_name, small_count,
};
use crate::error::Fault;
use crate::session::{FIND_QUEUE, find_queue};
use crate::task_log::attempts;
use crate::wake::read_awaited;

/// How many fresh deliveries of the line are looked at to say which of them are blocked. Those behind count as
/// available until the line comes to them: a look at all of them would cost as much as there are.
const FRESH_ROWS_LOOKED_AT_MAX: i64 = 10_000;

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
            let sql = "SELECT logged, open, completed, skipped, discarded, cancelled, retried, waited, stale
                       FROM bus_queue WHERE id = ?1";
            let counters = |row: &Row<'_>| {
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
            Ok(db.prepare_cached(sql)?.query_row([id], counters)?)
        })
    }

    fn queue_counts(&self, queue: &QueueId) -> StoreFuture<'_, QueueCounts> {
        let queue = queue.clone();
        self.read("queue counts", move |db| {
            let Some(id) = find_queue(&mut *db.prepare_cached(FIND_QUEUE)?, &queue)? else {
                return Ok(QueueCounts::default());
            };
            queue_counts(db, id)
        })
    }

    fn deliveries(&self, queue: &QueueId, filter: &DeliveryFilter) -> StoreFuture<'_, Vec<DeliverySummary>> {
        let (queue, filter) = (queue.clone(), filter.clone());
        self.read("deliveries", move |db| {
            let Some(id) = find_queue(&mut *db.prepare_cached(FIND_QUEUE)?, &queue)? else {
                return Ok(Vec::new());
            };
            deliveries(db, id, &queue, &filter)
        })
    }

    fn delivery(&self, delivery: DeliveryId) -> StoreFuture<'_, Option<DeliveryDetail>> {
        self.read("delivery", move |db| {
            let sql = "SELECT id, connector, direction FROM bus_queue q
                       WHERE EXISTS (SELECT 1 FROM bus_pending p WHERE p.queue = q.id AND p.seq = ?1)
                          OR EXISTS (SELECT 1 FROM bus_side s WHERE s.queue = q.id AND s.seq = ?1)";
            let mut find = db.prepare_cached(sql)?;
            let mut rows = find.query([delivery.0])?;
            let Some(row) = rows.next()? else {
                return Ok(None);
            };
            detail(db, row.get(0)?, &queue_id(row)?, delivery)
        })
    }
}

/// From the columns id, connector, direction.
fn queue_id(row: &Row<'_>) -> Result<QueueId, Fault> {
    Ok(QueueId::new(connector_name(row.get(1)?)?, Code::from_code(row.get(2)?)?))
}

// What people see of a delivery, as SQL; the numbers are those of `SideState`. Something is blocked while its lane is
// held, or when it stands behind a head that is an exception; the head of a held lane that is parked, and what is
// claimed, say so themselves. In the line, a key of which something is claimed holds its fresh ones. The first parameter
// of each statement is the queue's number.

const SIDE_STATE: &str = "CASE
    WHEN s.aside = 1 OR s.state IN (1, 5) THEN s.state
    WHEN l.kind = 2 OR (l.kind = 1 AND s.seq <> l.head) THEN 6
    ELSE s.state END";

const LINE_STATE: &str = "CASE
    WHEN p.seq <= (SELECT claimed_to FROM bus_queue WHERE id = ?1) THEN 1
    WHEN l.kind IN (1, 2) OR p.key IN (SELECT key FROM bus_pending w
        WHERE w.queue = ?1 AND w.seq <= (SELECT claimed_to FROM bus_queue WHERE id = ?1)) THEN 6
    ELSE 0 END";

/// The number that stands for *blocked* beside those of `SideState`.
const BLOCKED: i64 = 6;

fn shown(state: i64) -> Result<DeliveryState, Fault> {
    if state == BLOCKED {
        return Ok(DeliveryState::Blocked);
    }
    Ok(SideState::from_code(state)?.shown())
}

fn queue_counts(db: &Connection, queue: i64) -> Result<QueueCounts, Fault> {
    let mut counts = QueueCounts::default();
    let mut add = |state: i64, more: u64| -> Result<(), Fault> {
        *match shown(state)? {
            DeliveryState::Available => &mut counts.available,
            DeliveryState::Running => &mut counts.running,
            DeliveryState::Retryable => &mut counts.retryable,
            DeliveryState::Waiting => &mut counts.waiting,
            DeliveryState::Blocked => &mut counts.blocked,
            DeliveryState::Parked => &mut counts.parked,
        } += more;
        Ok(())
    };
    let side = format!(
        "SELECT {SIDE_STATE} AS shown, count(*) FROM bus_side s
         LEFT JOIN bus_lane l ON l.queue = s.queue AND l.key = s.key WHERE s.queue = ?1 GROUP BY shown"
    );
    // Of the line: all that is claimed, and the first of what is fresh.
    let line = format!(
        "SELECT shown, count(*) FROM (
             SELECT {LINE_STATE} AS shown FROM bus_pending p
             LEFT JOIN bus_lane l ON l.queue = p.queue AND l.key = p.key
             WHERE p.queue = ?1 ORDER BY p.seq
             LIMIT ?2 + (SELECT count(*) FROM bus_pending w
                         WHERE w.queue = ?1 AND w.seq <= (SELECT claimed_to FROM bus_queue WHERE id = ?1))
         ) GROUP BY shown"
    );
    let mut seen = 0;
    for (sql, parameters) in [(side, vec![queue]), (line, vec![queue, FRESH_ROWS_LOOKED_AT_MAX])] {
        let mut find = db.prepare_cached(&sql)?;
        let mut rows = find.query(rusqlite::params_from_iter(parameters))?;
        while let Some(row) = rows.next()? {
            let more = count(row.get(1)?);
            seen += more;
            add(row.get(0)?, more)?;
        }
    }
    let open = count(
        db.prepare_cached("SELECT open FROM bus_queue WHERE id = ?1")?
            .query_row([queue], |row| row.get(0))?,
    );
    counts.available += open.saturating_sub(seen);
    Ok(counts)
}

fn deliveries(
    db: &Connection,
    id: i64,
    queue: &QueueId,
    filter: &DeliveryFilter,
) -> Result<Vec<DeliverySummary>, Fault> {
    let limit = if filter.limit == 0 { PAGE_ROWS_MAX } else { filter.limit.min(PAGE_ROWS_MAX) };
    let after = filter.after.map_or(0, |delivery| delivery.0);
    let wanted = filter.state.map(codes_of);
    let is_wanted =
        |line_or_side: &str| wanted.map_or(String::new(), |codes| format!("AND {line_or_side} IN ({codes})"));
    let line = line_end(filter.state).map(|end| {
        format!(
            "{} WHERE p.queue = ?1 AND p.seq > ?2 {end} {} ORDER BY p.seq LIMIT ?3",
            select_line(),
            is_wanted(LINE_STATE)
        )
    });
    let side = format!(
        "{} WHERE s.queue = ?1 AND s.seq > ?2 {} ORDER BY s.seq LIMIT ?3",
        select_side(),
        is_wanted(SIDE_STATE)
    );
    let mut found = Vec::new();
    for sql in [Some(side), line].into_iter().flatten() {
        let mut find = db.prepare_cached(&sql)?;
        let mut rows = find.query([id, after, sql_limit(limit)])?;
        while let Some(row) = rows.next()? {
            found.push(summary(row, queue)?);
        }
    }
    found.sort_unstable_by_key(|summary| summary.delivery);
    found.truncate(limit);
    Ok(found)
}

/// How far the line is looked through for this state: not beyond where it can be, and not through all of a backlog.
/// `None` when it is not to be found in the line.
fn line_end(state: Option<DeliveryState>) -> Option<String> {
    const CLAIMED_TO: &str = "(SELECT claimed_to FROM bus_queue WHERE id = ?1)";
    match state {
        None | Some(DeliveryState::Available) => Some(String::new()),
        Some(DeliveryState::Running) => Some(format!("AND p.seq <= {CLAIMED_TO}")),
        Some(DeliveryState::Blocked) => Some(format!(
            "AND p.seq <= coalesce((SELECT seq FROM bus_pending WHERE queue = ?1 AND seq > {CLAIMED_TO}
                                    ORDER BY seq LIMIT 1 OFFSET {FRESH_ROWS_LOOKED_AT_MAX}), {})",
            i64::MAX
        )),
        Some(DeliveryState::Retryable | DeliveryState::Waiting | DeliveryState::Parked) => None,
    }
}

/// The codes that people see as this state.
fn codes_of(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Available => "0, 3",
        DeliveryState::Running => "1",
        DeliveryState::Retryable => "2",
        DeliveryState::Waiting => "4",
        DeliveryState::Parked => "5",
        DeliveryState::Blocked => "6",
    }
}

fn select_line() -> String {
    format!(
        "SELECT p.seq, p.task, t.title, p.key, {LINE_STATE}, p.seq <= (SELECT claimed_to FROM bus_queue WHERE id = ?1), 0, NULL, NULL, p.data_type, p.policy,
             p.idempotency_key, t.subject, t.operation, t.content_type, t.site, t.logged_at, t.data
         FROM bus_pending p JOIN bus_task t ON t.id = p.task
         LEFT JOIN bus_lane l ON l.queue = p.queue AND l.key = p.key"
    )
}

fn select_side() -> String {
    format!(
        "SELECT s.seq, s.task, t.title, s.key, {SIDE_STATE}, s.attempts, s.due, s.reason, s.awaited, s.data_type, s.policy,
             s.idempotency_key, t.subject, t.operation, t.content_type, t.site, t.logged_at, t.data
         FROM bus_side s JOIN bus_task t ON t.id = s.task
         LEFT JOIN bus_lane l ON l.queue = s.queue AND l.key = s.key"
    )
}

fn summary(row: &Row<'_>, queue: &QueueId) -> Result<DeliverySummary, Fault> {
    let due: i64 = row.get(6)?;
    Ok(DeliverySummary {
        delivery: DeliveryId(row.get(0)?),
        task: TaskId(row.get(1)?),
        queue: queue.clone(),
        title: row.get(2)?,
        key: row.get(3)?,
        state: shown(row.get(4)?)?,
        attempts: small_count(row.get(5)?),
        due: (due > 0).then_some(Timestamp::from_micros(due)),
        reason: row.get(7)?,
    })
}

fn detail(
    db: &Connection,
    id: i64,
    queue: &QueueId,
    delivery: DeliveryId,
) -> Result<Option<DeliveryDetail>, Fault> {
    let line = format!("{} WHERE p.queue = ?1 AND p.seq = ?2", select_line());
    let side = format!("{} WHERE s.queue = ?1 AND s.seq = ?2", select_side());
    for sql in [side, line] {
        let mut find = db.prepare_cached(&sql)?;
        let read = |row: &Row<'_>| Ok(read_detail(db, row, queue));
        let found = find.query_row(params![id, delivery.0], read).optional()?;
        if let Some(detail) = found {
            return detail.map(Some);
        }
    }
    Ok(None)
}

fn read_detail(db: &Connection, row: &Row<'_>, queue: &QueueId) -> Result<DeliveryDetail, Fault> {
    let summary = summary(row, queue)?;
    let awaited: Option<String> = row.get(8)?;
    Ok(DeliveryDetail {
        attempts: attempts::of_delivery(db, summary.delivery.0)?,
        awaited: awaited.as_deref().map_or(Ok(Vec::new()), read_awaited)?,
        summary,
        data_type: Code::from_code(row.get(9)?)?,
        policy: Code::from_code(row.get(10)?)?,
        idempotency_key: key_of_delivery(row, 11)?,
        subject: row.get(12)?,
        operation: Code::from_code(row.get(13)?)?,
        content_type: row.get(14)?,
        site: site_name(row.get(15)?)?,
        logged_at: Timestamp::from_micros(row.get(16)?),
        data: row.get(17)?,
    })
}
