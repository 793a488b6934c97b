//! Whose turn it is.

pub(crate) mod claim;
pub(crate) mod lane;

use std::sync::Arc;

use bus_core::{DeliveryId, Timestamp};
use bus_store::operate::INTERRUPTED_ERROR;
use bus_store::{
    Acquired, Claim, Ownership, Queue, QueueId, Scope, StoreError, StoreErrorKind, StoreFuture, Terms,
    Unsettled, Wanted,
};
use rusqlite::{OptionalExtension, Row, params};

use crate::SqliteStore;
use crate::code::{Code, limit as sql_limit};
use crate::error::{Fault, refusal};
use crate::owner::{Answer, Process, Register, Slots, owner_of, refuses};
use crate::session::{FIND_QUEUE, Session, find_queue};
use crate::task_log::attempts;
use crate::task_log::settling::check_none_settling;
use crate::writer::{Progress, Write};

use claim::ClaimWrite;
use lane::{InSide, refresh_lane};

impl Queue for SqliteStore {
    fn acquire(&self, queue: &QueueId, terms: Terms, now: Timestamp) -> StoreFuture<'_, Acquired> {
        let queue = queue.clone();
        Box::pin(async move {
            let me = self.process().await?;
            self.write(Acquire { queue, terms, now, me, slots: Arc::clone(&self.0.slots) }).await
        })
    }

    fn release(&self, ownership: &Ownership) -> StoreFuture<'_, ()> {
        self.write(Release { ownership: ownership.clone() })
    }

    fn wait_until_free(&self, queue: &QueueId) -> StoreFuture<'_, ()> {
        let queue = queue.clone();
        Box::pin(async move {
            // It rings, too, when another process has written: whoever gives a queue up does.
            let mut bell = self.0.status.doorbell.listen(&queue);
            loop {
                bell.mark_unchanged();
                let Some(slot) = self.slot_in_the_way(&queue).await? else { return Ok(()) };
                if !self.0.slots.is_taken(slot) {
                    return Ok(());
                }
                let mut line = self.0.slots.stand_in_line(slot)?;
                tokio::select! {
                    _ = line.changed() => {}
                    _ = bell.changed() => {}
                }
            }
        })
    }

    fn heartbeat(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let Some(me) = self.0.process.get().copied() else { return Ok(()) };
            let is_asked = self.read("heartbeat", move |db| {
                let sql = "SELECT asked <> answered FROM bus_owner WHERE slot = ?1 AND life = ?2";
                let asked =
                    db.prepare_cached(sql)?.query_row([me.slot, me.life], |row| row.get(0)).optional()?;
                Ok(asked.unwrap_or(false))
            });
            if is_asked.await? { self.write(Answer { me }).await } else { Ok(()) }
        })
    }

    fn claim(&self, ownership: &Ownership, wanted: Wanted, now: Timestamp) -> StoreFuture<'_, Claim> {
        self.write(ClaimWrite { ownership: ownership.clone(), wanted, now })
    }

    fn unsettled(&self, queue: &QueueId, subject: &str, limit: usize) -> StoreFuture<'_, Vec<Unsettled>> {
        let (queue, subject) = (queue.clone(), subject.to_owned());
        self.read("unsettled", move |db| {
            let Some(id) = find_queue(&mut *db.prepare_cached(FIND_QUEUE)?, &queue)? else {
                return Ok(Vec::new());
            };
            let mut find = db.prepare_cached(FIND_UNSETTLED)?;
            let mut rows = find.query(params![id, subject, sql_limit(limit)])?;
            let mut unsettled = Vec::new();
            while let Some(row) = rows.next()? {
                unsettled.push(Unsettled {
                    delivery: DeliveryId(row.get(0)?),
                    key: row.get(1)?,
                    operation: Code::from_code(row.get(2)?)?,
                    is_claimed: row.get(3)?,
                    in_doubt_since: row.get::<_, Option<i64>>(4)?.map(Timestamp::from_micros),
                });
            }
            Ok(unsettled)
        })
    }
}

impl SqliteStore {
    /// This process among those that own queues.
    async fn process(&self) -> Result<Process, StoreError> {
        self.0.status.check_open("acquire")?;
        let register = || async {
            let registered = self.write(Register { slot: self.0.slots.take()? }).await;
            if registered.is_err() {
                // Held without being registered, it would make a dead owner look alive.
                self.0.slots.give_up();
            }
            registered
        };
        self.0.process.get_or_try_init(register).await.copied()
    }

    /// The slot of another process that owns this queue, as far as a look tells.
    async fn slot_in_the_way(&self, queue: &QueueId) -> Result<Option<i64>, StoreError> {
        let (me, queue) = (self.process().await?, queue.clone());
        self.read("wait until free", move |db| {
            let sql = "SELECT q.owner FROM bus_queue q JOIN bus_owner o ON o.slot = q.owner AND o.life = q.owner_life
                       WHERE q.connector = ?1 AND q.direction = ?2 AND q.owner <> ?3";
            let parameters = params![queue.connector.as_str(), queue.direction.to_code(), me.slot];
            Ok(db.prepare_cached(sql)?.query_row(parameters, |row| row.get(0)).optional()?)
        })
        .await
    }
}

/// What is claimed, in the line and at the side, and what is in doubt, each by its own index.
const FIND_UNSETTLED: &str = "SELECT u.seq, u.key, t.operation, max(u.is_claimed), max(u.doubt_since) FROM (
        SELECT seq, key, task, 1 AS is_claimed, NULL AS doubt_since FROM bus_pending
        WHERE queue = ?1 AND seq <= (SELECT claimed_to FROM bus_queue WHERE id = ?1)
        UNION ALL SELECT seq, key, task, 1, doubt_since FROM bus_side INDEXED BY bus_side_running
        WHERE queue = ?1 AND state = 1
        UNION ALL SELECT seq, key, task, 0, doubt_since FROM bus_side INDEXED BY bus_side_doubt
        WHERE queue = ?1 AND doubt > 0
    ) u JOIN bus_task t ON t.id = u.task
    WHERE t.subject = ?2 GROUP BY u.seq ORDER BY u.seq LIMIT ?3";

/// A queue, as the transaction sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueRow {
    /// Its number.
    pub(crate) id: i64,
    /// Everything in its line up to here is claimed.
    pub(crate) claimed_to: i64,
    /// How many of its deliveries stepped aside.
    pub(crate) asides: i64,
    /// Within what it keeps order.
    pub(crate) scope: Scope,
}

/// The queue, if this is its owner.
pub(crate) fn owned(session: &mut Session<'_>, ownership: &Ownership) -> Result<QueueRow, Fault> {
    let Ownership { queue, epoch } = ownership;
    let stale = || {
        let message = format!("queue `{queue}` is not owned in epoch {epoch} any more; acquire it again");
        refusal(StoreErrorKind::Stale, message)
    };
    let id = session.existing_queue_number(queue)?.ok_or_else(stale)?;
    let (row, owned_in) = queue_row(session, id)?;
    if owned_in == *epoch { Ok(row) } else { Err(stale()) }
}

/// The queue with this number, and the epoch in which it is owned, by whomever.
pub(crate) fn queue_row(session: &Session<'_>, id: i64) -> Result<(QueueRow, i64), Fault> {
    let sql = "SELECT claimed_to, asides, scope, epoch FROM bus_queue WHERE id = ?1";
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let (claimed_to, asides, scope, epoch) = session.prepare(sql)?.query_row([id], read)?;
    Ok((QueueRow { id, claimed_to, asides, scope: Code::from_code(scope)? }, epoch))
}

struct Release {
    ownership: Ownership,
}

impl Write for Release {
    type Answer = ();
    const OPERATION: &'static str = "release";

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<()>, Fault> {
        let Ownership { queue, epoch } = &self.ownership;
        if let Some(id) = session.existing_queue_number(queue)? {
            let sql = "UPDATE bus_queue SET epoch = epoch + 1, owner = NULL, owner_life = NULL
                       WHERE id = ?1 AND epoch = ?2";
            session.prepare(sql)?.execute([id, *epoch])?;
        }
        Ok(Progress::Done(()))
    }
}

struct Acquire {
    queue: QueueId,
    terms: Terms,
    now: Timestamp,
    me: Process,
    slots: Arc<Slots>,
}

impl Write for Acquire {
    type Answer = Acquired;
    const OPERATION: &'static str = "acquire";

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<Acquired>, Fault> {
        let queue = session.queue_number(&self.queue)?;
        let sql = "SELECT owner, owner_life FROM bus_queue WHERE id = ?1";
        let owner = session.prepare(sql)?.query_row([queue], |row| Ok(owner_of(row.get(0)?, row.get(1)?)))?;
        if let Some(owner) = owner.filter(|owner| *owner != self.me)
            && let Some(seen) = refuses(session, &self.slots, self.me, owner, self.terms.silent.as_ref())?
        {
            return Ok(Progress::Done(Acquired::Taken(seen)));
        }
        check_none_settling(session, queue)?;
        let sql = "UPDATE bus_queue SET epoch = epoch + 1, owner = ?2, owner_life = ?3, scope = ?4
                   WHERE id = ?1 RETURNING epoch, claimed_to";
        let parameters = params![queue, self.me.slot, self.me.life, self.terms.scope.to_code()];
        let (epoch, claimed_to) =
            session.prepare(sql)?.query_row(parameters, |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))?;
        self.interrupt(session, queue, claimed_to)?;
        Ok(Progress::Done(Acquired::Owned(Ownership { queue: self.queue.clone(), epoch })))
    }
}

impl Acquire {
    /// Charges what was claimed, and makes it due.
    fn interrupt(&self, session: &mut Session<'_>, queue: i64, claimed_to: i64) -> Result<(), Fault> {
        let mut interrupted: Vec<(i64, String)> = Vec::new();
        {
            let mut window =
                session.prepare("SELECT seq, key FROM bus_pending WHERE queue = ?1 AND seq <= ?2")?;
            for row in window.query_map([queue, claimed_to], |row| Ok((row.get(0)?, row.get(1)?)))? {
                interrupted.push(row?);
            }
        }
        // What was claimed from the line goes to the side; what was claimed there stays there.
        let place = InSide { state: "3", attempts: "1", called: "1", reason: "?3", doubt_since: "?4" };
        let sql = format!("{} WHERE queue = ?1 AND seq <= ?2 ORDER BY seq", place.select_pending());
        session.prepare(&sql)?.execute(params![
            queue,
            claimed_to,
            INTERRUPTED_ERROR,
            self.now.as_micros()
        ])?;
        let sql = "DELETE FROM bus_pending WHERE queue = ?1 AND seq <= ?2";
        session.prepare(sql)?.execute([queue, claimed_to])?;
        {
            let sql =
                "UPDATE bus_side INDEXED BY bus_side_running SET state = 3, due = 0, called = 1, reason = ?2, doubt = 1,
                           doubt_since = coalesce(doubt_since, ?3)
                       WHERE queue = ?1 AND state = 1 RETURNING seq, key";
            let mut running = session.prepare(sql)?;
            for row in running.query_map(params![queue, INTERRUPTED_ERROR, self.now.as_micros()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })? {
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
        Ok(())
    }
}
