//! Several processes on one file: all may log, one works, and the next one follows when that one ends.

#[path = "support/processes.rs"]
mod common;

use std::collections::BTreeSet;
use std::fs::File;
use std::time::Duration;

use bus_core::{Direction, Site, Timestamp};
use bus_store::{
    Acquired, Commit, ConnectorRecord, ConnectorState, Connectors, Intervention, Operate, Outcome, Queue,
    RecordOwner, Selected, Settlement, Sites, Store, StoreErrorKind, TaskLog, Terms, Verb, Wake,
};
use bus_store_sqlite::{SqliteOptions, SqliteStore};
use common::{Process, ask, claim, open_deliveries, own, queue, say, task};

const TASKS: usize = 200;

fn open(file: impl AsRef<std::path::Path>) -> SqliteStore {
    SqliteStore::open(file, SqliteOptions::default()).expect("open")
}

/// Waits for what must come, so that a test fails instead of hanging.
async fn soon<T>(awaited: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), awaited).await.expect("it comes within a minute")
}

async fn log(store: &SqliteStore, key: &str, title: &str) -> i64 {
    let commit = Commit { tasks: vec![task(key, title)], ..Commit::at(Timestamp::EPOCH) };
    store.commit(commit).await.expect("log").tasks[0].0
}

fn record() -> ConnectorRecord {
    let name = queue().connector;
    ConnectorRecord {
        display_name: name.to_string(),
        uses: name.to_string(),
        state: ConnectorState::Enabled,
        settings: serde_json::Value::Null,
        processing: serde_json::Value::Null,
        owner: RecordOwner::Operator,
        name,
    }
}

#[tokio::test]
async fn child_that_logs_one() {
    let Some(file) = common::child_file() else { return };
    let store = open(file);
    log(&store, "x", "from the child").await;
    store.close().await;
}

#[tokio::test]
async fn child_that_logs_many() {
    let Some(file) = common::child_file() else { return };
    let store = open(file);
    for number in 0..TASKS {
        say(&log(&store, "child", &number.to_string()).await.to_string());
    }
    store.close().await;
}

#[tokio::test]
async fn child_that_owns() {
    let Some(file) = common::child_file() else { return };
    let store = open(file);
    let owner = own(&store).await;
    say(&format!("claimed {}", claim(&store, &owner, 1).await.len()));
    std::future::pending::<()>().await;
}

/// Opens the file the moment that its parent opens the gate.
#[tokio::test]
async fn child_that_opens() {
    let Some(file) = common::child_file() else { return };
    let gate = File::open(format!("{file}-gate")).expect("a gate");
    say("at the gate");
    gate.lock_shared().expect("the gate opens");
    open(file).close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_sees_what_another_process_logs() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bus.db");
    let store = open(&file);
    let owner = own(&store).await;
    let mut bell = store.doorbell(&queue());
    bell.mark_unchanged();
    let child = Process::start("child_that_logs_one", &file);
    soon(bell.changed()).await.expect("the bell rings");
    child.finish();
    assert_eq!(claim(&store, &owner, 10).await.len(), 1);
}

#[tokio::test]
async fn what_one_process_deletes_the_other_logs_for_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bus.db");
    let (one, two) = (open(&file), open(&file));
    let counted = || async {
        let counters = two.counters(&queue()).await.expect("counters");
        (counters.open, counters.discarded)
    };
    let record = record();
    two.save_connector(record.clone()).await.expect("register");
    log(&two, "x", "one").await;
    let all = open_deliveries(&two).await.into_iter();
    let items = all.map(|open| Selected { delivery: open.delivery, seen: None }).collect();
    let (by, now) = ("jane".to_owned(), Timestamp::EPOCH);
    one.intervene(Intervention { verb: Verb::Discard, items, by, reason: None, now }).await.expect("discard");
    assert_eq!(counted().await, (0, 1));
    one.delete_connector(&record.name).await.expect("delete");
    log(&two, "x", "two").await;
    assert_eq!(counted().await, (0, 2), "the other one knows");
    one.save_connector(record).await.expect("register");
    log(&two, "x", "three").await;
    assert_eq!(counted().await, (1, 2), "that it is back, too");
}

/// Each remembers which sites there are; what the other one does to them counts for its very next commit.
#[tokio::test]
async fn a_site_that_one_process_registers_or_removes_is_so_for_the_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bus.db");
    let (one, two) = (open(&file), open(&file));
    let corp = Site::new("corp").expect("a site's name");
    let log_for_corp = || async {
        let mut task = task("x", "one");
        task.direction = Direction::Incoming;
        task.site = Some(corp.name.clone());
        let logged = two.commit(Commit { tasks: vec![task], ..Commit::at(Timestamp::EPOCH) }).await;
        logged.map(|_| ()).map_err(|error| error.kind())
    };
    for _ in 0..3 {
        assert_eq!(log_for_corp().await, Err(StoreErrorKind::NotFound));
        one.save_site(corp.clone()).await.expect("register");
        assert_eq!(log_for_corp().await, Ok(()), "the other one knows");
        assert!(one.remove_site(&corp.name).await.expect("remove"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_passes_at_once_when_the_process_of_its_owner_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bus.db");
    let store = open(&file);
    log(&store, "x", "one").await;
    let mut child = Process::start("child_that_owns", &file);
    assert_eq!(child.line().as_deref(), Some("claimed 1"));

    ask(&store, None).await;
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.wait_until_free(&queue()).await }
    });
    // It stands in line by the time that anything else has been done.
    log(&store, "x", "two").await;
    assert!(!waiting.is_finished(), "the child owns");

    child.kill();
    soon(waiting).await.expect("no panic").expect("it is free");
    let owner = own(&store).await;
    assert_eq!(owner.epoch, 2);
    let claimed = claim(&store, &owner, 10).await;
    assert_eq!(claimed.len(), 1, "what the child had claimed runs alone, and first");
    assert_eq!(claimed[0].attempt, 2, "the child's attempt is charged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_passes_when_its_owner_gives_it_up_or_closes() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bus.db");
    let (one, two) = (open(&file), open(&file));
    let waiting = || {
        let two = two.clone();
        tokio::spawn(async move { two.wait_until_free(&queue()).await })
    };
    let owner = own(&one).await;
    let first = waiting();
    log(&two, "x", "one").await;
    assert!(!first.is_finished(), "the first one owns");
    one.release(&owner).await.expect("release");
    soon(first).await.expect("no panic").expect("it is free");
    let owner = own(&two).await;
    two.release(&owner).await.expect("release");

    own(&one).await;
    let second = waiting();
    log(&two, "x", "two").await;
    assert!(!second.is_finished(), "the first one owns again");
    one.close().await;
    soon(second).await.expect("no panic").expect("it is free");
    own(&two).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_does_not_answer_is_replaced_and_changes_nothing_afterwards() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bus.db");
    let (one, two) = (open(&file), open(&file));
    log(&one, "x", "one").await;
    let owner = own(&one).await;
    let claimed = claim(&one, &owner, 1).await;

    let seen = ask(&two, None).await;
    one.heartbeat().await.expect("heartbeat");
    let seen = {
        let answered = ask(&two, Some(seen.clone())).await;
        assert_ne!(answered, seen, "it answered, so it keeps its queue");
        answered
    };
    // From here on it is silent.
    let terms = Terms { silent: Some(seen), ..Terms::default() };
    let taken = two.acquire(&queue(), terms, Timestamp::EPOCH).await.expect("acquire");
    let Acquired::Owned(successor) = taken else { panic!("it is silent, and kept its queue: {taken:?}") };

    let settlements = vec![Settlement { delivery: claimed[0].delivery, outcome: Outcome::Completed }];
    let late = Commit { settlements, ownership: Some(owner), ..Commit::at(Timestamp::EPOCH) };
    let refused = one.commit(late).await.expect_err("it is too late");
    assert_eq!(refused.kind(), StoreErrorKind::Stale);
    assert_eq!(one.counters(&queue()).await.expect("counters").stale, 1, "late results are counted");
    let again = claim(&two, &successor, 10).await;
    assert_eq!((again.len(), again[0].attempt), (1, 2));
    ask(&one, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_is_not_replaced_by_whoever_saw_another_one_silent() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bus.db");
    let (one, two, three) = (open(&file), open(&file), open(&file));
    own(&one).await;
    let seen = ask(&three, None).await;
    one.close().await;
    own(&two).await;
    ask(&three, Some(seen)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_queue_is_told_that_the_store_was_closed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bus.db");
    let (one, two) = (open(&file), open(&file));
    own(&one).await;
    let waiting = tokio::spawn({
        let two = two.clone();
        async move { two.wait_until_free(&queue()).await }
    });
    log(&two, "x", "one").await;
    two.close().await;
    let refused = soon(waiting).await.expect("no panic").expect_err("it is closed");
    assert_eq!(refused.kind(), StoreErrorKind::Closed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_log_at_once_lose_nothing_and_share_no_id() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bus.db");
    let store = open(&file);
    let child = Process::start("child_that_logs_many", &file);
    let mut ids = BTreeSet::new();
    for number in 0..TASKS {
        assert!(ids.insert(log(&store, "parent", &number.to_string()).await));
    }
    let said = tokio::task::spawn_blocking(|| child.finish()).await.expect("no panic");
    for line in said {
        assert!(ids.insert(line.parse().expect("an id")), "{line} was given twice");
    }
    assert_eq!(ids.len(), 2 * TASKS);
    let open = open_deliveries(&store).await;
    assert_eq!(open.len(), 2 * TASKS);
    for key in ["parent", "child"] {
        let of_key = open.iter().filter(|summary| summary.key == key);
        let titles: Vec<String> = of_key.map(|summary| summary.title.clone()).collect();
        let expected: Vec<String> = (0..TASKS).map(|number| number.to_string()).collect();
        assert_eq!(titles, expected);
    }
}

#[test]
fn processes_that_start_at_once_all_find_their_tables() {
    let folder = tempfile::tempdir().expect("a folder");
    for round in 0..10 {
        let file = folder.path().join(format!("{round}.db"));
        let gate = File::create(folder.path().join(format!("{round}.db-gate"))).expect("a gate");
        gate.lock().expect("it is closed");
        let mut children: Vec<Process> = (0..4).map(|_| Process::start("child_that_opens", &file)).collect();
        for child in &mut children {
            assert_eq!(child.line().as_deref(), Some("at the gate"));
        }
        gate.unlock().expect("it opens");
        for child in children {
            child.finish();
        }
    }
}
