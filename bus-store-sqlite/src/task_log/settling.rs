//! Deliveries that transactions of the application have settled: what they say counts, and the relay carries it out.

use std::collections::BTreeSet;

use bus_core::{DeliveryId, Timestamp};
use bus_store::{Doubt, Outcome, SettledEntry, Settlement, StoreErrorKind};
use rusqlite::{OptionalExtension, params};

use super::claimed::is_claimed;
use super::ring_for_others;
use super::settlement::settle;
use crate::error::{Fault, refusal};
use crate::identity::{bind, unbind_exactly};
use crate::queue::queue_row;
use crate::session::Session;
use crate::wake::{Waiter, waiters_for, waiters_for_outcomes};

/// Refuses an outcome of a delivery that an entry of the outbox settles.
pub(crate) fn check_not_settling(session: &mut Session<'_>, delivery: DeliveryId) -> Result<(), Fault> {
    if !session.anything_settling()? {
        return Ok(());
    }
    let sql = "SELECT EXISTS (SELECT 1 FROM bus_settling WHERE delivery = ?1)";
    if session.prepare(sql)?.query_row([delivery.0], |row| row.get(0))? {
        let message = format!(
            "a transaction of the application has settled delivery {delivery}: relay that, then look again"
        );
        return Err(refusal(StoreErrorKind::Conflict, message));
    }
    Ok(())
}

/// Refuses a new owner of a queue of which an entry of the outbox settles a delivery: that would count as interrupted.
pub(crate) fn check_none_settling(session: &mut Session<'_>, queue: i64) -> Result<(), Fault> {
    if !session.anything_settling()? {
        return Ok(());
    }
    let sql = "SELECT EXISTS (SELECT 1 FROM bus_settling WHERE queue = ?1)";
    if session.prepare(sql)?.query_row([queue], |row| row.get(0))? {
        let message = "transactions of the application have settled some of what is claimed: relay that, then ask again";
        return Err(refusal(StoreErrorKind::Conflict, message));
    }
    Ok(())
}

/// Forgets what an entry settles; answers which delivery that is, and of which queue.
pub(crate) fn end_settling(
    session: &mut Session<'_>,
    entry: i64,
) -> Result<Option<(DeliveryId, i64)>, Fault> {
    if !session.anything_settling()? {
        return Ok(None);
    }
    let sql = "SELECT delivery, queue FROM bus_settling WHERE entry = ?1";
    let read = |row: &rusqlite::Row<'_>| Ok((DeliveryId(row.get(0)?), row.get(1)?));
    let settled = session.prepare(sql)?.query_row([entry], read).optional()?;
    session.prepare("DELETE FROM bus_settling WHERE entry = ?1")?.execute(params![entry])?;
    session.settling_changed();
    Ok(settled)
}

/// Completes the delivery that an entry settles, and writes what follows; answers who may have waited for that.
///
/// Whoever owns the queue by now does not matter: the entry would not be there if it had not been right when it was
/// written, and nothing has become of the delivery since.
pub(crate) fn carry_out(
    session: &mut Session<'_>,
    entry: i64,
    settled: &SettledEntry,
    now: Timestamp,
) -> Result<BTreeSet<Waiter>, Fault> {
    let mut maybe_met = BTreeSet::new();
    if let Some((delivery, queue)) = end_settling(session, entry)? {
        let (mut queue, _) = queue_row(session, queue)?;
        if is_claimed(session, &queue, delivery)? {
            let settlement = Settlement { delivery, outcome: Outcome::Completed };
            settle(session, &mut queue, &settlement, Doubt::None, now)?;
            ring_for_others(session, queue, now)?;
            maybe_met.extend(waiters_for_outcomes(session, std::iter::once(delivery))?);
        }
    }
    for binding in &settled.unbound {
        unbind_exactly(session, binding)?;
    }
    for binding in &settled.bindings {
        bind(session, binding, now)?;
    }
    maybe_met.extend(waiters_for(session, settled.bindings.iter(), &[])?);
    Ok(maybe_met)
}
