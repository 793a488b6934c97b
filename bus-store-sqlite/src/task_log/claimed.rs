//! A claimed delivery, as it is taken from the line or the side to be settled.

use bus_core::{DeliveryId, Timestamp};
use bus_store::operate::shorten_error;
use bus_store::{Doubt, StoreErrorKind};
use rusqlite::{OptionalExtension, Row};

use crate::code::End;
use crate::error::{Fault, refusal};
use crate::queue::QueueRow;
use crate::session::Session;
use crate::task_log::attempts;
use crate::task_log::history::Ending;

/// Whose delivery it is, and where it stood.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    pub(super) task: i64,
    pub(super) is_shared: bool,
    /// Whether it was claimed for the first time, and stood in the line still.
    pub(super) is_from_line: bool,
}

/// A claimed delivery, taken from where it stood.
pub(super) struct Claimed {
    pub(super) seq: i64,
    pub(super) key: String,
    pub(super) taken: Taken,
    pub(super) data_type: i64,
    pub(super) policy: i64,
    pub(super) idempotency_key: [u8; 16],
    pub(super) attempts: i64,
    pub(super) asks: i64,
    pub(super) waiting_since: Option<i64>,
    pub(super) defers: i64,
    pub(super) deferred_since: Option<i64>,
    pub(super) was_called: bool,
    pub(super) is_aside: bool,
    pub(super) stepped_aside: bool,
    pub(super) superseded_by: Option<i64>,
    pub(super) reason: Option<String>,
    pub(super) doubt: Doubt,
    pub(super) doubt_since: Option<i64>,
}

/// Takes a delivery from where it stands, if it is claimed.
pub(super) fn take(session: &Session<'_>, queue: &QueueRow, delivery: DeliveryId) -> Result<Claimed, Fault> {
    let DeliveryId(seq) = delivery;
    if seq <= queue.claimed_to {
        // Two statements: one that deletes and answers keeps its answers in a tree that it opens and closes.
        let sql = "SELECT seq, key, task, shared, data_type, policy, idempotency_key FROM bus_pending
                   WHERE queue = ?1 AND seq = ?2";
        let from_line =
            session.prepare(sql)?.query_row([queue.id, seq], |row| Claimed::read(row, true)).optional()?;
        if let Some(claimed) = from_line {
            session
                .prepare("DELETE FROM bus_pending WHERE queue = ?1 AND seq = ?2")?
                .execute([queue.id, seq])?;
            return Ok(claimed);
        }
    }
    let sql = "DELETE FROM bus_side WHERE queue = ?1 AND seq = ?2 AND state = 1
               RETURNING seq, key, task, shared, data_type, policy, idempotency_key, attempts, asks, waiting_since,
                   aside, stepped_aside, superseded_by, reason, defers, deferred_since, called, doubt_since";
    let from_side =
        session.prepare(sql)?.query_row([queue.id, seq], |row| Claimed::read(row, false)).optional()?;
    from_side.ok_or_else(|| {
        let message = format!("delivery {delivery} is not claimed any more; drop what became of it");
        refusal(StoreErrorKind::Stale, message)
    })
}

/// Whether a delivery is claimed.
pub(super) fn is_claimed(
    session: &Session<'_>,
    queue: &QueueRow,
    delivery: DeliveryId,
) -> Result<bool, Fault> {
    let sql = "SELECT EXISTS (SELECT 1 FROM bus_pending WHERE queue = ?1 AND seq = ?2 AND seq <= ?3)
                   OR EXISTS (SELECT 1 FROM bus_side WHERE queue = ?1 AND seq = ?2 AND state = 1)";
    let parameters = [queue.id, delivery.0, queue.claimed_to];
    Ok(session.prepare(sql)?.query_row(parameters, |row| row.get(0))?)
}

impl Claimed {
    fn read(row: &Row<'_>, is_from_line: bool) -> rusqlite::Result<Self> {
        let mut claimed = Self {
            seq: row.get(0)?,
            key: row.get(1)?,
            taken: Taken { task: row.get(2)?, is_shared: row.get(3)?, is_from_line },
            data_type: row.get(4)?,
            policy: row.get(5)?,
            idempotency_key: row.get(6)?,
            attempts: 1,
            asks: 0,
            waiting_since: None,
            defers: 0,
            deferred_since: None,
            was_called: false,
            is_aside: false,
            stepped_aside: false,
            superseded_by: None,
            reason: None,
            doubt: Doubt::None,
            doubt_since: None,
        };
        if !is_from_line {
            claimed.attempts = row.get(7)?;
            claimed.asks = row.get(8)?;
            claimed.waiting_since = row.get(9)?;
            claimed.is_aside = row.get(10)?;
            claimed.stepped_aside = row.get(11)?;
            claimed.superseded_by = row.get(12)?;
            claimed.reason = row.get(13)?;
            claimed.defers = row.get(14)?;
            claimed.deferred_since = row.get(15)?;
            claimed.was_called = row.get(16)?;
            claimed.doubt_since = row.get(17)?;
        }
        Ok(claimed)
    }

    /// What is in doubt about it from now on; since when is known where it was before.
    pub(super) fn set_doubt(&mut self, doubt: Doubt, now: Timestamp) {
        self.doubt_since = (doubt != Doubt::None).then(|| self.doubt_since.unwrap_or(now.as_micros()));
        self.doubt = doubt;
    }

    /// Notes an outcome: what was charged stays charged, what was said is recorded, and what it was put off for before
    /// is over.
    pub(super) fn note(
        &mut self,
        session: &Session<'_>,
        now: Timestamp,
        is_charged: bool,
        error: Option<&String>,
    ) -> Result<(), Fault> {
        self.waiting_since = None;
        self.asks = 0;
        self.deferred_since = None;
        self.defers = 0;
        if !is_charged {
            self.attempts -= 1;
        }
        self.was_called |= is_charged || error.is_some();
        if let Some(error) = error {
            let error = shorten_error(error.clone());
            attempts::record(session, self.seq, now, is_charged, &error)?;
            self.reason = Some(error);
        }
        Ok(())
    }

    /// What is kept of it once it has ended like this.
    pub(super) fn ending(&self, queue: i64, end: End, reason: Option<String>, now: Timestamp) -> Ending<'_> {
        Ending {
            queue,
            seq: self.seq,
            end,
            ended_at: now,
            attempts: self.attempts,
            key: &self.key,
            reason,
            task: self.taken.task,
            is_shared: self.taken.is_shared,
            data_type: self.data_type,
            policy: self.policy,
            idempotency_key: &self.idempotency_key,
        }
    }
}
