//! Outgoing: translates, delivers, flushes, and writes the outcomes together.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bus_core::instance::Instance;
use bus_core::{Failure, FailureKind, ObjectOperation};
use bus_store::{Binding, Claim, Claimed, Outcome, StoreError};

use super::Worker;
use super::batch::{Batch, Effect};
use crate::flow::call::{self, CallEnd};
use crate::flow::delivery::{self, Addressed};
use crate::flow::queue::OwnedQueue;
use crate::flow::settlement::{ended, released};
use crate::flow::task_log::object_of_key;
use crate::flow::translation::{ExternalIds, Translator, Untranslated, referenced};

/// The longest that a success waits for others to be written with it.
const SETTLE_AFTER: Duration = Duration::from_millis(20);

impl Worker {
    pub(super) async fn process_outgoing(
        &self,
        queue: &mut OwnedQueue,
        instance: &Arc<Instance>,
        claimed: Vec<Claimed>,
    ) -> Result<Option<(u64, Claim)>, StoreError> {
        let payloads: Vec<_> = claimed.iter().map(|claimed| serde_json::from_slice(&claimed.data)).collect();
        let objects = claimed
            .iter()
            .zip(&payloads)
            .flat_map(|(claimed, payload): (_, &Result<bus_core::payload::Payload, _>)| {
                let own = object_of_key(&claimed.subject, &claimed.key);
                own.into_iter().chain(payload.iter().flat_map(referenced))
            })
            .collect();
        let connector = &self.queue.connector;
        let mut known = ExternalIds::read(&self.shared, connector, objects).await?;
        let mut batch = Batch::begin(self.shared.now(), HashSet::new());
        let mut lost = None;
        for (claimed, payload) in claimed.iter().zip(payloads) {
            if batch.is_held(claimed) {
                continue;
            }
            if lost.is_some() || !self.may_start() {
                batch.settle(claimed, released(None), Vec::new());
                continue;
            }
            let mut effects = Vec::new();
            let (outcome, failure) = match (self.rules().before(claimed), payload) {
                (Some(outcome), _) => (outcome, None),
                (None, Ok(payload)) => {
                    self.deliver(instance, claimed, payload, &mut known, &mut effects).await?
                }
                (None, Err(error)) => {
                    (parked(format!("the task's data cannot be read: {error}; its bytes are kept")), None)
                }
            };
            lost = failure;
            batch.settle(claimed, outcome, effects);
            let now = self.shared.now();
            if now.since(batch.began) >= SETTLE_AFTER {
                let (full, failure) = self.flushed(instance, batch).await;
                // What is held stays so for the rest of what was claimed.
                batch = Batch::begin(now, full.held());
                lost = failure.or(lost);
                self.write(queue, full).await?;
            }
        }
        let (batch, failure) = self.flushed(instance, batch).await;
        lost = failure.or(lost);
        if let Some(failure) = lost {
            self.write(queue, batch).await?;
            self.connection.lost(instance, &failure).await;
            return Ok(None);
        }
        if batch.is_empty() || !self.may_start() {
            self.write(queue, batch).await?;
            return Ok(None);
        }
        let commit = batch.into_commit(&queue.ownership, self.shared.now());
        Ok(Some(queue.settle_and_claim(commit).await?))
    }

    /// One delivery: what becomes of it, and, where the external system is out of reach, why.
    async fn deliver(
        &self,
        instance: &Arc<Instance>,
        claimed: &Claimed,
        payload: bus_core::payload::Payload,
        known: &mut ExternalIds,
        effects: &mut Vec<Effect>,
    ) -> Result<(Outcome, Option<Failure>), StoreError> {
        let enlisted = &self.connection.enlisted;
        let connector = &self.queue.connector;
        let Some(route) = delivery::route_of(self.linked, &claimed.subject) else {
            let error = format!(
                "connector {connector} does not deliver {} any more; put its `#[outgoing]` line back, or end the task",
                claimed.subject
            );
            return Ok((parked(error), None));
        };
        let Some(key) = object_of_key(&claimed.subject, &claimed.key) else {
            return Ok((parked(format!("`{}` is not the key of an object", claimed.key)), None));
        };
        let mut translator =
            Translator { shared: &self.shared, enlisted, linked: self.linked, instance, learned: Vec::new() };
        let payload = payload.reduced_to(claimed.data_type);
        let translated =
            translator.outgoing(payload, &key, claimed.operation, claimed.data_type, known).await;
        // What the connector answered is kept whatever becomes of this delivery.
        effects.extend(translator.learned.into_iter().map(Effect::Bound));
        let rules = self.rules();
        let change = match translated {
            Ok(change) => change,
            Err(Untranslated::Missing { awaited, reason }) => {
                return Ok((rules.missing(claimed, awaited, reason), None));
            }
            Err(Untranslated::Unanswerable(reason)) => return Ok((ended(claimed, reason), None)),
            Err(Untranslated::Failed(failure)) => return Ok(self.failed(claimed, failure)),
            Err(Untranslated::Store(error)) => return Err(error),
            Err(Untranslated::Aborted) => return Ok((released(None), None)),
        };
        let addressed =
            Addressed { claimed, route, external_id: known.get(&key).map(str::to_owned), key: key.clone() };
        let delivered = delivery::deliver(&self.shared, enlisted, instance, change, addressed).await;
        if let Some(external_id) = delivered.bound {
            known.bind(key.clone(), external_id.clone());
            let binding = Binding { connector: connector.clone(), object: key.clone(), external_id };
            effects.push(Effect::Bound(binding));
        }
        Ok(match delivered.end {
            CallEnd::Answered(Ok(())) => {
                if claimed.operation == ObjectOperation::Delete {
                    known.forget(&key);
                    effects.push(Effect::Unbound(key));
                }
                (Outcome::Completed, None)
            }
            // The rules are of after the call: its time counts.
            CallEnd::Answered(Err(failure)) => self.failed(claimed, failure),
            CallEnd::Aborted => (released(None), None),
        })
    }

    /// Flushes a batch: what succeeded only counts once the flush has. Answers what is to be written, and, where the
    /// external system was out of reach for the flush, why.
    async fn flushed<'a>(
        &self,
        instance: &Arc<Instance>,
        mut batch: Batch<'a>,
    ) -> (Batch<'a>, Option<Failure>) {
        let mut lost = None;
        if batch.has_successes() {
            match self.flush(instance).await {
                Ok(()) => self.connection.proven(instance).await,
                Err(failure) => {
                    batch.fail_successes(&self.rules(), &failure);
                    lost = (failure.kind() == FailureKind::Disconnected).then_some(failure);
                }
            }
        }
        (batch, lost)
    }

    async fn write(&self, queue: &OwnedQueue, batch: Batch<'_>) -> Result<(), StoreError> {
        if !batch.is_empty() {
            self.shared.store.commit(batch.into_commit(&queue.ownership, self.shared.now())).await?;
        }
        Ok(())
    }

    async fn flush(&self, instance: &Arc<Instance>) -> Result<(), Failure> {
        let instance = Arc::clone(instance);
        let cx = self.shared.cx(&self.queue.connector);
        let call = async move { instance.flush(&cx).await };
        match call::run(&self.shared, &self.connection.enlisted.processing, call).await {
            CallEnd::Answered(answer) => answer,
            // The bus stops before the flush is proven: as if nothing had been delivered.
            CallEnd::Aborted => Err(Failure::disconnected("the bus stopped before the flush")),
        }
    }

    /// After a failure of the connector: what becomes of the delivery, and, where the external system is out of reach,
    /// why.
    fn failed(&self, claimed: &Claimed, failure: Failure) -> (Outcome, Option<Failure>) {
        let outcome = self.after_failure(claimed, &failure);
        let lost = (failure.kind() == FailureKind::Disconnected).then_some(failure);
        (outcome, lost)
    }
}

fn parked(error: String) -> Outcome {
    Outcome::Parked { error, aside: false }
}
