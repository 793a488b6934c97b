//! Claiming what is being logged, for an owner that has time: one commit from the change to its delivery.

use bus_core::{DeliveryId, TaskId};
use bus_store::{Claimed, Committed, Doubt, Ownership, Scope, StoreErrorKind};
use rusqlite::params;

use super::logging::Logged;
use crate::error::Fault;
use crate::queue::lane::{InSide, hold_lane};
use crate::queue::{QueueRow, owned};
use crate::session::Session;

/// How many deliveries before a new one are looked at for one of its key.
const LOOKED_AT_MAX: i64 = 1_000;

/// Claims the first new delivery of each of these owners, where nothing stands before it; takes it out of `logged`.
pub(super) fn claim_at_once(
    session: &mut Session<'_>,
    owners: &[Ownership],
    logged: &mut Vec<Logged<'_>>,
    committed: &mut Committed,
) -> Result<(), Fault> {
    for (place, ownership) in owners.iter().enumerate() {
        if owners[..place].contains(ownership) {
            continue;
        }
        let queue = match owned(session, ownership) {
            Ok(queue) => queue,
            Err(Fault::Refused { kind: StoreErrorKind::Stale, .. }) => continue,
            Err(fault) => return Err(fault),
        };
        let Some(place) = logged.iter().position(|one| one.queue == queue.id) else { continue };
        if is_first(session, &queue, &logged[place])? {
            let one = logged.remove(place);
            mark(session, &queue, &one)?;
            committed.claimed.push((ownership.clone(), claimed(&one)));
        }
    }
    Ok(())
}

/// Whether nothing that has to come first is open, as far as a short look tells.
fn is_first(session: &Session<'_>, queue: &QueueRow, one: &Logged<'_>) -> Result<bool, Fault> {
    if queue.scope == Scope::Queue {
        let sql = "SELECT NOT EXISTS (SELECT 1 FROM bus_pending WHERE queue = ?1 AND seq < ?2)
                      AND NOT EXISTS (SELECT 1 FROM bus_lane WHERE queue = ?1)";
        return Ok(session.prepare(sql)?.query_row([queue.id, one.seq], |row| row.get(0))?);
    }
    let sql = "SELECT EXISTS (SELECT 1 FROM bus_lane WHERE queue = ?1 AND key = ?2)";
    if session.prepare(sql)?.query_row(params![queue.id, one.new.key], |row| row.get(0))? {
        return Ok(false);
    }
    let sql = "SELECT count(*), coalesce(max(key = ?3), 0) FROM (
                   SELECT key FROM bus_pending WHERE queue = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?4)";
    let parameters = params![queue.id, one.seq, one.new.key, LOOKED_AT_MAX];
    let (looked_at, is_there): (i64, bool) =
        session.prepare(sql)?.query_row(parameters, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(looked_at < LOOKED_AT_MAX && !is_there)
}

/// It is claimed in the line where it is the next of it, and at the side otherwise.
fn mark(session: &Session<'_>, queue: &QueueRow, one: &Logged<'_>) -> Result<(), Fault> {
    let sql = "UPDATE bus_queue SET claimed_to = ?2 WHERE id = ?1 AND NOT EXISTS (
                   SELECT 1 FROM bus_pending WHERE queue = ?1 AND seq > ?3 AND seq < ?2)";
    if session.prepare(sql)?.execute([queue.id, one.seq, queue.claimed_to])? == 1 {
        return Ok(());
    }
    let sql = format!("{} WHERE queue = ?1 AND seq = ?2", InSide::RUNNING.select_pending());
    session.prepare(&sql)?.execute([queue.id, one.seq])?;
    session.prepare("DELETE FROM bus_pending WHERE queue = ?1 AND seq = ?2")?.execute([queue.id, one.seq])?;
    hold_lane(session, queue.id, &one.new.key)
}

fn claimed(one: &Logged<'_>) -> Claimed {
    let Logged { new, delivery, .. } = one;
    Claimed {
        delivery: DeliveryId(one.seq),
        task: TaskId(one.task),
        key: new.key.clone(),
        subject: new.subject.clone(),
        operation: new.operation,
        data_type: delivery.data_type,
        policy: delivery.policy,
        data: new.data.clone(),
        content_type: new.content_type.clone(),
        site: new.site.clone(),
        origin: new.origin.clone(),
        idempotency_key: delivery.idempotency_key,
        attempt: 1,
        asks: 0,
        waiting_since: None,
        defers: 0,
        deferred_since: None,
        aside: false,
        superseded_by: None,
        logged_at: new.logged_at,
        travel: new.travel,
        is_redelivered: new.redelivers.is_some(),
        doubt: if new.redelivers.is_some() { Doubt::TriedAnyway } else { Doubt::None },
    }
}
