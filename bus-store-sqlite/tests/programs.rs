//! The random programs of the laws, in their thousands: the same that run against the store in memory.
//!
//! They test logic, not durability, so nothing waits for a disk: the files are in memory where the system has a place for
//! that.

use std::path::Path;
use std::sync::{Arc, Mutex};

use bus_core::BoxFuture;
use bus_store::Store;
use bus_store::conformance::Rig;
use bus_store::conformance::programs::run_programs;
use bus_store_sqlite::{SqliteOptions, SqliteStore, Synchronous};
use rusqlite::Connection;
use tempfile::TempDir;

/// Opens a new file each time, so that what former programs left does not slow down the later ones; the one before is
/// closed by then.
#[derive(Default)]
struct Fleeting {
    /// What is wrong with the files: a trigger, in SQL.
    bug: &'static str,
    folder: Mutex<Option<TempDir>>,
}

impl Rig for Fleeting {
    fn open(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        Box::pin(async {
            let in_memory = Path::new("/dev/shm");
            let folder = if in_memory.is_dir() { TempDir::new_in(in_memory) } else { TempDir::new() };
            let folder = folder.expect("a folder for the store");
            let file = folder.path().join("bus.db");
            *self.folder.lock().expect("nobody panicked here") = Some(folder);
            let options = SqliteOptions::default().synchronous(Synchronous::Normal);
            let store = SqliteStore::open(&file, options).expect("the store opens");
            Connection::open(&file).and_then(|db| db.execute_batch(self.bug)).expect("it is SQL");
            Arc::new(store) as Arc<dyn Store>
        })
    }
}

/// Those that run against the store in memory, too.
#[test]
fn ten_thousand_random_programs() {
    run_programs(&[&Fleeting::default(), &Fleeting::default()], 1_000, 10_000);
}

/// A run that cannot fail shows nothing: files that change by themselves what the store has written, each in one way.
#[test]
fn random_programs_catch_files_with_a_bug() {
    let bugs = [
        // A failure costs no attempt.
        "CREATE TRIGGER bug AFTER INSERT ON bus_side WHEN NEW.state = 2 AND NEW.attempts > 0
         BEGIN UPDATE bus_side SET attempts = attempts - 1 WHERE queue = NEW.queue AND seq = NEW.seq; END",
        // What is parked steps aside.
        "CREATE TRIGGER bug AFTER INSERT ON bus_side WHEN NEW.state = 5 AND NEW.aside = 0
         BEGIN UPDATE bus_side SET aside = 1 WHERE queue = NEW.queue AND seq = NEW.seq; END",
        // A second of a key waits for nobody.
        "CREATE TRIGGER bug AFTER INSERT ON bus_lane WHEN NEW.kind = 2
         BEGIN DELETE FROM bus_lane WHERE queue = NEW.queue AND key = NEW.key; END",
        // Nobody is woken.
        "CREATE TRIGGER bug AFTER INSERT ON bus_wait BEGIN DELETE FROM bus_wait WHERE what = NEW.what; END",
        // An owner stays one.
        "CREATE TRIGGER bug AFTER UPDATE OF epoch ON bus_queue WHEN NEW.epoch > 2
         BEGIN UPDATE bus_queue SET epoch = 2 WHERE id = NEW.id; END",
        // What is discarded is not counted.
        "CREATE TRIGGER bug AFTER UPDATE OF discarded ON bus_queue WHEN NEW.discarded > 0
         BEGIN UPDATE bus_queue SET discarded = 0 WHERE id = NEW.id; END",
        // What completed is forgotten.
        "CREATE TRIGGER bug AFTER INSERT ON bus_history WHEN NEW.state = 0
         BEGIN DELETE FROM bus_history WHERE seq = NEW.seq; END",
        // A deletion is not remembered.
        "CREATE TRIGGER bug AFTER INSERT ON bus_deleted_connector BEGIN DELETE FROM bus_deleted_connector; END",
    ];
    let is_missed = |bug: &&'static str| {
        let files = Fleeting { bug, ..Fleeting::default() };
        std::panic::catch_unwind(|| run_programs(&[&files], 0, 100)).is_ok()
    };
    let missed: Vec<_> = bugs.into_iter().filter(is_missed).collect();
    assert!(missed.is_empty(), "no program fails on files that are spoilt so: {missed:#?}");
}
