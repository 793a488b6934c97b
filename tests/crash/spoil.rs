//! A store that counts the claims, and is broken in one way until it is healed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus_core::{TaskId, Timestamp};
use bus_store::{
    Acquired, Claim, Claimed, Commit, Committed, Ownership, QueueId, Store, StoreFuture, Terms, Wanted,
};
use bus_testkit::{Intercept, Intercepted};

/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Nothing.
    None,
    /// Now and then a task is acknowledged and not written.
    DropsATask,
    /// The first two of a key are claimed in the wrong order.
    ReordersTwo,
    /// A claim brings again what the one before it brought.
    ClaimsTwice,
    /// A former owner can settle.
    ForgetsFencing,
}

/// How often a task is dropped.
const DROPS_EVERY: u64 = 50;

pub(crate) type Spoilt = Intercepted<Spoil>;

pub(crate) struct Spoil {
    bug: Bug,
    is_healed: AtomicBool,
    commits: AtomicU64,
    claims: AtomicU64,
    latest: Mutex<Vec<Claimed>>,
    owners: Mutex<HashMap<QueueId, Ownership>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Spoil {
    /// That store, broken in this way.
    pub(crate) fn store(inner: Arc<dyn Store>, bug: Bug) -> Spoilt {
        let spoil = Self {
            bug,
            is_healed: AtomicBool::default(),
            commits: AtomicU64::default(),
            claims: AtomicU64::default(),
            latest: Mutex::default(),
            owners: Mutex::default(),
        };
        Intercepted::new(inner, spoil)
    }

    /// From now on it works as it should.
    pub(crate) fn heal(&self) {
        self.is_healed.store(true, Ordering::SeqCst);
    }

    /// How many claims there were.
    pub(crate) fn claims(&self) -> u64 {
        self.claims.load(Ordering::SeqCst)
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == bug && !self.is_healed.load(Ordering::SeqCst)
    }
}

impl Intercept for Spoil {
    fn commit<'a>(&'a self, store: &'a dyn Store, mut commit: Commit) -> StoreFuture<'a, Committed> {
        let number = self.commits.fetch_add(1, Ordering::SeqCst);
        let drops =
            self.has(Bug::DropsATask) && number.is_multiple_of(DROPS_EVERY) && !commit.tasks.is_empty();
        if drops {
            commit.tasks.pop();
        }
        if self.has(Bug::ForgetsFencing)
            && let Some(ownership) = &mut commit.ownership
            && let Some(latest) = lock(&self.owners).get(&ownership.queue)
        {
            *ownership = latest.clone();
        }
        Box::pin(async move {
            let mut committed = store.commit(commit).await?;
            if drops {
                committed.tasks.push(TaskId(i64::MAX));
            }
            Ok(committed)
        })
    }

    fn acquire<'a>(
        &'a self,
        store: &'a dyn Store,
        queue: &QueueId,
        terms: Terms,
        now: Timestamp,
    ) -> StoreFuture<'a, Acquired> {
        let queue = queue.clone();
        Box::pin(async move {
            let acquired = store.acquire(&queue, terms, now).await?;
            if let Acquired::Owned(owner) = &acquired {
                lock(&self.owners).insert(queue, owner.clone());
            }
            Ok(acquired)
        })
    }

    fn claim<'a>(
        &'a self,
        store: &'a dyn Store,
        ownership: &Ownership,
        wanted: Wanted,
        now: Timestamp,
    ) -> StoreFuture<'a, Claim> {
        self.claims.fetch_add(1, Ordering::SeqCst);
        let ownership = ownership.clone();
        Box::pin(async move {
            let mut claim = store.claim(&ownership, wanted, now).await?;
            let claimed = &mut claim.deliveries;
            if self.has(Bug::ClaimsTwice) {
                let latest = std::mem::replace(&mut *lock(&self.latest), claimed.clone());
                claimed.extend(latest);
            }
            if self.has(Bug::ReordersTwo)
                && let Some(second) = claimed.iter().skip(1).position(|other| other.key == claimed[0].key)
            {
                claimed.swap(0, second + 1);
            }
            Ok(claim)
        })
    }
}
