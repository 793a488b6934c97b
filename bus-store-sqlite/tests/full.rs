//! A store that has reached its quota: it takes nothing more, and everything that ends what is there still works.

#[path = "support/processes.rs"]
mod common;

use std::path::Path;

use bus_core::{DeliveryState, Direction, Timestamp};
use bus_store::{
    Acquired, Awaited, Commit, Connectors, DeliveryFilter, IdempotencyKey, Intervention, NewTask, Operate,
    Outcome, Ownership, Queue, QueueId, Selected, Settlement, Store, StoreError, StoreErrorKind, TaskLog,
    Terms, Verb, Verdict,
};
use bus_store_sqlite::{SqliteOptions, SqliteStore, Synchronous};
use common::{claim, open_deliveries, own, queue, task};

const PAGES_MAX: u32 = 400;

/// How many deliveries one intervention of these tests names.
const AT_ONCE: usize = 100;

fn open(folder: &Path) -> SqliteStore {
    let options = SqliteOptions::default().synchronous(Synchronous::Normal).pages_max(PAGES_MAX);
    SqliteStore::open(folder.join("bus.db"), options).expect("open")
}

async fn log(store: &SqliteStore, tasks: Vec<NewTask>) -> Result<(), StoreError> {
    store.commit(Commit { tasks, ..Commit::at(Timestamp::EPOCH) }).await.map(|_| ())
}

/// Logs until nothing more fits, not even what is small, and answers how many did.
async fn fill(store: &SqliteStore) -> u64 {
    fill_with(store, &[20_000, 2_000, 0]).await
}

/// The same, with data of these sizes.
async fn fill_with(store: &SqliteStore, sizes: &[usize]) -> u64 {
    let mut logged = 0;
    for &bytes in sizes {
        loop {
            let new = NewTask { data: vec![b'x'; bytes], ..task(&format!("key {logged}"), "one") };
            match log(store, vec![new]).await {
                Ok(()) => logged += 1,
                Err(error) => {
                    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
                    assert!(error.to_string().contains("quota, is full: make room"), "{error}");
                    break;
                }
            }
            assert!(logged < 100_000, "it has a quota");
        }
    }
    logged
}

async fn settle(store: &SqliteStore, owner: &Ownership, settlements: Vec<Settlement>) {
    let ownership = Some(owner.clone());
    let commit = Commit { settlements, ownership, ..Commit::at(Timestamp::EPOCH) };
    store.commit(commit).await.expect("ending something needs no room");
}

async fn complete_all(store: &SqliteStore, owner: &Ownership) -> u64 {
    let mut completed = 0;
    loop {
        let claimed = claim(store, owner, 100).await;
        if claimed.is_empty() {
            return completed;
        }
        completed += claimed.len() as u64;
        let done =
            |one: bus_store::Claimed| Settlement { delivery: one.delivery, outcome: Outcome::Completed };
        settle(store, owner, claimed.into_iter().map(done).collect()).await;
    }
}

/// Does this to all that is open and in this state; answers to how many.
async fn intervene(store: &SqliteStore, verb: Verb, state: DeliveryState, why: &str) -> u64 {
    let mut done = 0;
    loop {
        let filter = DeliveryFilter { state: Some(state), limit: AT_ONCE, ..DeliveryFilter::default() };
        let found = store.deliveries(&queue(), &filter).await.expect("deliveries");
        if found.is_empty() {
            return done;
        }
        done += found.len() as u64;
        let items = found.iter().map(|one| Selected { delivery: one.delivery, seen: None }).collect();
        let (by, reason) = ("jane".to_owned(), Some(why.to_owned()));
        let asked = Intervention { verb, items, by, reason, now: Timestamp::EPOCH };
        let verdicts = store.intervene(asked).await.expect("ending something needs no room");
        assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Done { .. })), "{verdicts:?}");
    }
}

fn pages(folder: &Path) -> i64 {
    let db = rusqlite::Connection::open(folder.join("bus.db")).expect("open");
    db.query_row("PRAGMA page_count", [], |row| row.get(0)).expect("its size")
}

async fn assert_sound(store: &SqliteStore) {
    let audit = store.audit(&queue()).await.expect("audit");
    assert_eq!(audit.faults(), Vec::<String>::new(), "{audit:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_full_store_every_outcome_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let logged = fill(&store).await;
    let owner = own(&store).await;
    let (due, error) = (Timestamp::EPOCH, || "x".repeat(1_000));
    let awaited = || {
        let object_type = "app.user".parse().expect("a type");
        vec![Awaited::Bound {
            connector: queue().connector,
            object_type,
            object: bus_core::ObjectId::Number(4),
        }]
    };
    let outcomes = [
        Outcome::Completed,
        Outcome::Discarded { error: error() },
        Outcome::Retry { due, error: error() },
        Outcome::Released { due, error: Some(error()) },
        Outcome::Deferred { due, error: error() },
        Outcome::Waiting { awaited: awaited(), due, reason: error() },
        Outcome::Aside { due, error: Some(error()), charged: true },
        Outcome::Parked { error: error(), aside: false },
    ];
    let claimed = claim(&store, &owner, outcomes.len()).await;
    let each = claimed.iter().zip(outcomes);
    let each = each.map(|(one, outcome)| Settlement { delivery: one.delivery, outcome });
    settle(&store, &owner, each.collect()).await;
    let counters = store.counters(&queue()).await.expect("counters");
    assert_eq!((counters.logged, counters.open), (logged, logged - 2));
    assert_sound(&store).await;

    // What completed was forgotten, to make room; what says more than that is kept.
    let kept = store.delivery(claimed[0].delivery).await.expect("delivery");
    assert_eq!(kept, None);
    let discarded = store.delivery(claimed[1].delivery).await.expect("delivery").expect("it is kept");
    assert_eq!(discarded.summary.reason, Some(error()));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_full_store_what_may_be_sent_again_is_not_forgotten() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let incoming = QueueId::new(queue().connector, Direction::Incoming);
    let sent = || {
        let idempotency = Some(IdempotencyKey { key: "k".to_owned(), digest: vec![1] });
        let tasks = vec![NewTask { direction: Direction::Incoming, idempotency, ..task("x", "sent") }];
        store.commit(Commit { tasks, ..Commit::at(Timestamp::EPOCH) })
    };
    let first = sent().await.expect("log");
    fill(&store).await;
    let acquired = store.acquire(&incoming, Terms::default(), Timestamp::EPOCH).await.expect("acquire");
    let Acquired::Owned(owner) = acquired else { panic!("it is nobody's: {acquired:?}") };
    assert_eq!(complete_all(&store, &owner).await, 1);
    let again = sent().await.expect("nothing new needs no room");
    assert_eq!(again.repeated, first.tasks);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_full_store_what_was_relayed_is_forgotten_as_anything_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let logged = fill(&store).await;
    // The name of its entry, as the relay leaves it with each task.
    let db = rusqlite::Connection::open(folder.path().join("bus.db")).expect("open");
    let sql = "INSERT INTO bus_idempotency (connector, key, digest, task) SELECT '', 'entry ' || id, x'', id FROM bus_task";
    db.execute(sql, []).expect("there is room for a name");
    let owner = own(&store).await;
    let first = claim(&store, &owner, 1).await.remove(0);
    settle(&store, &owner, vec![Settlement { delivery: first.delivery, outcome: Outcome::Completed }]).await;
    let kept = store.delivery(first.delivery).await.expect("delivery");
    assert!(kept.is_none(), "it makes room");
    assert_eq!(complete_all(&store, &owner).await, logged - 1);
    log(&store, vec![task("x", "after")]).await.expect("there is room");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_store_can_be_emptied_by_hand() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    // The smaller they are, the more of them have to be written down as ended.
    let logged = fill_with(&store, &[0]).await;
    let owner = own(&store).await;
    let parked = |one: bus_store::Claimed| Settlement {
        delivery: one.delivery,
        outcome: Outcome::Parked { error: "no".to_owned(), aside: false },
    };
    let claimed = claim(&store, &owner, AT_ONCE).await.into_iter().map(parked).collect();
    settle(&store, &owner, claimed).await;
    // More is said of each than the reserve has room for.
    let why = "there is no room ".repeat(60);
    let skipped = intervene(&store, Verb::Skip, DeliveryState::Parked, &why).await;
    let cancelled = intervene(&store, Verb::Cancel, DeliveryState::Available, &why).await;
    let counters = store.counters(&queue()).await.expect("counters");
    assert_eq!((counters.skipped, counters.cancelled, counters.open), (skipped, cancelled, 0));
    assert_eq!(skipped + cancelled, logged);
    assert_sound(&store).await;
    assert!(pages(folder.path()) <= i64::from(PAGES_MAX) + 256, "the reserve has an end");
    store.delete_connector(&queue().connector).await.expect("nothing is open for it");

    let filter = DeliveryFilter { state: Some(DeliveryState::Cancelled), ..DeliveryFilter::default() };
    let kept = store.deliveries(&queue(), &filter).await.expect("deliveries");
    let last = kept.last().expect("what ended last is kept").delivery;
    let detail = store.delivery(last).await.expect("delivery").expect("it is kept");
    assert_eq!((detail.interventions[0].by.as_str(), detail.interventions.len()), ("jane", 1));
    let ended = store.audit(&queue()).await.expect("audit").ended_rows;
    let pruned = store.prune(&queue(), Timestamp::from_micros(1), usize::MAX).await.expect("prune");
    assert!(pruned as u64 == ended && ended < logged, "{pruned} of {ended}, {logged} were logged");
    log(&store, vec![NewTask { data: vec![b'x'; 20_000], ..task("x", "after") }])
        .await
        .expect("there is room");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_full_again_and_again_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = open(folder.path());
    let (mut logged, mut forgotten) = (0, 0);
    for cycle in 0..20 {
        logged += fill(&store).await;
        if cycle % 5 == 4 {
            store.close().await;
            store = open(folder.path());
        }
        let owner = own(&store).await;
        let before = store.audit(&queue()).await.expect("audit").ended_rows;
        let completed = complete_all(&store, &owner).await;
        let audit = store.audit(&queue()).await.expect("audit");
        forgotten += before + completed - audit.ended_rows;
        assert_eq!((audit.counters.logged, audit.counters.completed), (logged, logged), "cycle {cycle}");
        assert_sound(&store).await;
        assert!(open_deliveries(&store).await.is_empty());
        assert!(pages(folder.path()) <= i64::from(PAGES_MAX) + 256, "the reserve has an end");
        assert_eq!(logged - forgotten, audit.ended_rows, "what was forgotten is not said to be kept");
    }
    assert!(forgotten > 0, "it was full");
    store.prune(&queue(), Timestamp::from_micros(1), usize::MAX).await.expect("prune");
    log(&store, vec![task("x", "after")]).await.expect("there is room");
    let owner = own(&store).await;
    assert_eq!(complete_all(&store, &owner).await, 1);
    assert_eq!(store.audit(&queue()).await.expect("audit").ended_rows, 1, "history is kept again");
    store.close().await;
}
