//! Everything that becomes true together.

pub(crate) mod attempts;
mod claim_at_once;
pub(crate) mod claimed;
pub(crate) mod history;
mod logging;
mod relayed;
pub(crate) mod settlement;
pub(crate) mod settling;

use std::collections::BTreeSet;

use bus_core::Timestamp;
use bus_store::{Commit, Committed, ObjectWrite, PageWrite, Scope, StoreErrorKind, StoreFuture, TaskLog};

use crate::SqliteStore;
use crate::cursors::move_cursor;
use crate::error::Fault;
use crate::exchange::write_exchange;
use crate::identity::{bind, bind_if_free, end_bindings, unbind_exactly};
use crate::late;
use crate::objects::write_object;
use crate::pages::write_page;
use crate::queue::claim::Turn;
use crate::queue::{QueueRow, owned};
use crate::resync::advance;
use crate::reviews::keep_conflict;
use crate::session::Session;
use crate::wake::{waiters_for, waiters_for_outcomes, waiters_for_pages, wake_if_met};
use crate::writer::{Progress, Write};

use logging::{log, named_site, repeated};
use relayed::carry_out_all;
use settlement::settle;
use settling::check_not_settling;

impl TaskLog for SqliteStore {
    fn commit(&self, commit: Commit) -> StoreFuture<'_, Committed> {
        if let Err(error) = commit.check() {
            return Box::pin(async move { Err(error) });
        }
        self.write(CommitWrite(commit))
    }
}

struct CommitWrite(Commit);

impl Write for CommitWrite {
    type Answer = Committed;
    const OPERATION: &'static str = "commit";

    fn weight(&self) -> usize {
        let Commit { tasks, objects, pages, relayed, cursor, .. } = &self.0;
        let objects = objects.iter().map(|write| match write {
            ObjectWrite::Save { record, .. } => 1 + record.data.len(),
            ObjectWrite::Assign { .. } => 1,
            ObjectWrite::Delete { .. }
            | ObjectWrite::Unassign { .. }
            | ObjectWrite::Check { .. }
            | ObjectWrite::Touch { .. } => 0,
        });
        let relayed = relayed.iter().flat_map(|relayed| relayed.end.tasks());
        let pages = pages.iter().map(|write| match write {
            PageWrite::Create { page, .. } | PageWrite::Save { page, .. } => 1 + page.data.len(),
            PageWrite::Move { .. } => 1,
            PageWrite::Delete { .. } => 0,
        });
        // Without data, too, they are something new. What is left to be told belongs to its outcome, which must be written.
        let cursor = cursor.iter().map(|moved| moved.cursor.len());
        let tasks = tasks.iter().chain(relayed).map(|task| 1 + task.data.len());
        tasks.chain(objects).chain(pages).chain(cursor).sum()
    }

    fn can_be_refused(&self) -> bool {
        let Commit { ownership, objects, bindings, bindings_if_free, unbound, tasks, relayed, .. } = &self.0;
        let Commit { pages, resynced, told_again, .. } = &self.0;
        // New tasks alone contradict nothing, unless their senders have a name for them, or name a site. A cursor moves
        // for an owner only.
        ownership.is_some()
            || !objects.is_empty()
            || !pages.is_empty()
            || resynced.is_some()
            || !bindings.is_empty()
            || !bindings_if_free.is_empty()
            || !unbound.is_empty()
            || !relayed.is_empty()
            || !told_again.is_empty()
            || tasks.iter().any(|task| task.idempotency.is_some() || named_site(task).is_some())
    }

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<Committed>, Fault> {
        let Commit { settlements, ownership, objects, bindings, bindings_if_free, unbound, .. } = &self.0;
        let Commit { tasks, relayed, claim_for, exchanged, pages, resynced, late, told_again, .. } = &self.0;
        let Commit { cursor, conflicts, now, .. } = &self.0;
        let mut committed = Committed::default();
        let mut maybe_met = BTreeSet::new();
        if let Some(ownership) = ownership {
            let mut queue = owned(session, ownership)?;
            for settlement in settlements {
                check_not_settling(session, settlement.delivery)?;
                let doubt = self.0.doubt_about(settlement.delivery);
                let settled = settle(session, &mut queue, settlement, doubt, *now)?;
                committed.displaced.extend(settled.displaced);
                maybe_met.extend(settled.waiter);
            }
            for conflict in conflicts {
                keep_conflict(session, queue.id, conflict)?;
            }
            let unclaimed = settlements.iter().map(|settlement| settlement.delivery);
            let unclaimed = unclaimed.chain(committed.displaced.iter().copied());
            maybe_met.extend(waiters_for_outcomes(session, unclaimed)?);
            if !settlements.is_empty() {
                ring_for_others(session, queue, *now)?;
            }
        }
        for write in objects {
            write_object(session, write, *now)?;
        }
        if let Some(chunk) = resynced {
            advance(session, chunk)?;
        }
        for write in pages {
            write_page(session, write)?;
        }
        for binding in unbound {
            unbind_exactly(session, binding)?;
        }
        for binding in bindings_if_free {
            bind_if_free(session, binding, *now)?;
        }
        for binding in bindings {
            bind(session, binding, *now)?;
        }
        if let Some(moved) = cursor {
            move_cursor(session, moved, *now)?;
        }
        let mut logged = Vec::new();
        for task in tasks {
            let known =
                task.idempotency.as_ref().map(|key| repeated(session, task, key)).transpose()?.flatten();
            if let Some(known) = known {
                committed.repeated.push(known);
            }
            committed.tasks.push(known.map_or_else(|| log(session, task, *now, &mut logged), Ok)?);
        }
        for (object, was_gone) in objects.iter().filter_map(ObjectWrite::deleted) {
            end_bindings(session, object, was_gone)?;
        }
        for write in exchanged {
            write_exchange(session, write, *now)?;
        }
        maybe_met.extend(carry_out_all(session, relayed, *now, &mut logged, &mut committed)?);
        let written: Vec<_> = objects
            .iter()
            .filter_map(|write| match write {
                ObjectWrite::Save { record, .. } => Some(record.key.clone()),
                ObjectWrite::Delete { .. }
                | ObjectWrite::Assign { .. }
                | ObjectWrite::Unassign { .. }
                | ObjectWrite::Check { .. }
                | ObjectWrite::Touch { .. } => None,
            })
            .collect();
        maybe_met.extend(waiters_for(session, bindings.iter().chain(bindings_if_free), &written)?);
        maybe_met.extend(waiters_for_pages(session, pages.iter().filter_map(PageWrite::saved))?);
        wake_if_met(session, maybe_met)?;
        for (connector, object) in told_again {
            late::tell_again(session, connector, object)?;
        }
        for late in late {
            late::remember(session, late)?;
        }
        let settled = relayed.iter().flat_map(|entry| entry.end.bindings());
        late::resolve(session, bindings.iter().chain(bindings_if_free).chain(settled))?;
        claim_at_once::claim_at_once(session, claim_for, &mut logged, &mut committed)?;
        for one in &logged {
            session.ring(one.queue)?;
        }
        Ok(Progress::Done(committed))
    }

    fn note_refusal(&mut self, session: &mut Session<'_>, kind: StoreErrorKind) -> Result<(), Fault> {
        if kind == StoreErrorKind::Stale
            && let Some(ownership) = &self.0.ownership
            && let Some(queue) = session.existing_queue_number(&ownership.queue)?
        {
            session.tally(queue).stale += 1;
        }
        Ok(())
    }
}

/// What the last claim had no room for, or found held, may be ready now.
pub(super) fn ring_for_others(
    session: &mut Session<'_>,
    queue: QueueRow,
    now: Timestamp,
) -> Result<(), Fault> {
    let is_any_ready = match queue.scope {
        Scope::Key => {
            let sql = "SELECT EXISTS (SELECT 1 FROM bus_pending WHERE queue = ?1 AND seq > ?2)";
            session.prepare(sql)?.query_row([queue.id, queue.claimed_to], |row| row.get(0))?
        }
        // One that ends may let any other go.
        Scope::Queue => Turn::new(session, queue, now).is_ready_in_queue_order()?,
    };
    if is_any_ready {
        session.ring(queue.id)?;
    }
    Ok(())
}
