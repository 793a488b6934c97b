//! Tasks and their deliveries, as they are appended to the queues.

use bus_core::{Direction, SiteName, TaskId, Timestamp};
use bus_store::operate::DELETED_REASON;
use bus_store::{IdempotencyKey, NewDelivery, NewTask, QueueId, StoreErrorKind};
use rusqlite::{OptionalExtension, params};

use super::history::Ending;
use crate::code::{Code, End, redelivery_text};
use crate::error::{Fault, refusal};
use crate::session::Session;
use crate::sites::check_site;

/// The task that came with this idempotency key before, if one did; notes the key otherwise.
pub(super) fn repeated(
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
pub(super) struct Logged<'a> {
    pub(super) queue: i64,
    pub(super) seq: i64,
    pub(super) task: i64,
    pub(super) new: &'a NewTask,
    pub(super) delivery: &'a NewDelivery,
}

/// The site that whoever sent an external object named: the host's objects are checked when they are written.
pub(super) fn named_site(task: &NewTask) -> Option<&SiteName> {
    task.site.as_ref().filter(|_| task.direction == Direction::Incoming)
}

/// Appends a task and its deliveries; what is for a deleted connector ends at once.
pub(super) fn log<'a>(
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
