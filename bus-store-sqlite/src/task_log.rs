//! Everything that becomes true together.

pub(crate) mod attempts;
pub(crate) mod claimed;
pub(crate) mod settlement;

use std::collections::BTreeSet;

use bus_core::TaskId;
use bus_store::{Commit, Committed, NewTask, ObjectWrite, QueueId, StoreErrorKind, StoreFuture, TaskLog};
use rusqlite::params;

use crate::SqliteStore;
use crate::code::Code;
use crate::error::Fault;
use crate::identity::{bind, unbind};
use crate::objects::write_object;
use crate::queue::{QueueRow, owned};
use crate::session::Session;
use crate::wake::{waiters_for, wake_if_met};
use crate::writer::{Progress, Write};

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
        let Commit { tasks, objects, .. } = &self.0;
        let objects = objects.iter().map(|write| match write {
            ObjectWrite::Save { record, .. } => record.data.len(),
            ObjectWrite::Delete { .. } => 0,
        });
        tasks.iter().map(|task| task.data.len()).chain(objects).sum()
    }

    fn can_be_refused(&self) -> bool {
        let Commit { ownership, objects, bindings, unbound, .. } = &self.0;
        // New tasks alone contradict nothing.
        ownership.is_some() || !objects.is_empty() || !bindings.is_empty() || !unbound.is_empty()
    }

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<Committed>, Fault> {
        let Commit { settlements, ownership, objects, bindings, unbound, tasks, now } = &self.0;
        let mut committed = Committed::default();
        let mut maybe_met = BTreeSet::new();
        if let Some(ownership) = ownership {
            let mut queue = owned(session, ownership)?;
            for settlement in settlements {
                let settled = settle(session, &mut queue, settlement, *now)?;
                committed.displaced.extend(settled.displaced);
                maybe_met.extend(settled.waiter);
            }
            if !settlements.is_empty() {
                ring_for_the_line(session, &queue)?;
            }
        }
        for write in objects {
            write_object(session, write)?;
        }
        for (connector, object) in unbound {
            unbind(session, connector, object)?;
        }
        for binding in bindings {
            bind(session, binding)?;
        }
        for task in tasks {
            committed.tasks.push(log(session, task)?);
        }
        let written: Vec<_> = objects
            .iter()
            .filter_map(|write| match write {
                ObjectWrite::Save { record, .. } => Some(record.key.clone()),
                ObjectWrite::Delete { .. } => None,
            })
            .collect();
        maybe_met.extend(waiters_for(session, bindings, &written)?);
        wake_if_met(session, maybe_met)?;
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
fn ring_for_the_line(session: &mut Session<'_>, queue: &QueueRow) -> Result<(), Fault> {
    let sql = "SELECT EXISTS (SELECT 1 FROM bus_pending WHERE queue = ?1 AND seq > ?2)";
    if session.prepare(sql)?.query_row([queue.id, queue.claimed_to], |row| row.get(0))? {
        session.ring(queue.id)?;
    }
    Ok(())
}

/// Appends a task and its deliveries.
fn log(session: &mut Session<'_>, task: &NewTask) -> Result<TaskId, Fault> {
    let id = session.next_task()?;
    let sql =
        "INSERT INTO bus_task (id, subject, operation, title, content_type, site, origin, logged_at, data)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    session.prepare(sql)?.execute(params![
        id,
        task.subject,
        task.operation.to_code(),
        task.title,
        task.content_type,
        task.site.as_ref().map(bus_core::SiteName::as_str),
        task.origin.as_ref().map(bus_core::ConnectorName::as_str),
        task.logged_at.as_micros(),
        task.data,
    ])?;
    let is_shared = task.deliveries.len() > 1;
    if is_shared {
        let open = i64::try_from(task.deliveries.len()).unwrap_or(i64::MAX);
        session.prepare("INSERT INTO bus_task_share (task, open) VALUES (?1, ?2)")?.execute([id, open])?;
    }
    let sql = "INSERT INTO bus_pending (queue, seq, key, task, shared, data_type, policy, idempotency_key)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let mut append = session.prepare(sql)?;
    for delivery in &task.deliveries {
        let queue = session.queue_number(&QueueId::new(delivery.connector.clone(), task.direction))?;
        let seq = session.next_delivery()?;
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
        session.tally(queue).logged += 1;
        session.ring(queue)?;
    }
    Ok(TaskId(id))
}
