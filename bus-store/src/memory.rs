//! A store in memory: the reference. Simple, obviously right, and gone with the process.
//!
//! One mutex around plain collections. Each part of the state is a file named like the trait it serves; a commit
//! checks everything that can fail before it changes anything that it cannot put back.

mod connectors;
mod cursors;
mod exchange;
mod identity;
mod late;
mod objects;
mod operate;
mod outbox;
mod pages;
mod queue;
mod resync;
mod reviews;
mod sites;
mod task_log;
mod wake;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use bus_core::{BoxFuture, ConnectorName, DeliveryId, ObjectKey, ObjectType, Site, SiteName, Timestamp};
use tokio::sync::watch;

use crate::connectors::{Circuit, ConnectorRecord, Switches};
use crate::cursors::Cursor;
use crate::queue::QueueId;
use crate::wake::Doorbell;
use crate::{Capabilities, Durability, Store, StoreError, StoreErrorKind, StoreFuture};

/// A store in memory. Clones are handles to the same store.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    doorbell: Doorbell,
    /// Of an outbox that nothing can be left in.
    outbox_bell: watch::Sender<u64>,
    late_bell: watch::Sender<u64>,
}

/// Everything the store knows.
#[derive(Debug, Default)]
struct State {
    closed: bool,
    tasks_logged: i64,
    deliveries_logged: i64,
    queues: BTreeMap<QueueId, queue::QueueState>,
    /// Which queue each delivery is in, open or ended.
    queue_of: BTreeMap<DeliveryId, QueueId>,
    waits: wake::Waits,
    idempotency: task_log::KnownKeys,
    objects: objects::ObjectTable,
    /// When each of them was saved last.
    saved_at: BTreeMap<ObjectKey, Timestamp>,
    /// The types whose objects live elsewhere.
    elsewhere: BTreeSet<ObjectType>,
    pages: pages::PageTable,
    bindings: identity::BindingTable,
    exchanged: exchange::ExchangeTable,
    late: late::LateTable,
    sites: BTreeMap<SiteName, Site>,
    connectors: BTreeMap<ConnectorName, ConnectorRecord>,
    /// Those that were deleted and not saved again.
    deleted: BTreeSet<ConnectorName>,
    subscriptions: BTreeMap<ConnectorName, serde_json::Value>,
    circuits: BTreeMap<ConnectorName, Circuit>,
    resyncs: resync::ResyncTable,
    switches: Option<Switches>,
    cursors: BTreeMap<ConnectorName, Cursor>,
    /// How often any of the above was set.
    revision: u64,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Does something with the state, as one step, unless the store is closed. A panic of somebody who held the
    /// lock does not close the store: whatever can fail is checked before anything changes.
    fn with<'a, T: 'a>(
        &'a self,
        operation: &'static str,
        act: impl FnOnce(&mut State) -> Result<T, StoreError> + Send + 'a,
    ) -> StoreFuture<'a, T> {
        Box::pin(async move {
            let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.closed {
                return Err(StoreError::new(StoreErrorKind::Closed, operation, "the store is closed"));
            }
            act(&mut state)
        })
    }
}

impl State {
    /// Whether what is bound to an object, or to a page, counts: the store has it, or it lives elsewhere.
    fn may_be_there(&self, object: &ObjectKey) -> bool {
        self.elsewhere.contains(&object.object_type)
            || self.objects.get(object).is_some()
            || self.pages.has(object)
    }
}

impl Store for MemoryStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "memory",
            durability: Durability::Nothing,
            reopens: false,
            log_statement: None,
            settles_by_entry: false,
        }
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.0.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
            // Whoever waits for work asks again, and is told.
            self.0.doorbell.ring_all();
        })
    }
}
