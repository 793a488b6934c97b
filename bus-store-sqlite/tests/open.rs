//! What the store refuses to open, what it says then, and what it leaves alone.

#[path = "support/processes.rs"]
mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use bus_core::Timestamp;
use bus_store::{Commit, Durability, Outcome, Settlement, Store, StoreError, StoreErrorKind, TaskLog};
use bus_store_sqlite::{SqliteOptions, SqliteStore, Synchronous, migrations_sql};
use common::{Process, say, task};
use rusqlite::Connection;
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn open(file: impl AsRef<Path>) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(file, SqliteOptions::default())
}

/// A refusal is of its kind, names the file, and says what to do.
#[track_caller]
fn check(refused: &Result<SqliteStore, StoreError>, kind: StoreErrorKind, file: &Path, remedy: &str) {
    let error = refused.as_ref().expect_err("it must be refused");
    check_text(&error.to_string(), file, remedy);
    assert_eq!(error.kind(), kind, "{error}");
}

#[track_caller]
fn check_text(text: &str, file: &Path, remedy: &str) {
    let name = file.file_name().expect("a name").to_string_lossy();
    assert!(text.starts_with("open: "), "{text}");
    assert!(text.contains(&*name), "it names `{name}`: {text}");
    assert!(text.contains(remedy), "it says `{remedy}`: {text}");
}

#[test]
fn a_text_file_is_no_store() {
    let folder = folder();
    let (long, short) = (folder.path().join("notes.txt"), folder.path().join("short.txt"));
    fs::write(&long, "Dear diary, ".repeat(1_000)).expect("write");
    fs::write(&short, "Dear diary").expect("write");
    for file in [long, short] {
        let before = fs::read(&file).expect("read");
        check(&open(&file), StoreErrorKind::Corrupt, &file, "choose another file");
        assert_eq!(fs::read(&file).expect("read"), before, "it was left as it was");
    }
}

#[tokio::test]
async fn a_missing_folder_is_made() {
    let folder = folder();
    let file = folder.path().join("var/lib/bus.db");
    let store = open(&file).expect("open");
    assert!(file.exists());
    assert_eq!(store.path(), fs::canonicalize(&file).expect("a path"));
    store.close().await;
}

#[test]
fn a_path_beneath_a_file_is_refused() {
    let folder = folder();
    let file = folder.path().join("file");
    fs::write(&file, "").expect("write");
    check(&open(file.join("bus.db")), StoreErrorKind::Unavailable, &file, "choose a folder");
}

#[test]
fn a_folder_is_no_store() {
    let folder = folder();
    check(&open(folder.path()), StoreErrorKind::Unsupported, folder.path(), "name a file in it");
}

/// Opens what its parent, who may be root, must not try itself.
#[test]
fn child_that_is_refused() {
    let Some(file) = common::child_file() else { return };
    match open(file) {
        Ok(_) => say("opened"),
        Err(error) => say(&format!("{:?} {error}", error.kind())),
    }
}

/// Tries to open a file as somebody who has no rights of his own to it.
fn refusal_of_a_stranger(folder: &TempDir, file: &Path) -> String {
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("permissions");
    let is_root = fs::metadata("/proc/self").expect("this process").uid() == 0;
    let child = if is_root {
        Process::start_as_nobody("child_that_is_refused", file)
    } else {
        Process::start("child_that_is_refused", file)
    };
    child.finish().pop().expect("the child tried")
}

#[test]
fn a_folder_that_cannot_be_written_is_refused() {
    let folder = folder();
    let locked = folder.path().join("locked");
    fs::create_dir(&locked).expect("a folder");
    fs::set_permissions(&locked, Permissions::from_mode(0o555)).expect("permissions");
    let file = locked.join("bus.db");
    let refusal = refusal_of_a_stranger(&folder, &file);
    let text = refusal.strip_prefix("Unavailable ").expect(&refusal);
    check_text(text, &file, "folder that this user may write");

    let deeper = locked.join("deeper/bus.db");
    let refusal = refusal_of_a_stranger(&folder, &deeper);
    let text = refusal.strip_prefix("Unavailable ").expect(&refusal);
    check_text(text, &locked.join("deeper"), "choose a folder that this user may write");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_refused() {
    let folder = folder();
    let shared = folder.path().join("shared");
    fs::create_dir(&shared).expect("a folder");
    fs::set_permissions(&shared, Permissions::from_mode(0o777)).expect("permissions");
    let file = shared.join("bus.db");
    open(&file).expect("open").close().await;
    fs::set_permissions(&file, Permissions::from_mode(0o444)).expect("permissions");
    let refusal = refusal_of_a_stranger(&folder, &file);
    let text = refusal.strip_prefix("Unavailable ").expect(&refusal);
    check_text(text, &file, "allow this user to write");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let folder = folder();
    let file = folder.path().join("bus.db");
    open(&file).expect("open").close().await;
    write_newer_schema(&file);
    let refused = open(&file).expect_err("it is newer");
    assert_eq!(refused.kind(), StoreErrorKind::Unsupported);
    assert!(refused.to_string().contains("schema 99"), "{refused}");
    assert!(refused.to_string().contains("update this program"), "{refused}");
}

fn write_newer_schema(file: &Path) {
    let db = Connection::open(file).expect("open");
    db.execute_batch(
        "INSERT INTO bus_schema_history (version, name, applied_on, checksum)
         VALUES (99, 'of_tomorrow', '2030-01-01T00:00:00Z', '1')",
    )
    .expect("a newer schema");
}

#[tokio::test]
async fn a_store_stops_when_another_process_brings_a_newer_schema() {
    let folder = folder();
    let file = folder.path().join("bus.db");
    let store = open(&file).expect("open");
    write_newer_schema(&file);
    let commit = || Commit { tasks: vec![task("x", "one")], ..Commit::at(Timestamp::EPOCH) };
    for _ in 0..2 {
        let refused = store.commit(commit()).await.expect_err("it is newer");
        assert_eq!(refused.kind(), StoreErrorKind::Closed);
        assert!(refused.to_string().contains("update this program"), "{refused}");
    }
    store.close().await;
}

#[tokio::test]
async fn tables_of_somebody_else_are_not_touched() {
    let folder = folder();
    let file = folder.path().join("bus.db");
    let db = Connection::open(&file).expect("open");
    db.execute_batch("CREATE TABLE bus_task (stop TEXT); INSERT INTO bus_task VALUES ('main street')")
        .expect("a table");
    check(&open(&file), StoreErrorKind::Corrupt, &file, "choose another file");
    let stop: String = db.query_row("SELECT stop FROM bus_task", [], |row| row.get(0)).expect("it is there");
    assert_eq!(stop, "main street");
    let ours = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'bus~_%' ESCAPE '~' AND type = 'table'";
    let tables: i64 = db.query_row(ours, [], |row| row.get(0)).expect("a count");
    assert!(tables <= 2, "nothing of ours was left behind but the history: {tables}");
}

#[tokio::test]
async fn a_file_of_the_host_stays_the_hosts() {
    let folder = folder();
    let file = folder.path().join("app.db");
    let db = Connection::open(&file).expect("open");
    db.execute_batch(
        "PRAGMA application_id = 1234; PRAGMA user_version = 5678; CREATE TABLE person (name TEXT);
         INSERT INTO person VALUES ('Ada')",
    )
    .expect("a host's file");
    let store = open(&file).expect("open");
    store
        .commit(Commit { tasks: vec![task("x", "one")], ..Commit::at(Timestamp::EPOCH) })
        .await
        .expect("log");
    store.close().await;
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).expect(sql);
    assert_eq!(number("PRAGMA application_id"), 1234);
    assert_eq!(number("PRAGMA user_version"), 5678);
    assert_eq!(number("SELECT count(*) FROM person"), 1);
    // SQLite keeps the numbers of `AUTOINCREMENT` in a table of its own.
    let strangers = "SELECT count(*) FROM sqlite_schema WHERE tbl_name NOT IN ('person', 'sqlite_sequence')
                     AND tbl_name NOT LIKE 'bus~_%' ESCAPE '~'";
    assert_eq!(number(strangers), 0, "all that is ours begins with `bus_`");
}

#[test]
fn the_migrations_can_be_run_by_hand() {
    let db = Connection::open_in_memory().expect("open");
    db.execute_batch(&migrations_sql()).expect("the migrations are SQL");
}

#[tokio::test]
async fn durability_is_told_as_it_was_asked_for() {
    let folder = folder();
    let expected =
        [(Synchronous::Full, Durability::PowerLoss), (Synchronous::Normal, Durability::ProcessKill)];
    for (synchronous, durability) in expected {
        let options = SqliteOptions::default().synchronous(synchronous);
        let store = SqliteStore::open(folder.path().join("bus.db"), options).expect("open");
        assert_eq!(store.options().synchronous, synchronous);
        assert_eq!(store.capabilities().durability, durability);
        store.close().await;
    }
}

/// Logging fails when there is no room; finishing what is there still works, and makes room.
#[tokio::test]
async fn a_full_store_refuses_and_goes_on_when_there_is_room() {
    let folder = folder();
    let options = SqliteOptions::default().pages_max(200);
    let store = SqliteStore::open(folder.path().join("bus.db"), options).expect("open");
    let log = |title: String| {
        let mut task = task("x", &title);
        task.data = vec![b'x'; 20_000];
        store.commit(Commit { tasks: vec![task], ..Commit::at(Timestamp::EPOCH) })
    };
    let mut logged = 0;
    let full = loop {
        match log(format!("task {logged}")).await {
            Ok(_) => logged += 1,
            Err(error) => break error,
        }
        assert!(logged < 200, "it has a quota");
    };
    assert_eq!(full.kind(), StoreErrorKind::Unavailable);
    assert!(full.to_string().contains("make room"), "{full}");
    assert!(logged > 10, "{logged}");

    let owner = common::own(&store).await;
    let claim = common::claim(&store, &owner, 10).await;
    assert_eq!(claim.len(), 10);
    let settlements = claim.iter();
    let settlements = settlements
        .map(|claimed| Settlement { delivery: claimed.delivery, outcome: Outcome::Completed })
        .collect();
    let commit = Commit { settlements, ownership: Some(owner), ..Commit::at(Timestamp::EPOCH) };
    store.commit(commit).await.expect("finishing needs no room");
    log("after".to_owned()).await.expect("there is room again");
    store.close().await;
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let folder = folder();
    let store = open(folder.path().join("bus.db")).expect("open");
    store.close().await;
    store.close().await;
    let commit = Commit { tasks: vec![task("x", "one")], ..Commit::at(Timestamp::EPOCH) };
    let refused = store.commit(commit).await.expect_err("it is closed");
    assert_eq!(refused.kind(), StoreErrorKind::Closed);
    assert!(refused.to_string().contains("open it again"), "{refused}");
}
