//! Beside a store that writes without a pause, others get their turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bus_core::{DataType, Direction, ErrorPolicy, ObjectOperation, Timestamp};
use bus_store::{Commit, NewDelivery, NewTask, Store, TaskLog, Travel};
use bus_store_sqlite::{SqliteOptions, SqliteStore};
use rusqlite::{Connection, TransactionBehavior};
use uuid::Uuid;

/// How many callers keep the writer busy.
const CALLERS: usize = 4;

/// How often the application writes beside them.
const TRANSACTIONS: i64 = 300;

/// How much the store does between two of them, at least.
const COMMITS_BETWEEN: u64 = 20;

/// How long the application waits for its turn: a fifth of what `rusqlite` and `sqlx` do. A writer that never pauses lets
/// some of them wait for several seconds.
const PATIENCE: Duration = Duration::from_secs(1);

fn task() -> NewTask {
    let delivery = NewDelivery {
        connector: "crm".parse().expect("a name"),
        data_type: DataType::Simple,
        policy: ErrorPolicy::Default,
        idempotency_key: Uuid::nil(),
    };
    NewTask {
        direction: Direction::Outgoing,
        subject: "app.user".to_owned(),
        key: "app.user=1".to_owned(),
        operation: ObjectOperation::Update,
        title: String::new(),
        data: b"{}".to_vec(),
        content_type: "application/json".to_owned(),
        site: None,
        origin: None,
        logged_at: Timestamp::EPOCH,
        redelivers: None,
        idempotency: None,
        travel: Travel::default(),
        deliveries: vec![delivery],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_of_the_application_gets_its_turn() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("app.db");
    let store = SqliteStore::open(&file, SqliteOptions::default()).expect("it opens");
    let mut db = Connection::open(&file).expect("it opens");
    db.busy_timeout(PATIENCE).expect("it waits");
    db.execute_batch("CREATE TABLE note (number INTEGER)").expect("a table");
    let (is_over, commits) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        let (store, is_over, commits) = (store.clone(), Arc::clone(&is_over), Arc::clone(&commits));
        callers.push(tokio::spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                let commit = Commit { tasks: vec![task()], ..Commit::at(Timestamp::EPOCH) };
                store.commit(commit).await.expect("the application holds the lock for a moment only");
                commits.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    let seen = Arc::clone(&commits);
    let application = tokio::task::spawn_blocking(move || {
        let mut turned_away = 0;
        for number in 0..TRANSACTIONS {
            // In the middle of the store's work, not in a row that leaves the store no turn.
            let before = seen.load(Ordering::Relaxed);
            while seen.load(Ordering::Relaxed) < before + COMMITS_BETWEEN {
                std::thread::yield_now();
            }
            match db.transaction_with_behavior(TransactionBehavior::Immediate) {
                Ok(transaction) => {
                    transaction.execute("INSERT INTO note VALUES (?1)", [number]).expect("written");
                    transaction.commit().expect("committed");
                }
                Err(_) => turned_away += 1,
            }
        }
        turned_away
    });
    let turned_away = application.await.expect("it writes");
    is_over.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.expect("it writes");
    }
    let commits = commits.load(Ordering::Relaxed);
    println!("{turned_away} of {TRANSACTIONS} were turned away beside {commits} commits");
    assert_eq!(turned_away, 0);
    store.close().await;
}
