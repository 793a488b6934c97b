//! A full store: what brings nothing new goes on, so that what ends can make room.

use super::{Job, Writer};
use crate::error::Fault;
use crate::session::Session;
use crate::task_log::history::forget_earliest;

/// How many pages beyond its quota a full store may use for work that brings nothing new.
const RESERVE_PAGES: i64 = 256;

impl Writer {
    /// Whether something that needs room was written, or there is some.
    pub(super) fn has_room(&self, batch: &[Box<dyn Job>]) -> bool {
        let free = || self.db.query_row("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0));
        batch.iter().any(|job| job.weight() > 0) || free().is_ok_and(|free| free >= RESERVE_PAGES)
    }

    /// Lets work that brings nothing new go beyond the quota for once: without it nothing would ever end. Whether there
    /// is a quota to go beyond, and it was not opened already.
    pub(super) fn open_reserve(&mut self) -> bool {
        let Some(quota) = self.pages_max.filter(|_| !self.is_reserve_open) else { return false };
        self.is_reserve_open = self.set_quota(i64::from(quota) + RESERVE_PAGES);
        self.is_reserve_open
    }

    pub(super) fn close_reserve(&mut self) {
        self.is_reserve_open = false;
        if let Some(quota) = self.pages_max {
            self.set_quota(i64::from(quota));
        }
    }

    /// Where the reserve is used up, too, what ended before gives way to what ends now. Whether there was any.
    pub(super) fn forget_history(&mut self) -> bool {
        match self.try_forget() {
            Ok(forgotten) => {
                tracing::warn!(forgotten, "the store is full, its reserve, too: history is forgotten early");
                forgotten > 0
            }
            Err(_still_full) => {
                self.roll_back();
                false
            }
        }
    }

    fn try_forget(&mut self) -> Result<usize, Fault> {
        self.db.execute_batch("BEGIN IMMEDIATE")?;
        let forgotten = forget_earliest(&Session::new(&self.db, &mut self.memo))?;
        self.db.execute_batch("COMMIT")?;
        Ok(forgotten)
    }

    fn set_quota(&self, pages: i64) -> bool {
        self.db.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).is_ok()
    }
}
