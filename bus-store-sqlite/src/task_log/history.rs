//! What has ended, until it is pruned.

use bus_core::Timestamp;
use rusqlite::params;

use crate::code::{Code, End, limit as sql_limit};
use crate::error::Fault;
use crate::session::Session;
use crate::task_log::attempts;
use crate::writer::{Progress, Write};

/// How many are forgotten at once where a full store needs room.
const FORGOTTEN_AT_ONCE: i64 = 1_000;

/// A delivery that ends.
pub(crate) struct Ending<'a> {
    pub(crate) queue: i64,
    pub(crate) seq: i64,
    pub(crate) end: End,
    pub(crate) ended_at: Timestamp,
    pub(crate) attempts: i64,
    pub(crate) key: &'a str,
    pub(crate) reason: Option<String>,
    pub(crate) task: i64,
    pub(crate) is_shared: bool,
    pub(crate) data_type: i64,
    pub(crate) policy: i64,
    pub(crate) idempotency_key: &'a [u8; 16],
}

impl Ending<'_> {
    /// Writes it down; it is gone from where it stood already. In a full store what completed is forgotten instead, so that
    /// work goes on; not where somebody may send it again.
    pub(crate) fn keep(&self, session: &Session<'_>) -> Result<(), Fault> {
        if session.is_full() && self.end == End::Completed && !has_idempotency_key(session, self.task)? {
            return forget(session, self.seq, self.task, self.is_shared);
        }
        let sql = "INSERT INTO bus_history (seq, queue, state, ended_at, attempts, key, reason, task, shared, data_type,
                       policy, idempotency_key)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        session.prepare(sql)?.execute(params![
            self.seq,
            self.queue,
            self.end.to_code(),
            self.ended_at.as_micros(),
            self.attempts,
            self.key,
            self.reason,
            self.task,
            self.is_shared,
            self.data_type,
            self.policy,
            self.idempotency_key,
        ])?;
        Ok(())
    }
}

/// Whether a sender has a name for it. The names of relayed entries (those without a connector) are not promised for as
/// long: a full store forgets them.
fn has_idempotency_key(session: &Session<'_>, task: i64) -> Result<bool, Fault> {
    let sql = "SELECT EXISTS (SELECT 1 FROM bus_idempotency WHERE task = ?1 AND connector <> '')";
    Ok(session.prepare(sql)?.query_row([task], |row| row.get(0))?)
}

/// Forgets what ended long ago.
pub(crate) struct Prune {
    pub(crate) queue: bus_store::QueueId,
    pub(crate) ended_before: Timestamp,
    pub(crate) limit: usize,
}

impl Write for Prune {
    type Answer = usize;
    const OPERATION: &'static str = "prune";

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<usize>, Fault> {
        let Some(queue) = session.existing_queue_number(&self.queue)? else {
            return Ok(Progress::Done(0));
        };
        let mut old: Vec<(i64, i64, bool)> = Vec::new();
        {
            let sql = "SELECT seq, task, shared FROM bus_history WHERE queue = ?1 AND ended_at < ?2
                       ORDER BY ended_at, seq LIMIT ?3";
            let mut find = session.prepare(sql)?;
            let parameters = [queue, self.ended_before.as_micros(), sql_limit(self.limit)];
            for row in find.query_map(parameters, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))? {
                old.push(row?);
            }
        }
        take_out(session, &old)?;
        Ok(Progress::Done(old.len()))
    }
}

/// Forgets some of what ended, whatever its age: what was logged first, but nothing that somebody may send again. How
/// many.
pub(crate) fn forget_earliest(session: &Session<'_>) -> Result<usize, Fault> {
    let sql = "SELECT seq, task, shared FROM bus_history h
               WHERE NOT EXISTS (SELECT 1 FROM bus_idempotency i WHERE i.task = h.task AND i.connector <> '')
               ORDER BY seq LIMIT ?1";
    let mut find = session.prepare(sql)?;
    let ended = find.query_map([FORGOTTEN_AT_ONCE], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let ended = ended.collect::<Result<Vec<(i64, i64, bool)>, _>>()?;
    take_out(session, &ended)?;
    Ok(ended.len())
}

fn take_out(session: &Session<'_>, ended: &[(i64, i64, bool)]) -> Result<(), Fault> {
    for (seq, task, is_shared) in ended {
        session.prepare("DELETE FROM bus_history WHERE seq = ?1")?.execute([seq])?;
        forget(session, *seq, *task, *is_shared)?;
    }
    Ok(())
}

/// Forgets what belongs to a delivery, and its task if this was the last of its deliveries that was kept.
fn forget(session: &Session<'_>, seq: i64, task: i64, is_shared: bool) -> Result<(), Fault> {
    attempts::forget(session, seq)?;
    session.prepare("DELETE FROM bus_intervention WHERE seq = ?1")?.execute([seq])?;
    if is_shared {
        let sql = "UPDATE bus_task_share SET kept = kept - 1 WHERE task = ?1 RETURNING kept";
        let kept: i64 = session.prepare(sql)?.query_row([task], |row| row.get(0))?;
        if kept > 0 {
            return Ok(());
        }
        session.prepare("DELETE FROM bus_task_share WHERE task = ?1")?.execute([task])?;
    }
    session.prepare("DELETE FROM bus_task WHERE id = ?1")?.execute([task])?;
    session.prepare("DELETE FROM bus_idempotency WHERE task = ?1")?.execute([task])?;
    Ok(())
}
