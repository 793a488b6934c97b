//! Which process may work on the queues: the one that holds the lock on the file beside the database.
//!
//! The operating system gives up the lock when the process ends, however it ends, so that the next one gets it at
//! once.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use bus_store::{StoreError, StoreErrorKind};
use tokio::sync::watch;

use crate::status::Status;

const OPERATION: &str = "wait for ownership";

/// The lock on the file beside the database.
#[derive(Debug)]
pub(crate) struct Owner {
    path: PathBuf,
    shared: Arc<Shared>,
    status: Arc<Status>,
}

#[derive(Debug)]
struct Shared {
    place: Mutex<Place>,
    /// Changes whenever `place` does.
    changes: watch::Sender<()>,
}

#[derive(Debug)]
enum Place {
    /// Nobody has asked for the lock, or asking failed.
    Outside,
    /// A thread stands in line for it.
    InLine,
    /// It is held as long as this file is open.
    Inside(#[expect(dead_code, reason = "dropping it gives up the lock")] File),
    /// Asking failed, for whoever waits to see.
    Failed(String),
    /// The store is closed.
    Closed,
}

impl Owner {
    /// Of the database in this file.
    pub(crate) fn new(database: &Path, status: Arc<Status>) -> Self {
        let mut name = database.as_os_str().to_owned();
        name.push("-owner");
        let shared = Shared { place: Mutex::new(Place::Outside), changes: watch::Sender::new(()) };
        Self { path: name.into(), shared: Arc::new(shared), status }
    }

    /// Waits until this process may work on the queues.
    pub(crate) async fn wait(&self) -> Result<(), StoreError> {
        let mut changes = self.shared.changes.subscribe();
        loop {
            self.status.check_open(OPERATION)?;
            if self.has_lock()? {
                return Ok(());
            }
            // It changes when the thread in line gets the lock, or when the store is closed.
            let _ = changes.changed().await;
        }
    }

    /// Gives up the lock for good.
    pub(crate) fn close(&self) {
        self.shared.set(Place::Closed);
    }

    /// Whether the lock is held; if not, somebody stands in line for it afterwards.
    fn has_lock(&self) -> Result<bool, StoreError> {
        let mut place = self.shared.place.lock().unwrap_or_else(PoisonError::into_inner);
        match &*place {
            Place::Inside(_) => return Ok(true),
            Place::InLine => return Ok(false),
            Place::Closed => return Err(Status::closed(None, OPERATION)),
            Place::Failed(reason) => {
                let error = self.failed(reason);
                *place = Place::Outside;
                return Err(error);
            }
            Place::Outside => {}
        }
        let file = self.open().map_err(|error| self.failed(&error.to_string()))?;
        match file.try_lock() {
            Ok(()) => {
                *place = Place::Inside(file);
                return Ok(true);
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(self.failed(&error.to_string())),
        }
        let shared = Arc::clone(&self.shared);
        let stand_in_line = move || {
            let locked = file.lock();
            shared.set_if_in_line(match locked {
                Ok(()) => Place::Inside(file),
                Err(error) => Place::Failed(error.to_string()),
            });
        };
        let thread = thread::Builder::new().name("bus-sqlite-owner".to_owned()).spawn(stand_in_line);
        thread.map_err(|error| self.failed(&error.to_string()))?;
        *place = Place::InLine;
        Ok(false)
    }

    fn open(&self) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.path)
    }

    fn failed(&self, reason: &str) -> StoreError {
        let path = self.path.display();
        StoreError::new(
            StoreErrorKind::Unavailable,
            OPERATION,
            format!("`{path}` cannot be locked ({reason}): allow this user to write it, on a local disk"),
        )
    }
}

impl Shared {
    fn set(&self, new: Place) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = new;
        self.changes.send_replace(());
    }

    /// A store that was closed in the meantime does not want the lock any more.
    fn set_if_in_line(&self, new: Place) {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*place, Place::InLine) {
            *place = new;
            drop(place);
            self.changes.send_replace(());
        }
    }
}
