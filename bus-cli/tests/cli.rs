//! The program as people run it, on a store that a bus has written: what it says, what it refuses, and with which code it
//! ends.

use std::path::{Path, PathBuf};
use std::process::Command;

use bus_core::{BusObject as _, Direction, ExternalTask};
use bus_runtime::{ConnectorState, StoreConfig, Synchronous};
use bus_testkit::{FakePeer, RunningTestBus, Script, TestBus};
use bus_tests::{Company, Contact, Crm, Directory, User};
use tempfile::TempDir;

/// What the program has said.
struct Said {
    code: i32,
    out: String,
    err: String,
}

fn bus(words: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_bus")).args(words).env("USER", "jane").output().unwrap();
    Said {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// On this store.
fn on(store: &Path, words: &[&str]) -> Said {
    bus(&[&["--store", store.to_str().unwrap()], words].concat())
}

fn done(store: &Path, words: &[&str]) -> String {
    let Said { code, out, err } = on(store, words);
    assert_eq!((code, err.as_str()), (0, ""), "{words:?}");
    out
}

fn refused(store: &Path, words: &[&str]) -> String {
    let Said { code, out, err } = on(store, words);
    assert_eq!((code, out.as_str()), (1, ""), "{words:?}: {err}");
    err
}

fn json(store: &Path, words: &[&str]) -> serde_json::Value {
    serde_json::from_str(&done(store, &[words, &["--json"]].concat())).unwrap()
}

/// A bus with the CRM on a file: Ada is there, Eve was rejected, and a contact waits for its account.
async fn a_store() -> (TempDir, PathBuf, RunningTestBus) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("bus.db");
    let (peer, path) = (FakePeer::new("crm"), file.clone());
    let bus = TestBus::new().connector::<Crm>("crm").object::<User>().object::<Company>();
    let bus = bus.provide(peer.clone()).provide(Directory::default());
    let bus = bus.configure(|config| {
        config.store = StoreConfig::Sqlite { path, synchronous: Synchronous::Normal };
    });
    let bus = bus.start().await;
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    bus.until_idle().await;
    peer.script([Script::Reject("no such field:\n  colour".to_owned())]);
    bus.objects().save(&mut User::new("eve", "Eve")).await.unwrap();
    bus.until_idle().await;
    let mut bob = Contact::new("003", "bob", "Bob");
    bob.account = Some("A-1".to_owned());
    bus.process_external_task(ExternalTask::create::<Crm, _>("crm", &bob)).await.unwrap();
    bus.until_idle().await;
    (folder, file, bus)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_shows_connectors_and_deliveries_beside_a_running_bus() {
    let (_folder, file, bus) = a_store().await;
    let connectors = done(&file, &["connectors"]);
    let lines: Vec<Vec<&str>> = connectors.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1], ["crm", "crm", "enabled", "file", "1", "1", "1", "0"], "{connectors}");
    assert_eq!(lines.len(), 2);

    let tasks = done(&file, &["tasks"]);
    assert_eq!(tasks.lines().count(), 3, "{tasks}");
    assert!(tasks.contains("parked") && tasks.contains("Create User Eve"), "{tasks}");
    assert!(tasks.contains("no such field: colour"), "on one line: {tasks}");
    let parked = json(&file, &["tasks", "crm", "--state", "parked", "--direction", "outgoing"]);
    let [parked] = &parked.as_array().unwrap()[..] else { panic!("{parked}") };
    assert_eq!(parked["title"], "Create User Eve");
    assert_eq!(json(&file, &["tasks", "--state", "completed"])[0]["title"], "Create User Ada");
    assert_eq!(done(&file, &["tasks", "--state", "cancelled"]), "there is none\n");
    assert_eq!(json(&file, &["tasks", "--state", "cancelled"]), serde_json::json!([]));

    let id = parked["delivery"].to_string();
    let task = json(&file, &["task", &id]);
    assert_eq!((&task["state"], &task["operation"]), (&"parked".into(), &"create".into()));
    assert_eq!(task["data"]["object"]["login"], "eve");
    assert_eq!(task["attempts"].as_array().unwrap().len(), 1, "{task}");
    assert!(done(&file, &["task", &id]).contains("title             Create User Eve\n"));

    // The bus beside it has gone on all the time.
    bus.objects().save(&mut User::new("joe", "Joe")).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.counters("crm", Direction::Outgoing).await.completed, 2);
    let unknown = refused(&file, &["task", "999"]);
    assert!(unknown.contains("there is no delivery 999") && unknown.contains("[BUS0016]"), "{unknown}");
    let unknown = refused(&file, &["tasks", "--state", "stuck"]);
    assert!(unknown.contains("`stuck` is no state of a delivery; write one of scheduled, "), "{unknown}");
    let unknown = refused(&file, &["tasks", "cmr"]);
    assert!(unknown.contains("no connector cmr is registered"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_shows_and_mends_the_identity_map() {
    let (_folder, file, bus) = a_store().await;
    let ada = bus.objects().find::<User>("ada").await.unwrap().unwrap();
    let eve = bus.objects().find::<User>("eve").await.unwrap().unwrap();
    let (ada, eve) = (ada.id.to_string(), eve.id.to_string());
    let bound = serde_json::json!([{ "type": "app.user", "id": ada, "external_id": "crm-1" }]);
    assert_eq!(json(&file, &["identity", "crm"]), bound);
    let said = done(&file, &["link", "crm", User::TYPE, &eve, "crm-9", "--reason", "by hand"]);
    assert_eq!(said, format!("app.user {eve} is `crm-9` from now on\n"));
    let taken = refused(&file, &["link", "crm", User::TYPE, &ada, "crm-9"]);
    assert!(taken.contains("crm-9") && taken.contains("[BUS0012]"), "{taken}");
    let said = done(&file, &["link", "crm", User::TYPE, &ada, "crm-9", "--replace"]);
    assert!(said.contains(&format!("app.user {eve} is not `crm-9` any more")), "{said}");
    let next = json(&file, &["identity", "crm", "--after", "app.user", "crm-1"]);
    assert_eq!(next[0]["external_id"], "crm-9");
    assert_eq!(
        done(&file, &["unlink", "crm", User::TYPE, &ada]),
        format!("app.user {ada} is not `crm-9` any more\n")
    );
    assert_eq!(done(&file, &["unlink", "crm", User::TYPE, &ada]), format!("app.user {ada} was not bound\n"));
    assert_eq!(done(&file, &["identity", "crm"]), "nothing is bound\n");
    for (words, reason) in [
        (["link", "crm", "app.user", "999", "x"], "app.user 999 is not there"),
        (["link", "cmr", "app.user", &ada, "x"], "no connector cmr is registered"),
        (["link", "crm", "app.user", &ada, ""], "the external id is empty"),
    ] {
        let said = refused(&file, &words);
        assert!(said.contains(reason), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resync_that_is_asked_for_here_is_done_by_the_bus() {
    let (_folder, file, bus) = a_store().await;
    let crm = "crm".parse().unwrap();
    bus.set_connector_state(&crm, ConnectorState::Paused).await.unwrap();
    let before = bus.counters("crm", Direction::Outgoing).await.logged;
    let asked = json(&file, &["resync", "crm", "app.user", "--reason", "restored"]);
    let again = refused(&file, &["resync", "crm", "app.user"]);
    assert!(again.contains("wait for its end, or cancel it"), "{again}");
    bus.until_idle().await;
    assert_eq!(bus.counters("crm", Direction::Outgoing).await.logged, before + 2);
    let resyncs = json(&file, &["resyncs"]);
    assert_eq!(resyncs[0]["resync"], asked["resync"]);
    assert_eq!((&resyncs[0]["state"], &resyncs[0]["logged"]), (&"done".into(), &2.into()), "{resyncs}");
    assert_eq!((&resyncs[0]["by"], &resyncs[0]["reason"]), (&"jane".into(), &"restored".into()));
    let id = asked["resync"].to_string();
    assert_eq!(done(&file, &["cancel-resync", &id]), format!("resync {id} does not run\n"));
    let unknown = refused(&file, &["resync", "cmr", "app.user"]);
    assert!(unknown.contains("no connector cmr is registered"), "{unknown}");
    let nobody = refused(&file, &["resync", "crm", "app.user", "--by", " "]);
    assert!(nobody.contains("say who asks"), "{nobody}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_shows_what_is_not_in_the_queues_yet() {
    let (_folder, file, bus) = a_store().await;
    let nothing = serde_json::json!({ "entries": 0, "parked": 0, "parked_entries": null });
    assert_eq!(json(&file, &["outbox"]), nothing);
    assert_eq!(done(&file, &["outbox"]), "entries  0\nparked   0\n");
    bus.shutdown().await;
    assert_eq!(json(&file, &["outbox"]), nothing, "nobody need work on it");
    let db = rusqlite::Connection::open(&file).unwrap();
    db.execute("INSERT INTO bus_outbox (entry) VALUES ('{}')", []).unwrap();
    assert_eq!(json(&file, &["outbox"])["entries"], 1, "it is looked at, and not relayed");
    assert_eq!(json(&file, &["outbox"])["entries"], 1);
}

#[test]
fn a_store_that_is_not_there_is_not_made() {
    let folder = TempDir::new().unwrap();
    let typo = folder.path().join("buss.db");
    for words in [&["connectors"][..], &["outbox"], &["migrate", "--apply"]] {
        let said = refused(&typo, words);
        assert!(said.contains("buss.db`; mend the path, or start the application"), "{said}");
    }
    let config = folder.path().join("bus.toml");
    let said = bus(&["--config", config.to_str().unwrap(), "connectors"]);
    assert!(said.code == 1 && said.err.contains("bus.toml"), "{}", said.err);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_of_the_application_names_the_store() {
    let (folder, _, bus) = a_store().await;
    bus.shutdown().await;
    let config = folder.path().join("bus.toml");
    std::fs::write(&config, "store = \"bus.db\"\n").unwrap();
    let said = bus_at(&config, &["connectors", "--json"]);
    let connectors: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(connectors[0]["state"], "enabled", "one that the file does not name is left as it is");
    std::fs::write(&config, "stor = \"bus.db\"\n").unwrap();
    let said = bus_at(&config, &["connectors"]);
    assert!(said.code == 1 && said.err.contains("[BUS0001]"), "{}", said.err);
}

fn bus_at(config: &Path, words: &[&str]) -> Said {
    bus(&[&["--config", config.to_str().unwrap()], words].concat())
}

#[test]
fn a_file_that_is_no_store_is_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let (notes, empty) = (folder.path().join("notes.txt"), folder.path().join("empty.db"));
    std::fs::write(&notes, "Dear diary, ".repeat(1_000)).unwrap();
    std::fs::write(&empty, "").unwrap();
    assert!(refused(&notes, &["connectors"]).contains("choose another file"));
    let said = refused(&empty, &["connectors"]);
    assert!(said.contains("has no tables of the bus; name the store that the application uses"), "{said}");
    assert_eq!(std::fs::read_to_string(&notes).unwrap(), "Dear diary, ".repeat(1_000));
}

#[test]
fn a_file_of_another_version_is_refused_until_it_is_migrated() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("app.db");
    std::fs::write(&file, "").unwrap();
    done(&file, &["migrate", "--apply"]);
    let db = rusqlite::Connection::open(&file).unwrap();
    // As the version before has left it.
    let undone = "DROP INDEX bus_page_node_position; ALTER TABLE bus_page_node DROP COLUMN position;
                  DELETE FROM bus_schema_history WHERE version = 13";
    db.execute_batch(undone).unwrap();
    for words in [&["connectors"][..], &["outbox"], &["resync", "crm", "app.user"]] {
        let said = refused(&file, words);
        assert!(said.contains("written by an older version of the bus"), "{said}");
        assert!(said.contains("or migrate the file"), "{said}");
    }
    done(&file, &["migrate", "--apply"]);
    assert_eq!(done(&file, &["connectors"]), "no connector is registered\n");

    let newer = "INSERT INTO bus_schema_history SELECT 999, name, applied_on, checksum FROM bus_schema_history LIMIT 1";
    db.execute_batch(newer).unwrap();
    for words in [&["connectors"][..], &["migrate", "--apply"]] {
        let said = refused(&file, words);
        assert!(said.contains("schema 999, written by a newer version of the bus"), "{said}");
        assert!(said.contains("update this program"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_somebody_keeps_the_file_locked_it_reads_and_writes_nothing() {
    let (_folder, file, bus) = a_store().await;
    bus.shutdown().await;
    let lock = rusqlite::Connection::open(&file).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(done(&file, &["connectors"]).contains("crm"));
    let said = refused(&file, &["resync", "crm", "app.user"]);
    assert!(said.contains("if it is another program, end its long transaction"), "{said}");
    lock.execute_batch("ROLLBACK").unwrap();
    done(&file, &["resync", "crm", "app.user"]);
}

#[test]
fn tables_are_printed_or_made() {
    let printed = bus(&["migrate", "--print"]);
    assert!(printed.code == 0 && printed.out.contains("CREATE TABLE bus_resync"), "{}", printed.err);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("app.db");
    std::fs::write(&file, "").unwrap();
    assert!(done(&file, &["migrate", "--apply"]).contains("app.db has the tables of this version"));
    assert_eq!(done(&file, &["connectors"]), "no connector is registered\n");
    assert_eq!(done(&file, &["resyncs"]), "there was none\n");
}

#[test]
fn a_table_of_the_application_is_captured_and_watched_over() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("app.db");
    let db = rusqlite::Connection::open(&file).unwrap();
    db.execute_batch(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, login TEXT, active INTEGER, tags TEXT, secret TEXT)",
    )
    .unwrap();
    let table = [
        "app.user",
        "--table",
        "users",
        "--column",
        "login=name",
        "--boolean",
        "active",
        "--json-text",
        "tags",
    ];
    let words = |verb| [&["capture", verb][..], &table, &["--without", "secret"]].concat();
    let not_yet = refused(&file, &words("apply"));
    assert!(not_yet.contains("has no tables of the bus"), "{not_yet}");
    done(&file, &["migrate", "--apply"]);
    let ddl = done(&file, &words("ddl"));
    assert!(
        ddl.contains("CREATE TRIGGER \"bus_capture_app.user_update\" AFTER UPDATE ON \"users\""),
        "{ddl}"
    );
    let triggers = || -> i64 {
        let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'users'";
        db.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(triggers(), 0);
    db.execute("INSERT INTO users VALUES (1, 'ada', 1, '[\"a\"]', 'x')", []).unwrap();
    done(&file, &[words("apply"), vec!["--tell"]].concat());
    assert_eq!(triggers(), 3);
    db.execute("UPDATE users SET active = 0, tags = 'none'", []).unwrap();
    let entries: Vec<String> = {
        let mut list = db.prepare("SELECT entry FROM bus_outbox ORDER BY id").unwrap();
        list.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let (was, is) = (
        r#"{"id":1,"name":"ada","active":true,"tags":["a"]}"#,
        r#"{"id":1,"name":"ada","active":false,"tags":"none"}"#,
    );
    let told = |op: &str, rows: &str| format!(r#"{{"v":1,"raw":{{"type":"app.user","op":"{op}",{rows}}}}}"#);
    let update = told("update", &format!(r#""old":{was},"new":{is}"#));
    assert_eq!(entries, [told("insert", &format!(r#""new":{was}"#)), update]);
    assert_eq!(done(&file, &["capture", "check"]), "what is captured is as it was applied\n");
    db.execute_batch("DROP TRIGGER \"bus_capture_app.user_delete\"").unwrap();
    let drift = refused(&file, &["capture", "check"]);
    assert!(drift.contains("the trigger `bus_capture_app.user_delete` on `users` is gone"), "{drift}");
    assert!(done(&file, &["capture", "remove", "app.user"]).contains("captured no more"));
    assert_eq!(done(&file, &["capture", "remove", "app.user"]), "app.user was not captured\n");
    assert_eq!(triggers(), 0);
    let missing = refused(&file, &["capture", "apply", "app.user", "--table", "usrs"]);
    assert!(
        missing.contains("app.user cannot be captured") && missing.contains("there is no table `usrs`"),
        "{missing}"
    );
    let wrong = on(&file, &["capture", "ddl", "app.user", "--table", "users", "--column", "login"]);
    assert!(wrong.code == 2 && wrong.err.contains("write COLUMN=FIELD"), "{}", wrong.err);
}

#[test]
fn wrong_words_are_told_with_a_code_of_their_own() {
    for (words, reason) in [
        (&["conectors"][..], "unrecognized subcommand 'conectors'"),
        (&["migrate"], "required"),
        (&["migrate", "--print", "--apply"], "cannot be used with"),
        (&["tasks", "--limit", "0"], "1..=1000"),
        (&["tasks", "--direction", "sideways"], "outgoing, incoming"),
        (&["resync", "No Name", "app.user"], "No Name"),
        (&["link", "crm", "App User", "1", "x"], "App User"),
        (&["task", "ada"], "ada"),
        (&["--store", "a.db", "--config", "b.toml", "outbox"], "cannot be used with"),
        (&[], "Usage"),
    ] {
        let said = bus(words);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{words:?}");
        assert!(said.err.contains(reason), "{words:?}: {}", said.err);
    }
    let help = bus(&["--help"]);
    assert!(help.code == 0 && help.out.contains("cancel-resync"), "{}", help.out);
}
