//! The one thread that writes.
//!
//! It takes a piece of work, then whatever else has queued up, and makes all of it durable with one commit. It never
//! sleeps to gather more: while one commit is on its way to the disk, the next ones queue up by themselves. Callers
//! are answered after the commit. A piece of work that the store refuses is undone alone; what fails in `SQLite` fails
//! the whole transaction, and then each piece of work is tried by itself if one of them may be at fault, or if the
//! store is full: what needs no room, or makes some, goes on.

mod room;
mod work;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use bus_store::{StoreError, StoreErrorKind};
use rusqlite::Connection;

use crate::checkpoint::Nudges;
use crate::error::{Fault, Severity, is_full, severity, told};
use crate::failpoint;
use crate::session::{Effects, Memo, Session};
use crate::status::Status;
use work::isolated;
pub(crate) use work::{Job, Progress, Waiting, Write};

/// The most pieces of work that share a transaction.
const JOBS_PER_COMMIT_MAX: usize = 1_000;

/// The most bytes of payload that share a transaction, so that one commit does not take long.
const BYTES_PER_COMMIT_MAX: usize = 8 * 1024 * 1024;

/// How often an idle writer looks whether another process has written.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long the lock is left to others between two commits while they write, too. SQLite's locks have no line to stand
/// in: who waits asks again now and then, and must find it free.
const PAUSE_FOR_OTHERS: Duration = Duration::from_millis(1);

/// Before how many commits that is done after each time that somebody else has written.
const PAUSES_FOR_OTHERS: u32 = 100;

/// What the writer's thread is sent.
pub(crate) enum Message {
    Job(Box<dyn Job>),
    /// Finish what was sent before, and end.
    Close,
}

/// The writer's thread.
pub(crate) struct Writer {
    pub(crate) db: Connection,
    pub(crate) inbox: Receiver<Message>,
    pub(crate) status: Arc<Status>,
    pub(crate) nudges: Nudges,
    pub(crate) memo: Memo,
    /// The quota, in pages.
    pub(crate) pages_max: Option<u32>,
    /// Whether work may go beyond it now.
    pub(crate) is_reserve_open: bool,
    /// Before how many commits others are still let in.
    pub(crate) pauses_left: u32,
}

/// How a transaction was lost.
enum Lost {
    Failed(rusqlite::Error),
    Panicked,
}

impl Writer {
    /// Works until it is told to close, everybody who could ask is gone, or the disk fails.
    pub(crate) fn run(mut self) {
        let mut batch: Vec<Box<dyn Job>> = Vec::new();
        let mut again: VecDeque<Box<dyn Job>> = VecDeque::new();
        let mut is_closing = false;
        while self.status.failure().is_none() {
            batch.extend(again.drain(..));
            if batch.is_empty() && !is_closing {
                match self.inbox.recv_timeout(LOOK_EVERY) {
                    Ok(Message::Job(job)) => batch.push(job),
                    Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => is_closing = true,
                    Err(RecvTimeoutError::Timeout) => self.look(),
                }
            }
            self.let_others_in();
            is_closing |= self.fill(&mut batch);
            if batch.is_empty() {
                if is_closing {
                    break;
                }
                continue;
            }
            self.commit(&mut batch, &mut again);
        }
        let failure = self.status.failure().map(str::to_owned);
        for job in batch.drain(..).chain(again) {
            job.fail(&|operation| Status::closed(failure.as_deref(), operation));
        }
        self.status.close();
    }

    /// Leaves the lock alone for a moment, if others have written lately; what queues up meanwhile shares the commit.
    fn let_others_in(&mut self) {
        if self.pauses_left > 0 {
            self.pauses_left -= 1;
            // Nobody wakes this thread: it is a pause.
            std::thread::park_timeout(PAUSE_FOR_OTHERS);
        }
    }

    /// Adds what has queued up. Whether the store is to be closed.
    fn fill(&self, batch: &mut Vec<Box<dyn Job>>) -> bool {
        let mut bytes: usize = batch.iter().map(|job| job.weight()).sum();
        while batch.len() < JOBS_PER_COMMIT_MAX && bytes < BYTES_PER_COMMIT_MAX {
            match self.inbox.try_recv() {
                Ok(Message::Job(job)) => {
                    bytes += job.weight();
                    batch.push(job);
                }
                Ok(Message::Close) => return true,
                Err(_) => return false,
            }
        }
        false
    }

    /// Does all of the work in one transaction, and answers. What is not done yet stands in `again` afterwards.
    fn commit(&mut self, batch: &mut Vec<Box<dyn Job>>, again: &mut VecDeque<Box<dyn Job>>) {
        let lost = match self.attempt(batch) {
            Ok(effects) => {
                if self.memo.is_full && self.has_room(batch) {
                    tracing::info!("there is room in the store again");
                    self.memo.is_full = false;
                }
                for queue in effects.bells() {
                    self.status.doorbell.ring(queue);
                }
                for job in batch.drain(..) {
                    if job.is_done() {
                        job.answer();
                    } else {
                        again.push_back(job);
                    }
                }
                return;
            }
            Err(lost) => lost,
        };
        self.roll_back();
        for job in batch.iter_mut() {
            job.undo();
        }
        match lost {
            Lost::Failed(error) => self.after_failure(&error, batch, again),
            Lost::Panicked if batch.len() > 1 => self.one_by_one(batch, again),
            Lost::Panicked => {
                for job in batch.drain(..) {
                    job.fail(&|operation| {
                        let message =
                            "the store's writer panicked, and nothing of this was written: please report it";
                        StoreError::new(StoreErrorKind::Unsupported, operation, message)
                    });
                }
            }
        }
    }

    fn after_failure(
        &mut self,
        error: &rusqlite::Error,
        batch: &mut Vec<Box<dyn Job>>,
        again: &mut VecDeque<Box<dyn Job>>,
    ) {
        if self.status.failure().is_some() {
            // Answered, with the reason, when the thread ends.
            return;
        }
        if is_full(error) && (!self.memo.is_full || batch.len() > 1) {
            if !self.memo.is_full {
                tracing::warn!("the store is full: what ends makes room now, and is not kept as history");
            }
            self.memo.is_full = true;
            return self.one_by_one(batch, again);
        }
        if is_full(error) && batch.iter().all(|job| job.weight() == 0) {
            if self.open_reserve() {
                self.commit(batch, again);
                return self.close_reserve();
            }
            if self.is_reserve_open && self.forget_history() {
                return self.commit(batch, again);
            }
        }
        match severity(error) {
            Severity::Guilty if batch.len() > 1 => return self.one_by_one(batch, again),
            Severity::Guilty | Severity::Transient => {
                tracing::warn!(%error, jobs = batch.len(), "a transaction of the store failed");
            }
            Severity::Fatal => {
                tracing::error!(%error, "the store stops: what is on the disk is not known any more");
                self.status.fail(error.to_string());
            }
        }
        for job in batch.drain(..) {
            job.fail(&|operation| told(error, operation));
        }
    }

    /// Does each piece of work in a transaction of its own, so that only the one at fault fails.
    fn one_by_one(&mut self, batch: &mut Vec<Box<dyn Job>>, again: &mut VecDeque<Box<dyn Job>>) {
        for job in std::mem::take(batch) {
            if self.status.failure().is_some() {
                batch.push(job);
            } else {
                self.commit(&mut vec![job], again);
            }
        }
    }

    fn attempt(&mut self, batch: &mut [Box<dyn Job>]) -> Result<Effects, Lost> {
        let attempt = catch_unwind(AssertUnwindSafe(|| self.transaction(batch)));
        match attempt {
            Ok(Ok(effects)) => Ok(effects),
            Ok(Err(error)) => Err(Lost::Failed(error)),
            Err(_panic) => Err(Lost::Panicked),
        }
    }

    fn transaction(&mut self, batch: &mut [Box<dyn Job>]) -> rusqlite::Result<Effects> {
        let Self { db, memo, status, nudges, pauses_left, .. } = self;
        let changes_before = db.total_changes();
        db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        if memo.look(db)? {
            // At once: this transaction may fail, and the next one sees no change any more.
            status.ring_all();
            *pauses_left = PAUSES_FOR_OTHERS;
        }
        let mut effects = Effects::default();
        for job in batch.iter_mut() {
            let mut session = Session::new(db, memo);
            if session.is_schema_unsure()
                && let Err(Fault::Refused { message, .. }) = session.check_schema()
            {
                status.fail(message);
                return Err(rusqlite::Error::InvalidQuery);
            }
            match isolated(&mut session, job.as_mut()) {
                Ok(()) => effects.absorb(session.effects),
                Err(Fault::Failed(error)) => return Err(error),
                Err(fault @ Fault::Refused { .. }) => {
                    session.effects = Effects::default();
                    match job.refuse(&mut session, &fault) {
                        Err(Fault::Failed(error)) => return Err(error),
                        Ok(()) | Err(Fault::Refused { .. }) => effects.absorb(session.effects),
                    }
                }
            }
        }
        effects.write(db)?;
        Session::new(db, memo).write_sequence()?;
        failpoint::reached(failpoint::BEFORE_COMMIT)?;
        db.prepare_cached("COMMIT")?.execute([])?;
        failpoint::reached(failpoint::AFTER_COMMIT)?;
        memo.is_schema_unsure = false;
        nudges.committed(db.total_changes() - changes_before);
        Ok(effects)
    }

    fn roll_back(&mut self) {
        // Some failures have rolled back already.
        if !self.db.is_autocommit()
            && let Err(error) = self.db.execute_batch("ROLLBACK")
        {
            self.status.fail(error.to_string());
        }
        self.memo.forget();
    }

    /// Rings all bells if another process has written.
    fn look(&mut self) {
        match self.memo.look(&self.db) {
            Ok(true) => self.status.ring_all(),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "could not look for what other processes wrote"),
        }
    }
}

#[cfg(test)]
mod tests;
