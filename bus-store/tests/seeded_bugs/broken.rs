//! A store that is broken in one way: the store in memory, with a bug in front of it. What is logged and claimed is
//! here; what is asked otherwise is in `asked`.

mod asked;
mod cursors;
mod exchange;
mod late;
mod outbox;
mod pages;
mod resync;
mod reviews;
mod settling;
mod sites;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus_core::{
    BoxFuture, ConnectorName, Culture, DeliveryId, DeliveryState, ObjectId, ObjectKey, ObjectType, SiteName,
    TaskId, Timestamp,
};
use bus_store::conformance::{Foreign, Rig};
use bus_store::{
    Acquired, Awaited, Claim, Claimed, Commit, Committed, ConnectorRecord, Connectors, Doorbell, Doubt,
    First, Identity, MemoryStore, NewTask, ObjectWrite, Objects, Operate, Outcome, Ownership, Pages, Queue,
    QueueId, ResyncRecord, Scope, Store, StoreError, StoreErrorKind, StoreFuture, TaskLog, Terms, Unsettled,
    Wake, Wanted,
};

use crate::Bug;
use outbox::{Elsewhere, Table};

/// A rig of stores with this bug.
pub(crate) struct Seeded {
    bug: Bug,
    outbox: Arc<Table>,
}

impl Seeded {
    pub(crate) fn with(bug: Bug) -> Self {
        Self { bug, outbox: Arc::default() }
    }
}

impl Rig for Seeded {
    fn open(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        let store = Broken {
            inner: MemoryStore::new(),
            bug: self.bug,
            outbox: Arc::clone(&self.outbox),
            owners: Mutex::default(),
            latest: Mutex::default(),
            interrupted: Mutex::default(),
            numbers: Mutex::default(),
            in_order: Mutex::default(),
            ended: Mutex::default(),
            budgets: Mutex::default(),
            deleted: Mutex::default(),
            assigned: Mutex::default(),
            resyncs: Mutex::default(),
            nobodys: Doorbell::default(),
        };
        Box::pin(async { Arc::new(store) as Arc<dyn Store> })
    }

    fn foreign(&self) -> Option<Box<dyn Foreign>> {
        Some(Box::new(Elsewhere { table: Arc::clone(&self.outbox), bug: self.bug }))
    }
}

/// The store in memory, with a bug in front of it.
struct Broken {
    inner: MemoryStore,
    bug: Bug,
    outbox: Arc<Table>,
    owners: Mutex<HashMap<QueueId, Ownership>>,
    latest: Mutex<Vec<Claimed>>,
    interrupted: Mutex<bool>,
    numbers: Mutex<i64>,
    /// Whether its queues keep order beyond each key.
    in_order: Mutex<bool>,
    /// How often something ended.
    ended: Mutex<usize>,
    /// What a retry by hand should have given back.
    budgets: Mutex<HashMap<DeliveryId, u32>>,
    /// The connectors that were deleted.
    deleted: Mutex<Vec<ConnectorRecord>>,
    /// What was ever assigned to which sites.
    assigned: Mutex<BTreeSet<(ObjectKey, SiteName)>>,
    /// Those of connectors that were deleted.
    resyncs: Mutex<Vec<ResyncRecord>>,
    nobodys: Doorbell,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Broken {
    /// What becomes of a commit before it is made.
    async fn spoil(&self, commit: &mut Commit) {
        if self.bug == Bug::ForgetsToTouch {
            commit.objects.retain(|write| !matches!(write, ObjectWrite::Touch { .. }));
        }
        if self.bug == Bug::ForgetsFencing
            && let Some(ownership) = &mut commit.ownership
            && let Some(latest) = lock(&self.owners).get(&ownership.queue)
        {
            *ownership = latest.clone();
        }
        for settlement in &mut commit.settlements {
            match (self.bug, &mut settlement.outcome) {
                (Bug::ChargesWhatIsReleased, Outcome::Released { due, error }) => {
                    let error = error.take().unwrap_or_default();
                    settlement.outcome = Outcome::Retry { due: *due, error };
                }
                (Bug::ChargesWhatIsDeferred, Outcome::Deferred { due, error }) => {
                    let error = std::mem::take(error);
                    settlement.outcome = Outcome::Retry { due: *due, error };
                }
                (Bug::LetsWhatWaitsHoldTheQueue, Outcome::Waiting { due, .. }) if *lock(&self.in_order) => {
                    settlement.outcome = Outcome::Released { due: *due, error: None };
                }
                (Bug::ForgetsKeysTooEarly, Outcome::Completed | Outcome::Discarded { .. }) => {
                    *lock(&self.ended) += 1;
                }
                (Bug::ParksBesideTheKey, Outcome::Parked { aside, .. }) => *aside = true,
                (Bug::StepsAsideInPlace, Outcome::Aside { due, error, .. }) => {
                    settlement.outcome = Outcome::Released { due: *due, error: error.take() };
                }
                (Bug::ForgetsToLookAgain, Outcome::Waiting { awaited, .. }) => {
                    for awaited in awaited {
                        if self.is_met(awaited).await {
                            *awaited = never();
                        }
                    }
                }
                (Bug::WakesNobodyByAPage, Outcome::Waiting { awaited, .. }) => {
                    for awaited in awaited.iter_mut().filter(|one| matches!(one, Awaited::Page { .. })) {
                        *awaited = never();
                    }
                }
                (Bug::WakesNobodyByAnOutcome, Outcome::Waiting { awaited, .. }) => {
                    for awaited in awaited.iter_mut().filter(|one| matches!(one, Awaited::Settled { .. })) {
                        *awaited = never();
                    }
                }
                _ => {}
            }
        }
        if self.bug == Bug::ForgetsDoubts {
            commit.doubts.clear();
        }
        if self.bug == Bug::HandsOverForAFormerOwner {
            let owners = lock(&self.owners);
            for owner in &mut commit.claim_for {
                *owner = owners.get(&owner.queue).unwrap_or(owner).clone();
            }
        }
        if self.bug == Bug::BindsWhateverIsThere {
            commit.bindings.append(&mut commit.bindings_if_free);
        }
        if self.bug == Bug::EndsWhateverIsBound {
            for unbound in &mut commit.unbound {
                let known =
                    self.inner.external_ids(&unbound.connector, std::slice::from_ref(&unbound.object));
                if let Ok([Some(known)]) = known.await.as_deref() {
                    unbound.external_id.clone_from(&known.id);
                }
            }
        }
        self.spoil_sites(commit).await;
        self.spoil_exchange(commit);
        self.spoil_pages(commit).await;
        self.spoil_resync(commit).await;
        self.spoil_late(commit).await;
        self.spoil_cursor(commit).await;
        for task in &mut commit.tasks {
            self.spoil_task(task);
        }
        if self.bug == Bug::LogsForTheDeleted {
            let deleted = lock(&self.deleted).clone();
            for record in deleted {
                // It fails when the store is closed, and then the commit does, too.
                let _ = self.inner.save_connector(record).await;
            }
        }
    }

    fn spoil_task(&self, task: &mut NewTask) {
        match self.bug {
            Bug::ForgetsKeysTooEarly => {
                if let Some(given) = &mut task.idempotency {
                    given.key.push_str(&"'".repeat(*lock(&self.ended)));
                }
            }
            Bug::ForgetsTheDigest => {
                if let Some(given) = &mut task.idempotency {
                    given.digest.clear();
                }
            }
            Bug::TakesBytesForText => {
                task.data = String::from_utf8_lossy(&task.data).into_owned().into_bytes();
            }
            Bug::RoundsTimes => {
                let micros = task.logged_at.as_micros();
                task.logged_at = Timestamp::from_micros(micros - micros % 1_000_000);
            }
            _ => {}
        }
    }

    async fn is_met(&self, awaited: &Awaited) -> bool {
        match awaited {
            Awaited::Bound { connector, object_type, object } => {
                let key = ObjectKey { object_type: object_type.clone(), id: object.clone() };
                self.inner.external_ids(connector, &[key]).await.is_ok_and(|ids| ids[0].is_some())
            }
            Awaited::Known { connector, object_type, external_id } => {
                let external = [(object_type.clone(), external_id.clone())];
                self.inner.host_ids(connector, &external).await.is_ok_and(|ids| ids[0].is_some())
            }
            Awaited::Exists(query) => self.inner.find_object(query).await.is_ok_and(|found| found.is_some()),
            Awaited::Settled { delivery } => {
                let found = self.inner.delivery(*delivery).await;
                found.is_ok_and(|found| {
                    found.is_none_or(|found| found.summary.state != DeliveryState::Running)
                })
            }
            Awaited::Page { node, culture } => {
                let found = self.inner.node(*node).await.ok().flatten();
                let has = |cultures: &[Culture]| culture.as_ref().is_none_or(|one| cultures.contains(one));
                found.is_some_and(|node| has(&node.cultures))
            }
        }
    }
}

fn never() -> Awaited {
    Awaited::Bound {
        connector: ConnectorName::parse("nobody").expect("a connector's name"),
        object_type: ObjectType::parse("nothing").expect("an object type"),
        object: ObjectId::Number(0),
    }
}

impl TaskLog for Broken {
    fn commit(&self, mut commit: Commit) -> StoreFuture<'_, Committed> {
        Box::pin(async move {
            self.spoil(&mut commit).await;
            let mut dropped = None;
            if self.bug == Bug::DropsADelivery && commit.tasks.len() > 1 {
                dropped = commit.tasks.pop();
            }
            let gone = self.gone_with(&commit).await?;
            let relayed = self.outbox.take_out(&mut commit, self.bug)?;
            commit.objects.extend(gone);
            let settled: Vec<_> = commit.settlements.iter().map(|settlement| settlement.delivery).collect();
            let tasks_alone = Commit { tasks: commit.tasks.clone(), ..Commit::at(commit.now) };
            let result = self.inner.commit(commit).await;
            if result.is_err() && self.bug == Bug::WritesHalfACommit {
                self.inner.commit(tasks_alone).await?;
            }
            let mut committed = result?;
            self.outbox.settling(|settling| settling.committed(&settled, &committed));
            committed.relayed = outbox::relayed_of(&mut committed.tasks, &relayed);
            match self.bug {
                Bug::ForgetsWhatIsRepeated => committed.repeated.clear(),
                Bug::ClaimsAgainWhatWasHandedOver => {
                    lock(&self.latest).extend(committed.claimed.iter().map(|(_, claimed)| claimed.clone()));
                }
                Bug::RingsForWhatIsHandedOver => {
                    committed.claimed.iter().for_each(|(owner, _)| self.inner.ring(&owner.queue));
                }
                _ => {}
            }
            if dropped.is_some() {
                let last = committed.tasks.last().map_or(0, |task| task.0);
                committed.tasks.push(TaskId(last + 1));
            }
            if self.bug == Bug::ForgetsTheDisplaced {
                committed.displaced.clear();
            }
            Ok(committed)
        })
    }
}

impl Queue for Broken {
    fn acquire(&self, queue: &QueueId, mut terms: Terms, now: Timestamp) -> StoreFuture<'_, Acquired> {
        let queue = queue.clone();
        *lock(&self.in_order) = terms.scope == Scope::Queue;
        if self.bug == Bug::LetsOthersOvertakeInAQueueInOrder {
            terms.scope = Scope::Key;
        }
        Box::pin(async move {
            let is_settling = self.outbox.settling(|settling| settling.concerns(&queue));
            if is_settling && self.bug != Bug::ReplacesTheOwnerOfWhatIsSettled {
                let message = "entries settle some of what is claimed; relay them";
                return Err(StoreError::new(StoreErrorKind::Conflict, "acquire", message));
            }
            let acquired = self.inner.acquire(&queue, terms, now).await?;
            if let Acquired::Owned(owner) = &acquired {
                self.outbox.settling(|settling| settling.acquired(&queue));
                *lock(&self.interrupted) = lock(&self.owners).insert(queue, owner.clone()).is_some();
            }
            Ok(acquired)
        })
    }

    fn release(&self, ownership: &Ownership) -> StoreFuture<'_, ()> {
        // What an entry has settled is carried out under the owner that it names: so that stays until then.
        let is_settling = self.outbox.settling(|settling| settling.concerns(&ownership.queue));
        if is_settling || self.bug == Bug::ForgetsThatItWasReleased {
            return Box::pin(async { Ok(()) });
        }
        self.inner.release(ownership)
    }

    fn wait_until_free(&self, queue: &QueueId) -> StoreFuture<'_, ()> {
        self.inner.wait_until_free(queue)
    }

    fn heartbeat(&self) -> StoreFuture<'_, ()> {
        self.inner.heartbeat()
    }

    fn unsettled(&self, queue: &QueueId, subject: &str, limit: usize) -> StoreFuture<'_, Vec<Unsettled>> {
        let (queue, subject) = (queue.clone(), subject.to_owned());
        Box::pin(async move {
            let mut found = self.inner.unsettled(&queue, &subject, limit).await?;
            if self.bug == Bug::ForgetsWhatIsInDoubt {
                found.retain(|unsettled| unsettled.is_claimed);
            }
            Ok(found)
        })
    }

    fn claim(&self, ownership: &Ownership, mut wanted: Wanted, now: Timestamp) -> StoreFuture<'_, Claim> {
        if self.bug == Bug::AlwaysBringsTheDueFirst {
            wanted.first = First::Due;
        }
        if self.bug == Bug::ClaimsAheadOfTheDue && wanted.first == First::OnlyFresh {
            wanted.first = First::Fresh;
        }
        let (ownership, limit) = (ownership.clone(), wanted.limit);
        Box::pin(async move {
            let early = now.plus(Duration::from_micros(999_999));
            let now = if self.bug == Bug::IsEarly { early } else { now };
            let mut claim = self.inner.claim(&ownership, wanted, now).await?;
            self.outbox.settling(|settling| settling.claim(&ownership, &claim.deliveries));
            let claimed = &mut claim.deliveries;
            match self.bug {
                Bug::ClaimsTwice => {
                    let latest = std::mem::replace(&mut *lock(&self.latest), claimed.clone());
                    claimed.extend(latest.into_iter().take(limit.saturating_sub(claimed.len())));
                }
                Bug::ReordersTwoOfAKey => {
                    let second = claimed.iter().skip(1).position(|other| other.key == claimed[0].key);
                    if let Some(second) = second {
                        claimed.swap(0, second + 1);
                    }
                }
                Bug::ForgetsTheInterruptedAttempt if *lock(&self.interrupted) => {
                    for claimed in claimed {
                        claimed.attempt = claimed.attempt.max(2) - 1;
                    }
                }
                Bug::ForgetsTheNextDueTime => claim.next_due = None,
                Bug::ClaimsAgainWhatWasHandedOver => claimed.append(&mut lock(&self.latest)),
                Bug::ClaimsTheChargedTogether if claimed.iter().any(|claimed| claimed.attempt > 1) => {
                    let more = Wanted { limit: limit - claimed.len(), ..wanted };
                    claimed.extend(self.inner.claim(&ownership, more, now).await?.deliveries);
                }
                Bug::ForgetsTheDeferrals => {
                    for claimed in claimed {
                        claimed.defers = 0;
                    }
                }
                Bug::ForgetsThatItWasTriedAnyway => {
                    for claimed in claimed.iter_mut().filter(|claimed| claimed.doubt == Doubt::TriedAnyway) {
                        claimed.doubt = Doubt::InDoubt;
                    }
                }
                Bug::ForgetsWhatOvertook => {
                    for claimed in claimed {
                        claimed.superseded_by = None;
                    }
                }
                Bug::ForgetsToResetTheBudget => {
                    let budgets = lock(&self.budgets);
                    for claimed in claimed {
                        claimed.attempt += budgets.get(&claimed.delivery).copied().unwrap_or_default();
                    }
                }
                _ => {}
            }
            Ok(claim)
        })
    }
}
