//! The laws of the store seam, kept by the `SQLite` store.
//!
//! `BUS_TEST_SYNCHRONOUS=normal` does not wait for the disk: the laws test logic, durability has tests of its own.

mod sqlite {
    use std::sync::{Arc, Mutex};

    use bus_core::BoxFuture;
    use bus_store::Store;
    use bus_store::conformance::{Foreign, Rig, TransactionEnd};
    use bus_store_sqlite::{SqliteOptions, SqliteStore, Synchronous};
    use rusqlite::TransactionBehavior;
    use tempfile::TempDir;

    struct InFolder(TempDir);

    impl InFolder {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a folder for the store"))
        }
    }

    impl Rig for InFolder {
        fn open(&self) -> BoxFuture<'_, Arc<dyn Store>> {
            Box::pin(async {
                let synchronous = match std::env::var("BUS_TEST_SYNCHRONOUS") {
                    Ok(text) if text == "normal" => Synchronous::Normal,
                    _ => Synchronous::Full,
                };
                let options = SqliteOptions::default().synchronous(synchronous);
                let store =
                    SqliteStore::open(self.0.path().join("bus.db"), options).expect("the store opens");
                Arc::new(store) as Arc<dyn Store>
            })
        }

        fn foreign(&self) -> Option<Box<dyn Foreign>> {
            let db = rusqlite::Connection::open(self.0.path().join("bus.db")).expect("the file opens");
            db.busy_timeout(std::time::Duration::from_secs(5)).expect("it waits");
            Some(Box::new(Connection(Mutex::new(db))))
        }
    }

    /// Another connection to the same file, as an application has one.
    struct Connection(Mutex<rusqlite::Connection>);

    impl Foreign for Connection {
        fn execute(&self, statement: &str, texts: &[&str], end: TransactionEnd) -> Result<(), String> {
            let mut db = self.0.lock().expect("nobody panicked");
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).expect("begun");
            for text in texts {
                transaction.execute(statement, [text]).map_err(|error| error.to_string())?;
            }
            let ended = match end {
                TransactionEnd::Committed => transaction.commit(),
                TransactionEnd::RolledBack => transaction.rollback(),
            };
            ended.map_err(|error| error.to_string())
        }
    }

    bus_store::conformance!(InFolder::new());
}
