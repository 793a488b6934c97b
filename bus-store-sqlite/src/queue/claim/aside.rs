//! What stepped aside: when it is due, it is claimed where nothing of its key is claimed, and no earlier one stands in the
//! line of its key. What is met behind an earlier one is marked, and not met again until its lane lets it go.

use rusqlite::{Row, params};

use super::{Due, Turn};
use crate::error::Fault;

/// What stands aside, is not marked, and has nothing of its key claimed, or in the line before it. The last column says
/// whether it stands behind an earlier one at the side.
const UNMARKED: &str = "SELECT s.due, s.seq, s.key, s.attempts > 0,
        EXISTS (SELECT 1 FROM bus_side e WHERE e.queue = s.queue AND e.key = s.key AND e.aside = 0 AND e.seq < s.seq)
    FROM bus_side s
    WHERE s.queue = ?1 AND s.aside = 1 AND s.state IN (2, 3, 6) AND s.behind = 0
        AND NOT EXISTS (SELECT 1 FROM bus_side r WHERE r.queue = s.queue AND r.key = s.key AND r.state = 1)
        AND NOT EXISTS (SELECT 1 FROM bus_pending p
                        WHERE p.queue = s.queue AND p.seq <= max(?2, s.seq) AND p.key = s.key)";

impl Turn<'_, '_> {
    /// What is due, in the order of due times.
    pub(super) fn due_aside(&self, limit: usize) -> Result<Vec<Due>, Fault> {
        self.aside("s.due <= ?3", limit)
    }

    /// When the first that is not due yet will be.
    pub(super) fn next_due_aside(&self) -> Result<Option<i64>, Fault> {
        Ok(self.aside("s.due > ?3", 1)?.first().map(|next| next.at))
    }

    fn aside(&self, when: &str, limit: usize) -> Result<Vec<Due>, Fault> {
        if self.queue.asides == 0 {
            return Ok(Vec::new());
        }
        let (mut free, mut behind) = (Vec::new(), Vec::new());
        {
            let sql = format!("{UNMARKED} AND {when} ORDER BY s.due, s.seq");
            let mut find = self.session.prepare(&sql)?;
            let parameters = [self.queue.id, self.queue.claimed_to, self.now.as_micros()];
            let read = |row: &Row<'_>| {
                let due =
                    Due { at: row.get(0)?, seq: row.get(1)?, key: row.get(2)?, is_charged: row.get(3)? };
                Ok((due, row.get(4)?))
            };
            let mut found = find.query_map(parameters, read)?;
            while free.len() < limit
                && let Some(one) = found.next()
            {
                match one? {
                    (due, true) => behind.push(due),
                    (due, false) => free.push(due),
                }
            }
        }
        for due in behind {
            let sql =
                "UPDATE bus_side SET behind = 1 WHERE queue = ?1 AND key = ?2 AND aside = 1 AND seq = ?3";
            self.session.prepare(sql)?.execute(params![self.queue.id, due.key, due.seq])?;
        }
        Ok(free)
    }
}
