//! Where the host's objects are asked for: the repository of their type, or the built-in store.

use std::fmt;
use std::sync::Arc;

use bus_core::{Failure, ObjectKey, ObjectType, Timestamp};
use bus_store::{ObjectQuery, ObjectRecord, StoreError};

use crate::error::{BusError, BusErrorKind};
use crate::flow::call;
use crate::flow::change::Stored;
use crate::repository::{AnyRepository, Lookup};
use crate::shared::Shared;

/// Where the host's objects are asked for.
pub(crate) struct Host<'a>(pub(crate) &'a Shared);

/// Why it could not be asked.
#[derive(Debug)]
pub(crate) enum HostError {
    Store(StoreError),
    /// A repository of the application failed.
    Repository(RepositoryError),
}

/// A repository of the application failed.
#[derive(Debug)]
pub(crate) struct RepositoryError(pub(crate) Failure);

impl<'a> Host<'a> {
    /// The object with this key. What comes from a repository has no version: that is 0.
    pub(crate) async fn object(&self, key: &ObjectKey) -> Result<Option<ObjectRecord>, HostError> {
        let Some(repository) = self.repository(&key.object_type) else {
            return Ok(self.0.store.object(key).await?);
        };
        let (repository, id) = (Arc::clone(repository), key.id.clone());
        self.ask(async move { repository.load(id).await }).await
    }

    /// The only object that fits.
    pub(crate) async fn find(&self, query: &ObjectQuery) -> Result<Option<ObjectRecord>, HostError> {
        let Some(repository) = self.repository(&query.object_type) else {
            return Ok(self.0.store.find_object(query).await?);
        };
        let (repository, lookup) = (Arc::clone(repository), Lookup::of(query));
        self.ask(async move { repository.find(lookup).await }).await
    }

    /// When the object was changed last, if that is known.
    pub(crate) async fn changed_at(&self, key: &ObjectKey) -> Result<Option<Timestamp>, HostError> {
        let Some(repository) = self.repository(&key.object_type) else {
            return Ok(self.0.store.changed_at(key).await?);
        };
        let (repository, id) = (Arc::clone(repository), key.id.clone());
        let asked = call::ask_repository(self.0, async move { repository.changed_at(id).await }).await;
        asked.map_err(|failure| HostError::Repository(RepositoryError(failure)))
    }

    /// The repository of this type; none where its objects live in the built-in store.
    pub(crate) fn repository(&self, object_type: &ObjectType) -> Option<&'a Arc<dyn AnyRepository>> {
        self.0.repositories.get(object_type.as_str())
    }

    /// Refuses to do this to objects of a type that has a repository.
    pub(crate) fn check_built_in(&self, object_type: &ObjectType, what: &str) -> Result<(), BusError> {
        if self.repository(object_type).is_none() {
            return Ok(());
        }
        let message = format!(
            "{object_type} lives in the application's own tables, so that the bus cannot {what}; do that there, and log it \
             with `Bus::log`"
        );
        Err(BusError::new(BusErrorKind::WrongState, message))
    }

    async fn ask(
        &self,
        call: impl Future<Output = Result<Option<bus_core::parts::ObjectParts>, Failure>> + Send + 'static,
    ) -> Result<Option<ObjectRecord>, HostError> {
        let failed = |failure| HostError::Repository(RepositoryError(failure));
        let Some(parts) = call::ask_repository(self.0, call).await.map_err(failed)? else { return Ok(None) };
        let stored = Stored::of(&self.0.registry, parts)
            .map_err(|error| failed(Failure::reject(error.to_string())))?;
        Ok(Some(stored.record))
    }
}

impl From<StoreError> for HostError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl BusError {
    /// Trouble with the host's objects while `doing` something.
    pub(crate) fn host(doing: &str, error: HostError) -> Self {
        match error {
            HostError::Store(error) => Self::store(doing, error),
            HostError::Repository(error) => Self::new(BusErrorKind::Store, doing).with_source(error),
        }
    }

    /// Whether a repository of the application failed.
    pub(crate) fn is_of_repository(&self) -> bool {
        std::error::Error::source(self).is_some_and(<dyn std::error::Error>::is::<RepositoryError>)
    }

    /// What the store, or a repository, said itself, if it was one of them: whoever decides by that needs all of it.
    pub(crate) fn into_host(self) -> Result<HostError, Self> {
        match self.into_source::<RepositoryError>() {
            Ok(error) => Ok(HostError::Repository(error)),
            Err(error) => error.into_store().map(HostError::Store),
        }
    }
}

impl fmt::Display for RepositoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the repository failed: {}", self.0.message())
    }
}

impl std::error::Error for RepositoryError {}
