//! A call that would create, and that may have been made before: its connector is asked whether the object is there.

use std::sync::Arc;

use bus_core::instance::Instance;
use bus_core::payload::Payload;
use bus_core::{CreateOnce, Failure, FailureKind, ObjectId, ObjectKey, Sought};
use bus_store::{Claimed, Doubt, StoreError};

use super::Worker;
use crate::flow::call::{self, CallEnd};
use crate::flow::create_once::{self, Before};
use crate::identity::check_external_id;

/// What is known before the call.
pub(super) enum Known {
    /// Nothing is in the way of it; what is in doubt still, as long as it has not answered.
    Create(Doubt),
    /// The external system knows the object by this id: it is told of an update.
    Found(String),
    /// A person has to look.
    Parked(String),
    /// The connector failed when it was asked.
    Failed(Failure),
    /// The bus stops.
    Aborted,
}

impl Worker {
    /// What the connector declares of creates.
    pub(super) fn create_once(&self) -> CreateOnce {
        self.linked.create_once.unwrap_or(CreateOnce::Find)
    }

    /// Before a call that would create the object.
    pub(super) async fn before_create(
        &self,
        instance: &Arc<Instance>,
        claimed: &Claimed,
        key: &ObjectKey,
        payload: &Payload,
    ) -> Result<Known, StoreError> {
        match create_once::before(self.create_once(), claimed.doubt) {
            Before::Call => Ok(Known::Create(claimed.doubt)),
            Before::Park => {
                Ok(Known::Parked(self.in_doubt(key, "an earlier call of it ended without an answer")))
            }
            Before::Find => match self.find_external(instance, claimed, key, payload).await {
                CallEnd::Answered(Ok(None)) => Ok(Known::Create(Doubt::None)),
                CallEnd::Answered(Ok(Some(external_id))) => self.found(key, external_id).await,
                CallEnd::Answered(Err(failure)) if failure.kind() == FailureKind::NotAnswered => {
                    Ok(Known::Create(claimed.doubt))
                }
                CallEnd::Answered(Err(failure)) => Ok(Known::Failed(failure)),
                CallEnd::Aborted => Ok(Known::Aborted),
            },
        }
    }

    /// Why a person has to look.
    pub(super) fn in_doubt(&self, key: &ObjectKey, why: &str) -> String {
        format!(
            "in doubt: connector {} may have created {key} ({why}), and can neither look it up nor repeat it; look there, \
             then link it and retry, or retry to create it",
            self.queue.connector
        )
    }

    async fn find_external(
        &self,
        instance: &Arc<Instance>,
        claimed: &Claimed,
        key: &ObjectKey,
        payload: &Payload,
    ) -> CallEnd<Option<String>> {
        let (instance, cx) = (Arc::clone(instance), self.shared.cx(&self.queue.connector));
        let object = payload.clone().into_any(key.object_type.clone(), key.id.clone());
        let known = self.shared.registry.object_type(&claimed.subject);
        let parts = known.and_then(|known| (known.parts)(payload.clone()).ok());
        let (guid, code_name) = parts.map_or((None, None), |parts| (parts.guid, parts.code_name));
        let (key, idempotency_key) = (key.clone(), claimed.idempotency_key);
        let call = async move {
            let mut sought = Sought::new(&key, idempotency_key, &object);
            sought.guid = guid;
            sought.code_name = code_name.as_deref();
            instance.find_external(&sought, &cx).await
        };
        call::run(&self.shared, &self.connection.enlisted, call).await
    }

    /// What was found is the object, unless it is another one by now.
    async fn found(&self, key: &ObjectKey, external_id: String) -> Result<Known, StoreError> {
        let connector = &self.queue.connector;
        if let Err((_, fault)) = check_external_id(&external_id) {
            return Ok(Known::Parked(format!("connector {connector} was asked for {key}, but {fault}")));
        }
        let asked = [(key.object_type.clone(), external_id.clone())];
        let other: Option<ObjectId> = self.shared.store.host_ids(connector, &asked).await?.pop().flatten();
        Ok(match other.filter(|other| *other != key.id) {
            None => Known::Found(external_id),
            Some(other) => Known::Parked(format!(
                "connector {connector} was asked for {key} and answered `{external_id}`, which is {} {other} already; \
                 unlink that, or mend `find_external`",
                key.object_type
            )),
        })
    }
}
