//! What was acknowledged survives the end of the process, wherever it strikes.
//!
//! A child commits as fast as it can and says what was acknowledged; the parent kills it after some number of lines,
//! opens the file, and looks. That proves the end of a process, not of the power: a killed process leaves its writes
//! with the operating system.

#[path = "support/processes.rs"]
mod common;

use std::collections::{BTreeMap, BTreeSet};

use bus_core::Timestamp;
use bus_store::operate::Operate;
use bus_store::{Commit, NewTask, Outcome, Settlement, Store, TaskLog};
use bus_store_sqlite::{SqliteOptions, SqliteStore};
use common::{Process, claim, open_deliveries, own, queue, say, task};

const KILLS: usize = 30;
const CALLERS: usize = 6;

/// Where the children of a round number their tasks from.
const TASKS_PER_ROUND_MAX: u64 = 1_000_000;

/// The child: several callers log, each under keys of its own, and one works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_commits() {
    let Some(file) = common::child_file() else { return };
    let store = SqliteStore::open(file, SqliteOptions::default()).expect("open");
    let counters = store.counters(&queue()).await.expect("counters");
    for caller in 0..CALLERS {
        let store = store.clone();
        let first = counters.logged * TASKS_PER_ROUND_MAX;
        tokio::spawn(async move {
            for number in first.. {
                let (key, number) = (format!("{caller}-{}", number % 2), number.to_string());
                let commit = Commit {
                    tasks: vec![NewTask { data: number.clone().into_bytes(), ..task(&key, &number) }],
                    ..Commit::at(Timestamp::EPOCH)
                };
                store.commit(commit).await.expect("log");
                say(&format!("logged {key} {number}"));
            }
        });
    }
    let owner = own(&store).await;
    loop {
        let claim = claim(&store, &owner, 5).await;
        for claimed in &claim {
            let number = String::from_utf8_lossy(&claimed.data);
            say(&format!("began {} {} {number}", claimed.delivery, claimed.key));
        }
        let settlements = claim.iter();
        let settlements = settlements
            .map(|claimed| Settlement { delivery: claimed.delivery, outcome: Outcome::Completed })
            .collect();
        let commit = Commit { settlements, ownership: Some(owner.clone()), ..Commit::at(Timestamp::EPOCH) };
        store.commit(commit).await.expect("settle");
        for claimed in &claim {
            say(&format!("completed {}", claimed.delivery));
        }
        // The callers log faster than this one works; it lets them.
        tokio::task::yield_now().await;
    }
}

/// What the children said.
#[derive(Default)]
struct Story {
    logged: BTreeSet<(String, u64)>,
    began: BTreeMap<i64, (String, u64)>,
    completed: BTreeSet<i64>,
}

impl Story {
    fn tell(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["logged", key, number] => {
                self.logged.insert((key.to_owned(), number.parse().expect("a number")));
            }
            ["began", delivery, key, number] => {
                let what = (key.to_owned(), number.parse().expect("a number"));
                self.began.insert(delivery.parse().expect("an id"), what);
            }
            ["completed", delivery] => {
                self.completed.insert(delivery.parse().expect("an id"));
            }
            _ => panic!("the child said `{line}`"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bus.db");
    let mut told = Story::default();
    let mut dice: u64 = 0x5eed;
    for round in 0..KILLS {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let lines = 1 + usize::try_from(dice >> 57).expect("a small number");
        let mut child = Process::start("child_that_commits", &file);
        for _ in 0..lines {
            told.tell(&child.line().expect("the child goes on"));
        }
        for line in child.kill() {
            told.tell(&line);
        }
        let store = SqliteStore::open(&file, SqliteOptions::default()).expect("it opens after a kill");
        check(round, &store, &told).await;
        store.close().await;
    }
    assert!(told.logged.len() > KILLS, "the children did something");
    assert!(!told.completed.is_empty(), "the children did something");
}

async fn check(round: usize, store: &SqliteStore, told: &Story) {
    let open = open_deliveries(store).await;
    let mut latest: BTreeMap<&str, u64> = BTreeMap::new();
    for summary in &open {
        let number: u64 = summary.title.parse().expect("a number");
        let before = latest.insert(&summary.key, number);
        assert!(before < Some(number), "round {round}: key {} is out of order", summary.key);
        assert!(
            !told.completed.contains(&summary.delivery.0),
            "round {round}: {} was acknowledged as completed",
            summary.delivery
        );
    }
    let here: BTreeSet<(String, u64)> =
        open.iter().map(|summary| (summary.key.clone(), summary.title.parse().expect("a number"))).collect();
    for (key, number) in told.logged.difference(&here) {
        let has_begun = told.began.values().any(|began| (&began.0, &began.1) == (key, number));
        assert!(has_begun, "round {round}: {number} of key {key} was acknowledged and is lost");
    }
    let counters = store.counters(&queue()).await.expect("counters");
    assert_eq!(counters.open, open.len() as u64, "round {round}");
    assert_eq!(counters.logged, counters.open + counters.completed, "round {round}");
    assert!(counters.logged >= told.logged.len() as u64, "round {round}: logged tasks are lost");
    assert!(counters.completed >= told.completed.len() as u64, "round {round}: outcomes are lost");
    assert!(counters.completed <= told.began.len() as u64, "round {round}: outcomes are invented");
}
