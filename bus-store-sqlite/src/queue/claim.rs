//! Claiming: first what is due, then what is fresh, at the side and in the line.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use bus_core::{DeliveryId, TaskId, Timestamp};
use bus_store::{Claim, Claimed, Ownership};
use rusqlite::{OptionalExtension, Row, params};

use crate::code::{Code, connector_name, key_of_delivery, limit as sql_limit, site_name, small_count};
use crate::error::Fault;
use crate::queue::lane::{enter_lane, hold_lane, move_aside};
use crate::queue::{QueueRow, owned};
use crate::session::Session;
use crate::task_log::claimed::{Taken, end};
use crate::task_log::settlement::count_aside;
use crate::wake::end_waiting;
use crate::writer::{Progress, Write};

/// How many rows of the line are read at a time.
const PAGE_ROWS: usize = 256;

/// The most rows that one transaction moves to the side, so that others get their turn between.
const MOVES_PER_TURN_MAX: usize = 1_000;

/// The most that have been overtaken which one claim discards.
const DISCARDS_PER_TURN_MAX: i64 = 1_000;

pub(crate) struct ClaimWrite {
    pub(crate) ownership: Ownership,
    pub(crate) limit: usize,
    pub(crate) now: Timestamp,
}

impl Write for ClaimWrite {
    type Answer = Claim;
    const OPERATION: &'static str = "claim";

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<Claim>, Fault> {
        let queue = owned(session, &self.ownership)?;
        let mut turn =
            Turn { session, queue, now: self.now, claimed: Vec::new(), keys: HashSet::new(), moved: 0 };
        turn.discard_superseded()?;
        turn.claim(self.limit)?;
        turn.write_cursor()?;
        if turn.claimed.is_empty() && turn.moved >= MOVES_PER_TURN_MAX {
            return Ok(Progress::Again);
        }
        let next_due = turn.next_due()?;
        Ok(Progress::Done(Claim { deliveries: turn.claimed, next_due }))
    }
}

/// What one transaction does for a claim.
struct Turn<'t, 's> {
    session: &'t mut Session<'s>,
    queue: QueueRow,
    now: Timestamp,
    claimed: Vec<Claimed>,
    /// The keys of what was claimed at the side.
    keys: HashSet<String>,
    moved: usize,
}

/// Something at the side whose time has come.
struct Due {
    at: i64,
    seq: i64,
    key: String,
    is_solitary: bool,
}

/// What stands aside of a key: claimable when nothing of the key is claimed, and no earlier one stands in its line.
const NOTHING_BEFORE: &str = "NOT EXISTS (SELECT 1 FROM bus_side e
        WHERE e.queue = s.queue AND e.key = s.key AND e.aside = 0 AND e.seq < s.seq)
    AND NOT EXISTS (SELECT 1 FROM bus_side r WHERE r.queue = s.queue AND r.key = s.key AND r.state = 1)
    AND NOT EXISTS (SELECT 1 FROM bus_pending p WHERE p.queue = s.queue AND p.seq <= ?2 AND p.key = s.key)";

impl Turn<'_, '_> {
    fn claim(&mut self, limit: usize) -> Result<(), Fault> {
        let due = self.due(limit)?;
        if let Some(first) = due.first().filter(|first| first.is_solitary) {
            return self.claim_side(first.seq);
        }
        let half = (limit / 2).max(1).min(limit);
        let mut rest = due.into_iter().take_while(|due| !due.is_solitary).collect::<Vec<_>>();
        let later = rest.split_off(rest.len().min(half));
        self.claim_due(rest, limit)?;
        self.claim_fresh_at_the_side(limit)?;
        self.claim_fresh_in_line(limit)?;
        self.claim_due(later, limit)
    }

    fn claim_due(&mut self, due: Vec<Due>, limit: usize) -> Result<(), Fault> {
        for due in due {
            if self.claimed.len() >= limit {
                break;
            }
            if !self.has_claimed(&due.key) {
                self.claim_side(due.seq)?;
            }
        }
        Ok(())
    }

    fn has_claimed(&self, key: &str) -> bool {
        self.keys.contains(key)
            // Only what stands aside meets its key in the line.
            || (self.queue.asides > 0 && self.claimed.iter().any(|claimed| claimed.key == key))
    }

    /// What is due, in the order of due times: heads of lanes, and what stepped aside.
    fn due(&mut self, limit: usize) -> Result<Vec<Due>, Fault> {
        let read = |row: &Row<'_>| {
            Ok(Due { at: row.get(0)?, seq: row.get(1)?, key: row.get(2)?, is_solitary: row.get(3)? })
        };
        let (queue, now, limit) = (self.queue, self.now.as_micros(), sql_limit(limit));
        let mut due = Vec::new();
        let sql = "SELECT l.due, l.head, l.key, s.solitary
                   FROM bus_lane l JOIN bus_side s ON s.queue = l.queue AND s.seq = l.head
                   WHERE l.queue = ?1 AND l.kind = 1 AND l.due <= ?2 ORDER BY l.due, l.head LIMIT ?3";
        let mut heads = self.session.prepare(sql)?;
        for row in heads.query_map([queue.id, now, limit], read)? {
            due.push(row?);
        }
        if queue.asides > 0 {
            let sql = format!(
                "SELECT s.due, s.seq, s.key, s.solitary FROM bus_side s
                 WHERE s.queue = ?1 AND s.aside = 1 AND s.state IN (2, 3) AND s.due <= ?3 AND {NOTHING_BEFORE}
                 ORDER BY s.due, s.seq LIMIT ?4"
            );
            let mut asides = self.session.prepare(&sql)?;
            for row in asides.query_map([queue.id, queue.claimed_to, now, limit], read)? {
                due.push(row?);
            }
            due.sort_by_key(|due| (due.at, due.seq));
        }
        Ok(due)
    }

    /// Ends what stepped aside, is due, and has been overtaken by a later one that completed.
    fn discard_superseded(&mut self) -> Result<(), Fault> {
        if self.queue.asides == 0 {
            return Ok(());
        }
        let sql = "SELECT seq, key, superseded_by FROM bus_side
                   WHERE queue = ?1 AND aside = 1 AND state IN (2, 3) AND due <= ?2 AND superseded_by IS NOT NULL
                   ORDER BY due, seq LIMIT ?3";
        let mut overtaken: Vec<(i64, String, i64)> = Vec::new();
        let mut find = self.session.prepare(sql)?;
        let parameters = [self.queue.id, self.now.as_micros(), DISCARDS_PER_TURN_MAX];
        for row in find.query_map(parameters, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))? {
            overtaken.push(row?);
        }
        for (seq, key, by) in overtaken {
            tracing::info!(
                delivery = seq,
                key,
                superseded_by = by,
                "discarded what a later delivery superseded"
            );
            let sql = "DELETE FROM bus_side WHERE queue = ?1 AND seq = ?2 RETURNING task, shared";
            let (task, is_shared) = self
                .session
                .prepare(sql)?
                .query_row([self.queue.id, seq], |row| Ok((row.get(0)?, row.get(1)?)))?;
            end(self.session, seq, &Taken { task, is_shared, is_from_line: false })?;
            count_aside(self.session, &mut self.queue, -1)?;
            self.session.tally(self.queue.id).discarded += 1;
        }
        Ok(())
    }

    /// Claims one delivery at the side.
    fn claim_side(&mut self, seq: i64) -> Result<(), Fault> {
        let queue = self.queue.id;
        let sql = "SELECT awaited FROM bus_side WHERE queue = ?1 AND seq = ?2";
        let awaited: Option<String> = self.session.prepare(sql)?.query_row([queue, seq], |row| row.get(0))?;
        if let Some(awaited) = awaited {
            end_waiting(self.session, (queue, seq), &awaited)?;
        }
        let sql = "UPDATE bus_side SET state = 1, due = 0, attempts = attempts + 1, awaited = NULL,
                       asks = asks + (waiting_since IS NOT NULL)
                   WHERE queue = ?1 AND seq = ?2
                   RETURNING seq, key, task, data_type, policy, idempotency_key, attempts, asks, waiting_since,
                       stepped_aside";
        let mut update = self.session.prepare(sql)?;
        let mut rows = update.query([queue, seq])?;
        let Some(row) = rows.next()? else { return Ok(()) };
        let mut claimed = self.claimed(row)?;
        claimed.attempt = small_count(row.get(6)?);
        claimed.asks = small_count(row.get(7)?);
        claimed.waiting_since = row.get::<_, Option<i64>>(8)?.map(Timestamp::from_micros);
        claimed.aside = row.get(9)?;
        hold_lane(self.session, queue, &claimed.key)?;
        self.keys.insert(claimed.key.clone());
        self.claimed.push(claimed);
        Ok(())
    }

    /// Claims what is fresh at the side, oldest first; of each key as much as stands in a row.
    fn claim_fresh_at_the_side(&mut self, limit: usize) -> Result<(), Fault> {
        let wanted = limit.saturating_sub(self.claimed.len());
        let queue = self.queue.id;
        let mut heads: BinaryHeap<Reverse<(i64, String)>> = BinaryHeap::new();
        {
            let sql = "SELECT head, key FROM bus_lane WHERE queue = ?1 AND kind = 0 ORDER BY head LIMIT ?2";
            let mut find = self.session.prepare(sql)?;
            for row in find.query_map([queue, sql_limit(wanted)], |row| Ok((row.get(0)?, row.get(1)?)))? {
                heads.push(Reverse(row?));
            }
        }
        let mut picked = Vec::new();
        while picked.len() < wanted
            && let Some(Reverse((seq, key))) = heads.pop()
        {
            picked.push(seq);
            let sql =
                "SELECT seq, state FROM bus_side WHERE queue = ?1 AND key = ?2 AND aside = 0 AND seq > ?3
                       ORDER BY seq LIMIT 1";
            let read = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?));
            let behind = self.session.prepare(sql)?.query_row(params![queue, key, seq], read).optional()?;
            if let Some((behind, 0)) = behind {
                heads.push(Reverse((behind, key)));
            }
        }
        picked.into_iter().try_for_each(|seq| self.claim_side(seq))
    }

    /// Claims what is fresh in the line. Of a key that has a lane, or of which something is claimed already, it moves
    /// to the side, so that each is met once.
    fn claim_fresh_in_line(&mut self, limit: usize) -> Result<(), Fault> {
        // What was claimed before this claim and stands in the line still; read when it is needed.
        let mut window: Option<HashSet<String>> = None;
        let window_end = self.queue.claimed_to;
        while self.claimed.len() < limit && self.moved < MOVES_PER_TURN_MAX {
            let page = self.page((limit - self.claimed.len()).min(PAGE_ROWS))?;
            if page.is_empty() {
                return Ok(());
            }
            for (claimed, has_lane) in page {
                let seq = claimed.delivery.0;
                self.queue.claimed_to = seq;
                if has_lane || self.keys.contains(&claimed.key) {
                    self.move_aside(seq)?;
                    continue;
                }
                let window = match &mut window {
                    Some(window) => window,
                    None => window.insert(self.keys_in_line(window_end)?),
                };
                if window.contains(&claimed.key) {
                    enter_lane(self.session, self.queue.id, window_end, &claimed.key)?;
                    self.keys.insert(claimed.key.clone());
                    self.move_aside(seq)?;
                    continue;
                }
                let claimed = self.with_task(claimed)?;
                self.claimed.push(claimed);
            }
        }
        Ok(())
    }

    fn move_aside(&mut self, seq: i64) -> Result<(), Fault> {
        self.moved += 1;
        move_aside(self.session, self.queue.id, seq)
    }

    /// The next rows of the line, without their tasks, and whether their key has a lane.
    fn page(&mut self, rows: usize) -> Result<Vec<(Claimed, bool)>, Fault> {
        let sql = "SELECT p.seq, p.key, p.task, p.data_type, p.policy, p.idempotency_key, l.kind IS NOT NULL
                   FROM bus_pending p LEFT JOIN bus_lane l ON l.queue = p.queue AND l.key = p.key
                   WHERE p.queue = ?1 AND p.seq > ?2 ORDER BY p.seq LIMIT ?3";
        let mut find = self.session.prepare(sql)?;
        let mut found = find.query([self.queue.id, self.queue.claimed_to, sql_limit(rows)])?;
        let mut page = Vec::with_capacity(rows);
        while let Some(row) = found.next()? {
            page.push((delivery(row)?, row.get(6)?));
        }
        Ok(page)
    }

    fn keys_in_line(&self, end: i64) -> Result<HashSet<String>, Fault> {
        let sql = "SELECT key FROM bus_pending WHERE queue = ?1 AND seq <= ?2";
        let mut find = self.session.prepare(sql)?;
        let keys = find.query_map([self.queue.id, end], |row| row.get(0))?;
        Ok(keys.collect::<Result<_, _>>()?)
    }

    fn claimed(&self, row: &Row<'_>) -> Result<Claimed, Fault> {
        self.with_task(delivery(row)?)
    }

    /// Adds what the task says.
    fn with_task(&self, mut claimed: Claimed) -> Result<Claimed, Fault> {
        let sql = "SELECT subject, operation, content_type, site, origin, logged_at, data FROM bus_task WHERE id = ?1";
        let mut find = self.session.prepare(sql)?;
        let mut rows = find.query([claimed.task.0])?;
        let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        claimed.subject = row.get(0)?;
        claimed.operation = Code::from_code(row.get(1)?)?;
        claimed.content_type = row.get(2)?;
        claimed.site = site_name(row.get(3)?)?;
        claimed.origin = row.get::<_, Option<String>>(4)?.map(connector_name).transpose()?;
        claimed.logged_at = Timestamp::from_micros(row.get(5)?);
        claimed.data = row.get(6)?;
        Ok(claimed)
    }

    fn write_cursor(&mut self) -> Result<(), Fault> {
        let sql = "UPDATE bus_queue SET claimed_to = ?2 WHERE id = ?1 AND claimed_to <> ?2";
        self.session.prepare(sql)?.execute([self.queue.id, self.queue.claimed_to])?;
        Ok(())
    }

    /// When the first of what only time keeps from being ready is due.
    fn next_due(&self) -> Result<Option<Timestamp>, Fault> {
        let (queue, now) = (self.queue, self.now.as_micros());
        let sql = "SELECT due FROM bus_lane WHERE queue = ?1 AND kind = 1 AND due > ?2 ORDER BY due LIMIT 1";
        let head: Option<i64> =
            self.session.prepare(sql)?.query_row([queue.id, now], |row| row.get(0)).optional()?;
        let mut aside: Option<i64> = None;
        if queue.asides > 0 {
            let sql = format!(
                "SELECT s.due FROM bus_side s
                 WHERE s.queue = ?1 AND s.aside = 1 AND s.state IN (2, 3) AND s.due > ?3 AND {NOTHING_BEFORE}
                 ORDER BY s.due LIMIT 1"
            );
            let parameters = [queue.id, queue.claimed_to, now];
            aside = self.session.prepare(&sql)?.query_row(parameters, |row| row.get(0)).optional()?;
        }
        Ok(head.into_iter().chain(aside).min().map(Timestamp::from_micros))
    }
}

/// A claimed delivery for the first time, as far as its own row says: seq, key, task, data type, policy, idempotency
/// key.
fn delivery(row: &Row<'_>) -> Result<Claimed, Fault> {
    Ok(Claimed {
        delivery: DeliveryId(row.get(0)?),
        key: row.get(1)?,
        task: TaskId(row.get(2)?),
        data_type: Code::from_code(row.get(3)?)?,
        policy: Code::from_code(row.get(4)?)?,
        idempotency_key: key_of_delivery(row, 5)?,
        attempt: 1,
        asks: 0,
        waiting_since: None,
        aside: false,
        subject: String::new(),
        operation: bus_core::ObjectOperation::Update,
        data: Vec::new(),
        content_type: String::new(),
        site: None,
        origin: None,
        logged_at: Timestamp::EPOCH,
    })
}
