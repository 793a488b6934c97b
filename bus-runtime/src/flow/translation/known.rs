//! What a worker knows of external ids, read from the identity map a claim at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bus_core::{ConnectorName, ObjectKey, TaskId};
use bus_store::{ExternalId, StoreError};

use crate::shared::Shared;

/// What is known of external ids: read once for a claim, then kept up to date by what its deliveries bind, side by side
/// as they may run.
#[derive(Debug, Default)]
pub(crate) struct ExternalIds {
    known: Mutex<HashMap<ObjectKey, Option<ExternalId>>>,
    /// All of the same worker that something is done with still: each learns what is bound by any of them.
    all: Arc<Mutex<Vec<Weak<Self>>>>,
}

impl ExternalIds {
    /// For a claim that is made while others may be worked on. To be called before the store is asked for it.
    pub(crate) fn next(&self) -> Arc<Self> {
        let next = Arc::new(Self { known: Mutex::default(), all: Arc::clone(&self.all) });
        let mut all = lock(&self.all);
        all.retain(|one| one.strong_count() > 0);
        all.push(Arc::downgrade(&next));
        drop(all);
        next
    }

    /// Asks the identity map about these objects, all at once. What was bound in the meantime is newer than its answer.
    pub(crate) async fn read(
        &self,
        shared: &Shared,
        connector: &ConnectorName,
        mut objects: Vec<ObjectKey>,
    ) -> Result<(), StoreError> {
        objects.sort_unstable();
        objects.dedup();
        if objects.is_empty() {
            return Ok(());
        }
        let ids = shared.store.external_ids(connector, &objects).await?;
        let mut known = self.known();
        for (object, id) in objects.into_iter().zip(ids) {
            known.entry(object).or_insert(id);
        }
        Ok(())
    }

    /// What the object is called that this task knows under that id.
    pub(crate) fn get(&self, object: &ObjectKey, task: TaskId) -> Option<String> {
        let known = self.known().get(object)?.clone();
        known.filter(|known| known.is_of(task)).map(|known| known.id)
    }

    /// What the object that this task is about was called, if that is gone.
    pub(crate) fn of_gone(&self, object: &ObjectKey, task: TaskId) -> Option<String> {
        let known = self.known().get(object)?.clone();
        known.filter(|known| known.ended.is_some() && known.is_of(task)).map(|known| known.id)
    }

    /// Whether this task is about an object that is gone, and that was called so.
    pub(crate) fn was(&self, object: &ObjectKey, task: TaskId, external_id: &str) -> bool {
        let known = self.known().get(object).cloned().flatten();
        known.is_some_and(|known| known.ended.is_some() && known.is_of(task) && known.id == external_id)
    }

    pub(crate) fn bind(&self, object: ObjectKey, external_id: String) {
        self.set(object, Some(external_id));
    }

    pub(crate) fn forget(&self, object: ObjectKey) {
        self.set(object, None);
    }

    fn set(&self, object: ObjectKey, external_id: Option<String>) {
        let external_id = external_id.map(|id| ExternalId { id, ended: None, since: None });
        let others: Vec<_> = lock(&self.all).iter().filter_map(Weak::upgrade).collect();
        for other in others {
            other.known().insert(object.clone(), external_id.clone());
        }
        self.known().insert(object, external_id);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<ObjectKey, Option<ExternalId>>> {
        lock(&self.known)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
