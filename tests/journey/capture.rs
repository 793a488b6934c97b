//! Tables of the application that programs change which know nothing of the bus: triggers tell of it. The program is
//! `sqlite3`, of whatever version the machine has. Told on SQLite only: a store in memory has no tables.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use bus_core::{ChangeSummary, Direction, Listener, ObjectOperation, ObjectType, Veto};
use bus_runtime::{Logged, Ordering, Processing, StoreConfig, Synchronous};
use bus_store_sqlite::capture::{self, Capture};
use bus_store_sqlite::{SqliteOptions, SqliteStore};
use bus_testkit::{FakePeer, RunningTestBus, TestBus};
use bus_tests::{FieldLog, User};
use rusqlite::{Connection, TransactionBehavior};
use tempfile::TempDir;

use crate::told::{ops, with_crm};

const TABLE: &str = "PRAGMA journal_mode = WAL;
    CREATE TABLE users (id INTEGER PRIMARY KEY, guid BLOB NOT NULL DEFAULT x'00000000000000000000000000000001',
        login TEXT NOT NULL COLLATE NOCASE UNIQUE, full_name TEXT NOT NULL DEFAULT '', note TEXT, site TEXT, company INTEGER,
        manager INTEGER, password_hash BLOB);";

/// The application's file.
struct Host {
    folder: TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Self { folder: TempDir::new().unwrap() };
        host.sqlite3(TABLE);
        host
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("app.db")
    }

    /// Has the command-line program execute this; answers what it prints. It must not move the write-ahead log.
    fn try_sqlite3(&self, sql: &str) -> Result<String, String> {
        let mut program = Command::new("sqlite3")
            .args(["-batch", "-bail", self.file().to_str().unwrap()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program `sqlite3` is there (Debian: apt-get install sqlite3)");
        let script = format!(
            ".timeout 5000\n.output /dev/null\nPRAGMA wal_autocheckpoint = 0;\n.output stdout\n{sql};\n"
        );
        program.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let output = program.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    fn sqlite3(&self, sql: &str) -> String {
        self.try_sqlite3(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    fn store(&self) -> SqliteStore {
        SqliteStore::open(
            self.file(),
            SqliteOptions::default().synchronous(bus_store_sqlite::Synchronous::Normal),
        )
        .unwrap()
    }

    async fn apply(&self) {
        capture::apply(&self.store(), users()).await.unwrap();
    }

    async fn drift(&self) -> Vec<String> {
        let drift = capture::check(&self.store()).await.unwrap();
        drift.iter().map(ToString::to_string).collect()
    }

    /// A bus in the application's file, with a connector that writes a line for all that happens to users.
    async fn bus(&self) -> (RunningTestBus, FakePeer) {
        self.started(|bus| bus).await
    }

    async fn started(&self, with: impl FnOnce(TestBus) -> TestBus) -> (RunningTestBus, FakePeer) {
        let (path, log) = (self.file(), FakePeer::new("log"));
        let bus = TestBus::new().connector::<FieldLog>("log").object::<User>().provide(log.clone());
        // Nothing overtakes anything, so that what is told has one order.
        let mut processing = Processing::default();
        processing.ordering = Ordering::Connector;
        let bus = bus.processing(processing);
        let bus = bus.configure(move |config| {
            config.store = StoreConfig::Sqlite { path, synchronous: Synchronous::Normal };
        });
        (with(bus).start().await, log)
    }
}

fn users() -> Capture {
    let users = Capture::new(ObjectType::parse("app.user").unwrap(), "users", "id");
    users.named("full_name", "name").without("password_hash")
}

async fn told(bus: &RunningTestBus, log: &FakePeer) -> Vec<String> {
    bus.relay_soon();
    bus.until_idle().await;
    log.take_calls()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_program_writes_is_told_in_its_order() {
    let host = Host::new();
    host.sqlite3("INSERT INTO users (id, login) VALUES (1, 'root')");
    host.apply().await;
    let (bus, log) = host.bus().await;
    for (sql, expected) in [
        (
            "INSERT INTO users (id, login) VALUES (17, 'ada'), (18, 'eve')",
            vec!["create ada simple", "create eve simple"],
        ),
        // What was there before is known of by the table, and told of when it changes.
        ("UPDATE users SET full_name = 'Root' WHERE id = 1", vec!["update root simple"]),
        // A column that takes both for equal does not make them so.
        ("UPDATE users SET login = 'ADA' WHERE id = 17", vec!["update ADA simple"]),
        ("UPDATE users SET login = 'ada', note = NULL WHERE id = 17", vec!["update ada simple"]),
        ("UPDATE users SET login = login", vec![]),
        ("UPDATE users SET password_hash = x'00ff' WHERE id = 17", vec![]),
        (
            "INSERT INTO users (id, login) VALUES (17, 'ada') ON CONFLICT (id) DO UPDATE SET note = 'upserted'",
            vec!["update ada simple"],
        ),
        ("INSERT INTO users (id, login) VALUES (17, 'x') ON CONFLICT DO NOTHING", vec![]),
        ("INSERT OR IGNORE INTO users (id, login) VALUES (17, 'x')", vec![]),
        ("BEGIN; UPDATE users SET note = 'never'; DELETE FROM users; ROLLBACK", vec![]),
        (
            "BEGIN; INSERT INTO users (id, login) VALUES (20, 'bob'); UPDATE users SET note = 'x' WHERE id = 20; \
          DELETE FROM users WHERE id = 20; COMMIT",
            vec!["create bob simple", "update bob simple", "delete bob simple"],
        ),
        (
            "UPDATE users SET guid = x'0000000000000000000000000000aaaa' WHERE id = 18",
            vec!["update eve simple"],
        ),
        // Another key is another object.
        ("UPDATE users SET id = 19 WHERE id = 18", vec!["delete eve simple", "create eve simple"]),
        // The row that it replaces goes without a word.
        ("REPLACE INTO users (id, login) VALUES (17, 'ada lovelace')", vec!["update ada lovelace simple"]),
        (
            "PRAGMA recursive_triggers = ON; REPLACE INTO users (id, login) VALUES (17, 'ada')",
            vec!["delete ada lovelace simple", "create ada simple"],
        ),
        ("DELETE FROM users", vec!["delete root simple", "delete ada simple", "delete eve simple"]),
        ("INSERT INTO users (id, login) VALUES (17, 'ada')", vec!["create ada simple"]),
    ] {
        host.sqlite3(sql);
        assert_eq!(told(&bus, &log).await, expected, "{sql}");
    }
    assert_eq!(host.drift().await, [] as [&str; 0]);
    assert_eq!(bus.outbox().await.unwrap().parked, 0);
    bus.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_while_no_bus_runs_is_told_by_the_next() {
    let host = Host::new();
    host.apply().await;
    host.sqlite3("INSERT INTO users (id, login) VALUES (17, 'ada')");
    host.sqlite3("UPDATE users SET full_name = 'Ada' WHERE id = 17");
    let (bus, log) = host.bus().await;
    assert_eq!(told(&bus, &log).await, ["create ada simple", "update ada simple"]);
    assert_eq!(bus.counters("log", Direction::Outgoing).await.logged, 2);
    bus.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_cannot_be_read_as_its_type_is_parked_and_holds_nobody() {
    let host = Host::new();
    host.apply().await;
    let (bus, log) = host.bus().await;
    host.sqlite3("INSERT INTO users (id, login, guid) VALUES (17, 'ada', 'no guid'), (18, x'00ff', x'00'), (0, 'zero', 1)");
    host.sqlite3("INSERT INTO users (id, login) VALUES (19, 'eve')");
    assert_eq!(told(&bus, &log).await, ["create eve simple"]);
    let parked = bus.outbox().await.unwrap().parked_entries;
    assert_eq!(parked.len(), 3);
    let text = String::from_utf8(parked[0].text.clone()).unwrap();
    assert!(text.contains("no guid"), "{text}");
    assert!(parked[0].error.contains("cannot be read as app.user"), "{}", parked[0].error);
    let text = String::from_utf8(parked[1].text.clone()).unwrap();
    assert!(text.contains("\"login\":\"00FF\""), "{text}");
    bus.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_transaction_tells_itself_is_not_told_twice() {
    let host = Host::new();
    host.apply().await;
    let (bus, log) = host.bus().await;
    let (begin, end) = (capture::OWN_CHANGES_BEGIN, capture::OWN_CHANGES_END);
    host.sqlite3(&format!("BEGIN; {begin}; INSERT INTO users (id, login) VALUES (17, 'ada'); {end}; COMMIT"));
    assert_eq!(told(&bus, &log).await, [] as [&str; 0]);
    // Logged by whoever writes it: once.
    let bob = User { id: 20, ..User::new("bob", "Bob") };
    let statement = bus.log(Logged::created(&bob)).await.unwrap();
    let mut db = Connection::open(host.file()).unwrap();
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    transaction.execute(begin, []).unwrap();
    transaction.execute("INSERT INTO users (id, login) VALUES (20, 'bob')", []).unwrap();
    transaction.execute(end, []).unwrap();
    transaction.execute(statement.sql(), [statement.json()]).unwrap();
    transaction.commit().unwrap();
    assert_eq!(told(&bus, &log).await, ["create bob simple"]);
    host.sqlite3("UPDATE users SET note = 'told' WHERE id = 17");
    assert_eq!(told(&bus, &log).await, ["update ada simple"]);
    // Whoever forgets to end it cannot commit, or is found out.
    let forgotten = format!("{begin}; INSERT INTO users (id, login) VALUES (18, 'eve'); COMMIT");
    let refused = host.try_sqlite3(&format!("PRAGMA foreign_keys = ON; BEGIN; {forgotten}")).unwrap_err();
    assert!(refused.contains("FOREIGN KEY constraint failed"), "{refused}");
    assert_eq!(host.drift().await, [] as [&str; 0]);
    host.sqlite3(&format!("PRAGMA foreign_keys = OFF; BEGIN; {forgotten}"));
    let drift = bus.capture_drift().await.unwrap();
    assert!(drift[0].what.contains("DELETE FROM bus_origin"), "{drift:?}");
    bus.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_behind_its_back_is_found() {
    let host = Host::new();
    host.apply().await;
    host.sqlite3("INSERT INTO users (id, login) VALUES (17, 'ada'), (18, 'eve')");
    assert_eq!(host.drift().await, [] as [&str; 0]);
    host.sqlite3(
        "DROP TRIGGER \"bus_capture_app.user_insert\"; INSERT INTO users (id, login) VALUES (19, 'bob')",
    );
    let gone = "capture of app.user: the trigger `bus_capture_app.user_insert` on `users` is gone: changes since then were not \
                captured; apply it anew, and have it tell of all rows";
    let untold = "capture of app.user: 1 rows came into `users` without a trigger (by `REPLACE`, or while it was not there): \
                  nobody was told; apply it anew, and have it tell of all rows";
    assert_eq!(host.drift().await, [gone, untold]);
    let (bus, log) = host.bus().await;
    let seen: Vec<_> = bus.capture_drift().await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(seen, [gone]);
    assert_eq!(told(&bus, &log).await, ["create ada simple", "create eve simple"]);
    // What was missed is new to whoever is told of all.
    capture::apply(&host.store(), users().telling_all()).await.unwrap();
    assert_eq!(host.drift().await, [] as [&str; 0]);
    assert_eq!(told(&bus, &log).await, ["update ada simple", "update eve simple", "create bob simple"]);
    host.sqlite3("INSERT INTO users (id, login) VALUES (20, 'zoe')");
    assert_eq!(told(&bus, &log).await, ["create zoe simple"]);
    // A row that goes because another one takes its login goes without a word.
    host.sqlite3("REPLACE INTO users (id, login) VALUES (21, 'zoe')");
    assert!(host.drift().await[0].contains("1 rows went from `users` without a trigger"));
    host.apply().await;
    host.sqlite3("ALTER TABLE users ADD COLUMN phone TEXT");
    assert!(host.drift().await[0].contains("column `phone` was added to `users` and is not told of"));
    host.sqlite3("ALTER TABLE users RENAME COLUMN note TO remark");
    let renamed = host.drift().await.join("\n");
    assert!(renamed.contains("column `note` of `users` is gone, or has another name"), "{renamed}");
    assert!(renamed.contains("is not as it was made"), "{renamed}");
    host.sqlite3("DROP TABLE users");
    assert!(host.drift().await[0].contains("table `users` is gone"));
    assert!(capture::remove(&host.store(), &ObjectType::parse("app.user").unwrap()).await.unwrap());
    assert_eq!(host.drift().await, [] as [&str; 0]);
    bus.shutdown().await;
}

#[tokio::test]
async fn a_table_that_cannot_be_captured_is_refused_with_the_reason() {
    let host = Host::new();
    host.sqlite3("CREATE VIEW people AS SELECT * FROM users; CREATE TABLE pairs (a INTEGER, b INTEGER, PRIMARY KEY (a, b))");
    let store = host.store();
    let of = |table: &str, key: &str| Capture::new(ObjectType::parse("app.user").unwrap(), table, key);
    for (capture, reason) in [
        (of("user", "id"), "there is no table `user` in the store's file"),
        (of("people", "id"), "`people` is no table that triggers can watch"),
        (of("bus_task", "id"), "table `bus_task` is not the application's"),
        (of("users", "uid"), "table `users` has no column `uid`; it has id, guid"),
        (of("users", "full_name"), "column `full_name` of `users` is not unique"),
        (of("pairs", "a"), "column `a` of `pairs` is not unique"),
        (of("users", "id").without("id"), "column `id` of `users` is the id"),
        (
            of("users", "id").named("full_name", "login"),
            "columns `login` and `full_name` of `users` would both be the field `login`",
        ),
    ] {
        let error = capture::apply(&store, capture.clone()).await.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert!(capture::ddl(&store, &capture).await.is_err());
    }
    assert_eq!(
        host.sqlite3("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'users'"),
        "0"
    );
}

/// Keeps users as long as it is told to.
struct Guard(Arc<AtomicBool>);

impl Listener for Guard {
    fn before_logging(&self, change: &ChangeSummary) -> Result<(), Veto> {
        if self.0.load(Relaxed) && change.operation == ObjectOperation::Delete {
            return Err(Veto::because("users are kept for ten years"));
        }
        Ok(())
    }
}

/// The row is gone by then: what is refused is that others are told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_listener_refuses_is_parked_and_told_once_it_may_be() {
    let host = Host::new();
    host.apply().await;
    let keeps = Arc::new(AtomicBool::new(true));
    let (bus, log) = host.started(|bus| bus.listen(Guard(Arc::clone(&keeps)))).await;
    host.sqlite3(
        "INSERT INTO users (id, login) VALUES (17, 'ada'), (18, 'eve'); DELETE FROM users WHERE id = 17",
    );
    host.sqlite3("UPDATE users SET note = 'told' WHERE id = 18");
    assert_eq!(told(&bus, &log).await, ["create ada simple", "create eve simple", "update eve simple"]);
    let [parked] = bus.outbox().await.unwrap().parked_entries.try_into().unwrap();
    assert!(parked.error.contains("users are kept for ten years"), "{}", parked.error);
    keeps.store(false, Relaxed);
    assert!(bus.retry_entry(parked.id, &ops()).await.unwrap());
    assert_eq!(told(&bus, &log).await, ["delete ada simple"]);
    bus.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_no_trigger_has_left_is_parked_with_the_reason() {
    let host = Host::new();
    let (bus, log) = host.bus().await;
    let row = r#"{"id":1,"guid":"00000000000000000000000000000001","login":"ada","name":""}"#;
    let other = row.replacen('1', "2", 1);
    let cases = [
        (
            r#""raw":{"type":"app.usr","op":"insert","new":{"id":1}}"#.to_owned(),
            "this program does not declare app.usr",
        ),
        (
            format!(r#""raw":{{"type":"app.user","op":"insert","old":{row}}}"#),
            "it holds other rows than its operation has",
        ),
        (
            format!(r#""raw":{{"type":"app.user","op":"update","old":{row},"new":{other}}}"#),
            "an id does not change",
        ),
        (format!(r#""raw":{{"type":"app.user","op":"upsert","new":{row}}}"#), "unknown variant `upsert`"),
        (format!(r#""raw":{{"type":"app.user","op":"insert","new":{row},"by":"me"}}"#), "unknown field `by`"),
        (r#""raw":{"type":"No Type","op":"insert"}"#.to_owned(), "it is not a row as capture leaves it"),
        (r#""raw":17"#.to_owned(), "it is not a row as capture leaves it"),
    ];
    for (entry, _) in &cases {
        host.sqlite3(&format!("INSERT INTO bus_outbox (entry) VALUES ('{{\"v\":1,{entry}}}')"));
    }
    assert_eq!(told(&bus, &log).await, [] as [&str; 0]);
    let parked = bus.outbox().await.unwrap().parked_entries;
    assert_eq!(parked.len(), cases.len());
    for ((entry, reason), parked) in cases.iter().zip(parked) {
        assert!(parked.error.contains(reason), "{entry}: {}", parked.error);
    }
    bus.shutdown().await;
}

/// Statements of a program that does anything to a few users; the same for the same number.
struct Whims(u64);

impl Whims {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn statement(&mut self, number: usize) -> String {
        let (one, other) = (self.below(8) + 1, self.below(8) + 1);
        // Logins are new each time: what a `REPLACE` takes away because of another unique column, nobody is told.
        let values = format!("VALUES ({one}, 'u{number}', 'name {other}')");
        let insert = |how: &str| format!("INSERT {how} INTO users (id, login, full_name) {values}");
        match self.below(11) {
            0 | 1 => insert("OR IGNORE"),
            2 => insert("OR REPLACE"),
            3 => format!(
                "PRAGMA recursive_triggers = ON; {}; PRAGMA recursive_triggers = OFF",
                insert("OR REPLACE")
            ),
            4 => insert("") + " ON CONFLICT (id) DO UPDATE SET full_name = excluded.full_name, note = NULL",
            5 => format!("UPDATE users SET note = 'n{number}' WHERE id >= {one}"),
            6 => format!("UPDATE users SET full_name = full_name, password_hash = x'{number:08x}'"),
            7 => format!("UPDATE OR IGNORE users SET id = {other} WHERE id = {one}"),
            8 => format!(
                "BEGIN; DELETE FROM users WHERE id <> {one}; UPDATE users SET note = 'never'; ROLLBACK"
            ),
            9 => format!("BEGIN; DELETE FROM users WHERE id = {one}; {}; COMMIT", insert("OR IGNORE")),
            _ => format!("DELETE FROM users WHERE id IN ({one}, {other})"),
        }
    }
}

/// Whatever the program does, and whenever the bus looks: what the external system has in the end is the table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_external_system_ends_with_what_the_table_holds() {
    for seed in 1..=6 {
        let host = Host::new();
        host.apply().await;
        let path = host.file();
        let (bus, peer, _) = with_crm(TestBus::new().configure(move |config| {
            config.store = StoreConfig::Sqlite { path, synchronous: Synchronous::Normal };
        }));
        let bus = bus.start().await;
        let mut whims = Whims(seed);
        for script in 0..5 {
            let statements: Vec<_> = (0..40).map(|number| whims.statement(script * 40 + number)).collect();
            host.sqlite3(&statements.join(";\n"));
            bus.relay_soon();
        }
        bus.until_idle().await;
        let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
        let records = peer.records();
        let mut kept: Vec<_> = records
            .values()
            .map(|user| {
                format!(
                    "{}|{}|{}|{}",
                    user["id"],
                    text(&user["login"]),
                    text(&user["name"]),
                    text(&user["note"])
                )
            })
            .collect();
        kept.sort_unstable();
        let table = host.sqlite3("SELECT id, login, full_name, ifnull(note, '-') FROM users ORDER BY id");
        assert_eq!(kept, table.lines().collect::<Vec<_>>(), "seed {seed}");
        assert_eq!(host.drift().await, [] as [&str; 0], "seed {seed}");
        assert_eq!(bus.outbox().await.unwrap().parked, 0, "seed {seed}");
        assert!(!peer.calls().is_empty());
        bus.shutdown().await;
    }
}
