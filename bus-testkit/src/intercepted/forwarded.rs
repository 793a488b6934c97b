//! A store between which and the bus somebody stands: all that it is asked, handed on.

use std::collections::BTreeSet;

use bus_core::{
    BoxFuture, ConnectorName, Culture, DeliveryId, ObjectId, ObjectKey, ObjectType, Site, SiteName, Timestamp,
};
use bus_store::{
    Acquired, Audit, Binding, Capabilities, Circuit, Claim, Commit, Committed, ConflictRecord,
    ConnectorRecord, ConnectorState, Connectors, Counters, Cursor, Cursors, Decision, DeliveryDetail,
    DeliveryFilter, DeliverySummary, Exchange, Exchanged, ExternalId, Identity, Intervention, Late, Missing,
    NewResync, NodeRecord, ObjectQuery, ObjectRecord, Objects, Operate, Outbox, OutboxCounts, OutboxEntry,
    Ownership, PageRecord, Pages, ParkedEntry, Queue, QueueCounts, QueueId, ResyncId, ResyncRecord, Resyncs,
    Reviews, Sites, Store, StoreFuture, Switches, TaskLog, Terms, Unsettled, Verdict, Waiting, Wake, Wanted,
};
use tokio::sync::watch;
use uuid::Uuid;

use super::{Intercept, Intercepted};

impl<I: Intercept> TaskLog for Intercepted<I> {
    fn commit(&self, commit: Commit) -> StoreFuture<'_, Committed> {
        self.intercept.commit(&*self.inner, commit)
    }
}

impl<I: Intercept> Queue for Intercepted<I> {
    fn acquire(&self, queue: &QueueId, terms: Terms, now: Timestamp) -> StoreFuture<'_, Acquired> {
        self.intercept.acquire(&*self.inner, queue, terms, now)
    }

    fn release(&self, ownership: &Ownership) -> StoreFuture<'_, ()> {
        self.inner.release(ownership)
    }

    fn wait_until_free(&self, queue: &QueueId) -> StoreFuture<'_, ()> {
        self.inner.wait_until_free(queue)
    }

    fn heartbeat(&self) -> StoreFuture<'_, ()> {
        self.inner.heartbeat()
    }

    fn unsettled(&self, queue: &QueueId, subject: &str, limit: usize) -> StoreFuture<'_, Vec<Unsettled>> {
        self.inner.unsettled(queue, subject, limit)
    }

    fn claim(&self, ownership: &Ownership, wanted: Wanted, now: Timestamp) -> StoreFuture<'_, Claim> {
        self.intercept.claim(&*self.inner, ownership, wanted, now)
    }
}

impl<I: Intercept> Identity for Intercepted<I> {
    fn external_ids(
        &self,
        connector: &ConnectorName,
        objects: &[ObjectKey],
    ) -> StoreFuture<'_, Vec<Option<ExternalId>>> {
        self.intercept.external_ids(&*self.inner, connector, objects)
    }

    fn host_ids(
        &self,
        connector: &ConnectorName,
        external: &[(ObjectType, String)],
    ) -> StoreFuture<'_, Vec<Option<ObjectId>>> {
        self.intercept.host_ids(&*self.inner, connector, external)
    }

    fn gone_host_id(
        &self,
        connector: &ConnectorName,
        object_type: &ObjectType,
        external_id: &str,
    ) -> StoreFuture<'_, Option<ObjectId>> {
        self.inner.gone_host_id(connector, object_type, external_id)
    }

    fn bindings(
        &self,
        connector: &ConnectorName,
        after: Option<(ObjectType, String)>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<Binding>> {
        self.inner.bindings(connector, after, limit)
    }

    fn missing(
        &self,
        connector: &ConnectorName,
        object_type: &ObjectType,
        present: BTreeSet<String>,
        before: Timestamp,
    ) -> StoreFuture<'_, Missing> {
        self.inner.missing(connector, object_type, present, before)
    }
}

impl<I: Intercept> Objects for Intercepted<I> {
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

    fn walk_objects(
        &self,
        types: &[ObjectType],
        after: u64,
        limit: usize,
    ) -> StoreFuture<'_, Vec<(u64, ObjectRecord)>> {
        self.inner.walk_objects(types, after, limit)
    }

    fn list_children(
        &self,
        child_type: &ObjectType,
        parent: &ObjectId,
        after: Option<ObjectId>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<ObjectRecord>> {
        self.inner.list_children(child_type, parent, after, limit)
    }

    fn count_objects(&self, object_type: &ObjectType) -> StoreFuture<'_, u64> {
        self.inner.count_objects(object_type)
    }

    fn sites_of(&self, object: &ObjectKey) -> StoreFuture<'_, Vec<SiteName>> {
        self.inner.sites_of(object)
    }

    fn changed_at(&self, key: &ObjectKey) -> StoreFuture<'_, Option<Timestamp>> {
        self.inner.changed_at(key)
    }

    fn live_elsewhere(&self, object_type: &ObjectType) -> StoreFuture<'_, ()> {
        self.inner.live_elsewhere(object_type)
    }

    fn new_object_numbers(&self, count: usize) -> StoreFuture<'_, Vec<i64>> {
        self.inner.new_object_numbers(count)
    }
}

impl<I: Intercept> Sites for Intercepted<I> {
    fn sites(&self) -> StoreFuture<'_, Vec<Site>> {
        self.inner.sites()
    }

    fn save_site(&self, site: Site) -> StoreFuture<'_, ()> {
        self.inner.save_site(site)
    }

    fn remove_site(&self, site: &SiteName) -> StoreFuture<'_, bool> {
        self.inner.remove_site(site)
    }
}

impl<I: Intercept> Connectors for Intercepted<I> {
    fn connectors(&self) -> StoreFuture<'_, Vec<ConnectorRecord>> {
        self.inner.connectors()
    }

    fn save_connector(&self, record: ConnectorRecord) -> StoreFuture<'_, ()> {
        self.inner.save_connector(record)
    }

    fn set_connector_state(&self, name: &ConnectorName, state: ConnectorState) -> StoreFuture<'_, ()> {
        self.inner.set_connector_state(name, state)
    }

    fn delete_connector(&self, name: &ConnectorName) -> StoreFuture<'_, bool> {
        self.inner.delete_connector(name)
    }

    fn set_circuit(&self, name: &ConnectorName, circuit: Option<Circuit>) -> StoreFuture<'_, ()> {
        self.inner.set_circuit(name, circuit)
    }

    fn circuits(&self) -> StoreFuture<'_, Vec<(ConnectorName, Circuit)>> {
        self.inner.circuits()
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

    fn revision(&self) -> StoreFuture<'_, u64> {
        self.inner.revision()
    }
}

impl<I: Intercept> Operate for Intercepted<I> {
    fn queues(&self) -> StoreFuture<'_, Vec<QueueId>> {
        self.inner.queues()
    }

    fn counters(&self, queue: &QueueId) -> StoreFuture<'_, Counters> {
        self.inner.counters(queue)
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

    fn open_of_key(&self, queue: &QueueId, key: &str, limit: usize) -> StoreFuture<'_, Vec<DeliveryId>> {
        self.inner.open_of_key(queue, key, limit)
    }

    fn awaited_by_key(&self, queue: &QueueId, key: &str) -> StoreFuture<'_, Option<Waiting>> {
        self.inner.awaited_by_key(queue, key)
    }

    fn intervene(&self, intervention: Intervention) -> StoreFuture<'_, Vec<Verdict>> {
        self.inner.intervene(intervention)
    }

    fn prune(&self, queue: &QueueId, ended_before: Timestamp, limit: usize) -> StoreFuture<'_, usize> {
        self.inner.prune(queue, ended_before, limit)
    }

    fn audit(&self, queue: &QueueId) -> StoreFuture<'_, Audit> {
        self.inner.audit(queue)
    }
}

impl<I: Intercept> Wake for Intercepted<I> {
    fn doorbell(&self, queue: &QueueId) -> watch::Receiver<u64> {
        self.inner.doorbell(queue)
    }

    fn ring(&self, queue: &QueueId) {
        self.inner.ring(queue);
    }
}

impl<I: Intercept> Cursors for Intercepted<I> {
    fn cursor(&self, connector: &ConnectorName) -> StoreFuture<'_, Cursor> {
        self.inner.cursor(connector)
    }

    fn forget_cursor(&self, connector: &ConnectorName) -> StoreFuture<'_, ()> {
        self.inner.forget_cursor(connector)
    }
}

impl<I: Intercept> Outbox for Intercepted<I> {
    fn outbox(&self, limit: usize) -> StoreFuture<'_, Vec<OutboxEntry>> {
        self.inner.outbox(limit)
    }

    fn parked_entries(&self, limit: usize) -> StoreFuture<'_, Vec<ParkedEntry>> {
        self.inner.parked_entries(limit)
    }

    fn retry_entry(&self, id: i64) -> StoreFuture<'_, bool> {
        self.inner.retry_entry(id)
    }

    fn outbox_counts(&self) -> StoreFuture<'_, OutboxCounts> {
        self.inner.outbox_counts()
    }

    fn outbox_bell(&self) -> watch::Receiver<u64> {
        self.inner.outbox_bell()
    }

    fn ring_outbox(&self) {
        self.inner.ring_outbox();
    }

    fn capture_drift(&self) -> StoreFuture<'_, Vec<bus_store::Drift>> {
        self.inner.capture_drift()
    }
}

impl<I: Intercept> Resyncs for Intercepted<I> {
    fn begin_resync(&self, new: NewResync) -> StoreFuture<'_, ResyncId> {
        self.inner.begin_resync(new)
    }

    fn resyncs(&self) -> StoreFuture<'_, Vec<ResyncRecord>> {
        self.inner.resyncs()
    }

    fn cancel_resync(&self, resync: ResyncId) -> StoreFuture<'_, bool> {
        self.inner.cancel_resync(resync)
    }
}

impl<I: Intercept> Pages for Intercepted<I> {
    fn node(&self, guid: Uuid) -> StoreFuture<'_, Option<NodeRecord>> {
        self.inner.node(guid)
    }

    fn node_at(&self, site: &SiteName, path: &str) -> StoreFuture<'_, Option<NodeRecord>> {
        self.inner.node_at(site, path)
    }

    fn page(&self, node: Uuid, culture: &Culture) -> StoreFuture<'_, Option<PageRecord>> {
        self.inner.page(node, culture)
    }

    fn list_nodes(
        &self,
        site: &SiteName,
        beneath: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<NodeRecord>> {
        self.inner.list_nodes(site, beneath, after, limit)
    }

    fn walk_nodes(
        &self,
        classes: &[ObjectType],
        after: u64,
        limit: usize,
    ) -> StoreFuture<'_, Vec<(u64, NodeRecord)>> {
        self.inner.walk_nodes(classes, after, limit)
    }
}

impl<I: Intercept> Late for Intercepted<I> {
    fn resolved(
        &self,
        after: Option<(ConnectorName, ObjectKey)>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<(ConnectorName, ObjectKey)>> {
        self.inner.resolved(after, limit)
    }

    fn late_bell(&self) -> watch::Receiver<u64> {
        self.inner.late_bell()
    }

    fn ring_late(&self) {
        self.inner.ring_late();
    }
}

impl<I: Intercept> Exchange for Intercepted<I> {
    fn exchanged(&self, binding: &Binding, key: &str) -> StoreFuture<'_, Exchanged> {
        self.inner.exchanged(binding, key)
    }

    fn forget_sent(&self, before: Timestamp, limit: usize) -> StoreFuture<'_, usize> {
        self.inner.forget_sent(before, limit)
    }
}

impl<I: Intercept> Reviews for Intercepted<I> {
    fn conflict(&self, delivery: DeliveryId) -> StoreFuture<'_, Option<ConflictRecord>> {
        self.inner.conflict(delivery)
    }

    fn conflicts(
        &self,
        queue: &QueueId,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<ConflictRecord>> {
        self.inner.conflicts(queue, after, limit)
    }

    fn resolve(&self, decision: Decision) -> StoreFuture<'_, Verdict> {
        self.inner.resolve(decision)
    }
}

impl<I: Intercept> Store for Intercepted<I> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }
}
