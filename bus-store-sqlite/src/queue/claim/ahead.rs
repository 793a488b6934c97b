//! Claiming while what is claimed already is worked on.

use super::{PAGE_ROWS, Turn};
use crate::error::Fault;

impl Turn<'_, '_> {
    /// Claims what is fresh in the line, up to the first that may not run beside what is claimed already: that is left for a
    /// claim that finds nothing else, which sets it aside if it has to. Nothing where others have their turn first.
    pub(super) fn claim_ahead(&mut self, limit: usize) -> Result<(), Fault> {
        if !self.due(1)?.is_empty() || self.has_fresh_at_the_side()? {
            return Ok(());
        }
        let window = self.keys_in_line(self.queue.claimed_to)?;
        for (claimed, has_lane) in self.page(self.queue.claimed_to, limit.min(PAGE_ROWS))? {
            if has_lane || window.contains(&claimed.key) {
                break;
            }
            self.queue.claimed_to = claimed.delivery.0;
            self.claimed.push(claimed);
        }
        Ok(())
    }

    fn has_fresh_at_the_side(&self) -> Result<bool, Fault> {
        let sql = "SELECT EXISTS (SELECT 1 FROM bus_lane WHERE queue = ?1 AND kind = 0)";
        Ok(self.session.prepare(sql)?.query_row([self.queue.id], |row| row.get(0))?)
    }
}
