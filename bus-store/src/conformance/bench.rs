//! What the laws share: a store with one owned queue, and short words for what is done to it.
//!
//! Longer than other files because it is a vocabulary: many small words, in one place to find them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bus_core::{
    ConnectorName, DataType, DeliveryId, DeliveryState, Direction, ErrorPolicy, ObjectId, ObjectKey,
    ObjectOperation, ObjectType, Site, Timestamp,
};
use uuid::Uuid;

use super::Rig;
use crate::doubt::Unsettled;
use crate::exchange::Travel;
use crate::identity::{Binding, ExternalId};
use crate::objects::{Expected, FoundBy, ObjectQuery, ObjectRecord, ObjectWrite};
use crate::operate::{
    Audit, Counters, DeliveryDetail, DeliveryFilter, DeliverySummary, Intervention, QueueCounts, Selected,
    Verb, Verdict,
};
use crate::queue::{
    Acquired, Awaited, Claim, Claimed, Outcome, Ownership, QueueId, Scope, Settlement, Terms, Wanted,
};
use crate::task_log::{Commit, Committed, NewDelivery, NewTask, Redelivery};
use crate::{Store, StoreError, StoreErrorKind};

/// A store, and one queue of it with its owner.
pub(super) struct Bench {
    pub(super) store: Arc<dyn Store>,
    pub(super) queue: QueueId,
    pub(super) owner: Ownership,
    /// The latest delivery that was logged here.
    latest: AtomicI64,
}

impl Bench {
    /// Opens the rig's store and becomes the owner of `crm outgoing`.
    pub(super) async fn open(rig: &dyn Rig) -> Self {
        let store = rig.open().await;
        let queue = outgoing("crm");
        let owner = own(&*store, &queue).await;
        Self { store, queue, owner, latest: AtomicI64::new(0) }
    }

    /// As `open`, and the queue keeps order among all of its deliveries.
    pub(super) async fn open_in_order(rig: &dyn Rig) -> Self {
        let mut bench = Self::open(rig).await;
        bench.acquire_with(Scope::Queue).await;
        bench
    }

    /// Logs a task for each of these keys, in one commit.
    pub(super) async fn log<const N: usize>(&self, keys: [&str; N]) -> [DeliveryId; N] {
        self.log_tasks(keys.map(|key| task(&self.queue, key))).await
    }

    /// Logs tasks for this queue alone, in one commit.
    pub(super) async fn log_tasks<const N: usize>(&self, tasks: [NewTask; N]) -> [DeliveryId; N] {
        let tasks = tasks.into();
        let logged = self.commit(Commit { tasks, ..Commit::at(at(0)) }).await.tasks;
        let before = DeliveryId(self.latest.load(Ordering::Relaxed));
        let open = self.open_deliveries_after(Some(before)).await;
        let mut ids = logged.iter().map(|task| {
            let delivery = open.iter().find(|summary| summary.task == *task);
            delivery.unwrap_or_else(|| panic!("task {task} was acknowledged and is not there")).delivery
        });
        let ids = std::array::from_fn(|_| ids.next().expect("a commit answers all of its tasks"));
        self.latest.store(ids.last().map_or(0, |latest| latest.0), Ordering::Relaxed);
        ids
    }

    /// Logs this many tasks, each of a key of its own, in few commits.
    pub(super) async fn log_keys(&self, prefix: &str, count: usize) {
        let keys: Vec<String> = (0..count).map(|number| format!("{prefix} {number}")).collect();
        for keys in keys.chunks(1_000) {
            let tasks = keys.iter().map(|key| task(&self.queue, key)).collect();
            self.commit(Commit { tasks, ..Commit::at(at(0)) }).await;
        }
    }

    pub(super) async fn commit(&self, commit: Commit) -> Committed {
        self.store.commit(commit).await.expect("commit")
    }

    /// Saves new objects.
    pub(super) async fn save<const N: usize>(&self, records: [ObjectRecord; N]) {
        let objects = records.map(save_new).into();
        self.commit(Commit { objects, ..Commit::at(at(0)) }).await;
    }

    /// Registers sites of these names.
    pub(super) async fn sites<const N: usize>(&self, names: [&str; N]) {
        for name in names {
            let site = Site::new(name).expect("a site's name");
            self.store.save_site(site).await.expect("save site");
        }
    }

    pub(super) async fn delete(&self, key: &ObjectKey, version: i64) {
        let objects = vec![ObjectWrite::Delete { key: key.clone(), expected: Expected::Version(version) }];
        self.commit(Commit { objects, ..Commit::at(at(0)) }).await;
    }

    pub(super) async fn bind(&self, binding: Binding) {
        self.commit(Commit { bindings: vec![binding], ..Commit::at(at(0)) }).await;
    }

    pub(super) async fn unbind(&self, binding: Binding) {
        self.commit(Commit { unbound: vec![binding], ..Commit::at(at(0)) }).await;
    }

    /// Claims, and answers what was claimed.
    pub(super) async fn claim(&self, limit: usize, now: Timestamp) -> Vec<DeliveryId> {
        ids(&self.claim_whole(limit, now).await)
    }

    pub(super) async fn claim_whole(&self, limit: usize, now: Timestamp) -> Claim {
        self.claim_wanted(Wanted::up_to(limit), now).await
    }

    pub(super) async fn claim_wanted(&self, wanted: Wanted, now: Timestamp) -> Claim {
        self.store.claim(&self.owner, wanted, now).await.expect("claim")
    }

    /// Claims what must be exactly one delivery, and answers all about it.
    pub(super) async fn claim_one(&self, now: Timestamp) -> Claimed {
        let mut claim = self.claim_whole(100, now).await;
        assert_eq!(claim.deliveries.len(), 1, "expected to claim one delivery: {:?}", ids(&claim));
        claim.deliveries.remove(0)
    }

    /// Settles one delivery, and sees that nothing is lost from the books.
    pub(super) async fn settle(&self, delivery: DeliveryId, outcome: Outcome) -> Vec<DeliveryId> {
        self.settle_at(delivery, outcome, at(0)).await
    }

    pub(super) async fn settle_at(
        &self,
        delivery: DeliveryId,
        outcome: Outcome,
        now: Timestamp,
    ) -> Vec<DeliveryId> {
        let settlements = vec![Settlement { delivery, outcome }];
        let committed = self.try_settle(&self.owner, settlements, now).await.expect("settle");
        self.counters().await;
        committed.displaced
    }

    /// Settles in one commit.
    pub(super) async fn try_settle(
        &self,
        owner: &Ownership,
        settlements: Vec<Settlement>,
        now: Timestamp,
    ) -> Result<Committed, StoreError> {
        let ownership = Some(owner.clone());
        self.store.commit(Commit { settlements, ownership, ..Commit::at(now) }).await
    }

    /// Claims the one delivery that is ready, and settles it.
    pub(super) async fn claim_and_settle(&self, now: Timestamp, outcome: Outcome) -> Claimed {
        let claimed = self.claim_one(now).await;
        self.settle_at(claimed.delivery, outcome, now).await;
        claimed
    }

    /// Logs and claims one delivery of this key, and settles it.
    pub(super) async fn log_settled(&self, key: &str, outcome: Outcome) -> DeliveryId {
        let [id] = self.log([key]).await;
        assert_eq!(self.claim(1, at(0)).await, [id]);
        self.settle(id, outcome).await;
        id
    }

    /// Does to deliveries what an operator asks.
    pub(super) async fn intervene<const N: usize>(
        &self,
        verb: Verb,
        deliveries: [DeliveryId; N],
    ) -> Vec<Verdict> {
        let verdicts = self.store.intervene(intervention(verb, deliveries)).await.expect("intervene");
        self.counters().await;
        verdicts
    }

    /// How often the queue's doorbell was rung.
    pub(super) fn rings(&self) -> u64 {
        *self.store.doorbell(&self.queue).borrow()
    }

    /// Counts what is there, in which there is no fault.
    pub(super) async fn audit(&self) -> Audit {
        let audit = self.store.audit(&self.queue).await.expect("audit");
        assert_eq!(audit.faults(), Vec::<String>::new(), "{audit:?}");
        audit
    }

    /// Becomes the owner once more, as after a crash.
    pub(super) async fn acquire_again(&mut self) -> Ownership {
        self.acquire_with(Scope::Key).await
    }

    /// Becomes the owner once more, and keeps order within this.
    pub(super) async fn acquire_with(&mut self, scope: Scope) -> Ownership {
        let owner = own_with(&*self.store, &self.queue, scope, at(0)).await;
        std::mem::replace(&mut self.owner, owner)
    }

    /// The counters, which are in balance.
    pub(super) async fn counters(&self) -> Counters {
        let counters = self.store.counters(&self.queue).await.expect("counters");
        assert_balanced(&counters);
        counters
    }

    /// What of users is claimed or in doubt.
    pub(super) async fn unsettled(&self, limit: usize) -> Vec<Unsettled> {
        self.store.unsettled(&self.queue, "app.user", limit).await.expect("unsettled")
    }

    pub(super) async fn counts(&self) -> QueueCounts {
        self.store.queue_counts(&self.queue).await.expect("queue counts")
    }

    pub(super) async fn detail(&self, delivery: DeliveryId) -> DeliveryDetail {
        self.store.delivery(delivery).await.expect("delivery").expect("it is kept")
    }

    pub(super) async fn is_open(&self, delivery: DeliveryId) -> bool {
        let detail = self.store.delivery(delivery).await.expect("delivery");
        detail.is_some_and(|detail| !detail.summary.state.is_final())
    }

    pub(super) async fn state(&self, delivery: DeliveryId) -> DeliveryState {
        self.detail(delivery).await.summary.state
    }

    /// All open deliveries of the queue, over as many pages as it takes.
    pub(super) async fn open_deliveries(&self) -> Vec<DeliverySummary> {
        self.open_deliveries_after(None).await
    }

    async fn open_deliveries_after(&self, mut after: Option<DeliveryId>) -> Vec<DeliverySummary> {
        let mut all = Vec::new();
        loop {
            let filter = DeliveryFilter { after, ..DeliveryFilter::default() };
            let page = self.store.deliveries(&self.queue, &filter).await.expect("deliveries");
            let Some(last) = page.last() else { return all };
            after = Some(last.delivery);
            all.extend(page);
        }
    }

    pub(super) async fn find(&self, query: &ObjectQuery) -> Option<ObjectKey> {
        self.store.find_object(query).await.expect("find object").map(|record| record.key)
    }

    pub(super) async fn host_id(&self, external_id: &str) -> Option<ObjectId> {
        let external = [(user_type(), external_id.to_owned())];
        self.store.host_ids(&connector("crm"), &external).await.expect("host ids").remove(0)
    }

    pub(super) async fn external_id(&self, object: &ObjectKey) -> Option<String> {
        self.known_external_id(object).await.map(|known| known.id)
    }

    pub(super) async fn known_external_id(&self, object: &ObjectKey) -> Option<ExternalId> {
        let objects = std::slice::from_ref(object);
        self.store.external_ids(&connector("crm"), objects).await.expect("external ids").remove(0)
    }
}

/// Becomes the owner of a queue that is to be had, and that keeps order within each key.
pub(super) async fn own(store: &dyn Store, queue: &QueueId) -> Ownership {
    own_with(store, queue, Scope::Key, at(0)).await
}

/// Becomes the owner of a queue that is to be had.
pub(super) async fn own_with(store: &dyn Store, queue: &QueueId, scope: Scope, now: Timestamp) -> Ownership {
    match store.acquire(queue, Terms { scope, silent: None }, now).await.expect("acquire") {
        Acquired::Owned(ownership) => ownership,
        Acquired::Taken(heartbeat) => panic!("`{queue}` has another owner: {heartbeat:?}"),
    }
}

pub(super) fn assert_balanced(counters: &Counters) {
    let Counters { logged, open, completed, skipped, discarded, cancelled, .. } = *counters;
    assert_eq!(logged, open + completed + skipped + discarded + cancelled, "the books: {counters:?}");
}

/// This many seconds after the laws began, and a bit: whole seconds would hide lost precision.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_795_424_400_123_456 + seconds * 1_000_000)
}

pub(super) fn ids(claim: &Claim) -> Vec<DeliveryId> {
    claim.deliveries.iter().map(|claimed| claimed.delivery).collect()
}

pub(super) fn kind_of<T>(result: Result<T, StoreError>) -> Option<StoreErrorKind> {
    result.err().map(|error| error.kind())
}

pub(super) fn connector(name: &str) -> ConnectorName {
    ConnectorName::parse(name).expect("a connector's name")
}

pub(super) fn outgoing(name: &str) -> QueueId {
    QueueId::new(connector(name), Direction::Outgoing)
}

pub(super) fn user_type() -> ObjectType {
    ObjectType::parse("app.user").expect("an object type")
}

pub(super) fn task(queue: &QueueId, key: &str) -> NewTask {
    NewTask {
        direction: queue.direction,
        subject: "app.user".to_owned(),
        key: key.to_owned(),
        operation: ObjectOperation::Update.into(),
        title: format!("update user {key}"),
        data: key.as_bytes().to_vec(),
        content_type: "application/json".to_owned(),
        site: None,
        origin: None,
        logged_at: at(0),
        redelivers: None,
        idempotency: None,
        travel: Travel::default(),
        deliveries: vec![delivery_for(&queue.connector)],
    }
}

pub(super) fn delivery_for(connector: &ConnectorName) -> NewDelivery {
    NewDelivery {
        connector: connector.clone(),
        data_type: DataType::SimpleSnapshot,
        policy: ErrorPolicy::Default,
        idempotency_key: Uuid::from_u128(7),
    }
}

/// What an operator asks to be done to these, whatever their state.
pub(super) fn intervention<const N: usize>(verb: Verb, deliveries: [DeliveryId; N]) -> Intervention {
    let items = deliveries.map(|delivery| Selected { delivery, seen: None }).into();
    Intervention { verb, items, by: "jane".to_owned(), reason: None, now: at(0) }
}

/// It was done, and there is nothing to say about later ones.
pub(super) fn done() -> Verdict {
    Verdict::Done { later: Vec::new() }
}

pub(super) fn settlement(delivery: DeliveryId, outcome: Outcome) -> Settlement {
    Settlement { delivery, outcome }
}

pub(super) fn retry(seconds: i64) -> Outcome {
    Outcome::Retry { due: at(seconds), error: "the peer answered 500".to_owned() }
}

pub(super) fn released(seconds: i64) -> Outcome {
    Outcome::Released { due: at(seconds), error: None }
}

pub(super) fn released_at_once() -> Outcome {
    Outcome::Released { due: Timestamp::EPOCH, error: None }
}

/// Waits for something that never arrives, unless it is said what.
pub(super) fn waiting(seconds: i64) -> Outcome {
    waiting_for(bound_to(404), seconds)
}

pub(super) fn waiting_for(awaited: Awaited, seconds: i64) -> Outcome {
    Outcome::Waiting { awaited: vec![awaited], due: at(seconds), reason: "company 404 is missing".to_owned() }
}

pub(super) fn deferred(seconds: i64) -> Outcome {
    Outcome::Deferred { due: at(seconds), error: "the peer is busy".to_owned() }
}

pub(super) fn aside(seconds: i64) -> Outcome {
    Outcome::Aside { due: at(seconds), error: None, charged: false }
}

pub(super) fn parked() -> Outcome {
    Outcome::Parked { error: "the peer answered 422".to_owned(), aside: false }
}

pub(super) fn parked_aside() -> Outcome {
    Outcome::Parked { error: "the peer answered 422".to_owned(), aside: true }
}

pub(super) fn discarded() -> Outcome {
    Outcome::Discarded { error: "by policy".to_owned() }
}

/// The outcomes that hold the queue, where order is kept within it, and the key in any case.
pub(super) fn holding(seconds: i64) -> [Outcome; 4] {
    [retry(seconds), released(seconds), deferred(seconds), parked()]
}

/// The four outcomes that let later deliveries of the key pass.
pub(super) fn passing(seconds: i64) -> [Outcome; 4] {
    [Outcome::Completed, discarded(), aside(seconds), parked_aside()]
}

pub(super) fn user_key(number: i64) -> ObjectKey {
    ObjectKey { object_type: user_type(), id: ObjectId::Number(number) }
}

pub(super) fn user(number: i64) -> ObjectRecord {
    ObjectRecord {
        key: user_key(number),
        guid: None,
        code_name: None,
        display_name: None,
        site: None,
        parent: None,
        group: None,
        data: b"{}".to_vec(),
        version: 0,
    }
}

pub(super) fn save_new(record: ObjectRecord) -> ObjectWrite {
    ObjectWrite::Save { record, expected: Expected::Absent }
}

pub(super) fn save_over(record: ObjectRecord, version: i64) -> ObjectWrite {
    ObjectWrite::Save { record, expected: Expected::Version(version) }
}

pub(super) fn binding(number: i64, external_id: &str) -> Binding {
    Binding { connector: connector("crm"), object: user_key(number), external_id: external_id.to_owned() }
}

pub(super) fn by_guid(guid: Uuid) -> ObjectQuery {
    ObjectQuery { object_type: user_type(), by: FoundBy::Guid(guid), site: None, parent: None, group: None }
}

pub(super) fn by_code_name(code_name: &str) -> ObjectQuery {
    ObjectQuery { by: FoundBy::CodeName(code_name.to_owned()), ..by_guid(Uuid::nil()) }
}

/// Until the external system knows this user.
pub(super) fn bound_to(number: i64) -> Awaited {
    Awaited::Bound { connector: connector("crm"), object_type: user_type(), object: ObjectId::Number(number) }
}

/// Until the host knows this external id.
pub(super) fn known_as(external_id: &str) -> Awaited {
    Awaited::Known {
        connector: connector("crm"),
        object_type: user_type(),
        external_id: external_id.to_owned(),
    }
}

pub(super) fn redelivery(of: DeliveryId) -> Redelivery {
    Redelivery { of, by: "jane".to_owned(), reason: Some("the law says so".to_owned()) }
}
