//! What became of a claimed delivery.
//!
//! It is taken from where it stands, the line or the side, and put to the side again unless it has ended. What
//! completes, having come from the line, touches nothing but its own rows.

use bus_core::{DeliveryId, Timestamp};
use bus_store::operate::shorten_error;
use bus_store::{Doubt, Outcome, Scope, Settlement};
use rusqlite::params;

use crate::code::{Code, End, SideState};
use crate::error::Fault;
use crate::queue::QueueRow;
use crate::queue::lane::{INTO_SIDE, InSide, Lane, hold_lane, move_aside, refresh_lane};
use crate::reviews::end_conflict;
use crate::session::Session;
use crate::task_log::claimed::{Claimed, take};
use crate::wake::{Waiter, begin_waiting, write_awaited};

/// What followed from a settlement.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// What was put back behind it.
    pub(crate) displaced: Vec<DeliveryId>,
    /// The delivery, if it waits now: what it waits for may be there already.
    pub(crate) waiter: Option<Waiter>,
}

/// Where a delivery is put that has not ended.
struct Place {
    state: SideState,
    due: Timestamp,
    is_aside: bool,
    awaited: Option<String>,
}

/// Writes the outcome of a delivery that the queue's owner has claimed.
pub(crate) fn settle(
    session: &mut Session<'_>,
    queue: &mut QueueRow,
    settlement: &Settlement,
    doubt: Doubt,
    now: Timestamp,
) -> Result<Settled, Fault> {
    let mut claimed = take(session, queue, settlement.delivery)?;
    claimed.set_doubt(doubt, now);
    if claimed.is_aside {
        count_aside(session, queue, -1)?;
    }
    match &settlement.outcome {
        Outcome::Completed => {
            session.tally(queue.id).completed += 1;
            claimed.ending(queue.id, End::Completed, None, now).keep(session)?;
            finish(session, queue, &claimed, true)
        }
        Outcome::Discarded { error } => {
            session.tally(queue.id).discarded += 1;
            claimed.note(session, now, true, Some(error))?;
            claimed.ending(queue.id, End::Discarded, claimed.reason.clone(), now).keep(session)?;
            finish(session, queue, &claimed, false)
        }
        Outcome::Retry { due, error } => {
            session.tally(queue.id).retried += 1;
            claimed.note(session, now, true, Some(error))?;
            put_back(session, queue, &claimed, &Place::due(SideState::Retry, *due))
        }
        Outcome::Released { due, error } => {
            claimed.note(session, now, false, error.as_ref())?;
            put_back(session, queue, &claimed, &Place::after(*due, error.is_some()))
        }
        Outcome::Deferred { due, error } => {
            let (since, defers) = (claimed.deferred_since, claimed.defers);
            claimed.note(session, now, false, Some(error))?;
            claimed.deferred_since = since.or(Some(now.as_micros()));
            claimed.defers = defers + 1;
            put_back(session, queue, &claimed, &Place::after(*due, false))
        }
        Outcome::Aside { due, error, charged } => {
            claimed.note(session, now, *charged, error.as_ref())?;
            let place = Place { is_aside: true, ..Place::after(*due, error.is_some()) };
            put_back(session, queue, &claimed, &place)
        }
        Outcome::Parked { error, aside } => {
            claimed.note(session, now, true, Some(error))?;
            let place = Place { is_aside: *aside, ..Place::due(SideState::Parked, Timestamp::EPOCH) };
            put_back(session, queue, &claimed, &place)
        }
        Outcome::Waiting { awaited, due, reason } => {
            let waiter = (queue.id, claimed.seq);
            let (since, asks) = (claimed.waiting_since, claimed.asks);
            claimed.note(session, now, false, None)?;
            claimed.reason = Some(shorten_error(reason.clone()));
            if since.is_none() {
                session.tally(queue.id).waited += 1;
            }
            claimed.waiting_since = since.or(Some(now.as_micros()));
            claimed.asks = asks;
            begin_waiting(session, waiter, awaited)?;
            let awaited = Some(write_awaited(awaited));
            let place = Place { awaited, ..Place::due(SideState::Waiting, *due) };
            let settled = put_back(session, queue, &claimed, &place)?;
            Ok(Settled { waiter: Some(waiter), ..settled })
        }
    }
}

/// One more, or one less, has stepped aside.
pub(crate) fn count_aside(session: &Session<'_>, queue: &mut QueueRow, more: i64) -> Result<(), Fault> {
    queue.asides += more;
    session.prepare("UPDATE bus_queue SET asides = asides + ?2 WHERE id = ?1")?.execute([queue.id, more])?;
    Ok(())
}

impl Place {
    fn due(state: SideState, due: Timestamp) -> Self {
        Self { state, due, is_aside: false, awaited: None }
    }

    /// Put off without a decision: people see whether there was a failure where time has to pass.
    fn after(due: Timestamp, has_failed: bool) -> Self {
        let state = match (due > Timestamp::EPOCH, has_failed) {
            (false, _) => SideState::Ready,
            (true, true) => SideState::Retry,
            (true, false) => SideState::Scheduled,
        };
        Self::due(state, due)
    }
}

/// A delivery has ended.
fn finish(
    session: &mut Session<'_>,
    queue: &QueueRow,
    claimed: &Claimed,
    is_completed: bool,
) -> Result<Settled, Fault> {
    if is_completed {
        supersede(session, queue, claimed)?;
    }
    if queue.asides > 0 {
        // What stands aside may have waited for this one.
        session.ring(queue.id)?;
    }
    if !claimed.taken.is_from_line {
        end_conflict(session, claimed.seq)?;
        let lane = refresh_lane(session, queue.id, &claimed.key)?;
        ring_if_ready(session, queue.id, lane)?;
    }
    Ok(Settled::default())
}

/// Notes in what is earlier of the key, and stands aside, that a later one has completed.
fn supersede(session: &Session<'_>, queue: &QueueRow, claimed: &Claimed) -> Result<(), Fault> {
    if queue.asides == 0 {
        return Ok(());
    }
    let sql = "UPDATE bus_side SET superseded_by = max(coalesce(superseded_by, 0), ?3) WHERE queue = ?1 AND key = ?2 AND aside = 1 AND seq < ?3";
    session.prepare(sql)?.execute(params![queue.id, claimed.key, claimed.seq])?;
    Ok(())
}

/// A delivery has not ended: it goes to the side.
fn put_back(
    session: &mut Session<'_>,
    queue: &mut QueueRow,
    claimed: &Claimed,
    place: &Place,
) -> Result<Settled, Fault> {
    put(session, queue.id, claimed, place)?;
    let is_from_line = claimed.taken.is_from_line;
    let mut displaced = Vec::new();
    if place.is_aside {
        count_aside(session, queue, 1)?;
        session.ring(queue.id)?;
        if is_from_line {
            // Its key has no lane, and needs none: nothing holds it.
            return Ok(Settled::default());
        }
    } else {
        if queue.scope == Scope::Queue && place.state != SideState::Waiting {
            displaced = displace_all_behind(session, queue, claimed.seq)?;
        }
        displaced.extend(if is_from_line {
            displace_in_line(session, queue, claimed)?
        } else {
            displace_at_the_side(session, queue.id, claimed)?
        });
    }
    let lane = refresh_lane(session, queue.id, &claimed.key)?;
    ring_if_ready(session, queue.id, lane)?;
    if queue.asides > 0 && !place.is_aside {
        // What stands aside of its key may have waited for it to end its turn.
        session.ring(queue.id)?;
    }
    Ok(Settled { displaced, waiter: None })
}

fn put(session: &Session<'_>, queue: i64, claimed: &Claimed, place: &Place) -> Result<(), Fault> {
    let sql = format!(
        "{INTO_SIDE} VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20,
             ?21, ?22, ?23)"
    );
    session.prepare(&sql)?.execute(params![
        queue,
        claimed.key,
        place.is_aside,
        claimed.seq,
        place.state.to_code(),
        place.due.as_micros(),
        claimed.attempts,
        claimed.asks,
        claimed.waiting_since,
        claimed.defers,
        claimed.deferred_since,
        claimed.was_called,
        claimed.stepped_aside || place.is_aside,
        claimed.superseded_by,
        claimed.reason,
        place.awaited,
        claimed.taken.task,
        claimed.taken.is_shared,
        claimed.data_type,
        claimed.policy,
        claimed.idempotency_key,
        claimed.doubt.to_code(),
        claimed.doubt_since,
    ])?;
    Ok(())
}

/// Order is kept within the queue: whatever is claimed behind this one is fresh again. What stands in the line stays
/// there, behind the cursor; but where something behind this one is at the side, it goes there, too: nothing at the side is
/// ever behind the cursor, so that what is fresh is met in its order.
fn displace_all_behind(
    session: &mut Session<'_>,
    queue: &mut QueueRow,
    seq: i64,
) -> Result<Vec<DeliveryId>, Fault> {
    let mut displaced = Vec::new();
    let mut keys: Vec<String> = Vec::new();
    if queue.claimed_to > seq {
        let sql = "SELECT seq, key FROM bus_pending WHERE queue = ?1 AND seq > ?2 AND seq <= ?3";
        let mut in_line: Vec<(i64, String)> = Vec::new();
        let mut find = session.prepare(sql)?;
        for row in find.query_map([queue.id, seq, queue.claimed_to], |row| Ok((row.get(0)?, row.get(1)?)))? {
            in_line.push(row?);
        }
        displaced.extend(in_line.iter().map(|(seq, _)| DeliveryId(*seq)));
        let sql = "SELECT EXISTS (SELECT 1 FROM bus_side WHERE queue = ?1 AND seq > ?2)";
        if session.prepare(sql)?.query_row([queue.id, seq], |row| row.get(0))? {
            for (seq, key) in in_line {
                move_aside(session, queue.id, seq)?;
                keys.push(key);
            }
        } else {
            queue.claimed_to = seq;
            session
                .prepare("UPDATE bus_queue SET claimed_to = ?2 WHERE id = ?1")?
                .execute([queue.id, seq])?;
        }
    }
    {
        let sql = "UPDATE bus_side INDEXED BY bus_side_running SET state = 0, attempts = attempts - 1
                   WHERE queue = ?1 AND seq > ?2 AND state = 1 RETURNING seq, key";
        let mut update = session.prepare(sql)?;
        for row in update.query_map([queue.id, seq], |row| Ok((row.get(0)?, row.get(1)?)))? {
            let (seq, key): (i64, String) = row?;
            displaced.push(DeliveryId(seq));
            keys.push(key);
        }
    }
    for key in keys {
        refresh_lane(session, queue.id, &key)?;
    }
    displaced.sort_unstable();
    Ok(displaced)
}

/// The key gets a lane: what else is claimed of it leaves the line. What is later is fresh again; what is earlier,
/// which is only there when settlements come out of order, stays claimed.
fn displace_in_line(
    session: &Session<'_>,
    queue: &QueueRow,
    claimed: &Claimed,
) -> Result<Vec<DeliveryId>, Fault> {
    let mut others: Vec<i64> = Vec::new();
    {
        let sql = "SELECT seq FROM bus_pending WHERE queue = ?1 AND seq <= ?2 AND key = ?3 ORDER BY seq";
        let mut find = session.prepare(sql)?;
        for row in find.query_map(params![queue.id, queue.claimed_to, claimed.key], |row| row.get(0))? {
            others.push(row?);
        }
    }
    if others.is_empty() {
        return Ok(Vec::new());
    }
    let place = InSide { state: "seq < ?4", attempts: "seq < ?4", ..InSide::FRESH };
    let sql = format!("{} WHERE queue = ?1 AND seq <= ?2 AND key = ?3 ORDER BY seq", place.select_pending());
    session.prepare(&sql)?.execute(params![queue.id, queue.claimed_to, claimed.key, claimed.seq])?;
    let sql = "DELETE FROM bus_pending WHERE queue = ?1 AND seq <= ?2 AND key = ?3";
    session.prepare(sql)?.execute(params![queue.id, queue.claimed_to, claimed.key])?;
    hold_lane(session, queue.id, &claimed.key)?;
    Ok(others.into_iter().filter(|seq| *seq > claimed.seq).map(DeliveryId).collect())
}

fn displace_at_the_side(
    session: &Session<'_>,
    queue: i64,
    claimed: &Claimed,
) -> Result<Vec<DeliveryId>, Fault> {
    let sql = "UPDATE bus_side SET state = 0, attempts = attempts - 1
               WHERE queue = ?1 AND key = ?2 AND seq > ?3 AND state = 1 RETURNING seq";
    let mut displaced: Vec<DeliveryId> = Vec::new();
    let mut update = session.prepare(sql)?;
    for row in update.query_map(params![queue, claimed.key, claimed.seq], |row| row.get(0))? {
        displaced.push(DeliveryId(row?));
    }
    displaced.sort_unstable();
    Ok(displaced)
}

/// Rings when the lane has something for its owner to do, or to wait for.
fn ring_if_ready(session: &mut Session<'_>, queue: i64, lane: Lane) -> Result<(), Fault> {
    match lane {
        Lane::Fresh | Lane::Due(_) | Lane::Waiting(_) => session.ring(queue),
        Lane::Gone | Lane::Held => Ok(()),
    }
}
