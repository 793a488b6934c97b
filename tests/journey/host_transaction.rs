//! Objects in the application's own tables: a change and its task become true together, whatever library wrote them.
//! Told on SQLite only: no transaction of an application reaches into a store in memory.

use std::sync::{Arc, Mutex};
use std::thread;

use bus_core::{ChangeSummary, Direction, Listener, ObjectKey, ObjectOperation, Ref, TaskId, Veto};
use bus_runtime::{BusErrorKind, Cause, Logged, Question, Statement, StoreConfig, Synchronous};
use bus_testkit::{FakePeer, RunningTestBus, TestBus};
use bus_tests::{Company, EventLog, FieldLog, User};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tempfile::TempDir;

use crate::told::{ops, with_crm};
use crate::typed_listeners::Registrar;

/// The application's file: its own table, and the bus's.
struct Host {
    folder: TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Self { folder: TempDir::new().unwrap() };
        let table = "CREATE TABLE users (id INTEGER PRIMARY KEY, login TEXT NOT NULL, name TEXT NOT NULL)";
        host.connect().execute_batch(&format!("PRAGMA journal_mode = WAL; {table}")).unwrap();
        host
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("app.db")
    }

    /// A bus in the application's file.
    fn bus(&self) -> TestBus {
        let path = self.file();
        TestBus::new().configure(move |config| {
            config.store = StoreConfig::Sqlite { path, synchronous: Synchronous::Normal };
        })
    }

    fn connect(&self) -> Connection {
        Connection::open(self.file()).unwrap()
    }
}

/// A bus with one connector that writes a line for all that happens to users.
async fn logging_bus(host: &Host) -> (RunningTestBus, FakePeer) {
    let log = FakePeer::new("log");
    let bus = host.bus().connector::<EventLog>("event-log").object::<User>().provide(log.clone());
    (bus.start().await, log)
}

fn begin(db: &mut Connection) -> Transaction<'_> {
    db.transaction_with_behavior(TransactionBehavior::Immediate).unwrap()
}

/// Executes what the bus has written.
fn execute(db: &Connection, statement: &Statement) -> usize {
    db.execute(statement.sql(), [statement.json()]).unwrap()
}

fn insert(db: &Connection, user: &User) {
    db.execute("INSERT INTO users VALUES (?1, ?2, ?3)", (user.id, &user.login, &user.name)).unwrap();
}

fn count(db: &Connection, sql: &str) -> i64 {
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn ada() -> User {
    User { id: 17, ..User::new("ada", "Ada") }
}

#[tokio::test]
async fn a_commit_is_both_and_a_rollback_neither() {
    let host = Host::new();
    let (bus, log) = logging_bus(&host).await;
    let mut db = host.connect();
    for (user, is_committed) in [(ada(), false), (ada(), true), (User { id: 18, ..ada() }, false)] {
        let statement = bus.log(Logged::created(&user)).await.unwrap();
        let transaction = begin(&mut db);
        insert(&transaction, &user);
        assert_eq!(execute(&transaction, &statement), 1);
        if is_committed {
            transaction.commit().unwrap();
        } else {
            transaction.rollback().unwrap();
        }
        bus.relay_soon();
        bus.until_idle().await;
        let users = u64::try_from(count(&db, "SELECT count(*) FROM users")).unwrap();
        assert_eq!(bus.counters("event-log", Direction::Outgoing).await.logged, users);
    }
    assert_eq!(log.calls(), ["create ada snapshot"]);
    assert_eq!(bus.outbox().await.unwrap().entries, 0);
}

#[tokio::test]
async fn what_is_written_while_no_bus_runs_is_delivered_by_the_next() {
    let host = Host::new();
    let (bus, _) = logging_bus(&host).await;
    let created = bus.log(Logged::created(&ada())).await.unwrap();
    let renamed = User { name: "Ada Lovelace".to_owned(), ..ada() };
    let updated = bus.log(Logged::updated(&ada(), &renamed)).await.unwrap();
    bus.shutdown().await;
    let db = host.connect();
    execute(&db, &created);
    execute(&db, &updated);
    let (bus, log) = logging_bus(&host).await;
    bus.until_idle().await;
    assert_eq!(log.calls(), ["create ada snapshot", "update ada snapshot"]);
    bus.shutdown().await;
}

/// The relay hears of it by itself: nobody waits for it to be idle, or calls `relay_soon`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_is_noticed_without_a_word() {
    let host = Host::new();
    let (bus, log) = logging_bus(&host).await;
    let statement = bus.log(Logged::created(&ada())).await.unwrap();
    let mut bell = bus.store().outbox_bell();
    bell.mark_unchanged();
    execute(&host.connect(), &statement);
    bell.changed().await.unwrap();
    crate::told::until(async || !log.calls().is_empty()).await;
    assert_eq!(log.calls(), ["create ada snapshot"]);
}

const THREADS: i64 = 8;
const TRANSACTIONS_EACH: i64 = 60;
const USERS: i64 = 5;

/// Many threads change a few users, each time by one more than was there; some roll back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_per_object_is_the_order_of_the_statements_across_transactions() {
    let host = Host::new();
    let (bus, log) = logging_bus(&host).await;
    let user = |id: i64, version: i64| User { id, ..User::new(&format!("{id}:{version}"), "") };
    (0..USERS).for_each(|id| insert(&host.connect(), &user(id + 1, 0)));
    let (bus, host, runtime) = (Arc::new(bus), Arc::new(host), tokio::runtime::Handle::current());
    let threads = (0..THREADS).map(|number| {
        let (bus, host, runtime) = (Arc::clone(&bus), Arc::clone(&host), runtime.clone());
        thread::spawn(move || {
            let mut db = host.connect();
            for round in 0..TRANSACTIONS_EACH {
                let id = (number + round) % USERS + 1;
                let transaction = begin(&mut db);
                let sql = "SELECT login FROM users WHERE id = ?1";
                let login: String = transaction.query_row(sql, [id], |row| row.get(0)).unwrap();
                let version: i64 = login.split_once(':').unwrap().1.parse().unwrap();
                let (before, after) = (user(id, version), user(id, version + 1));
                transaction.execute("UPDATE users SET login = ?1 WHERE id = ?2", (&after.login, id)).unwrap();
                // The lock is held: the bus only reads.
                let statement = runtime.block_on(bus.log(Logged::updated(&before, &after))).unwrap();
                execute(&transaction, &statement);
                if round % 7 == 3 { transaction.rollback() } else { transaction.commit() }.unwrap();
            }
        })
    });
    let threads: Vec<_> = threads.collect();
    tokio::task::spawn_blocking(|| threads.into_iter().for_each(|thread| thread.join().unwrap()))
        .await
        .unwrap();
    bus.until_idle().await;
    let calls = log.calls();
    let db = host.connect();
    let mut delivered = 0;
    for id in 1..=USERS {
        let of_user = |call: &&String| call.starts_with(&format!("update {id}:"));
        let told: Vec<_> = calls.iter().filter(of_user).cloned().collect();
        let expected: Vec<_> =
            (1..=told.len()).map(|version| format!("update {id}:{version} snapshot")).collect();
        assert_eq!(told, expected);
        let sql = format!("SELECT count(*) FROM users WHERE login = '{id}:{}'", told.len());
        assert_eq!(count(&db, &sql), 1, "the last one told is what is there");
        delivered += told.len();
    }
    let rolled_back = (0..TRANSACTIONS_EACH).filter(|round| round % 7 == 3).count();
    let all = usize::try_from(THREADS * TRANSACTIONS_EACH).unwrap();
    assert_eq!(delivered, all - rolled_back * usize::try_from(THREADS).unwrap());
}

#[tokio::test]
async fn a_statement_that_is_executed_twice_is_logged_once() {
    let host = Host::new();
    let (bus, log) = logging_bus(&host).await;
    let statement = bus.log(Logged::created(&ada())).await.unwrap();
    let db = host.connect();
    execute(&db, &statement);
    execute(&db, &statement);
    bus.until_idle().await;
    execute(&db, &statement);
    bus.until_idle().await;
    assert_eq!(log.calls(), ["create ada snapshot"]);
    assert_eq!(bus.counters("event-log", Direction::Outgoing).await.logged, 1);
}

#[tokio::test]
async fn what_was_written_by_hand_is_parked_and_holds_nobody() {
    let host = Host::new();
    let (bus, log) = logging_bus(&host).await;
    let statement = bus.log(Logged::created(&ada())).await.unwrap();
    let mut other: serde_json::Value = serde_json::from_str(statement.json()).unwrap();
    other["tasks"][0]["key"] = "app.user=18".into();
    let db = host.connect();
    let by_hand = "INSERT INTO bus_outbox (entry) VALUES (?1)";
    assert!(db.execute(by_hand, ["no JSON"]).is_err(), "the table itself refuses it");
    for garbage in ["{\"hello\": 1}", "{\"v\": 2, \"raw\": {}}", "[]", &other.to_string()] {
        db.execute(by_hand, [garbage]).unwrap();
    }
    db.execute("INSERT INTO bus_outbox (entry) VALUES (CAST(x'22ff22' AS TEXT))", []).unwrap();
    execute(&db, &statement);
    bus.until_idle().await;
    assert_eq!(log.calls(), ["create ada snapshot"]);

    let outbox = bus.outbox().await.unwrap();
    assert_eq!((outbox.entries, outbox.parked), (0, 5));
    let reasons: Vec<_> = outbox.parked_entries.iter().map(|parked| parked.error.as_str()).collect();
    assert!(reasons[0].starts_with("it was not written by `Bus::log`: missing field `v`"), "{reasons:?}");
    assert!(reasons[1].ends_with("update this program, then retry it"), "{reasons:?}");
    assert!(reasons[3].starts_with("its key `app.user=18` is not that of app.user 17"), "{reasons:?}");
    assert_eq!(outbox.parked_entries[4].text, b"\"\xff\"");
    let audit = bus.audit().await.unwrap();
    assert!(audit.to_string().ends_with("and 5 that could not be read"), "{audit}");

    let nobody = ObjectKey { object_type: "app.user".parse().unwrap(), id: bus_core::ObjectId::Number(4) };
    let question = Question::Object(nobody, "event-log".parse().unwrap());
    let explanation = bus.explain(question).await.unwrap();
    assert!(matches!(explanation.cause, Cause::NotRelayed { .. }), "{explanation}");
    assert!(
        explanation.to_string().contains("5 could not be read; `Bus::outbox` shows why"),
        "{explanation}"
    );

    let first = outbox.parked_entries[0].id;
    assert!(bus.retry_entry(first, &ops()).await.unwrap());
    bus.until_idle().await;
    assert_eq!(bus.outbox().await.unwrap().parked, 5, "it is as it was");
    assert!(!bus.retry_entry(first, &ops()).await.unwrap(), "it is another one by now");
}

#[tokio::test]
async fn what_was_parked_is_delivered_once_its_reason_is_mended() {
    let host = Host::new();
    let (bus, _) = logging_bus(&host).await;
    let statement = bus.log(Logged::created(&ada())).await.unwrap();
    bus.shutdown().await;
    execute(&host.connect(), &statement);
    let log = FakePeer::new("log");
    let strict = host.bus().connector::<EventLog>("event-log").object::<User>().provide(log.clone());
    let strict = strict.configure(|config| config.limits.payload_bytes_max = 10).start().await;
    strict.until_idle().await;
    let parked = strict.outbox().await.unwrap().parked_entries;
    assert!(parked[0].error.contains("more than the 10 of `payload_bytes_max`"), "{}", parked[0].error);
    strict.shutdown().await;
    assert_eq!(log.calls(), [] as [&str; 0]);

    let (bus, log) = logging_bus(&host).await;
    assert!(bus.retry_entry(parked[0].id, &ops()).await.unwrap());
    bus.until_idle().await;
    assert_eq!(log.calls(), ["create ada snapshot"]);
}

#[derive(Clone, Default)]
struct Guard(Arc<Mutex<Vec<(ObjectOperation, TaskId)>>>);

impl Listener for Guard {
    fn before_logging(&self, change: &ChangeSummary) -> Result<(), Veto> {
        if change.operation == ObjectOperation::Delete {
            return Err(Veto::because("users are kept for ten years"));
        }
        Ok(())
    }

    fn after_logging(&self, change: &ChangeSummary, task: TaskId) {
        self.0.lock().unwrap().push((change.operation.into(), task));
    }
}

#[tokio::test]
async fn a_veto_comes_before_the_statement_and_an_observer_sees_the_task() {
    let host = Host::new();
    let (guard, log) = (Guard::default(), FakePeer::new("log"));
    let bus = host.bus().connector::<EventLog>("event-log").object::<User>().provide(log.clone());
    let bus = bus.listen(guard.clone()).start().await;
    let vetoed = bus.log(Logged::deleted(&ada())).await.unwrap_err();
    assert_eq!(vetoed.kind(), BusErrorKind::Vetoed);
    let statement = bus.log(Logged::created(&ada())).await.unwrap();
    assert!(guard.0.lock().unwrap().is_empty(), "nothing is logged yet");
    execute(&host.connect(), &statement);
    bus.until_idle().await;
    let [open] = &guard.0.lock().unwrap()[..] else { panic!("one was logged") };
    assert_eq!(open.0, ObjectOperation::Create);
    assert_eq!(log.calls(), ["create ada snapshot"]);
}

#[tokio::test]
async fn whoever_listens_to_the_type_sees_the_object_before_the_statement_and_after() {
    let host = Host::new();
    let (registrar, log) = (Registrar::default(), FakePeer::new("log"));
    let bus = host.bus().connector::<EventLog>("event-log").object::<User>().provide(log);
    let bus = bus.listen_to::<User>(registrar.clone()).start().await;
    let (before, renamed) = (ada(), User { login: "countess".to_owned(), ..ada() });
    let vetoed = bus.log(Logged::updated(&before, &renamed)).await.unwrap_err();
    assert_eq!(vetoed.kind(), BusErrorKind::Vetoed);
    let after = User { name: "Ada Lovelace".to_owned(), ..ada() };
    for logged in [Logged::updated(&before, &after), Logged::deleted(&after)] {
        let statement = bus.log(logged).await.unwrap();
        execute(&host.connect(), &statement);
    }
    bus.until_idle().await;
    // Whoever relays it knows what is, not what was.
    let heard = [
        "outgoing update by the host: nobody, Ada Lovelace",
        "outgoing delete by the host: Ada Lovelace, nobody",
    ];
    assert_eq!(registrar.heard(), heard);
}

#[tokio::test]
async fn what_nobody_wants_to_know_writes_nothing() {
    let host = Host::new();
    let log = FakePeer::new("log");
    let bus = host.bus().connector::<FieldLog>("field-log").object::<User>().object::<Company>();
    let bus = bus.provide(log.clone()).start().await;
    let acme = Company { id: 3, ..Company::new("acme", "Acme") };
    let db = host.connect();
    for logged in [Logged::updated(&ada(), &ada()), Logged::created(&acme)] {
        let statement = bus.log(logged).await.unwrap();
        assert!(statement.is_empty());
        assert_eq!(execute(&db, &statement), 0);
    }
    assert_eq!(bus.outbox().await.unwrap().entries, 0);
}

#[tokio::test]
async fn references_are_translated_as_ever() {
    let host = Host::new();
    let (bus, peer, _) = with_crm(host.bus());
    let bus = bus.start().await;
    let acme = Company { id: 3, ..Company::new("acme", "Acme") };
    let user = User { company: Some(Ref::host(3)), ..ada() };
    let mut db = host.connect();
    // The user comes first, and waits for the company.
    let statements = [
        bus.log(Logged::created(&user)).await.unwrap(),
        bus.log(Logged::created(&acme)).await.unwrap(),
        bus.log(Logged::deleted(&user)).await.unwrap(),
    ];
    let transaction = begin(&mut db);
    for statement in &statements[..2] {
        execute(&transaction, statement);
    }
    transaction.commit().unwrap();
    bus.until_idle().await;
    let company = peer.get("crm-1").unwrap();
    assert_eq!(company["code"], "acme");
    assert_eq!(peer.get("crm-2").unwrap()["company"], "crm-1");
    execute(&db, &statements[2]);
    bus.until_idle().await;
    assert!(peer.get("crm-2").is_none());
    assert_eq!(bus.counters("crm", Direction::Outgoing).await.completed, 3);
}

#[tokio::test]
async fn whoever_holds_the_lock_is_told_to_commit_first() {
    let host = Host::new();
    let (bus, log) = logging_bus(&host).await;
    // Its workers have written what they have to before they wait for work.
    bus.until_idle().await;
    let mut db = host.connect();
    let transaction = begin(&mut db);
    insert(&transaction, &ada());
    let statement = bus.log(Logged::created(&ada())).await.unwrap();
    let refused = bus.objects().save(&mut User::new("bob", "Bob")).await.unwrap_err();
    assert_eq!(refused.kind(), BusErrorKind::Store);
    let told = format!("{refused:?}");
    assert!(told.contains("commit it before you call the bus"), "{told}");
    assert!(told.contains("the statement of `Bus::log`"), "{told}");
    execute(&transaction, &statement);
    transaction.commit().unwrap();
    bus.objects().save(&mut User::new("bob", "Bob")).await.unwrap();
    bus.until_idle().await;
    let mut calls = log.calls();
    calls.sort();
    assert_eq!(calls, ["create ada snapshot", "create bob snapshot"]);
}

#[tokio::test]
async fn what_cannot_be_logged_is_refused_with_the_remedy() {
    let host = Host::new();
    let (bus, _) = logging_bus(&host).await;
    let moved = User { id: 18, ..ada() };
    let abroad = User { company: Some(Ref::external("A-1")), ..ada() };
    let acme = Company { id: 3, ..Company::new("acme", "Acme") };
    for (logged, kind, words) in [
        (Logged::created(&User::new("ada", "Ada")), BusErrorKind::Malformed, "insert its row first"),
        (Logged::updated(&ada(), &moved), BusErrorKind::Malformed, "log that 17 was deleted, and 18 created"),
        (Logged::created(&abroad), BusErrorKind::Malformed, "refer to each other by `Ref::host`"),
        (Logged::created(&acme), BusErrorKind::UnknownKind, "derive `BusObject` for it"),
    ] {
        let refused = bus.log(logged).await.unwrap_err();
        assert_eq!(refused.kind(), kind);
        assert!(refused.to_string().contains(words), "{refused}");
    }
    let in_memory = TestBus::new().connector::<EventLog>("event-log").object::<User>();
    let in_memory = in_memory.provide(FakePeer::new("log")).start().await;
    let refused = in_memory.log(Logged::created(&ada())).await.unwrap_err();
    assert_eq!(refused.kind(), BusErrorKind::Store);
    assert!(refused.to_string().contains("use SQLite"), "{refused}");
    assert_eq!(in_memory.outbox().await.unwrap().entries, 0);
}
