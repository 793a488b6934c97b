//! What was pruned leaves nothing behind in the file.

#[path = "support/processes.rs"]
mod common;

use bus_core::{Direction, ObjectId, Timestamp};
use bus_store::{
    Awaited, Commit, DeliveryFilter, IdempotencyKey, Intervention, NewDelivery, NewTask, Operate, Outcome,
    QueueId, Selected, Settlement, Store, TaskLog, Verb,
};
use bus_store_sqlite::{SqliteOptions, SqliteStore};
use common::{claim, open_deliveries, own, queue, task};
use rusqlite::Connection;

const TABLES: [&str; 10] = [
    "bus_task",
    "bus_task_share",
    "bus_idempotency",
    "bus_pending",
    "bus_lane",
    "bus_side",
    "bus_wait",
    "bus_history",
    "bus_intervention",
    "bus_attempt",
];

#[tokio::test]
async fn what_was_pruned_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bus.db");
    let store = SqliteStore::open(&file, SqliteOptions::default()).expect("open");
    let connector = |name: &str| name.parse().expect("a name");
    let shared = |key: &str| {
        let plain = task(key, "shared");
        let other = NewDelivery { connector: connector("shop"), ..plain.deliveries[0].clone() };
        NewTask { deliveries: vec![plain.deliveries[0].clone(), other], ..plain }
    };
    let idempotency = Some(IdempotencyKey { key: "k".to_owned(), digest: vec![1] });
    let sent = NewTask { direction: Direction::Incoming, idempotency, ..task("x", "sent") };
    let tasks = vec![task("a", "one"), shared("b"), shared("c"), task("d", "waits"), sent];
    store.commit(Commit { tasks, ..Commit::at(Timestamp::EPOCH) }).await.expect("log");

    let owner = own(&store).await;
    let (due, error) = (Timestamp::EPOCH, || "no".to_owned());
    let awaited = vec![Awaited::Bound {
        connector: connector("crm"),
        object_type: "app.user".parse().expect("a type"),
        object: ObjectId::Number(4),
    }];
    let outcomes = [
        Outcome::Completed,
        Outcome::Retry { due, error: error() },
        Outcome::Aside { due, error: Some(error()), charged: true },
        Outcome::Waiting { awaited, due, reason: error() },
    ];
    let claimed = claim(&store, &owner, 10).await;
    let each = claimed.iter().zip(outcomes);
    let settlements = each.map(|(one, outcome)| Settlement { delivery: one.delivery, outcome }).collect();
    let commit = Commit { settlements, ownership: Some(owner), ..Commit::at(Timestamp::EPOCH) };
    store.commit(commit).await.expect("settle");
    let shop = QueueId::new(connector("shop"), Direction::Outgoing);
    let incoming = QueueId::new(connector("crm"), Direction::Incoming);
    let mut open = open_deliveries(&store).await;
    for queue in [&shop, &incoming] {
        open.extend(store.deliveries(queue, &DeliveryFilter::default()).await.expect("deliveries"));
    }
    let items = open.into_iter().map(|one| Selected { delivery: one.delivery, seen: None }).collect();
    let (by, now) = ("jane".to_owned(), Timestamp::EPOCH);
    let asked = Intervention { verb: Verb::Discard, items, by, reason: None, now };
    store.intervene(asked).await.expect("discard");

    let db = Connection::open(&file).expect("open");
    let asides: i64 = db.query_row("SELECT sum(asides) FROM bus_queue", [], |row| row.get(0)).expect("a sum");
    assert_eq!(asides, 0, "nobody stands aside any more");
    let rows = |table: &str| -> i64 {
        db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).expect("a count")
    };
    assert_eq!((rows("bus_history"), rows("bus_task"), rows("bus_task_share")), (7, 5, 2));
    assert!(rows("bus_attempt") > 0 && rows("bus_intervention") > 0 && rows("bus_idempotency") > 0);
    for queue in [&queue(), &shop, &incoming] {
        store.prune(queue, Timestamp::from_micros(1), 10).await.expect("prune");
    }
    assert_eq!(TABLES.map(|table| (table, rows(table))), TABLES.map(|table| (table, 0)));
    store.close().await;
}
