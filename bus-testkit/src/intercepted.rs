//! Somebody between the bus and its store.

mod forwarded;

use std::sync::Arc;

use bus_core::{ConnectorName, ObjectId, ObjectKey, ObjectType, Timestamp};
use bus_store::{
    Acquired, Claim, Commit, Committed, ExternalId, Ownership, QueueId, Store, StoreFuture, Terms, Wanted,
};

/// What somebody does who stands between a bus and its store: looks on, changes what is asked or answered, fails. What is
/// not written out is handed on as it is.
///
/// ```
/// use std::sync::Arc;
///
/// use bus_store::{Commit, Committed, MemoryStore, Store, StoreError, StoreErrorKind, StoreFuture};
/// use bus_testkit::{Intercept, Intercepted, TestBus};
///
/// /// A disk with no space left for tasks.
/// struct Full;
///
/// impl Intercept for Full {
///     fn commit<'a>(&'a self, store: &'a dyn Store, commit: Commit) -> StoreFuture<'a, Committed> {
///         if commit.tasks.is_empty() {
///             return store.commit(commit);
///         }
///         Box::pin(async { Err(StoreError::new(StoreErrorKind::Unavailable, "commit", "the disk is full")) })
///     }
/// }
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let store = Intercepted::new(Arc::new(MemoryStore::new()), Full);
/// let bus = TestBus::new().store(Arc::new(store)).start().await;
/// # bus.shutdown().await;
/// # });
/// ```
pub trait Intercept: Send + Sync + 'static {
    /// Something is to become true.
    fn commit<'a>(&'a self, store: &'a dyn Store, commit: Commit) -> StoreFuture<'a, Committed> {
        store.commit(commit)
    }

    /// Somebody wants to own a queue.
    fn acquire<'a>(
        &'a self,
        store: &'a dyn Store,
        queue: &QueueId,
        terms: Terms,
        now: Timestamp,
    ) -> StoreFuture<'a, Acquired> {
        store.acquire(queue, terms, now)
    }

    /// The owner of a queue wants something to do.
    fn claim<'a>(
        &'a self,
        store: &'a dyn Store,
        ownership: &Ownership,
        wanted: Wanted,
        now: Timestamp,
    ) -> StoreFuture<'a, Claim> {
        store.claim(ownership, wanted, now)
    }

    /// What an external system calls objects of the host.
    fn external_ids<'a>(
        &'a self,
        store: &'a dyn Store,
        connector: &ConnectorName,
        objects: &[ObjectKey],
    ) -> StoreFuture<'a, Vec<Option<ExternalId>>> {
        store.external_ids(connector, objects)
    }

    /// What the host calls objects of an external system.
    fn host_ids<'a>(
        &'a self,
        store: &'a dyn Store,
        connector: &ConnectorName,
        external: &[(ObjectType, String)],
    ) -> StoreFuture<'a, Vec<Option<ObjectId>>> {
        store.host_ids(connector, external)
    }
}

/// A store with somebody in front of it.
pub struct Intercepted<I> {
    inner: Arc<dyn Store>,
    intercept: I,
}

impl<I: Intercept> Intercepted<I> {
    /// That store, with this one in front of it.
    pub fn new(inner: Arc<dyn Store>, intercept: I) -> Self {
        Self { inner, intercept }
    }

    /// Who stands in front of it.
    pub fn intercept(&self) -> &I {
        &self.intercept
    }
}
