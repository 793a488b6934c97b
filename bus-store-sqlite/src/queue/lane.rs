//! Keys with an exception: their lane, and the side where their deliveries stand.
//!
//! A key without a lane has its deliveries in the line (`bus_pending`) and takes no further look. A key gets a lane when
//! one of its deliveries is put back, or is still claimed when the line comes to the next; from then on all that is
//! claimed or met of it stands in `bus_side`, until nothing of it is left there. So: **of a key with a lane, nothing that
//! is claimed stands in the line**.

use bus_core::Timestamp;
use rusqlite::{OptionalExtension, params};

use crate::code::{Code, LaneKind, SideState};
use crate::error::Fault;
use crate::session::Session;

/// The beginning of each statement that puts something into `bus_side`.
pub(crate) const INTO_SIDE: &str = "INSERT INTO bus_side (queue, key, aside, seq, state, due, attempts, asks,
    waiting_since, defers, deferred_since, called, stepped_aside, superseded_by, reason, awaited, task, shared,
    data_type, policy, idempotency_key, doubt, doubt_since)";

/// How a delivery from the line is put to the side, in SQL.
pub(crate) struct InSide {
    pub(crate) state: &'static str,
    pub(crate) attempts: &'static str,
    pub(crate) called: &'static str,
    pub(crate) reason: &'static str,
    /// Since when it is in doubt.
    pub(crate) doubt_since: &'static str,
}

impl InSide {
    /// As it stood in the line.
    pub(crate) const FRESH: Self =
        Self { state: "0", attempts: "0", called: "0", reason: "NULL", doubt_since: "NULL" };

    /// Claimed for the first time.
    pub(crate) const RUNNING: Self = Self { state: "1", attempts: "1", ..Self::FRESH };

    /// The statement that puts it there, up to `FROM bus_pending`.
    pub(crate) fn select_pending(&self) -> String {
        let Self { state, attempts, called, reason, doubt_since } = self;
        format!(
            "{INTO_SIDE} SELECT queue, key, 0, seq, {state}, 0, {attempts}, 0, NULL, 0, NULL, {called}, 0, NULL, {reason},
                 NULL, task, shared, data_type, policy, idempotency_key, {doubt_since} IS NOT NULL, {doubt_since}
             FROM bus_pending"
        )
    }
}

/// What a lane is like after something of its key has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Nothing of the key is at the side any more.
    Gone,
    /// Its head is fresh.
    Fresh,
    /// Its head is an exception, and runs from then on.
    Due(Timestamp),
    /// Its head waits, and asks again from then on.
    Waiting(Timestamp),
    /// Something of it runs, or its head is parked.
    Held,
}

/// Derives the lane of a key from what stands at the side.
pub(crate) fn refresh_lane(session: &Session<'_>, queue: i64, key: &str) -> Result<Lane, Fault> {
    let sql = "SELECT EXISTS (SELECT 1 FROM bus_side WHERE queue = ?1 AND key = ?2 AND state = 1)";
    let is_running: bool = session.prepare(sql)?.query_row(params![queue, key], |row| row.get(0))?;
    let sql = "SELECT seq, state, due FROM bus_side WHERE queue = ?1 AND key = ?2 AND aside = 0 ORDER BY seq LIMIT 1";
    let head: Option<(i64, i64, i64)> = session
        .prepare(sql)?
        .query_row(params![queue, key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let lane = match &head {
        _ if is_running => Lane::Held,
        None => Lane::Gone,
        Some((_, state, due)) => match SideState::from_code(*state)? {
            SideState::Fresh => Lane::Fresh,
            SideState::Retry | SideState::Ready | SideState::Scheduled => {
                Lane::Due(Timestamp::from_micros(*due))
            }
            SideState::Waiting => Lane::Waiting(Timestamp::from_micros(*due)),
            SideState::Running | SideState::Parked => Lane::Held,
        },
    };
    // What stands aside before the head, or without one, stands behind nobody any more.
    let sql = "UPDATE bus_side SET behind = 0 WHERE queue = ?1 AND key = ?2 AND aside = 1 AND behind = 1 AND seq < ?3";
    let first = head.map_or(i64::MAX, |(seq, ..)| seq);
    session.prepare(sql)?.execute(params![queue, key, first])?;
    let (kind, due) = match lane {
        Lane::Gone => {
            let sql = "DELETE FROM bus_lane WHERE queue = ?1 AND key = ?2";
            session.prepare(sql)?.execute(params![queue, key])?;
            return Ok(lane);
        }
        Lane::Fresh => (LaneKind::Fresh, None),
        Lane::Due(due) => (LaneKind::Due, Some(due.as_micros())),
        Lane::Waiting(due) => (LaneKind::Waiting, Some(due.as_micros())),
        Lane::Held => (LaneKind::Held, None),
    };
    write_lane(session, queue, key, kind, head.map(|(seq, ..)| seq), due)?;
    Ok(lane)
}

/// Something of the key has been claimed at the side.
pub(crate) fn hold_lane(session: &Session<'_>, queue: i64, key: &str) -> Result<(), Fault> {
    let sql = "INSERT INTO bus_lane (queue, key, kind) VALUES (?1, ?2, 2)
               ON CONFLICT (queue, key) DO UPDATE SET kind = 2, due = NULL";
    session.prepare(sql)?.execute(params![queue, key])?;
    Ok(())
}

fn write_lane(
    session: &Session<'_>,
    queue: i64,
    key: &str,
    kind: LaneKind,
    head: Option<i64>,
    due: Option<i64>,
) -> Result<(), Fault> {
    let sql = "INSERT INTO bus_lane (queue, key, kind, head, due) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (queue, key) DO UPDATE SET kind = excluded.kind, head = excluded.head, due = excluded.due";
    session.prepare(sql)?.execute(params![queue, key, kind.to_code(), head, due])?;
    Ok(())
}

/// Moves what is claimed of a key from the line to the side, still claimed, and gives the key a lane.
pub(crate) fn enter_lane(session: &Session<'_>, queue: i64, claimed_to: i64, key: &str) -> Result<(), Fault> {
    let sql = format!(
        "{} WHERE queue = ?1 AND seq <= ?2 AND key = ?3 ORDER BY seq",
        InSide::RUNNING.select_pending()
    );
    session.prepare(&sql)?.execute(params![queue, claimed_to, key])?;
    let sql = "DELETE FROM bus_pending WHERE queue = ?1 AND seq <= ?2 AND key = ?3";
    session.prepare(sql)?.execute(params![queue, claimed_to, key])?;
    hold_lane(session, queue, key)
}

/// Moves a fresh delivery of a key that has a lane from the line to the side.
pub(crate) fn move_aside(session: &Session<'_>, queue: i64, seq: i64) -> Result<(), Fault> {
    let sql = format!("{} WHERE queue = ?1 AND seq = ?2", InSide::FRESH.select_pending());
    session.prepare(&sql)?.execute([queue, seq])?;
    session.prepare("DELETE FROM bus_pending WHERE queue = ?1 AND seq = ?2")?.execute([queue, seq])?;
    Ok(())
}
