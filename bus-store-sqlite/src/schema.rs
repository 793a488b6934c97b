//! The tables, and how a file gets them.

use std::error::Error as _;

use bus_store::{StoreError, StoreErrorKind};
use refinery::Runner;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use crate::error::{Fault, Severity, refusal, severity, told};

mod embedded {
    refinery::embed_migrations!("src/migrations");
}

/// Where the migrations that a file has had are written down; not where an application that uses refinery, too,
/// writes its own.
const HISTORY_TABLE: &str = "bus_schema_history";

/// The migrations as SQL, for people who run them by hand or want to read them first.
pub fn migrations_sql() -> String {
    let mut migrations = runner().get_migrations().clone();
    // They come by their files' names, where 11 stands before 2.
    migrations.sort_unstable_by_key(refinery::Migration::version);
    let each = migrations
        .iter()
        .map(|migration| format!("-- {migration}\n\n{}", migration.sql().unwrap_or_default()));
    each.collect::<Vec<_>>().join("\n")
}

/// Gives the file the tables of this version. Several processes may do so at once.
///
/// All that is missing is done in one `IMMEDIATE` transaction, which also writes it down under a unique version:
/// of two processes that both found the same migration missing, the second one fails as a whole, looks again, and
/// finds it done.
pub(crate) fn migrate(db: &mut Connection, file: &str) -> Result<(), StoreError> {
    check_not_newer(db).map_err(|fault| fault.told("open"))?;
    if version(db).map_err(|error| told(&error, "open"))? == Some(newest()) {
        return Ok(());
    }
    db.set_transaction_behavior(TransactionBehavior::Immediate);
    let migrated = runner().run(db);
    db.set_transaction_behavior(TransactionBehavior::Deferred);
    let Err(error) = migrated else { return Ok(()) };
    check_not_newer(db).map_err(|fault| fault.told("open"))?;
    if version(db).is_ok_and(|version| version == Some(newest())) {
        return Ok(());
    }
    let cause = error.source().and_then(|source| source.downcast_ref::<rusqlite::Error>());
    if let Some(cause) = cause.filter(|cause| severity(cause) == Severity::Transient) {
        return Err(told(cause, "open"));
    }
    let message = format!(
        "the tables of the bus could not be made in `{file}`: if it holds tables named `bus_…` that are not the bus's, \
         choose another file; if this user may not write it, allow that"
    );
    Err(StoreError::new(StoreErrorKind::Corrupt, "open", message).with_source(error))
}

/// Refuses a file whose tables are not those of this version.
pub(crate) fn check_current(db: &Connection, file: &str) -> Result<(), StoreError> {
    check_not_newer(db).map_err(|fault| fault.told("open"))?;
    let message = match version(db).map_err(|error| told(&error, "open"))? {
        Some(found) if found == newest() => return Ok(()),
        Some(found) => format!(
            "`{file}` has schema {found}, written by an older version of the bus, and this one needs {}: update and start \
             the application, or migrate the file",
            newest()
        ),
        None => format!("`{file}` has no tables of the bus; name the store that the application uses"),
    };
    Err(StoreError::new(StoreErrorKind::Unsupported, "open", message))
}

/// Refuses a file that a newer version of the bus has changed.
pub(crate) fn check_not_newer(db: &Connection) -> Result<(), Fault> {
    let (known, found) = (newest(), version(db)?);
    match found {
        Some(found) if found > known => Err(refusal(
            StoreErrorKind::Unsupported,
            format!(
                "the store has schema {found}, written by a newer version of the bus; this one knows up to {known}: \
                 update this program"
            ),
        )),
        _ => Ok(()),
    }
}

/// The version of the file's tables; `None` when it has none of ours.
fn version(db: &Connection) -> rusqlite::Result<Option<i64>> {
    let has_history = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    let has_history: Option<i64> =
        db.prepare_cached(has_history)?.query_row([HISTORY_TABLE], |row| row.get(0)).optional()?;
    if has_history.is_none() {
        return Ok(None);
    }
    let newest = format!("SELECT max(version) FROM {HISTORY_TABLE}");
    db.prepare_cached(&newest)?.query_row([], |row| row.get(0))
}

/// The version of the tables that this program knows.
fn newest() -> i64 {
    let migrations = runner();
    let versions = migrations.get_migrations().iter().map(refinery::Migration::version);
    versions.max().map_or(0, i64::from)
}

fn runner() -> Runner {
    let mut runner = embedded::migrations::runner().set_grouped(true);
    runner.set_migration_table_name(HISTORY_TABLE);
    runner
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;
    use crate::open::{Purpose, SqliteOptions, connect};

    #[test]
    fn connections_that_migrate_at_once_all_succeed() {
        let folder = tempfile::tempdir().unwrap();
        for round in 0..20 {
            let file = folder.path().join(format!("{round}.db"));
            let barrier = Barrier::new(4);
            let migrate_at_once = || {
                let mut db = connect(&file, SqliteOptions::default(), Purpose::Writing).unwrap();
                barrier.wait();
                migrate(&mut db, "bus.db").map(|()| version(&db).unwrap())
            };
            thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(migrate_at_once)).collect();
                for thread in threads {
                    assert_eq!(thread.join().unwrap().unwrap(), Some(newest()), "round {round}");
                }
            });
        }
    }
}
