//! Outgoing: what one delivery comes to. Many of them are settled together.

use std::collections::HashSet;
use std::sync::Arc;

use bus_core::instance::Instance;
use bus_core::payload::Payload;
use bus_core::{Failure, FailureKind, ObjectKey, ObjectOperation, Operation, PageOperation};
use bus_store::{Binding, Claimed, Doubt, Outcome, StoreError};

use super::Worker;
use super::backlog::Read;
use super::batch::{Batch, Effect, Held};
use super::calling::About;
use crate::flow::assignment::is_still_so;
use crate::flow::call::{self, CallEnd};
use crate::flow::change::Stored;
use crate::flow::children::{Pending, snapshot};
use crate::flow::delivery;
use crate::flow::page::{self, identities};
use crate::flow::settlement::{ended, released, superseded};
use crate::flow::task_log::add_translation_records;
use crate::flow::translation::{ExternalIds, Translator, Untranslated, referenced};
use crate::flow::versions;
use crate::host::HostError;

/// What became of one delivery.
pub(super) struct Delivered {
    pub(super) outcome: Outcome,
    pub(super) effects: Vec<Effect>,
    /// Why the external system is out of reach, if it is.
    pub(super) lost: Option<Failure>,
    /// Whether the connector has answered, and not that it is cut off: the external system is there.
    pub(super) is_answered: bool,
    /// What is in doubt about the delivery unless it has ended.
    pub(super) doubt: Doubt,
}

impl Worker {
    /// Reads payloads, and all at once what the identity map knows of their objects, into `known`.
    pub(super) async fn read(
        &self,
        claimed: &[Claimed],
        known: &Arc<ExternalIds>,
    ) -> Result<Vec<Read>, StoreError> {
        let payloads: Vec<Result<Payload, String>> = claimed
            .iter()
            .map(|claimed| {
                let read = versions::read(&self.shared.registry, &claimed.subject, &claimed.data);
                read.map_err(|error| error.to_string())
            })
            .collect();
        let mut objects: HashSet<ObjectKey> = HashSet::new();
        for (claimed, payload) in claimed.iter().zip(&payloads) {
            objects.extend(identities(claimed, payload.as_ref().ok()));
            objects.extend(payload.iter().flat_map(referenced));
        }
        let connector = &self.queue.connector;
        known.read(&self.shared, connector, objects.into_iter().collect()).await?;
        Ok(payloads.into_iter().map(|payload| Read { payload, known: Arc::clone(known) }).collect())
    }

    /// Works on one delivery.
    pub(super) async fn deliver(
        &self,
        instance: &Arc<Instance>,
        claimed: &Claimed,
        read: Option<Read>,
    ) -> Result<Delivered, StoreError> {
        let mut delivered = Delivered {
            outcome: Outcome::Completed,
            effects: Vec::new(),
            lost: None,
            is_answered: false,
            doubt: claimed.doubt,
        };
        if let Some(outcome) = self.rules().before(claimed) {
            return Ok(Delivered { outcome, ..delivered });
        }
        let read = match read {
            Some(read) => read,
            None => self.read(std::slice::from_ref(claimed), &Arc::default()).await?.remove(0),
        };
        (delivered.outcome, delivered.lost) =
            self.deliver_read(instance, claimed, read, &mut delivered).await?;
        Ok(delivered)
    }

    async fn deliver_read(
        &self,
        instance: &Arc<Instance>,
        claimed: &Claimed,
        Read { payload, known }: Read,
        delivered: &mut Delivered,
    ) -> Result<(Outcome, Option<Failure>), StoreError> {
        let mut payload = match payload {
            Ok(payload) => payload,
            Err(error) => {
                let error = format!("the task's data cannot be read: {error}; its bytes are kept");
                return Ok((parked(error), None));
            }
        };
        let enlisted = &self.connection.enlisted;
        let connector = &self.queue.connector;
        let Some(route) = delivery::route_of(self.linked, claimed.operation.subject(), &claimed.subject)
        else {
            let error = format!(
                "connector {connector} does not deliver {} any more; put its `#[outgoing]` line back, or end the task",
                claimed.subject
            );
            return Ok((parked(error), None));
        };
        let about = identities(claimed, Some(&payload));
        let Some(key) = about.first().cloned() else {
            return Ok((parked(format!("`{}` is not the key of an object or a page", claimed.key)), None));
        };
        if let Some((outcome, effects)) = self.told_to_nobody(claimed, &key, &known).await? {
            delivered.effects.extend(effects);
            return Ok((outcome, None));
        }
        if let Some(by) = claimed.superseded_by {
            match self.taken_again(claimed, &key, payload, &known).await {
                Ok(Some(again)) => payload = again,
                Ok(None) => return Ok((superseded(by), None)),
                Err(HostError::Repository(error)) => return Ok(self.failed(claimed, error.0)),
                Err(HostError::Store(error)) => return Err(error),
            }
        }
        let mut translator = Translator::new(&self.shared, enlisted, self.linked, instance);
        let payload = payload.reduced_to(claimed.data_type);
        let told = self.told(claimed, &payload);
        let translated = translator.outgoing(payload, &key, claimed, &known).await;
        // What the connector answered is kept whatever becomes of this delivery.
        delivered.effects.extend(translator.learned.into_iter().map(Effect::Bound));
        let late = translator.late;
        let change = match translated {
            Ok(change) => change,
            Err(Untranslated::Missing { awaited, reason }) => {
                return Ok((self.missing(claimed, awaited, reason).await?, None));
            }
            Err(Untranslated::Unanswerable(reason)) => return Ok((ended(claimed, reason), None)),
            Err(Untranslated::Failed(failure)) => return Ok(self.failed(claimed, failure)),
            Err(Untranslated::Host(HostError::Repository(error))) => return Ok(self.failed(claimed, error.0)),
            Err(Untranslated::Host(HostError::Store(error))) => return Err(error),
            Err(Untranslated::Aborted) => return Ok((released(None), None)),
        };
        let bound = about.into_iter().filter_map(|object| {
            let external_id = known.get(&object, claimed.task)?;
            Some(Binding { connector: connector.clone(), object, external_id })
        });
        let bound: Vec<Binding> = bound.filter(|_| claimed.operation.is_delete()).collect();
        let about = About { route, key, known, bound, told, late };
        self.call(instance, claimed, change, about, delivered).await
    }

    /// What a delivery that was overtaken while it stood aside is about by now: an update has nothing left to do, nor
    /// has a create or a delete that a later delivery made good, nor what is about a site where the object is, or is not,
    /// again.
    async fn taken_again(
        &self,
        claimed: &Claimed,
        key: &ObjectKey,
        payload: Payload,
        known: &ExternalIds,
    ) -> Result<Option<Payload>, HostError> {
        let (operation, site) = match claimed.operation {
            Operation::Object(operation) => (operation, claimed.site.as_ref()),
            Operation::Page(operation) => {
                return self.page_taken_again(claimed, operation, key, payload, known).await;
            }
        };
        let living = match operation {
            ObjectOperation::Update => return Ok(None),
            ObjectOperation::AddToSite | ObjectOperation::RemoveFromSite
                if !is_still_so(&self.shared, key, operation, site).await? =>
            {
                return Ok(None);
            }
            ObjectOperation::Create if known.get(key, claimed.task).is_some() => return Ok(None),
            ObjectOperation::Create
            | ObjectOperation::Delete
            | ObjectOperation::AddToSite
            | ObjectOperation::RemoveFromSite => self.shared.host().object(key).await?,
        };
        let Some(living) = living else {
            return Ok((operation == ObjectOperation::Delete).then_some(payload));
        };
        if operation == ObjectOperation::Delete {
            return Ok(None);
        }
        let Ok(stored) = Stored::read(&self.shared.registry, living) else { return Ok(Some(payload)) };
        let mut living = stored.payload;
        if claimed.data_type.has_children() {
            living = match snapshot(&self.shared, key, living, &Pending::default()).await {
                Ok(whole) => whole,
                Err(error) => match error.into_host() {
                    Ok(error) => return Err(error),
                    Err(_) => return Ok(Some(payload)),
                },
            };
        }
        let mut payload = living;
        if claimed.data_type.translates() {
            add_translation_records(&self.shared, &mut payload).await?;
        }
        Ok(Some(payload))
    }

    /// The same of a page. What overtook it may be about another culture, so that an update is told, too, of the page as it is.
    async fn page_taken_again(
        &self,
        claimed: &Claimed,
        operation: PageOperation,
        key: &ObjectKey,
        payload: Payload,
        known: &ExternalIds,
    ) -> Result<Option<Payload>, HostError> {
        let Some(was) = payload.page.as_deref() else { return Ok(Some(payload)) };
        let living = match operation {
            PageOperation::DeleteAll => {
                return Ok(self.shared.store.node(was.guid).await?.is_none().then_some(payload));
            }
            PageOperation::Create if known.get(key, claimed.task).is_some() => return Ok(None),
            operation => page::living(&self.shared, operation, was).await?,
        };
        if operation == PageOperation::Delete {
            return Ok(living.is_none().then_some(payload));
        }
        let Some(living) = living else { return Ok(None) };
        let mut payload = page::payload(&living)?;
        if claimed.data_type.translates() {
            add_translation_records(&self.shared, &mut payload).await?;
        }
        Ok(Some(payload))
    }

    /// Flushes a batch: what succeeded only counts once the flush has. Answers the keys that are held by its failure,
    /// and, where the external system was out of reach for it, why.
    pub(super) async fn flush_batch(
        &self,
        instance: &Arc<Instance>,
        batch: &mut Batch,
    ) -> (Held, Option<Failure>) {
        if !batch.has_successes() {
            return (Held::default(), None);
        }
        match self.flush(instance).await {
            Ok(()) => {
                self.connection.proven(instance, self.queue.direction).await;
                let mut suspects = self.suspects();
                batch.successes().for_each(|delivery| suspects.succeeded(delivery));
                (Held::default(), None)
            }
            Err(failure) => {
                let held = batch.fail_successes(&self.rules(), &failure, self.is_in_queue_order());
                (held, (failure.kind() == FailureKind::Disconnected).then_some(failure))
            }
        }
    }

    async fn flush(&self, instance: &Arc<Instance>) -> Result<(), Failure> {
        let instance = Arc::clone(instance);
        let cx = self.shared.cx(&self.queue.connector);
        let call = async move { instance.flush(&cx).await };
        match call::run(&self.shared, &self.connection.enlisted, call).await {
            CallEnd::Answered(answer) => answer,
            // The bus stops before the flush is proven: as if nothing had been delivered.
            CallEnd::Aborted => Err(Failure::disconnected("the bus stopped before the flush")),
        }
    }

    /// After a failure of the connector: what becomes of the delivery, and, where the external system is out of reach,
    /// why.
    pub(super) fn failed(&self, claimed: &Claimed, failure: Failure) -> (Outcome, Option<Failure>) {
        // The rules are of after the call: its time counts.
        let outcome = self.after_failure(claimed, &failure);
        let lost = (failure.kind() == FailureKind::Disconnected).then_some(failure);
        (outcome, lost)
    }
}

pub(super) fn parked(error: String) -> Outcome {
    Outcome::Parked { error, aside: false }
}
