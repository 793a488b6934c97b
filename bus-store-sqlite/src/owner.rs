//! Which process owns a queue, and whether that process is alive.
//!
//! Every process that wants queues takes a slot: a number, and the lock on the file beside the database that is named
//! after it. The operating system gives up the lock when the process ends, however it ends, so that a dead owner is
//! known at once. A process that holds its lock but does nothing (stopped, hanging) is found by asking: whoever wants
//! its queue writes down that it asked, and a process that is alive answers with its next heartbeat.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use bus_store::{Heartbeat, StoreError, StoreErrorKind};
use rusqlite::{OptionalExtension, params};
use tokio::sync::watch;

use crate::error::Fault;
use crate::session::Session;
use crate::writer::{Progress, Write};

/// The most processes that can work on one database at a time.
const SLOTS_MAX: i64 = 1_000;

/// A process that took a slot: the slot, and how many had it, this one included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) slot: i64,
    pub(crate) life: i64,
}

/// The slots of a database, and the one that this process took.
#[derive(Debug)]
pub(crate) struct Slots {
    database: PathBuf,
    mine: Mutex<Option<(i64, File)>>,
    /// For each slot that somebody waits for: rung when its lock was free for a moment.
    lines: Lines,
}

type Lines = Arc<Mutex<HashMap<i64, watch::Sender<()>>>>;

impl Slots {
    /// Of the database in this file.
    pub(crate) fn of(database: &Path) -> Self {
        Self { database: database.to_owned(), mine: Mutex::default(), lines: Lines::default() }
    }

    /// The slot of this process; takes one the first time.
    pub(crate) fn take(&self) -> Result<i64, StoreError> {
        let mut mine = self.mine.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((slot, _)) = &*mine {
            return Ok(*slot);
        }
        for slot in 1..=SLOTS_MAX {
            let file = self.open(slot).map_err(|error| self.cannot_lock(slot, &error))?;
            match file.try_lock() {
                Ok(()) => {
                    *mine = Some((slot, file));
                    return Ok(slot);
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(self.cannot_lock(slot, &error)),
            }
        }
        let message = format!("{SLOTS_MAX} processes work on `{}`: end some", self.database.display());
        Err(StoreError::new(StoreErrorKind::Unavailable, OPERATION, message))
    }

    /// Gives the slot up: others may have this process's queues.
    pub(crate) fn give_up(&self) {
        *self.mine.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether some process has this slot. Not to be asked about one's own.
    pub(crate) fn is_taken(&self, slot: i64) -> bool {
        // Where it cannot be told, nobody loses a queue for it.
        self.open(slot).map_or(true, |file| file.try_lock().is_err())
    }

    /// Stands in line for a slot: what is answered changes once the slot's lock was free.
    pub(crate) fn stand_in_line(&self, slot: i64) -> Result<watch::Receiver<()>, StoreError> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(&slot) {
            return Ok(line.subscribe());
        }
        let file = self.open(slot).map_err(|error| self.cannot_lock(slot, &error))?;
        // Not the slots themselves: the thread may outlive the store, whose own slot is to be free then.
        let waiting = Arc::clone(&self.lines);
        let wait = move || {
            // An error is told by whoever asks next.
            let _ = file.lock();
            drop(file);
            let line = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&slot);
            if let Some(line) = line {
                line.send_replace(());
            }
        };
        let thread = thread::Builder::new().name(format!("bus-sqlite-line-{slot}")).spawn(wait);
        thread.map_err(|error| self.cannot_lock(slot, &error))?;
        let (line, listening) = watch::channel(());
        lines.insert(slot, line);
        Ok(listening)
    }

    fn path(&self, slot: i64) -> PathBuf {
        let mut name = self.database.as_os_str().to_owned();
        name.push(format!("-owner-{slot}"));
        name.into()
    }

    fn open(&self, slot: i64) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(self.path(slot))
    }

    fn cannot_lock(&self, slot: i64, error: &io::Error) -> StoreError {
        let path = self.path(slot);
        let message = format!(
            "`{}` cannot be locked ({error}): allow this user to write it, on a local disk",
            path.display()
        );
        StoreError::new(StoreErrorKind::Unavailable, OPERATION, message)
    }
}

const OPERATION: &str = "acquire";

/// Registers this process under its slot.
pub(crate) struct Register {
    pub(crate) slot: i64,
}

impl Write for Register {
    type Answer = Process;
    const OPERATION: &'static str = OPERATION;

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<Process>, Fault> {
        let sql = "INSERT INTO bus_owner (slot, life) VALUES (?1, 1)
                   ON CONFLICT (slot) DO UPDATE SET life = life + 1, asked = 0, answered = 0 RETURNING life";
        let life = session.prepare(sql)?.query_row([self.slot], |row| row.get(0))?;
        Ok(Progress::Done(Process { slot: self.slot, life }))
    }
}

/// Answers whoever has asked.
pub(crate) struct Answer {
    pub(crate) me: Process,
}

impl Write for Answer {
    type Answer = ();
    const OPERATION: &'static str = "heartbeat";

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<()>, Fault> {
        let sql = "UPDATE bus_owner SET answered = asked WHERE slot = ?1 AND life = ?2";
        session.prepare(sql)?.execute([self.me.slot, self.me.life])?;
        Ok(Progress::Done(()))
    }
}

/// Why a queue of another process cannot be had: that one is alive, or may be. `None` when it can be had.
pub(crate) fn refuses(
    session: &Session<'_>,
    slots: &Slots,
    me: Process,
    owner: Process,
    silent: Option<&Heartbeat>,
) -> Result<Option<Heartbeat>, Fault> {
    let sql = "SELECT life, answered FROM bus_owner WHERE slot = ?1";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let Some((life, answered)) = session.prepare(sql)?.query_row([owner.slot], read).optional()? else {
        return Ok(None);
    };
    // Whoever has the slot now is another process, or this one.
    if life != owner.life || owner.slot == me.slot || !slots.is_taken(owner.slot) {
        return Ok(None);
    }
    let seen = Heartbeat { owner: format!("{}/{}", owner.slot, owner.life), beat: answered };
    if silent == Some(&seen) {
        tracing::warn!(owner = seen.owner, "the process that owns the queue does not answer: it is replaced");
        return Ok(None);
    }
    let sql = "UPDATE bus_owner SET asked = asked + 1 WHERE slot = ?1 AND life = ?2";
    session.prepare(sql)?.execute(params![owner.slot, owner.life])?;
    Ok(Some(seen))
}

/// The process that owns a queue, from the columns `owner` and `owner_life`.
pub(crate) fn owner_of(slot: Option<i64>, life: Option<i64>) -> Option<Process> {
    Some(Process { slot: slot?, life: life? })
}
