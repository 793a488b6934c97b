//! What operators do to deliveries.

use std::iter;

use bus_core::{DeliveryId, DeliveryState, Operation, Timestamp};
use bus_store::operate::{
    ATTEMPTS_KEPT_MAX, Intervened, Intervention, LATER_LISTED_MAX, Selected, Verb, Verdict, shorten_error,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::list::FRESH_ROWS_LOOKED_AT_MAX;
use super::select::{CALLED, Columns, Looked, select_line, select_side, summary};
use crate::code::{Code, End, limit as sql_limit};
use crate::error::Fault;
use crate::queue::lane::refresh_lane;
use crate::queue::queue_row;
use crate::reviews::{end_conflict, is_in_conflict};
use crate::session::Session;
use crate::task_log::history::Ending;
use crate::task_log::settlement::count_aside;
use crate::wake::{end_waiting, waiters_for_outcomes, wake_if_met};
use crate::writer::{Progress, Write};

pub(super) struct Intervene(pub(super) Intervention);

impl Write for Intervene {
    type Answer = Vec<Verdict>;
    const OPERATION: &'static str = "intervene";

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<Vec<Verdict>>, Fault> {
        let verdicts = self.0.items.iter().map(|item| intervene(session, &self.0, *item));
        Ok(Progress::Done(verdicts.collect::<Result<_, _>>()?))
    }
}

/// An open delivery, as the transaction sees it.
struct Open {
    seq: i64,
    key: String,
    state: DeliveryState,
    operation: Operation,
    reason: Option<String>,
    was_called: bool,
    is_in_line: bool,
}

pub(crate) fn intervene(
    session: &mut Session<'_>,
    asked: &Intervention,
    item: Selected,
) -> Result<Verdict, Fault> {
    let DeliveryId(seq) = item.delivery;
    let Some(looked) = Looked::with_open(session.db, seq)? else {
        return Ok(how_it_ended(session, seq)?.map_or(Verdict::Unknown, Verdict::Ended));
    };
    let Some(open) = look(session.db, &looked, seq)? else { return Ok(Verdict::Unknown) };
    if item.seen.is_some_and(|seen| seen != open.state) {
        return Ok(Verdict::Changed(open.state));
    }
    let refusal = match (open.state, asked.verb) {
        (DeliveryState::Running, _) => Some(Verdict::Running),
        (_, Verb::Resolve) if !is_in_conflict(session, seq)? => Some(Verdict::NoConflict),
        (DeliveryState::Blocked, Verb::Retry | Verb::Resolve) => {
            let blocker = looked.blocked_by(session.db, seq, &open.key)?;
            Some(blocker.map_or(Verdict::Ready, Verdict::BlockedBy))
        }
        (DeliveryState::Available, Verb::Retry | Verb::Resolve) => Some(Verdict::Ready),
        (_, Verb::Skip) if !open.was_called => Some(Verdict::NeverCalled),
        (_, Verb::Cancel) if open.was_called => Some(Verdict::WasCalled),
        _ => None,
    };
    if let Some(refusal) = refusal {
        return Ok(refusal);
    }
    let end = match asked.verb {
        Verb::Retry | Verb::Resolve => {
            retry(session, looked.id, &open)?;
            note(session, seq, asked)?;
            return Ok(Verdict::Done { later: Vec::new() });
        }
        Verb::Skip => End::Skipped,
        Verb::Cancel => End::Cancelled,
        Verb::Discard => End::Discarded,
    };
    let is_create = open.operation.is_create() && asked.verb != Verb::Discard;
    let later = if is_create { later(session, looked.id, &open)? } else { Vec::new() };
    note(session, seq, asked)?;
    take_out(session, looked.id, open, end, asked)?;
    Ok(Verdict::Done { later })
}

fn how_it_ended(session: &Session<'_>, seq: i64) -> Result<Option<DeliveryState>, Fault> {
    let sql = "SELECT state FROM bus_history WHERE seq = ?1";
    let ended: Option<i64> = session.prepare(sql)?.query_row([seq], |row| row.get(0)).optional()?;
    ended.map(|end| Ok(End::from_code(end)?.shown())).transpose()
}

fn look(db: &Connection, looked: &Looked, seq: i64) -> Result<Option<Open>, Fault> {
    let side = format!("{} WHERE s.queue = ?1 AND s.seq = ?3", select_side(Columns::Listed));
    let line = format!("{} WHERE p.queue = ?1 AND p.seq = ?3", select_line(Columns::Listed));
    for (sql, is_in_line) in [(side, false), (line, true)] {
        let mut find = db.prepare_cached(&sql)?;
        let mut rows = find.query([looked.id, looked.holding, seq])?;
        let Some(row) = rows.next()? else { continue };
        let summary = summary(row, &looked.queue)?;
        return Ok(Some(Open {
            seq,
            key: summary.key,
            state: summary.state,
            operation: Code::from_code(row.get(13)?)?,
            reason: summary.reason,
            was_called: row.get(CALLED)?,
            is_in_line,
        }));
    }
    Ok(None)
}

/// Due at once, at its place, with all of its attempts.
fn retry(session: &mut Session<'_>, queue: i64, open: &Open) -> Result<(), Fault> {
    forget_waits(session, queue, open.seq)?;
    let sql =
        "UPDATE bus_side SET state = 3, due = 0, attempts = 0, asks = 0, waiting_since = NULL, defers = 0,
                   deferred_since = NULL, awaited = NULL, doubt = CASE doubt WHEN 1 THEN 2 ELSE doubt END
               WHERE queue = ?1 AND seq = ?2";
    session.prepare(sql)?.execute([queue, open.seq])?;
    refresh_lane(session, queue, &open.key)?;
    session.ring(queue)
}

fn forget_waits(session: &mut Session<'_>, queue: i64, seq: i64) -> Result<(), Fault> {
    let sql = "SELECT awaited FROM bus_side WHERE queue = ?1 AND seq = ?2";
    let awaited: Option<Option<String>> =
        session.prepare(sql)?.query_row([queue, seq], |row| row.get(0)).optional()?;
    match awaited.flatten() {
        Some(awaited) => end_waiting(session, (queue, seq), &awaited),
        None => Ok(()),
    }
}

/// Ends it.
fn take_out(
    session: &mut Session<'_>,
    queue: i64,
    open: Open,
    end: End,
    asked: &Intervention,
) -> Result<(), Fault> {
    let sql = if open.is_in_line {
        "DELETE FROM bus_pending WHERE queue = ?1 AND seq = ?2
         RETURNING task, shared, data_type, policy, idempotency_key, 0, 0"
    } else {
        forget_waits(session, queue, open.seq)?;
        end_conflict(session, open.seq)?;
        "DELETE FROM bus_side WHERE queue = ?1 AND seq = ?2
         RETURNING task, shared, data_type, policy, idempotency_key, attempts, aside"
    };
    let reason = asked.reason.clone().map(shorten_error).or(open.reason);
    let taken = |row: &Row<'_>| {
        let idempotency_key: [u8; 16] = row.get(4)?;
        let fields: (i64, bool, i64, i64, i64, bool) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(5)?, row.get(6)?);
        Ok((idempotency_key, fields))
    };
    let (idempotency_key, (task, is_shared, data_type, policy, attempts, is_aside)) =
        session.prepare(sql)?.query_row([queue, open.seq], taken)?;
    Ending {
        queue,
        seq: open.seq,
        end,
        ended_at: asked.now,
        attempts,
        key: &open.key,
        reason,
        task,
        is_shared,
        data_type,
        policy,
        idempotency_key: &idempotency_key,
    }
    .keep(session)?;
    if is_aside {
        let (mut row, _) = queue_row(session, queue)?;
        count_aside(session, &mut row, -1)?;
    }
    if !open.is_in_line {
        refresh_lane(session, queue, &open.key)?;
    }
    let tally = session.tally(queue);
    *match end {
        End::Completed => &mut tally.completed,
        End::Skipped => &mut tally.skipped,
        End::Discarded => &mut tally.discarded,
        End::Cancelled => &mut tally.cancelled,
    } += 1;
    let maybe_met = waiters_for_outcomes(session, iter::once(DeliveryId(open.seq)))?;
    wake_if_met(session, maybe_met)?;
    session.ring(queue)
}

/// The later open ones of the same key, as far as a look at the front of the line finds them.
fn later(session: &Session<'_>, queue: i64, open: &Open) -> Result<Vec<DeliveryId>, Fault> {
    let sql = "SELECT seq FROM (
                   SELECT seq FROM bus_side WHERE queue = ?1 AND key = ?2 AND seq > ?3
                   UNION ALL
                   SELECT seq FROM (SELECT seq, key FROM bus_pending WHERE queue = ?1 AND seq > ?3 ORDER BY seq LIMIT ?5)
                   WHERE key = ?2)
               ORDER BY seq LIMIT ?4";
    let mut find = session.prepare(sql)?;
    let parameters =
        params![queue, open.key, open.seq, sql_limit(LATER_LISTED_MAX), FRESH_ROWS_LOOKED_AT_MAX];
    let later = find.query_map(parameters, |row| row.get(0).map(DeliveryId))?;
    Ok(later.collect::<Result<_, _>>()?)
}

/// Writes down who did what, and forgets the oldest beyond those that are kept.
fn note(session: &Session<'_>, seq: i64, asked: &Intervention) -> Result<(), Fault> {
    let sql = "INSERT INTO bus_intervention (seq, number, at, verb, by, reason)
               SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4, ?5 FROM bus_intervention WHERE seq = ?1
               RETURNING number";
    let parameters = params![
        seq,
        asked.now.as_micros(),
        asked.verb.to_code(),
        shorten_error(asked.by.clone()),
        asked.reason.clone().map(shorten_error)
    ];
    let number: i64 = session.prepare(sql)?.query_row(parameters, |row| row.get(0))?;
    let sql = "DELETE FROM bus_intervention WHERE seq = ?1 AND number <= ?2";
    session.prepare(sql)?.execute([seq, number - sql_limit(ATTEMPTS_KEPT_MAX)])?;
    Ok(())
}

/// What was done to a delivery, oldest first.
pub(super) fn of_delivery(db: &Connection, seq: i64) -> Result<Vec<Intervened>, Fault> {
    let sql = "SELECT at, verb, by, reason FROM bus_intervention WHERE seq = ?1 ORDER BY number";
    let mut find = db.prepare_cached(sql)?;
    let mut rows = find.query([seq])?;
    let mut done = Vec::new();
    while let Some(row) = rows.next()? {
        done.push(Intervened {
            at: Timestamp::from_micros(row.get(0)?),
            verb: Code::from_code(row.get(1)?)?,
            by: row.get(2)?,
            reason: row.get(3)?,
        });
    }
    Ok(done)
}
