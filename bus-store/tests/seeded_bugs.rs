//! The laws are laws only if breaking them is noticed: stores that are broken on purpose, each in one way, and the
//! law that catches each of them, by name.
//!
//! Longer than other files because a broken store is a whole store: most of it hands on what it is asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus_core::{BoxFuture, ConnectorName, DeliveryId, ObjectId, ObjectKey, ObjectType, TaskId, Timestamp};
use bus_store::conformance::{LAWS, Law, Rig, Verdict};
use bus_store::{
    Awaited, Binding, Capabilities, Claim, Claimed, Commit, Committed, ConnectorRecord, ConnectorState,
    Connectors, Counters, DeliveryDetail, DeliveryFilter, DeliverySummary, Doorbell, Identity, MemoryStore,
    ObjectQuery, ObjectRecord, Objects, Operate, Outcome, Ownership, Queue, QueueCounts, QueueId, Store,
    StoreFuture, Switches, TaskLog, Wake,
};

/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    /// Nothing: the store that is broken in no way keeps every law.
    None,
    /// Of several tasks of one commit, the last is acknowledged and not written.
    DropsADelivery,
    /// A claim brings again what the one before it brought.
    ClaimsTwice,
    /// The first two of a key are claimed in the wrong order.
    ReordersTwoOfAKey,
    /// A former owner can settle.
    ForgetsFencing,
    /// What arrived between the look-up and the wait wakes nobody.
    ForgetsToLookAgain,
    /// The tasks of a refused commit are written.
    WritesHalfACommit,
    /// Nobody hears the doorbell.
    LosesTheDoorbell,
    /// An interruption costs no attempt.
    ForgetsTheInterruptedAttempt,
    /// Attempts that are to be given back are charged.
    ChargesWhatIsReleased,
    /// What is displaced is not named.
    ForgetsTheDisplaced,
    /// What is parked lets later ones of its key pass.
    ParksBesideTheKey,
    /// What steps aside holds its key.
    StepsAsideInPlace,
    /// What is due in less than a second is due.
    IsEarly,
    /// Nothing says when something becomes due.
    ForgetsTheNextDueTime,
    /// Bytes are taken for text.
    TakesBytesForText,
    /// Times are kept in whole seconds.
    RoundsTimes,
    /// The bindings of objects that are gone are answered.
    KnowsTheGone,
    /// Numbers are given from one, whatever was saved.
    RepeatsNumbers,
    /// Late settlements are not counted.
    ForgetsTheLate,
    /// Goes on after it was closed.
    NeverCloses,
}

/// Which law catches which bug; a bug may be caught by others, too.
const CAUGHT_BY: &[(Bug, &str)] = &[
    (Bug::DropsADelivery, "a_commit_answers_its_tasks_in_the_order_given"),
    (Bug::DropsADelivery, "random_programs_keep_every_key_in_order_and_lose_nothing"),
    (Bug::ClaimsTwice, "a_claimed_delivery_is_not_claimed_twice"),
    (Bug::ClaimsTwice, "concurrent_commits_get_ids_of_their_own_and_lose_nothing"),
    (Bug::ClaimsTwice, "random_programs_keep_every_key_in_order_and_lose_nothing"),
    (Bug::ReordersTwoOfAKey, "fresh_deliveries_of_one_key_are_claimed_together_in_order"),
    (Bug::ReordersTwoOfAKey, "order_survives_every_combination_of_outcomes"),
    (Bug::ReordersTwoOfAKey, "random_programs_keep_every_key_in_order_and_lose_nothing"),
    (Bug::ForgetsFencing, "a_former_owner_changes_nothing"),
    (Bug::ForgetsFencing, "a_commit_is_all_or_nothing_when_its_owner_is_a_former_one"),
    (Bug::ForgetsFencing, "random_programs_keep_every_key_in_order_and_lose_nothing"),
    (Bug::ForgetsToLookAgain, "what_arrived_before_the_wait_is_written_is_not_missed"),
    (Bug::ForgetsToLookAgain, "random_programs_keep_every_key_in_order_and_lose_nothing"),
    (Bug::WritesHalfACommit, "a_commit_is_all_or_nothing_when_an_object_is_not_as_expected"),
    (Bug::WritesHalfACommit, "a_commit_is_all_or_nothing_when_a_guid_is_taken"),
    (Bug::WritesHalfACommit, "a_commit_is_all_or_nothing_when_a_code_name_is_taken"),
    (Bug::WritesHalfACommit, "a_commit_is_all_or_nothing_when_a_settlement_is_stale"),
    (Bug::LosesTheDoorbell, "logging_rings_before_it_returns"),
    (Bug::LosesTheDoorbell, "a_binding_wakes_who_waits_for_its_object"),
    (Bug::ForgetsTheInterruptedAttempt, "what_was_interrupted_is_charged_and_claimed_alone"),
    (Bug::ForgetsTheInterruptedAttempt, "random_programs_keep_every_key_in_order_and_lose_nothing"),
    (Bug::ChargesWhatIsReleased, "only_charged_outcomes_use_up_attempts"),
    (Bug::ForgetsTheDisplaced, "what_holds_a_key_displaces_what_is_claimed_behind_it"),
    (Bug::ForgetsTheDisplaced, "random_programs_keep_every_key_in_order_and_lose_nothing"),
    (Bug::ParksBesideTheKey, "a_parked_delivery_holds_its_key"),
    (Bug::ParksBesideTheKey, "order_survives_every_combination_of_outcomes"),
    (Bug::StepsAsideInPlace, "what_does_not_hold_its_key_lets_the_next_go"),
    (Bug::StepsAsideInPlace, "what_was_overtaken_is_discarded_when_it_is_due"),
    (Bug::IsEarly, "what_is_due_is_claimed_not_before"),
    (Bug::ForgetsTheNextDueTime, "the_next_due_time_is_the_earliest_to_come"),
    (Bug::TakesBytesForText, "bytes_survive_as_they_are"),
    (Bug::RoundsTimes, "time_survives_to_the_microsecond"),
    (Bug::KnowsTheGone, "a_gone_object_is_unknown_but_keeps_its_external_id"),
    (Bug::RepeatsNumbers, "a_new_number_was_never_used"),
    (Bug::ForgetsTheLate, "what_is_not_claimed_cannot_be_settled"),
    (Bug::NeverCloses, "after_closing_every_call_answers_closed"),
];

#[tokio::test]
async fn each_bug_is_caught_by_its_law() {
    for &(bug, law) in CAUGHT_BY {
        let law = LAWS.iter().find(|listed| listed.name == law).unwrap_or_else(|| panic!("no law {law}"));
        assert!(is_caught(bug, *law).await, "{law:?} holds for a store that is broken: {bug:?}");
    }
}

#[tokio::test]
async fn a_store_without_a_bug_is_never_accused() {
    for law in LAWS {
        assert!(!is_caught(Bug::None, *law).await, "{law:?}");
    }
}

/// Whether the law panics for a store with this bug.
async fn is_caught(bug: Bug, law: Law) -> bool {
    let trial = tokio::spawn(async move { (law.run)(&Seeded(bug)).await });
    match trial.await {
        Ok(Verdict::Kept | Verdict::Gap(_)) => false,
        Err(error) => error.is_panic(),
    }
}

struct Seeded(Bug);

impl Rig for Seeded {
    fn open(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        let store = Broken {
            inner: MemoryStore::new(),
            bug: self.0,
            owners: Mutex::default(),
            latest: Mutex::default(),
            interrupted: Mutex::default(),
            numbers: Mutex::default(),
            nobodys: Doorbell::default(),
        };
        Box::pin(async { Arc::new(store) as Arc<dyn Store> })
    }
}

/// The store in memory, with a bug in front of it.
struct Broken {
    inner: MemoryStore,
    bug: Bug,
    owners: Mutex<HashMap<QueueId, Ownership>>,
    latest: Mutex<Vec<Claimed>>,
    interrupted: Mutex<bool>,
    numbers: Mutex<i64>,
    nobodys: Doorbell,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Broken {
    /// What becomes of a commit before it is made.
    async fn spoil(&self, commit: &mut Commit) {
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
                _ => {}
            }
        }
        for task in &mut commit.tasks {
            match self.bug {
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
            let tasks_alone = Commit { tasks: commit.tasks.clone(), ..Commit::at(commit.now) };
            let result = self.inner.commit(commit).await;
            if result.is_err() && self.bug == Bug::WritesHalfACommit {
                self.inner.commit(tasks_alone).await?;
            }
            let mut committed = result?;
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
    fn wait_for_ownership(&self) -> StoreFuture<'_, ()> {
        self.inner.wait_for_ownership()
    }

    fn acquire(&self, queue: &QueueId, now: Timestamp) -> StoreFuture<'_, Ownership> {
        let queue = queue.clone();
        Box::pin(async move {
            let owner = self.inner.acquire(&queue, now).await?;
            *lock(&self.interrupted) = lock(&self.owners).insert(queue, owner.clone()).is_some();
            Ok(owner)
        })
    }

    fn claim(&self, ownership: &Ownership, limit: usize, now: Timestamp) -> StoreFuture<'_, Claim> {
        let ownership = ownership.clone();
        Box::pin(async move {
            let early = now.plus(Duration::from_micros(999_999));
            let now = if self.bug == Bug::IsEarly { early } else { now };
            let mut claim = self.inner.claim(&ownership, limit, now).await?;
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
                _ => {}
            }
            Ok(claim)
        })
    }
}

impl Identity for Broken {
    fn external_ids(
        &self,
        connector: &ConnectorName,
        objects: &[ObjectKey],
    ) -> StoreFuture<'_, Vec<Option<String>>> {
        self.inner.external_ids(connector, objects)
    }

    fn host_ids(
        &self,
        connector: &ConnectorName,
        external: &[(ObjectType, String)],
    ) -> StoreFuture<'_, Vec<Option<ObjectId>>> {
        if self.bug != Bug::KnowsTheGone {
            return self.inner.host_ids(connector, external);
        }
        let (connector, external) = (connector.clone(), external.to_vec());
        Box::pin(async move {
            let bindings = self.inner.bindings(&connector, None, usize::MAX).await?;
            let known = |(object_type, external_id): &(ObjectType, String)| {
                let is_it = |binding: &&Binding| {
                    binding.object.object_type == *object_type && binding.external_id == *external_id
                };
                bindings.iter().find(is_it).map(|binding| binding.object.id.clone())
            };
            Ok(external.iter().map(known).collect())
        })
    }

    fn bindings(
        &self,
        connector: &ConnectorName,
        after: Option<(ObjectType, String)>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<Binding>> {
        self.inner.bindings(connector, after, limit)
    }

    fn unlink(&self, connector: &ConnectorName, object: &ObjectKey) -> StoreFuture<'_, bool> {
        self.inner.unlink(connector, object)
    }
}

impl Objects for Broken {
    fn object(&self, key: &ObjectKey) -> StoreFuture<'_, Option<ObjectRecord>> {
        self.inner.object(key)
    }

    fn find_object(&self, query: &ObjectQuery) -> StoreFuture<'_, Option<ObjectRecord>> {
        self.inner.find_object(query)
    }

    fn list_objects(
        &self,
        object_type: &ObjectType,
        after: Option<ObjectId>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<ObjectRecord>> {
        self.inner.list_objects(object_type, after, limit)
    }

    fn count_objects(&self, object_type: &ObjectType) -> StoreFuture<'_, u64> {
        self.inner.count_objects(object_type)
    }

    fn new_object_numbers(&self, count: usize) -> StoreFuture<'_, Vec<i64>> {
        if self.bug != Bug::RepeatsNumbers {
            return self.inner.new_object_numbers(count);
        }
        let mut numbers = lock(&self.numbers);
        let first = *numbers;
        *numbers += i64::try_from(count).unwrap();
        let given: Vec<_> = (first + 1..=*numbers).collect();
        Box::pin(async move { Ok(given) })
    }
}

impl Connectors for Broken {
    fn connectors(&self) -> StoreFuture<'_, Vec<ConnectorRecord>> {
        self.inner.connectors()
    }

    fn save_connector(&self, record: ConnectorRecord) -> StoreFuture<'_, ()> {
        self.inner.save_connector(record)
    }

    fn set_connector_state(&self, name: &ConnectorName, state: ConnectorState) -> StoreFuture<'_, ()> {
        self.inner.set_connector_state(name, state)
    }

    fn publish_subscriptions(&self, name: &ConnectorName, said: serde_json::Value) -> StoreFuture<'_, ()> {
        self.inner.publish_subscriptions(name, said)
    }

    fn published_subscriptions(&self) -> StoreFuture<'_, Vec<(ConnectorName, serde_json::Value)>> {
        self.inner.published_subscriptions()
    }

    fn switches(&self) -> StoreFuture<'_, Option<Switches>> {
        self.inner.switches()
    }

    fn set_switches(&self, switches: Switches) -> StoreFuture<'_, ()> {
        self.inner.set_switches(switches)
    }
}

impl Operate for Broken {
    fn queues(&self) -> StoreFuture<'_, Vec<QueueId>> {
        self.inner.queues()
    }

    fn counters(&self, queue: &QueueId) -> StoreFuture<'_, Counters> {
        let queue = queue.clone();
        Box::pin(async move {
            let mut counters = self.inner.counters(&queue).await?;
            if self.bug == Bug::ForgetsTheLate {
                counters.stale = 0;
            }
            Ok(counters)
        })
    }

    fn queue_counts(&self, queue: &QueueId) -> StoreFuture<'_, QueueCounts> {
        self.inner.queue_counts(queue)
    }

    fn deliveries(&self, queue: &QueueId, filter: &DeliveryFilter) -> StoreFuture<'_, Vec<DeliverySummary>> {
        self.inner.deliveries(queue, filter)
    }

    fn delivery(&self, delivery: DeliveryId) -> StoreFuture<'_, Option<DeliveryDetail>> {
        self.inner.delivery(delivery)
    }
}

impl Wake for Broken {
    fn doorbell(&self, queue: &QueueId) -> tokio::sync::watch::Receiver<u64> {
        match self.bug {
            Bug::LosesTheDoorbell => self.nobodys.listen(queue),
            _ => self.inner.doorbell(queue),
        }
    }

    fn ring(&self, queue: &QueueId) {
        self.inner.ring(queue);
    }
}

impl Store for Broken {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        if self.bug == Bug::NeverCloses { Box::pin(async {}) } else { self.inner.close() }
    }
}
