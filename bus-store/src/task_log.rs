//! Everything that becomes true together.

use bus_core::{ConnectorName, DataType, Direction, DeliveryId, ErrorPolicy, ObjectKey, ObjectOperation, SiteName, TaskId, Timestamp};
use uuid::Uuid;

use crate::identity::Binding;
use crate::objects::ObjectWrite;
use crate::queue::{Ownership, Settlement};
use crate::{StoreError, StoreFuture};

/// Where changes, tasks, bindings and outcomes are written.
pub trait TaskLog {
    /// Makes all of it true, or none of it. When this returns, it is as durable as the store promises.
    ///
    /// In this order: settlements, objects, ended bindings, bindings, tasks. Then whoever waits for one of the written objects or
    /// bindings is made ready, and the doorbell of each queue that got something to do is rung.
    ///
    /// # Errors
    ///
    /// `Conflict` when an object is not as `expected`, or a GUID, or a code name within site and parent, is taken
    /// by another object. `Stale` when `ownership` is not that of the queue any more. Nothing has changed then.
    fn commit(&self, commit: Commit) -> StoreFuture<'_, Committed>;
}

/// What is to become true together.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// Outcomes of deliveries that `ownership` claimed, applied in this order.
    pub settlements: Vec<Settlement>,
    /// Whose deliveries the settlements are; needed when there are any.
    pub ownership: Option<Ownership>,
    /// Objects of the built-in object store.
    pub objects: Vec<ObjectWrite>,
    /// Bindings. One that contradicts another (same object, or same external id, of the same connector and type)
    /// takes its place: the newest word counts.
    pub bindings: Vec<Binding>,
    /// Bindings that end, because the delete of their object has been delivered.
    pub unbound: Vec<(ConnectorName, ObjectKey)>,
    /// New tasks with their deliveries, logged in this order.
    pub tasks: Vec<NewTask>,
    /// When this happens, by the caller's clock.
    pub now: Timestamp,
}

/// What became of a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// The new tasks, in the order given.
    pub tasks: Vec<TaskId>,
    /// Deliveries that this owner had claimed and that were put back, because an earlier one of their key was
    /// settled in a way that holds the key. They must not be started any more.
    pub displaced: Vec<DeliveryId>,
}

/// A change, or an external object, to be written down.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTask {
    /// Which way it travels.
    pub direction: Direction,
    /// The object type of an outgoing task, the kind of an incoming one.
    pub subject: String,
    /// What order is kept for, within connector and direction: `app.user 17`, `contact 003xx`.
    pub key: String,
    /// What happened.
    pub operation: ObjectOperation,
    /// For people.
    pub title: String,
    /// The object: a payload in JSON (outgoing), the bytes as received (incoming).
    pub data: Vec<u8>,
    /// What the bytes are.
    pub content_type: String,
    /// The site that was named, if any.
    pub site: Option<SiteName>,
    /// The connector whose incoming task made this change; `None` for the host.
    pub origin: Option<ConnectorName>,
    /// When it was logged.
    pub logged_at: Timestamp,
    /// Its deliveries; at least one.
    pub deliveries: Vec<NewDelivery>,
}

/// A task for one connector.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDelivery {
    /// The registered connector.
    pub connector: ConnectorName,
    /// How much of the object it carries.
    pub data_type: DataType,
    /// What happens when it fails.
    pub policy: ErrorPolicy,
    /// The same for every attempt.
    pub idempotency_key: Uuid,
}

impl Commit {
    /// Nothing yet, at this time.
    pub fn at(now: Timestamp) -> Self {
        Self { now, ..Self::default() }
    }

    /// Whether it says whose the settlements are; stores call this first.
    pub fn check(&self) -> Result<(), StoreError> {
        if self.ownership.is_none() && !self.settlements.is_empty() {
            return Err(StoreError::new(
                crate::StoreErrorKind::Unsupported,
                "commit",
                "settlements without an owner; claim the queue and pass its ownership",
            ));
        }
        Ok(())
    }
}
