//! Claiming: what is due and what is fresh, at the side and in the line.

mod ahead;
mod aside;
mod in_queue_order;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use bus_core::{DeliveryId, TaskId, Timestamp};
use bus_store::{Claim, Claimed, Doubt, First, Ownership, Scope, Travel, Wanted};
use rusqlite::{OptionalExtension, Row};

use crate::code::{Code, connector_name, key_of_delivery, limit as sql_limit, site_name, small_count};
use crate::error::Fault;
use crate::queue::lane::{enter_lane, hold_lane, move_aside};
use crate::queue::{QueueRow, owned};
use crate::session::Session;
use crate::wake::end_waiting;
use crate::writer::{Progress, Write};

/// How many rows of the line are read at a time.
const PAGE_ROWS: usize = 256;

/// The most rows that one transaction moves to the side, so that others get their turn between.
const MOVES_PER_TURN_MAX: usize = 1_000;

pub(crate) struct ClaimWrite {
    pub(crate) ownership: Ownership,
    pub(crate) wanted: Wanted,
    pub(crate) now: Timestamp,
}

impl Write for ClaimWrite {
    type Answer = Claim;
    const OPERATION: &'static str = "claim";

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<Claim>, Fault> {
        let queue = owned(session, &self.ownership)?;
        let mut turn = Turn::new(session, queue, self.now);
        match (queue.scope, self.wanted.first) {
            (Scope::Key, First::OnlyFresh) => turn.claim_ahead(self.wanted.limit)?,
            (Scope::Key, _) => turn.claim(self.wanted)?,
            (Scope::Queue, First::OnlyFresh) => {}
            (Scope::Queue, _) => turn.claim_in_queue_order(self.wanted)?,
        }
        turn.write_cursor()?;
        if turn.claimed.is_empty() && turn.moved >= MOVES_PER_TURN_MAX {
            return Ok(Progress::Again);
        }
        let next_due = turn.next_due()?;
        Ok(Progress::Done(Claim { deliveries: turn.claimed, next_due }))
    }
}

/// What one transaction does for a claim.
pub(crate) struct Turn<'t, 's> {
    session: &'t mut Session<'s>,
    queue: QueueRow,
    now: Timestamp,
    claimed: Vec<Claimed>,
    /// The keys of what was claimed at the side.
    keys: HashSet<String>,
    /// Those of them of which all that stands there was fresh, and is claimed: what follows in the line may go along.
    runs: HashSet<String>,
    moved: usize,
}

/// Something at the side whose time has come.
struct Due {
    at: i64,
    seq: i64,
    key: String,
    /// It was charged before, so it is claimed alone.
    is_charged: bool,
}

impl<'t, 's> Turn<'t, 's> {
    pub(crate) fn new(session: &'t mut Session<'s>, queue: QueueRow, now: Timestamp) -> Self {
        Self {
            session,
            queue,
            now,
            claimed: Vec::new(),
            keys: HashSet::new(),
            runs: HashSet::new(),
            moved: 0,
        }
    }

    fn claim(&mut self, wanted: Wanted) -> Result<(), Fault> {
        let limit = wanted.limit;
        if wanted.first == First::Fresh {
            self.claim_fresh_at_the_side(limit)?;
            self.claim_fresh_in_line(limit)?;
        }
        let due = self.due(limit - self.claimed.len().min(limit))?;
        if self.claimed.is_empty()
            && let Some(first) = due.first().filter(|first| first.is_charged)
        {
            return self.claim_side(first.seq);
        }
        let mut due = due.into_iter().take_while(|due| !due.is_charged);
        if wanted.first == First::Fresh {
            return self.claim_due(&mut due, limit);
        }
        self.claim_due(&mut due, (limit / 2).max(1).min(limit))?;
        self.claim_fresh_at_the_side(limit)?;
        self.claim_fresh_in_line(limit)?;
        self.claim_due(&mut due, limit)
    }

    /// Claims of what is due until this many are claimed in all. Of a key of which something is claimed already, what is
    /// due waits, and takes nobody's turn.
    fn claim_due(&mut self, due: &mut impl Iterator<Item = Due>, limit: usize) -> Result<(), Fault> {
        while self.claimed.len() < limit
            && let Some(due) = due.next()
        {
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
            Ok(Due { at: row.get(0)?, seq: row.get(1)?, key: row.get(2)?, is_charged: row.get(3)? })
        };
        let mut due = Vec::new();
        let sql = "SELECT l.due, l.head, l.key, s.attempts > 0
                   FROM bus_lane l JOIN bus_side s ON s.queue = l.queue AND s.seq = l.head
                   WHERE l.queue = ?1 AND l.kind IN (1, 3) AND l.due <= ?2 ORDER BY l.due, l.head LIMIT ?3";
        let mut heads = self.session.prepare(sql)?;
        for row in heads.query_map([self.queue.id, self.now.as_micros(), sql_limit(limit)], read)? {
            due.push(row?);
        }
        due.extend(self.due_aside(limit)?);
        due.sort_by_key(|due| (due.at, due.seq));
        Ok(due)
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
                       stepped_aside, defers, deferred_since, superseded_by, doubt";
        let mut update = self.session.prepare(sql)?;
        let mut rows = update.query([queue, seq])?;
        let Some(row) = rows.next()? else { return Ok(()) };
        let mut claimed = delivery(row)?;
        self.add_task(&mut claimed)?;
        claimed.attempt = small_count(row.get(6)?);
        claimed.asks = small_count(row.get(7)?);
        claimed.waiting_since = row.get::<_, Option<i64>>(8)?.map(Timestamp::from_micros);
        claimed.aside = row.get(9)?;
        claimed.defers = small_count(row.get(10)?);
        claimed.deferred_since = row.get::<_, Option<i64>>(11)?.map(Timestamp::from_micros);
        claimed.superseded_by = row.get::<_, Option<i64>>(12)?.map(DeliveryId);
        let doubt = Doubt::from_code(row.get(13)?)?;
        claimed.doubt = if doubt == Doubt::None { claimed.doubt } else { doubt };
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
            match self.behind(&key, seq)? {
                Some((behind, true)) => heads.push(Reverse((behind, key))),
                Some((_, false)) => {}
                None => {
                    self.runs.insert(key);
                }
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
            let page = self.page(self.queue.claimed_to, (limit - self.claimed.len()).min(PAGE_ROWS))?;
            if page.is_empty() {
                return Ok(());
            }
            for (claimed, has_lane) in page {
                let seq = claimed.delivery.0;
                self.queue.claimed_to = seq;
                if has_lane || self.keys.contains(&claimed.key) {
                    self.move_aside(seq)?;
                    if self.runs.contains(&claimed.key) {
                        self.claim_side(seq)?;
                    }
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
                self.claimed.push(claimed);
            }
        }
        Ok(())
    }

    fn move_aside(&mut self, seq: i64) -> Result<(), Fault> {
        self.moved += 1;
        move_aside(self.session, self.queue.id, seq)
    }

    /// The next rows of the line after this one, and whether their key has a lane; with their tasks where it has none,
    /// since all the others are not claimed from there.
    fn page(&mut self, after: i64, rows: usize) -> Result<Vec<(Claimed, bool)>, Fault> {
        let sql =
            "SELECT p.seq, p.key, p.task, p.data_type, p.policy, p.idempotency_key, t.subject, t.operation,
                       t.content_type, t.site, t.origin, t.logged_at, t.data, t.cause, t.hop, t.echo,
                       t.redelivers IS NOT NULL, l.kind IS NOT NULL
                   FROM bus_pending p LEFT JOIN bus_task t ON t.id = p.task
                       LEFT JOIN bus_lane l ON l.queue = p.queue AND l.key = p.key
                   WHERE p.queue = ?1 AND p.seq > ?2 ORDER BY p.seq LIMIT ?3";
        let mut find = self.session.prepare(sql)?;
        let mut found = find.query([self.queue.id, after, sql_limit(rows)])?;
        let mut page = Vec::with_capacity(rows);
        while let Some(row) = found.next()? {
            let (mut claimed, has_lane): (_, bool) = (delivery(row)?, row.get(TASK + TASK_COLUMNS)?);
            if !has_lane {
                add_task(&mut claimed, row, TASK)?;
            }
            page.push((claimed, has_lane));
        }
        Ok(page)
    }

    fn keys_in_line(&self, end: i64) -> Result<HashSet<String>, Fault> {
        let sql = "SELECT key FROM bus_pending WHERE queue = ?1 AND seq <= ?2";
        let mut find = self.session.prepare(sql)?;
        let keys = find.query_map([self.queue.id, end], |row| row.get(0))?;
        Ok(keys.collect::<Result<_, _>>()?)
    }

    /// Adds what the task says.
    fn add_task(&self, claimed: &mut Claimed) -> Result<(), Fault> {
        let sql = "SELECT subject, operation, content_type, site, origin, logged_at, data, cause, hop, echo,
                       redelivers IS NOT NULL
                   FROM bus_task WHERE id = ?1";
        let mut find = self.session.prepare(sql)?;
        let mut rows = find.query([claimed.task.0])?;
        let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        add_task(claimed, row, 0)
    }

    fn write_cursor(&mut self) -> Result<(), Fault> {
        let sql = "UPDATE bus_queue SET claimed_to = ?2 WHERE id = ?1 AND claimed_to <> ?2";
        self.session.prepare(sql)?.execute([self.queue.id, self.queue.claimed_to])?;
        Ok(())
    }

    /// When the first of what only time keeps from being ready is due.
    fn next_due(&self) -> Result<Option<Timestamp>, Fault> {
        let (queue, now) = (self.queue, self.now.as_micros());
        // Where order is kept within the queue, nothing behind the first that holds it depends on time.
        let holding = match queue.scope {
            Scope::Key => i64::MAX,
            Scope::Queue => self.holding()?.map_or(i64::MAX, |(seq, _)| seq),
        };
        let sql = "SELECT due FROM bus_lane WHERE queue = ?1 AND kind IN (1, 3) AND due > ?2 AND head <= ?3
                   ORDER BY due LIMIT 1";
        let head: Option<i64> =
            self.session.prepare(sql)?.query_row([queue.id, now, holding], |row| row.get(0)).optional()?;
        let aside = self.next_due_aside()?;
        Ok(head.into_iter().chain(aside).min().map(Timestamp::from_micros))
    }
}

/// Where the columns of the task begin in a page of the line, and how many they are.
const TASK: usize = 6;
const TASK_COLUMNS: usize = 11;

/// Adds what the task says, from this column on: subject, operation, content type, site, origin, logged at, data, cause,
/// hop, echo, whether it is redelivered.
fn add_task(claimed: &mut Claimed, row: &Row<'_>, first: usize) -> Result<(), Fault> {
    claimed.subject = row.get(first)?;
    claimed.operation = Code::from_code(row.get(first + 1)?)?;
    claimed.content_type = row.get(first + 2)?;
    claimed.site = site_name(row.get(first + 3)?)?;
    claimed.origin = row.get::<_, Option<String>>(first + 4)?.map(connector_name).transpose()?;
    claimed.logged_at = Timestamp::from_micros(row.get(first + 5)?);
    claimed.data = row.get(first + 6)?;
    claimed.travel = Travel {
        cause: row.get::<_, Option<i64>>(first + 7)?.map(TaskId),
        hop: row.get(first + 8)?,
        echo: Code::from_code(row.get(first + 9)?)?,
    };
    claimed.is_redelivered = row.get(first + 10)?;
    claimed.doubt = if claimed.is_redelivered { Doubt::TriedAnyway } else { Doubt::None };
    Ok(())
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
        defers: 0,
        deferred_since: None,
        aside: false,
        superseded_by: None,
        subject: String::new(),
        operation: bus_core::ObjectOperation::Update.into(),
        data: Vec::new(),
        content_type: String::new(),
        site: None,
        origin: None,
        logged_at: Timestamp::EPOCH,
        travel: Travel::default(),
        is_redelivered: false,
        doubt: Doubt::None,
    })
}
