//! The laws of the store seam, kept by the `SQLite` store.
//!
//! `BUS_TEST_SYNCHRONOUS=normal` does not wait for the disk: the laws test logic, durability has tests of its own.

mod sqlite {
    use std::sync::Arc;

    use bus_core::BoxFuture;
    use bus_store::Store;
    use bus_store::conformance::Rig;
    use bus_store_sqlite::{SqliteOptions, SqliteStore, Synchronous};
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
    }

    bus_store::conformance!(InFolder::new());
}
