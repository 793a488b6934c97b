//! The queue itself: what it costs however long it is, behind keys that are held, with several slots, and after an end
//! without warning.

mod blocked;
mod recovery;
mod sizes;
mod slots;

use std::path::Path;
use std::time::Duration;

use bus_store::{
    Acquired, Claim, Commit, Durability, Outcome, Ownership, Queue, Settlement, Store, TaskLog, Terms, Wanted,
};
use bus_store_sqlite::{SqliteOptions, SqliteStore, Synchronous};

use crate::host::{AT, fill_store, outgoing, task};
use crate::measure::{Plan, Reading, micros, now};
use crate::report::Report;

pub(crate) use recovery::{stand_by, work};

/// How many the runtime claims at once.
const BATCH: usize = 100;

pub(crate) async fn run(folder: &Path, plan: &Plan, report: &mut Report) {
    blocked::run(folder, plan, report).await;
    slots::run(folder, plan).await;
    recovery::run(folder, plan, report).await;
    // Last: its files push everything else out of the system's cache.
    sizes::run(folder, plan, report).await;
}

/// A store without a bus, and its queue, owned.
struct Owned {
    store: SqliteStore,
    ownership: Ownership,
    /// Ids that nobody else has.
    next: i64,
}

/// What draining came to.
struct Drained {
    reading: Reading,
    /// How long the first claim took.
    first: Duration,
}

impl Owned {
    async fn open(path: &Path) -> Self {
        let store = SqliteStore::open(path, SqliteOptions::default().synchronous(Synchronous::Full));
        let store = store.expect("the folder can be written");
        assert_eq!(store.capabilities().durability, Durability::PowerLoss);
        let acquired = store.acquire(&outgoing("sink"), Terms::default(), AT).await;
        let Ok(Acquired::Owned(ownership)) = acquired else { panic!("nobody else owns it: {acquired:?}") };
        Self { store, ownership, next: 1 }
    }

    async fn fill(&mut self, count: usize) {
        let ids = self.next..;
        self.next += i64::try_from(count).expect("a small number");
        fill_store(&self.store, "sink", ids.take(count)).await;
    }

    /// Logs so many changes, one call after the other, so many in each.
    async fn log(&mut self, count: usize, at_once: usize) -> Reading {
        let mut took = Vec::new();
        let mut time = Duration::ZERO;
        for _ in 0..count / at_once {
            let mut commit = Commit::at(AT);
            for _ in 0..at_once {
                commit.tasks.push(task(self.next));
                self.next += 1;
            }
            let began = now();
            self.store.commit(commit).await.expect("it is logged");
            time += began.elapsed();
            took.push(micros(began.elapsed()));
        }
        Reading::of(count, time, took)
    }

    async fn claim(&self, limit: usize) -> Claim {
        self.store.claim(&self.ownership, Wanted::up_to(limit), AT).await.expect("it is the owner")
    }

    fn settled(&self, claim: &Claim, outcome: &Outcome) -> Commit {
        let settle = |delivery| Settlement { delivery, outcome: outcome.clone() };
        let settlements = claim.deliveries.iter().map(|claimed| settle(claimed.delivery)).collect();
        Commit { ownership: Some(self.ownership.clone()), settlements, ..Commit::at(AT) }
    }

    /// Drains so many, so many at once, as the runtime does: what settles one claim shares a flush with the next claim.
    async fn drain(&self, count: usize, at_once: usize) -> Drained {
        let mut took = Vec::new();
        let began = now();
        let mut claim = self.claim(at_once).await;
        let first = began.elapsed();
        let mut drained = 0;
        loop {
            assert_eq!(claim.deliveries.len(), at_once, "there is enough of it");
            drained += at_once;
            let settled = self.settled(&claim, &Outcome::Completed);
            let turn = now();
            if drained >= count {
                self.store.commit(settled).await.expect("it is the owner");
                return Drained { reading: Reading::of(drained, began.elapsed(), took), first };
            }
            let (settled, next) = tokio::join!(self.store.commit(settled), self.claim(at_once));
            settled.expect("it is the owner");
            took.push(micros(turn.elapsed()));
            claim = next;
        }
    }
}
