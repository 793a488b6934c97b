//! Everything that becomes true together.

pub(crate) mod attempts;
mod claim_at_once;
pub(crate) mod claimed;
pub(crate) mod history;
pub(crate) mod settlement;

use std::collections::BTreeSet;

use bus_core::{Direction, SiteName, TaskId, Timestamp};
use bus_store::operate::DELETED_REASON;
use bus_store::{
    Commit, Committed, EntryEnd, IdempotencyKey, NewDelivery, NewTask, ObjectWrite, PageWrite, QueueId,
    Scope, StoreErrorKind, StoreFuture, TaskLog,
};
use rusqlite::{OptionalExtension, params};

use crate::SqliteStore;
use crate::code::{Code, End, redelivery_text};
use crate::cursors::move_cursor;
use crate::error::{Fault, refusal};
use crate::exchange::write_exchange;
use crate::identity::{bind, bind_if_free, end_bindings, unbind_exactly};
use crate::late;
use crate::objects::write_object;
use crate::outbox::{take_out, was_relayed};
use crate::pages::write_page;
use crate::queue::claim::Turn;
use crate::queue::{QueueRow, owned};
use crate::resync::advance;
use crate::session::Session;
use crate::sites::check_site;
use crate::wake::{waiters_for, waiters_for_outcomes, wake_if_met};
use crate::writer::{Progress, Write};

use history::Ending;
use settlement::settle;

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
        let relayed = relayed.iter().flat_map(|relayed| match &relayed.end {
            EntryEnd::Logged { tasks, .. } => tasks.as_slice(),
            EntryEnd::Parked { .. } => &[],
        });
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
        let Commit { cursor, now, .. } = &self.0;
        let mut committed = Committed::default();
        let mut maybe_met = BTreeSet::new();
        if let Some(ownership) = ownership {
            let mut queue = owned(session, ownership)?;
            for settlement in settlements {
                let settled = settle(session, &mut queue, settlement, *now)?;
                committed.displaced.extend(settled.displaced);
                maybe_met.extend(settled.waiter);
            }
            let unclaimed = settlements.iter().map(|settlement| settlement.delivery);
            let unclaimed = unclaimed.chain(committed.displaced.iter().copied());
            maybe_met.extend(waiters_for_outcomes(session, unclaimed)?);
            if !settlements.is_empty() {
                ring_for_others(session, queue, *now)?;
            }
        }
        for write in objects {
            write_object(session, write)?;
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
        take_out(session, relayed, *now)?;
        for entry in relayed {
            let mut new = Vec::new();
            if let EntryEnd::Logged { key, tasks } = &entry.end
                && !was_relayed(session, *key)?
            {
                for task in tasks {
                    new.push(log(session, task, *now, &mut logged)?);
                }
            }
            committed.relayed.push(new);
        }
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
        wake_if_met(session, maybe_met)?;
        for (connector, object) in told_again {
            late::tell_again(session, connector, object)?;
        }
        for late in late {
            late::remember(session, late)?;
        }
        late::resolve(session, bindings.iter().chain(bindings_if_free))?;
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
fn ring_for_others(session: &mut Session<'_>, queue: QueueRow, now: Timestamp) -> Result<(), Fault> {
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

/// The task that came with this idempotency key before, if one did; notes the key otherwise.
fn repeated(
    session: &mut Session<'_>,
    task: &NewTask,
    given: &IdempotencyKey,
) -> Result<Option<TaskId>, Fault> {
    let Some(NewDelivery { connector, .. }) = task.deliveries.first() else { return Ok(None) };
    let sql = "SELECT task, digest FROM bus_idempotency WHERE connector = ?1 AND key = ?2";
    let parameters = params![connector.as_str(), given.key];
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?));
    match session.prepare(sql)?.query_row(parameters, read).optional()? {
        Some((known, digest)) if digest == given.digest => Ok(Some(TaskId(known))),
        Some((known, _)) => {
            let message = format!(
                "the idempotency key `{}` was used for task {known} of connector `{connector}`, with other content: give \
                 each sending a key of its own",
                given.key
            );
            Err(refusal(StoreErrorKind::KeyReused, message))
        }
        None => {
            // The task's number is the next one.
            let next = session.sequence()?.task + 1;
            let sql = "INSERT INTO bus_idempotency (connector, key, digest, task) VALUES (?1, ?2, ?3, ?4)";
            session.prepare(sql)?.execute(params![connector.as_str(), given.key, given.digest, next])?;
            Ok(None)
        }
    }
}

/// A delivery that was logged in this commit.
struct Logged<'a> {
    queue: i64,
    seq: i64,
    task: i64,
    new: &'a NewTask,
    delivery: &'a NewDelivery,
}

/// The site that whoever sent an external object named: the host's objects are checked when they are written.
fn named_site(task: &NewTask) -> Option<&SiteName> {
    task.site.as_ref().filter(|_| task.direction == Direction::Incoming)
}

/// Appends a task and its deliveries; what is for a deleted connector ends at once.
fn log<'a>(
    session: &mut Session<'_>,
    task: &'a NewTask,
    now: Timestamp,
    logged: &mut Vec<Logged<'a>>,
) -> Result<TaskId, Fault> {
    check_site(session, named_site(task))?;
    let id = session.next_task()?;
    let sql = "INSERT INTO bus_task (id, subject, operation, title, content_type, site, origin, logged_at, redelivers, data,
                   cause, hop, echo)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    session.prepare(sql)?.execute(params![
        id,
        task.subject,
        task.operation.to_code(),
        task.title,
        task.content_type,
        task.site.as_ref().map(bus_core::SiteName::as_str),
        task.origin.as_ref().map(bus_core::ConnectorName::as_str),
        task.logged_at.as_micros(),
        task.redelivers.as_ref().map(redelivery_text).transpose()?,
        task.data,
        task.travel.cause.map(|cause| cause.0),
        task.travel.hop,
        task.travel.echo.to_code(),
    ])?;
    let is_shared = task.deliveries.len() > 1;
    if is_shared {
        let kept = i64::try_from(task.deliveries.len()).unwrap_or(i64::MAX);
        session.prepare("INSERT INTO bus_task_share (task, kept) VALUES (?1, ?2)")?.execute([id, kept])?;
    }
    let sql = "INSERT INTO bus_pending (queue, seq, key, task, shared, data_type, policy, idempotency_key)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let mut append = session.prepare(sql)?;
    for delivery in &task.deliveries {
        let queue = session.queue_number(&QueueId::new(delivery.connector.clone(), task.direction))?;
        let seq = session.next_delivery()?;
        session.tally(queue).logged += 1;
        if session.is_deleted(&delivery.connector)? {
            session.tally(queue).discarded += 1;
            Ending {
                queue,
                seq,
                end: End::Discarded,
                ended_at: now,
                attempts: 0,
                key: &task.key,
                reason: Some(DELETED_REASON.to_owned()),
                task: id,
                is_shared,
                data_type: delivery.data_type.to_code(),
                policy: delivery.policy.to_code(),
                idempotency_key: delivery.idempotency_key.as_bytes(),
            }
            .keep(session)?;
            continue;
        }
        append.execute(params![
            queue,
            seq,
            task.key,
            id,
            is_shared,
            delivery.data_type.to_code(),
            delivery.policy.to_code(),
            delivery.idempotency_key.as_bytes(),
        ])?;
        logged.push(Logged { queue, seq, task: id, new: task, delivery });
    }
    Ok(TaskId(id))
}
