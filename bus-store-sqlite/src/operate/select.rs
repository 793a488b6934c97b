//! How deliveries are read for people: from the line, from the side, and from history.

use bus_core::{DeliveryId, DeliveryState, TaskId, Timestamp};
use bus_store::operate::{DeliveryDetail, DeliverySummary};
use bus_store::{QueueId, Scope};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::code::{
    Code, End, SideState, connector_name, key_of_delivery, redelivery, site_name, small_count,
};
use crate::error::Fault;
use crate::task_log::attempts;
use crate::wake::read_awaited;

/// A queue, as people look at it.
pub(super) struct Looked {
    pub(super) id: i64,
    pub(super) queue: QueueId,
    /// Whatever is later than this is blocked; the largest number where order is kept within keys only.
    pub(super) holding: i64,
}

// What people see of a delivery, as SQL; the numbers are those of `SideState`. The first parameter of each statement is
// the queue's number, the second what holds the queue. Something is blocked while its lane is held, or when it stands
// behind a head that is an exception; the head of a held lane that is parked, and what is claimed, say so themselves. In
// the line, a key of which something is claimed holds its fresh ones.

pub(super) const SIDE_STATE: &str = "CASE
    WHEN s.aside = 1 OR s.state IN (1, 5) THEN s.state
    WHEN l.kind = 2 OR (l.kind IN (1, 3) AND s.seq <> l.head) OR s.seq > ?2 THEN 9
    ELSE s.state END";

pub(super) const LINE_STATE: &str = "CASE
    WHEN p.seq <= (SELECT claimed_to FROM bus_queue WHERE id = ?1) THEN 1
    WHEN l.kind IN (1, 2, 3) OR p.seq > ?2 OR p.key IN (SELECT key FROM bus_pending w
        WHERE w.queue = ?1 AND w.seq <= (SELECT claimed_to FROM bus_queue WHERE id = ?1)) THEN 9
    ELSE 0 END";

/// The number that stands for *blocked* beside those of `SideState`.
const BLOCKED: i64 = 9;

/// From here on numbers stand for ends.
const ENDED: i64 = 10;

pub(super) fn shown(state: i64) -> Result<DeliveryState, Fault> {
    match state {
        BLOCKED => Ok(DeliveryState::Blocked),
        ended if ended >= ENDED => Ok(End::from_code(ended - ENDED)?.shown()),
        open => Ok(SideState::from_code(open)?.shown()),
    }
}

/// The numbers that people see as this state.
pub(super) fn codes_of(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Available => "0, 3",
        DeliveryState::Running => "1",
        DeliveryState::Retryable => "2",
        DeliveryState::Waiting => "4",
        DeliveryState::Parked => "5",
        DeliveryState::Scheduled => "6",
        DeliveryState::Blocked => "9",
        DeliveryState::Completed => "10",
        DeliveryState::Skipped => "11",
        DeliveryState::Discarded => "12",
        DeliveryState::Cancelled => "13",
    }
}

impl Looked {
    /// From a row with the columns id, connector, direction, scope.
    pub(super) fn read(db: &Connection, row: &Row<'_>) -> Result<Self, Fault> {
        let (id, queue) =
            (row.get(0)?, QueueId::new(connector_name(row.get(1)?)?, Code::from_code(row.get(2)?)?));
        let holding = match Scope::from_code(row.get(3)?)? {
            Scope::Key => None,
            Scope::Queue => {
                // A row with nothing in it is not the least of anything.
                let sql = "SELECT min(seq) FROM (
                               SELECT min(seq) AS seq FROM bus_side
                               WHERE queue = ?1 AND aside = 0 AND state IN (1, 2, 3, 5, 6)
                               UNION ALL SELECT min(seq) FROM bus_pending
                               WHERE queue = ?1 AND seq <= (SELECT claimed_to FROM bus_queue WHERE id = ?1))";
                db.prepare_cached(sql)?.query_row([id], |row| row.get(0))?
            }
        };
        Ok(Self { id, queue, holding: holding.unwrap_or(i64::MAX) })
    }

    /// The queue in which this delivery is open.
    pub(super) fn with_open(db: &Connection, seq: i64) -> Result<Option<Self>, Fault> {
        let sql = "SELECT id, connector, direction, scope FROM bus_queue q
                   WHERE EXISTS (SELECT 1 FROM bus_pending p WHERE p.queue = q.id AND p.seq = ?1)
                      OR EXISTS (SELECT 1 FROM bus_side s WHERE s.queue = q.id AND s.seq = ?1)";
        let mut find = db.prepare_cached(sql)?;
        let mut rows = find.query([seq])?;
        rows.next()?.map(|row| Self::read(db, row)).transpose()
    }

    /// What a blocked delivery stands behind: the earliest of what is claimed of its key, the first of its key if that is
    /// an exception, and what holds the queue.
    pub(super) fn blocked_by(
        &self,
        db: &Connection,
        seq: i64,
        key: &str,
    ) -> Result<Option<DeliveryId>, Fault> {
        let sql = "SELECT min(seq) FROM (
                       SELECT min(seq) AS seq FROM bus_side WHERE queue = ?1 AND key = ?2 AND state = 1
                       UNION ALL SELECT min(seq) FROM bus_pending WHERE queue = ?1 AND key = ?2
                           AND seq <= (SELECT claimed_to FROM bus_queue WHERE id = ?1)
                       UNION ALL SELECT seq FROM (SELECT seq, state FROM bus_side
                           WHERE queue = ?1 AND key = ?2 AND aside = 0 ORDER BY seq LIMIT 1)
                           WHERE state <> 0 AND seq < ?3)";
        let parameters = params![self.id, key, seq];
        let of_key: Option<i64> = db.prepare_cached(sql)?.query_row(parameters, |row| row.get(0))?;
        let holding = Some(self.holding).filter(|holding| *holding < seq);
        Ok(of_key.into_iter().chain(holding).min().map(DeliveryId))
    }
}

/// Whether the data, which may be large, is read.
#[derive(Clone, Copy)]
pub(super) enum Columns {
    Listed,
    All,
}

impl Columns {
    fn data(self) -> &'static str {
        match self {
            Self::Listed => "NULL",
            Self::All => "t.data",
        }
    }
}

pub(super) fn select_line(columns: Columns) -> String {
    format!(
        "SELECT p.seq, p.task, t.title, p.key, {LINE_STATE},
             p.seq <= (SELECT claimed_to FROM bus_queue WHERE id = ?1), 0, NULL, NULL, p.data_type, p.policy,
             p.idempotency_key, t.subject, t.operation, t.content_type, t.site, t.logged_at, t.redelivers, t.origin,
             NULL, 0, {}, 0
         FROM bus_pending p JOIN bus_task t ON t.id = p.task
         LEFT JOIN bus_lane l ON l.queue = p.queue AND l.key = p.key",
        columns.data()
    )
}

pub(super) fn select_side(columns: Columns) -> String {
    format!(
        "SELECT s.seq, s.task, t.title, s.key, {SIDE_STATE}, s.attempts, s.due, s.reason, s.awaited, s.data_type, s.policy,
             s.idempotency_key, t.subject, t.operation, t.content_type, t.site, t.logged_at, t.redelivers, t.origin,
             NULL, s.called, {}, s.doubt
         FROM bus_side s JOIN bus_task t ON t.id = s.task
         LEFT JOIN bus_lane l ON l.queue = s.queue AND l.key = s.key",
        columns.data()
    )
}

/// Takes the same two parameters as the others.
pub(super) fn select_history(columns: Columns) -> String {
    format!(
        "SELECT h.seq, h.task, t.title, h.key, {ENDED} + h.state, h.attempts, 0, h.reason, NULL, h.data_type, h.policy,
             h.idempotency_key, t.subject, t.operation, t.content_type, t.site, t.logged_at, t.redelivers, t.origin,
             h.ended_at, 1, {}, 0
         FROM bus_history h JOIN bus_task t ON t.id = h.task",
        columns.data()
    )
}

/// The column that says whether its connector was ever called for it.
pub(super) const CALLED: usize = 20;

pub(super) fn summary(row: &Row<'_>, queue: &QueueId) -> Result<DeliverySummary, Fault> {
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
        ended_at: row.get::<_, Option<i64>>(19)?.map(Timestamp::from_micros),
        redelivers: row.get::<_, Option<String>>(17)?.as_deref().map(redelivery).transpose()?,
    })
}

/// Everything about a delivery, open or ended.
pub(super) fn detail(db: &Connection, delivery: DeliveryId) -> Result<Option<DeliveryDetail>, Fault> {
    let DeliveryId(seq) = delivery;
    if let Some(looked) = Looked::with_open(db, seq)? {
        let line = format!("{} WHERE p.queue = ?1 AND p.seq = ?3", select_line(Columns::All));
        let side = format!("{} WHERE s.queue = ?1 AND s.seq = ?3", select_side(Columns::All));
        for sql in [side, line] {
            if let Some(detail) = read_one(db, &sql, &looked, seq)? {
                return Ok(Some(detail));
            }
        }
        return Ok(None);
    }
    let sql = "SELECT q.id, q.connector, q.direction, 0 FROM bus_history h JOIN bus_queue q ON q.id = h.queue
               WHERE h.seq = ?1";
    let mut find = db.prepare_cached(sql)?;
    let mut rows = find.query([seq])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let looked = Looked::read(db, row)?;
    let sql =
        format!("{} WHERE h.queue = ?1 AND ?2 IS NOT NULL AND h.seq = ?3", select_history(Columns::All));
    read_one(db, &sql, &looked, seq)
}

fn read_one(db: &Connection, sql: &str, looked: &Looked, seq: i64) -> Result<Option<DeliveryDetail>, Fault> {
    let mut find = db.prepare_cached(sql)?;
    let read = |row: &Row<'_>| Ok(read_detail(db, row, looked));
    let found = find.query_row([looked.id, looked.holding, seq], read).optional()?;
    found.transpose()
}

fn read_detail(db: &Connection, row: &Row<'_>, looked: &Looked) -> Result<DeliveryDetail, Fault> {
    let summary = summary(row, &looked.queue)?;
    let awaited: Option<String> = row.get(8)?;
    let is_blocked = summary.state == DeliveryState::Blocked;
    Ok(DeliveryDetail {
        attempts: attempts::of_delivery(db, summary.delivery.0)?,
        interventions: super::intervene::of_delivery(db, summary.delivery.0)?,
        awaited: awaited.as_deref().map_or(Ok(Vec::new()), read_awaited)?,
        blocked_by: if is_blocked { looked.blocked_by(db, summary.delivery.0, &summary.key)? } else { None },
        summary,
        data_type: Code::from_code(row.get(9)?)?,
        policy: Code::from_code(row.get(10)?)?,
        idempotency_key: key_of_delivery(row, 11)?,
        subject: row.get(12)?,
        operation: Code::from_code(row.get(13)?)?,
        content_type: row.get(14)?,
        site: site_name(row.get(15)?)?,
        logged_at: Timestamp::from_micros(row.get(16)?),
        origin: row.get::<_, Option<String>>(18)?.map(connector_name).transpose()?,
        data: row.get(21)?,
        doubt: Code::from_code(row.get(22)?)?,
    })
}
