//! Calls that block their thread for longer than their time-out: each keeps its key, and its slot is replaced.

use std::time::Duration;

use bus_core::Timestamp;

use super::Session;

/// How many calls that block their thread may have outlasted their time-out before nothing more is called: each has
/// been given another thread.
pub(super) const OVERDUE_MAX: usize = 4;

impl Session<'_, '_> {
    pub(super) fn overdue(&self) -> usize {
        let now = self.worker.shared.now();
        let ends = self.ends();
        if self.blocks() { ends.filter(|end| *end <= now).count() } else { 0 }
    }

    /// When the next call outlasts its time-out, if it blocks; it may have done so since the last were noted.
    pub(super) fn overdue_next(&self) -> Option<Timestamp> {
        let mut ends: Vec<Timestamp> = if self.blocks() { self.ends().collect() } else { Vec::new() };
        ends.sort_unstable();
        ends.get(self.left.overdue).copied()
    }

    /// Says so when there are more of them than when it was said last.
    pub(super) fn note_overdue(&mut self) {
        let overdue = self.overdue();
        let before = std::mem::replace(&mut self.left.overdue, overdue);
        if overdue <= before {
            return;
        }
        let connector = &self.worker.queue.connector;
        if overdue > OVERDUE_MAX {
            let error = format!(
                "{overdue} of its calls have not returned in time, so nothing more is called until some of them do; give \
                 its client time-outs of its own"
            );
            tracing::error!(%connector, overdue, "{error}");
            self.worker.connection.enlisted.failed_to_connect(error, self.worker.shared.now());
        } else {
            tracing::warn!(%connector, overdue, "a call blocks its thread for longer than its time-out; its object waits for it");
        }
    }

    fn blocks(&self) -> bool {
        self.worker.connection.enlisted.blocks()
    }

    /// By when each of the calls that run should have ended.
    fn ends(&self) -> impl Iterator<Item = Timestamp> {
        let timeout = Duration::from_millis(self.worker.connection.enlisted.processing.call_timeout_ms);
        self.left.begun.iter().map(move |begun| begun.at.plus(timeout))
    }
}
