//! Repositories of whatever type, by the type of their objects.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use bus_core::parts::{Identified, ObjectParts, set_identity};
use bus_core::payload::{Payload, PayloadError};
use bus_core::{BoxFuture, BusObject, Failure, FailureKind, HostId, ObjectId, Timestamp};
use uuid::Uuid;

use super::{Deleting, Lookup, Pending, Repository, Saving, Settlement};
use crate::flow::change::has_external_reference;

/// The repositories of a bus, by the type of their objects.
pub(crate) type Repositories = BTreeMap<&'static str, Arc<dyn AnyRepository>>;

/// The object-safe twin of `Repository`. Its failures are classified: never *disconnected*, which is said of external
/// systems.
pub(crate) trait AnyRepository: Send + Sync {
    fn load(&self, id: ObjectId) -> BoxFuture<'_, Result<Option<ObjectParts>, Failure>>;
    fn find(&self, lookup: Lookup) -> BoxFuture<'_, Result<Option<ObjectParts>, Failure>>;
    fn changed_at(&self, id: ObjectId) -> BoxFuture<'_, Result<Option<Timestamp>, Failure>>;
    /// A new object with all of its identity that the application does not give; a number or a text as its id is unset.
    fn new_object(&self, payload: &Payload, guid: Uuid) -> Result<ObjectParts, PayloadError>;
    fn save(
        &self,
        object: Payload,
        before: Option<Payload>,
        pending: Arc<Pending>,
    ) -> BoxFuture<'_, Result<(), Failure>>;
    fn delete(&self, object: Payload, pending: Arc<Pending>) -> BoxFuture<'_, Result<(), Failure>>;
}

struct Of<T, R>(R, PhantomData<fn() -> T>);

/// A repository of whatever type.
pub(crate) fn erased<T: BusObject>(repository: impl Repository<T>) -> Arc<dyn AnyRepository> {
    Arc::new(Of(repository, PhantomData))
}

impl<T: BusObject, R: Repository<T>> AnyRepository for Of<T, R> {
    fn load(&self, id: ObjectId) -> BoxFuture<'_, Result<Option<ObjectParts>, Failure>> {
        Box::pin(async move {
            let Some(asked) = T::Id::from_id(&id) else { return Ok(None) };
            let Some(object) = self.0.load(&asked).await.map_err(classified)? else { return Ok(None) };
            if *object.id() != asked {
                let answered = object.id().to_id();
                let reason =
                    format!("the repository of {} was asked for {id}, and answered {answered}", T::TYPE);
                return Err(Failure::reject(reason));
            }
            parts(&object).map(Some)
        })
    }

    fn find(&self, lookup: Lookup) -> BoxFuture<'_, Result<Option<ObjectParts>, Failure>> {
        Box::pin(async move {
            let found = self.0.find(&lookup).await.map_err(classified)?;
            found.map(|object| parts(&object)).transpose()
        })
    }

    fn changed_at(&self, id: ObjectId) -> BoxFuture<'_, Result<Option<Timestamp>, Failure>> {
        Box::pin(async move {
            let Some(asked) = T::Id::from_id(&id) else { return Ok(None) };
            self.0.changed_at(&asked).await.map_err(classified)
        })
    }

    fn new_object(&self, payload: &Payload, guid: Uuid) -> Result<ObjectParts, PayloadError> {
        let mut object: T = payload.clone().read()?;
        match T::Id::assigned(0, guid) {
            Some(_) => set_identity(&mut object, Identified::New { number: 0, guid })?,
            None if object.guid().is_none_or(|guid| guid.is_nil()) => object.set_guid(guid),
            None => {}
        }
        let mut parts = ObjectParts::of(&object)?;
        parts.id = Some(object.id().to_id());
        Ok(parts)
    }

    fn save(
        &self,
        object: Payload,
        before: Option<Payload>,
        pending: Arc<Pending>,
    ) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            let before = before.map(read).transpose()?;
            let saving = Saving { object: read(object)?, before, settlement: Settlement::new(pending) };
            self.0.save(saving).await.map_err(classified)
        })
    }

    fn delete(&self, object: Payload, pending: Arc<Pending>) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            let deleting = Deleting { object: read(object)?, settlement: Settlement::new(pending) };
            self.0.delete(deleting).await.map_err(classified)
        })
    }
}

fn read<T: BusObject>(payload: Payload) -> Result<T, Failure> {
    payload.read().map_err(|error| Failure::reject(format!("{} cannot be read: {error}", T::TYPE)))
}

/// What a repository has answered, if it is one of the application's objects.
fn parts<T: BusObject>(object: &T) -> Result<ObjectParts, Failure> {
    let refuse =
        |reason: &str| Failure::reject(format!("the repository of {} answered an object {reason}", T::TYPE));
    if object.id().is_unset() {
        return Err(refuse("without an id"));
    }
    let parts =
        ObjectParts::of(object).map_err(|error| refuse(&format!("that cannot be written: {error}")))?;
    if let Some(at) = has_external_reference(&parts.payload) {
        return Err(refuse(&format!(
            "whose reference at {at} holds an external id; the host's objects refer to each other by `Ref::host`"
        )));
    }
    Ok(parts)
}

fn classified(failure: Failure) -> Failure {
    let failure = failure.classified(|_| FailureKind::Retry);
    match failure.kind() {
        FailureKind::Disconnected | FailureKind::NotAnswered => Failure::retry(failure.message()),
        _ => failure,
    }
}
