//! Whose turn it is.

pub(crate) mod claim;
pub(crate) mod lane;

use bus_core::Timestamp;
use bus_store::operate::INTERRUPTED_ERROR;
use bus_store::{Claim, Ownership, Queue, QueueId, StoreErrorKind, StoreFuture};
use rusqlite::{OptionalExtension, params};

use crate::SqliteStore;
use crate::error::{Fault, refusal};
use crate::session::Session;
use crate::task_log::attempts;
use crate::writer::{Progress, Write};

use claim::ClaimWrite;
use lane::{INTO_SIDE, refresh_lane};

impl Queue for SqliteStore {
    fn wait_for_ownership(&self) -> StoreFuture<'_, ()> {
        Box::pin(self.0.owner.wait())
    }

    fn acquire(&self, queue: &QueueId, now: Timestamp) -> StoreFuture<'_, Ownership> {
        self.write(Acquire { queue: queue.clone(), now })
    }

    fn claim(&self, ownership: &Ownership, limit: usize, now: Timestamp) -> StoreFuture<'_, Claim> {
        self.write(ClaimWrite { ownership: ownership.clone(), limit, now })
    }
}

/// A queue, as the transaction sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueRow {
    /// Its number.
    pub(crate) id: i64,
    /// Everything in its line up to here is claimed.
    pub(crate) claimed_to: i64,
    /// How many of its deliveries stepped aside.
    pub(crate) asides: i64,
}

/// The queue, if this is its owner.
pub(crate) fn owned(session: &mut Session<'_>, ownership: &Ownership) -> Result<QueueRow, Fault> {
    let Ownership { queue, epoch } = ownership;
    let stale = || {
        let message = format!("queue `{queue}` is not owned in epoch {epoch} any more; acquire it again");
        refusal(StoreErrorKind::Stale, message)
    };
    let id = session.existing_queue_number(queue)?.ok_or_else(stale)?;
    let sql = "SELECT claimed_to, asides FROM bus_queue WHERE id = ?1 AND epoch = ?2";
    let row =
        session.prepare(sql)?.query_row([id, *epoch], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let (claimed_to, asides) = row.ok_or_else(stale)?;
    Ok(QueueRow { id, claimed_to, asides })
}

struct Acquire {
    queue: QueueId,
    now: Timestamp,
}

impl Write for Acquire {
    type Answer = Ownership;
    const OPERATION: &'static str = "acquire";

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<Ownership>, Fault> {
        let queue = session.queue_number(&self.queue)?;
        let sql = "UPDATE bus_queue SET epoch = epoch + 1 WHERE id = ?1 RETURNING epoch, claimed_to";
        let (epoch, claimed_to) =
            session.prepare(sql)?.query_row([queue], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))?;

        // What was claimed from the line goes to the side; what was claimed there stays there.
        let sql = format!(
            "{INTO_SIDE} SELECT queue, key, 0, seq, 3, 0, 1, 0, NULL, 1, 0, NULL, ?3, NULL, task, shared, data_type, policy,
                 idempotency_key FROM bus_pending WHERE queue = ?1 AND seq <= ?2 ORDER BY seq"
        );
        let mut interrupted: Vec<(i64, String)> = Vec::new();
        {
            let mut window =
                session.prepare("SELECT seq, key FROM bus_pending WHERE queue = ?1 AND seq <= ?2")?;
            for row in window.query_map([queue, claimed_to], |row| Ok((row.get(0)?, row.get(1)?)))? {
                interrupted.push(row?);
            }
        }
        session.prepare(&sql)?.execute(params![queue, claimed_to, INTERRUPTED_ERROR])?;
        let sql = "DELETE FROM bus_pending WHERE queue = ?1 AND seq <= ?2";
        session.prepare(sql)?.execute([queue, claimed_to])?;
        {
            let sql = "UPDATE bus_side SET state = 3, due = 0, solitary = 1, reason = ?2
                       WHERE queue = ?1 AND state = 1 RETURNING seq, key";
            let mut running = session.prepare(sql)?;
            for row in
                running.query_map(params![queue, INTERRUPTED_ERROR], |row| Ok((row.get(0)?, row.get(1)?)))?
            {
                interrupted.push(row?);
            }
        }
        // A window's rows that were moved are in state 3 already, so none is met twice.
        for (seq, key) in &interrupted {
            attempts::record(session, *seq, self.now, true, INTERRUPTED_ERROR)?;
            refresh_lane(session, queue, key)?;
        }
        if !interrupted.is_empty() {
            session.ring(queue)?;
        }
        Ok(Progress::Done(Ownership { queue: self.queue.clone(), epoch }))
    }
}
