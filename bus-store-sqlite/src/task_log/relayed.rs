//! Entries of the outbox that leave it: what they tell is logged, and what they settle is settled.

use std::collections::BTreeSet;

use bus_core::Timestamp;
use bus_store::{Committed, EntryEnd, Relayed};

use super::logging::{Logged, log};
use super::settling::{carry_out, end_settling};
use crate::error::Fault;
use crate::exchange::write_exchange;
use crate::identity::end_bindings;
use crate::outbox::{take_out, was_relayed};
use crate::session::Session;
use crate::wake::Waiter;

/// Answers who may have waited for any of it.
pub(super) fn carry_out_all<'a>(
    session: &mut Session<'_>,
    relayed: &'a [Relayed],
    now: Timestamp,
    logged: &mut Vec<Logged<'a>>,
    committed: &mut Committed,
) -> Result<BTreeSet<Waiter>, Fault> {
    let mut maybe_met = BTreeSet::new();
    take_out(session, relayed, now)?;
    for entry in relayed {
        let mut new = Vec::new();
        let is_new = match &entry.end {
            EntryEnd::Logged { key, .. } => !was_relayed(session, *key)?,
            EntryEnd::Settled(settled) => {
                maybe_met.extend(carry_out(session, entry.id, settled, now)?);
                true
            }
            EntryEnd::Untold => false,
            EntryEnd::Parked { .. } => {
                end_settling(session, entry.id)?;
                false
            }
        };
        for task in entry.end.tasks().iter().filter(|_| is_new) {
            new.push(log(session, task, now, logged)?);
        }
        if let EntryEnd::Settled(settled) = &entry.end {
            for write in &settled.exchanged {
                write_exchange(session, write, now)?;
            }
            if let Some(object) = &settled.deleted {
                end_bindings(session, object, false)?;
            }
        }
        committed.relayed.push(new);
    }
    Ok(maybe_met)
}
