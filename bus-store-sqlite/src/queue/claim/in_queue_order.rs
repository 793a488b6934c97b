//! Claiming where order is kept within the queue: by id, up to the first that holds everything behind it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use bus_store::{First, Wanted};
use rusqlite::{OptionalExtension, Row, params};

use super::{MOVES_PER_TURN_MAX, PAGE_ROWS, Turn};
use crate::code::limit as sql_limit;
use crate::error::Fault;

impl Turn<'_, '_> {
    pub(super) fn claim_in_queue_order(&mut self, wanted: Wanted) -> Result<(), Fault> {
        if wanted.limit == 0 || self.is_anything_claimed()? {
            return Ok(());
        }
        if wanted.first == First::Due && self.claim_aside_alone()? {
            return Ok(());
        }
        self.walk(wanted.limit)?;
        if wanted.first == First::Fresh && self.claimed.is_empty() {
            self.claim_aside_alone()?;
        }
        Ok(())
    }

    /// Whether a claim would bring something now.
    pub(crate) fn is_ready_in_queue_order(&self) -> Result<bool, Fault> {
        if self.is_anything_claimed()? {
            return Ok(false);
        }
        let holding = self.holding()?;
        let now = self.now.as_micros();
        let end = holding.map_or(i64::MAX, |(seq, _)| seq);
        // In the line, what waits may keep those behind it; they are met, and moved aside, by the next claim.
        let sql = "SELECT EXISTS (SELECT 1 FROM bus_pending WHERE queue = ?1 AND seq > ?2 AND seq < ?3)
                       OR EXISTS (SELECT 1 FROM bus_lane WHERE queue = ?1 AND kind = 0 AND head < ?3)
                       OR EXISTS (SELECT 1 FROM bus_lane WHERE queue = ?1 AND kind IN (1, 3) AND kind = 3 AND due <= ?4
                                  AND head < ?3)";
        let parameters = [self.queue.id, self.queue.claimed_to, end, now];
        let is_any: bool = self.session.prepare(sql)?.query_row(parameters, |row| row.get(0))?;
        let is_holding_due = holding.is_some_and(|(_, due)| due.is_some_and(|due| due <= now));
        Ok(is_any || is_holding_due || !self.due_aside(1)?.is_empty())
    }

    fn is_anything_claimed(&self) -> Result<bool, Fault> {
        let sql = "SELECT EXISTS (SELECT 1 FROM bus_side WHERE queue = ?1 AND state = 1)
                       OR EXISTS (SELECT 1 FROM bus_pending WHERE queue = ?1 AND seq <= ?2)";
        let parameters = [self.queue.id, self.queue.claimed_to];
        Ok(self.session.prepare(sql)?.query_row(parameters, |row| row.get(0))?)
    }

    fn claim_aside_alone(&mut self) -> Result<bool, Fault> {
        let Some(due) = self.due_aside(1)?.into_iter().next() else { return Ok(false) };
        self.claim_side(due.seq)?;
        Ok(true)
    }

    /// The first head that holds everything behind it, and when it is due; `None` for when it is parked.
    pub(super) fn holding(&self) -> Result<Option<(i64, Option<i64>)>, Fault> {
        let sql = "SELECT head, due FROM bus_lane WHERE queue = ?1 AND kind IN (1, 2) AND head IS NOT NULL
                   ORDER BY head LIMIT 1";
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        Ok(self.session.prepare(sql)?.query_row([self.queue.id], read).optional()?)
    }

    /// Claims a run of what is fresh, or one exception alone, whichever comes first.
    fn walk(&mut self, limit: usize) -> Result<(), Fault> {
        let holding = self.holding()?;
        let now = self.now.as_micros();
        let mut end = holding.map_or(i64::MAX, |(seq, _)| seq);
        let sql = "SELECT head FROM bus_lane
                   WHERE queue = ?1 AND kind IN (1, 3) AND kind = 3 AND due <= ?2 AND head < ?3 ORDER BY head LIMIT 1";
        let asking: Option<i64> =
            self.session.prepare(sql)?.query_row([self.queue.id, now, end], |row| row.get(0)).optional()?;
        end = asking.unwrap_or(end);
        self.claim_fresh_before(end, limit)?;
        if !self.claimed.is_empty() || self.moved >= MOVES_PER_TURN_MAX {
            return Ok(());
        }
        let is_due = |(_, due): &(i64, Option<i64>)| due.is_some_and(|due| due <= now);
        match asking.or(holding.filter(is_due).map(|(seq, _)| seq)) {
            Some(seq) => self.claim_side(seq),
            None => Ok(()),
        }
    }

    /// Claims what is fresh before this one, at the side and in the line, oldest first.
    fn claim_fresh_before(&mut self, mut end: i64, limit: usize) -> Result<(), Fault> {
        let mut line = Vec::new();
        let mut looked_at = self.queue.claimed_to;
        // Whoever stands in the line behind a waiting one of its key moves to the side first.
        while line.len() < limit {
            if self.moved >= MOVES_PER_TURN_MAX {
                // Nothing beyond what was looked at: something of the line may stand before it.
                end = end.min(looked_at + 1);
                break;
            }
            let rows = (limit - line.len()).min(PAGE_ROWS);
            let page = self.page(looked_at, rows)?;
            let is_last = page.len() < rows || page.last().is_some_and(|(last, _)| last.delivery.0 >= end);
            for (claimed, has_lane) in page.into_iter().filter(|(claimed, _)| claimed.delivery.0 < end) {
                looked_at = claimed.delivery.0;
                if has_lane {
                    self.move_aside(looked_at)?;
                } else {
                    line.push(claimed);
                }
            }
            if is_last {
                break;
            }
        }
        let mut side = self.fresh_heads(end, limit)?;
        let mut line = line.into_iter().peekable();
        while self.claimed.len() < limit {
            let at_the_side = side.peek().map(|Reverse((seq, _))| *seq).filter(|seq| *seq < end);
            let in_line = line.peek().map(|claimed| claimed.delivery.0).filter(|seq| *seq < end);
            match (at_the_side, in_line) {
                (Some(seq), other) if other.is_none_or(|other| seq < other) => {
                    let Some(Reverse((seq, key))) = side.pop() else { break };
                    match self.behind(&key, seq)?.filter(|(behind, _)| *behind < end) {
                        Some((behind, true)) => side.push(Reverse((behind, key))),
                        // An exception behind it holds the queue from there on.
                        Some((behind, false)) => end = behind,
                        None => {}
                    }
                    self.claim_side(seq)?;
                }
                (_, Some(seq)) => {
                    let Some(claimed) = line.next() else { break };
                    self.queue.claimed_to = seq;
                    self.claimed.push(claimed);
                }
                (_, None) => break,
            }
        }
        Ok(())
    }

    fn fresh_heads(&self, end: i64, limit: usize) -> Result<BinaryHeap<Reverse<(i64, String)>>, Fault> {
        let sql = "SELECT head, key FROM bus_lane WHERE queue = ?1 AND kind = 0 AND head < ?2 ORDER BY head LIMIT ?3";
        let mut find = self.session.prepare(sql)?;
        let parameters = [self.queue.id, end, sql_limit(limit)];
        let heads = find.query_map(parameters, |row| Ok(Reverse((row.get(0)?, row.get(1)?))))?;
        Ok(heads.collect::<Result<_, _>>()?)
    }

    /// The next of a key at the side, and whether that is fresh.
    pub(super) fn behind(&self, key: &str, seq: i64) -> Result<Option<(i64, bool)>, Fault> {
        let sql =
            "SELECT seq, state = 0 FROM bus_side WHERE queue = ?1 AND key = ?2 AND aside = 0 AND seq > ?3
                   ORDER BY seq LIMIT 1";
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        Ok(self.session.prepare(sql)?.query_row(params![self.queue.id, key, seq], read).optional()?)
    }
}
