//! What is asked of a broken store, beside its tasks and queues.

use std::collections::BTreeSet;

use bus_core::{BoxFuture, ConnectorName, DeliveryId, ObjectId, ObjectKey, ObjectType, SiteName, Timestamp};
use bus_store::operate::INTERVENTION_ITEMS_MAX;
use bus_store::{
    Audit, Binding, Capabilities, Circuit, Commit, ConnectorRecord, ConnectorState, Connectors, Counters,
    DeliveryDetail, DeliveryFilter, DeliverySummary, ExternalId, Identity, Intervention, Missing,
    ObjectQuery, ObjectRecord, Objects, Operate, Outcome, QueueCounts, QueueId, Selected, Settlement, Store,
    StoreFuture, Switches, TaskLog, Verb, Verdict, Waiting, Wake,
};

use super::{Broken, lock};
use crate::Bug;

impl Identity for Broken {
    fn external_ids(
        &self,
        connector: &ConnectorName,
        objects: &[ObjectKey],
    ) -> StoreFuture<'_, Vec<Option<ExternalId>>> {
        let known = self.inner.external_ids(connector, objects);
        if self.bug != Bug::InheritsBindings {
            return known;
        }
        Box::pin(async {
            let living = |known: ExternalId| ExternalId { ended: None, ..known };
            Ok(known.await?.into_iter().map(|known| known.map(living)).collect())
        })
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
        let always = Timestamp::from_micros(i64::MAX);
        let before = if self.bug == Bug::MissesWhatIsNew { always } else { before };
        self.inner.missing(connector, object_type, present, before)
    }
}

impl Objects for Broken {
    fn object(&self, key: &ObjectKey) -> StoreFuture<'_, Option<ObjectRecord>> {
        let raised = if self.bug == Bug::RaisesNoVersion { self.assignments_of(key) } else { 0 };
        let found = self.inner.object(key);
        Box::pin(async move {
            Ok(found.await?.map(|record| ObjectRecord { version: record.version - raised, ..record }))
        })
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
        match self.bug {
            Bug::ListsTheChildrenOfOthers => self.inner.list_objects(child_type, after, limit),
            _ => self.inner.list_children(child_type, parent, after, limit),
        }
    }

    fn count_objects(&self, object_type: &ObjectType) -> StoreFuture<'_, u64> {
        self.inner.count_objects(object_type)
    }

    fn sites_of(&self, object: &ObjectKey) -> StoreFuture<'_, Vec<SiteName>> {
        if self.bug != Bug::KeepsAssignmentsOfTheGone {
            return self.inner.sites_of(object);
        }
        let assigned = lock(&self.assigned);
        let sites = assigned.iter().filter(|(key, _)| key == object).map(|(_, site)| site.clone()).collect();
        Box::pin(async move { Ok(sites) })
    }

    fn changed_at(&self, key: &ObjectKey) -> StoreFuture<'_, Option<Timestamp>> {
        self.inner.changed_at(key)
    }

    fn live_elsewhere(&self, object_type: &ObjectType) -> StoreFuture<'_, ()> {
        if self.bug == Bug::ForgetsWhatLivesElsewhere {
            return Box::pin(async { Ok(()) });
        }
        self.inner.live_elsewhere(object_type)
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

    fn delete_connector(&self, name: &ConnectorName) -> StoreFuture<'_, bool> {
        let name = name.clone();
        Box::pin(async move {
            self.keep_resyncs(&name).await;
            match self.bug {
                Bug::DeletesWithOpenDeliveries => {
                    for queue in
                        self.inner.queues().await?.into_iter().filter(|queue| queue.connector == name)
                    {
                        let open = self.inner.deliveries(&queue, &DeliveryFilter::default()).await?;
                        let items = open.iter().map(|open| Selected { delivery: open.delivery, seen: None });
                        let verb = Verb::Discard;
                        let (by, now) = ("nobody".to_owned(), Timestamp::EPOCH);
                        let all = Intervention { verb, items: items.collect(), by, reason: None, now };
                        self.inner.intervene(all).await?;
                    }
                    self.inner.delete_connector(&name).await
                }
                Bug::LogsForTheDeleted => {
                    let records = self.inner.connectors().await?;
                    lock(&self.deleted).extend(records.into_iter().filter(|record| record.name == name));
                    self.inner.delete_connector(&name).await
                }
                Bug::KeepsTheCircuitOfTheDeleted => {
                    let circuits = self.inner.circuits().await?;
                    let deleted = self.inner.delete_connector(&name).await?;
                    for (name, circuit) in circuits {
                        self.inner.set_circuit(&name, Some(circuit)).await?;
                    }
                    Ok(deleted)
                }
                _ => self.inner.delete_connector(&name).await,
            }
        })
    }

    fn set_circuit(&self, name: &ConnectorName, circuit: Option<Circuit>) -> StoreFuture<'_, ()> {
        self.inner.set_circuit(name, circuit)
    }

    fn circuits(&self) -> StoreFuture<'_, Vec<(ConnectorName, Circuit)>> {
        match self.bug {
            Bug::ForgetsCircuits => Box::pin(async { Ok(Vec::new()) }),
            _ => self.inner.circuits(),
        }
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
        let mut filter = filter.clone();
        if self.bug == Bug::ListsEveryKey {
            filter.key = None;
        }
        match (self.bug, filter.state) {
            (Bug::DropsHistory, Some(state)) if state.is_final() => Box::pin(async { Ok(Vec::new()) }),
            _ => self.inner.deliveries(queue, &filter),
        }
    }

    fn delivery(&self, delivery: DeliveryId) -> StoreFuture<'_, Option<DeliveryDetail>> {
        Box::pin(async move {
            let Some(mut detail) = self.inner.delivery(delivery).await? else { return Ok(None) };
            match self.bug {
                Bug::DropsHistory if detail.summary.state.is_final() => return Ok(None),
                Bug::ForgetsWhoDidIt => detail.interventions.clear(),
                Bug::ForgetsWhatBlocks => detail.blocked_by = None,
                Bug::CutsWithinACharacter => {
                    for attempt in &mut detail.attempts {
                        attempt.error = attempt.error.replace('…', "\u{fffd}…");
                    }
                }
                _ => {}
            }
            Ok(Some(detail))
        })
    }

    fn open_of_key(&self, queue: &QueueId, key: &str, limit: usize) -> StoreFuture<'_, Vec<DeliveryId>> {
        if self.bug != Bug::FindsAllForAnyKey {
            return self.inner.open_of_key(queue, key, limit);
        }
        let queue = queue.clone();
        Box::pin(async move {
            let open = self.inner.deliveries(&queue, &DeliveryFilter::default()).await?;
            Ok(open.iter().map(|open| open.delivery).take(limit).collect())
        })
    }

    fn awaited_by_key(&self, queue: &QueueId, key: &str) -> StoreFuture<'_, Option<Waiting>> {
        match self.bug {
            Bug::ForgetsWhatAKeyWaitsFor => Box::pin(async { Ok(None) }),
            _ => self.inner.awaited_by_key(queue, key),
        }
    }

    fn intervene(&self, intervention: Intervention) -> StoreFuture<'_, Vec<Verdict>> {
        Box::pin(self.intervene_wrongly(intervention))
    }

    fn prune(&self, queue: &QueueId, mut ended_before: Timestamp, limit: usize) -> StoreFuture<'_, usize> {
        if self.bug == Bug::PrunesTooMuch {
            ended_before = Timestamp::from_micros(i64::MAX);
        }
        self.outbox.forget_names();
        self.inner.prune(queue, ended_before, limit)
    }

    fn audit(&self, queue: &QueueId) -> StoreFuture<'_, Audit> {
        let queue = queue.clone();
        Box::pin(async move {
            let mut audit = self.inner.audit(&queue).await?;
            match self.bug {
                Bug::AuditsTheCountersOnly => audit.ended_rows = audit.counters.ended(),
                Bug::AuditsWrong => audit.open_rows = audit.open_rows.saturating_sub(1),
                _ => {}
            }
            Ok(audit)
        })
    }
}

impl Broken {
    async fn intervene_wrongly(
        &self,
        mut intervention: Intervention,
    ) -> Result<Vec<Verdict>, bus_store::StoreError> {
        match self.bug {
            Bug::IgnoresWhatWasSeen => intervention.items.iter_mut().for_each(|item| item.seen = None),
            Bug::CarriesOutAnyNumber => intervention.items.truncate(INTERVENTION_ITEMS_MAX),
            Bug::ForgetsToResetTheBudget => {
                for item in &intervention.items {
                    let detail = self.inner.delivery(item.delivery).await?;
                    let attempts = detail.map_or(0, |detail| detail.summary.attempts);
                    *lock(&self.budgets).entry(item.delivery).or_default() += attempts;
                }
            }
            _ => {}
        }
        let mut verdicts = self.inner.intervene(intervention.clone()).await?;
        for (item, verdict) in intervention.items.iter().zip(&mut verdicts) {
            match (self.bug, &verdict) {
                (Bug::SkipsWhatWasNeverCalled, Verdict::NeverCalled) => {
                    let one = Intervention { verb: Verb::Cancel, items: vec![*item], ..intervention.clone() };
                    *verdict = self.inner.intervene(one).await?.remove(0);
                }
                (Bug::EndsWhatRuns, Verdict::Running) => {
                    if let Some(detail) = self.inner.delivery(item.delivery).await? {
                        self.end(&detail, intervention.now).await?;
                    }
                }
                (Bug::RetriesWhatIsBlocked, Verdict::BlockedBy(_))
                | (Bug::EndsACreateInSilence, Verdict::Done { .. }) => {
                    *verdict = Verdict::Done { later: Vec::new() };
                }
                _ => {}
            }
        }
        Ok(verdicts)
    }

    /// Ends what runs behind its owner's back.
    async fn end(&self, running: &DeliveryDetail, now: Timestamp) -> Result<(), bus_store::StoreError> {
        let outcome = Outcome::Discarded { error: "by hand".to_owned() };
        let settlements = vec![Settlement { delivery: running.summary.delivery, outcome }];
        let ownership = lock(&self.owners).get(&running.summary.queue).cloned();
        self.inner.commit(Commit { settlements, ownership, ..Commit::at(now) }).await.map(drop)
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
        let log_statement = Some("leave this");
        Capabilities { log_statement, settles_by_entry: true, ..self.inner.capabilities() }
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        if self.bug == Bug::NeverCloses { Box::pin(async {}) } else { self.inner.close() }
    }
}
