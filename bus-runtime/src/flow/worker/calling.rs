//! The call of one delivery, and what follows from its answer.

use std::sync::Arc;

use bus_core::descriptor::OutgoingRoute;
use bus_core::instance::Instance;
use bus_core::{CreateOnce, Failure, FailureKind, ObjectKey};
use bus_store::{Binding, Claimed, Doubt, LateReferences, Outcome, StoreError};

use super::Worker;
use super::batch::Effect;
use super::creating::Known;
use super::outgoing::{Delivered, parked};
use super::told::Told;
use crate::flow::call::CallEnd;
use crate::flow::create_once;
use crate::flow::delivery::{self, Addressed};
use crate::flow::settlement::released;
use crate::flow::translation::{ExternalIds, Translated};
use crate::identity::check_external_id;

/// What a call is about.
pub(super) struct About {
    pub(super) route: &'static OutgoingRoute,
    pub(super) key: ObjectKey,
    pub(super) known: Arc<ExternalIds>,
    /// What is not known there any more after it.
    pub(super) bound: Vec<Binding>,
    /// What can come back.
    pub(super) told: Option<Told>,
    /// What is to be told later.
    pub(super) late: Option<LateReferences>,
}

impl Worker {
    /// Tells the external system, after a look whether it knows already what it would create.
    pub(super) async fn call(
        &self,
        instance: &Arc<Instance>,
        claimed: &Claimed,
        change: Translated,
        About { route, key, known, bound, told, late }: About,
        Delivered { effects, is_answered, doubt, .. }: &mut Delivered,
    ) -> Result<(Outcome, Option<Failure>), StoreError> {
        let enlisted = &self.connection.enlisted;
        let connector = &self.queue.connector;
        let mut external_id = known.get(&key, claimed.task);
        // What was in doubt, and is bound by now, has been created.
        let is_there = claimed.doubt != Doubt::None && external_id.is_some();
        let mut operation = claimed.operation;
        if is_there {
            operation = create_once::of_known(operation);
        }
        let mut is_creating = create_once::creates(operation, external_id.as_deref());
        let mut doubted = Doubt::None;
        if is_creating {
            match self.before_create(instance, claimed, &key, change.payload()).await? {
                Known::Create(doubt) => doubted = doubt,
                Known::Found(found) => {
                    known.bind(key.clone(), found.clone());
                    let (connector, object) = (connector.clone(), key.clone());
                    effects.push(Effect::Bound(Binding { connector, object, external_id: found.clone() }));
                    (external_id, operation, is_creating) =
                        (Some(found), create_once::of_known(operation), false);
                }
                Known::Parked(error) => return Ok((parked(error), None)),
                Known::Failed(failure) => return Ok(self.failed(claimed, failure)),
                Known::Aborted => return Ok((released(None), None)),
            }
        }
        let addressed =
            Addressed { claimed, route, operation, external_id: external_id.clone(), key: key.clone() };
        let delivered = delivery::deliver(&self.shared, enlisted, instance, change, addressed).await;
        *doubt = match &delivered.end {
            _ if !is_creating => Doubt::None,
            CallEnd::Answered(Err(failure)) if doubted == Doubt::None => {
                create_once::after(self.create_once(), failure)
            }
            // Whatever the flush makes of a success, the external system has been told.
            CallEnd::Answered(_) | CallEnd::Aborted => Doubt::InDoubt,
        };
        let named = delivered.bound.clone().or_else(|| external_id.clone());
        if let Some(external_id) = delivered.bound {
            if let Err((_, fault)) = check_external_id(&external_id) {
                let error =
                    format!("connector {connector} has told the external system of {key}, but {fault}");
                // There it is, under a name that cannot be kept.
                *doubt = Doubt::InDoubt;
                return Ok((parked(error), None));
            }
            // What is said again of one that is gone must not become a binding of the next object of its id.
            let is_new = !known.was(&key, claimed.task, &external_id);
            if is_new {
                known.bind(key.clone(), external_id.clone());
            }
            let binding = Binding { connector: connector.clone(), object: key.clone(), external_id };
            effects.extend(is_new.then_some(Effect::Bound(binding)));
            *doubt = Doubt::None;
        }
        *is_answered = match &delivered.end {
            CallEnd::Answered(Err(failure)) => failure.kind() != FailureKind::Disconnected,
            CallEnd::Answered(Ok(())) => true,
            CallEnd::Aborted => false,
        };
        let (outcome, lost) = match delivered.end {
            CallEnd::Answered(Ok(())) => {
                for binding in &bound {
                    known.forget(binding.object.clone());
                }
                effects.extend(bound.into_iter().map(Effect::Unbound));
                effects.extend(late.map(Effect::Late));
                (Outcome::Completed, None)
            }
            CallEnd::Answered(Err(failure)) => {
                let in_doubt = (*doubt == Doubt::InDoubt && self.create_once() == CreateOnce::InDoubt)
                    .then(|| parked(self.in_doubt(&key, &failure.message())));
                let (outcome, lost) = self.failed(claimed, failure);
                (in_doubt.unwrap_or(outcome), lost)
            }
            CallEnd::Aborted => (self.rules().aborted(enlisted.blocks()), None),
        };
        if let (Some(told), Some(external_id)) = (told, named) {
            let binding = Binding { connector: connector.clone(), object: key, external_id };
            effects.extend(told.after(&binding, claimed, &outcome));
        }
        Ok((outcome, lost))
    }
}
