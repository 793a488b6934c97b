//! What the bus asks of a store, and the laws that every store keeps.
//!
//! Small traits by noun, verbs of the domain. A backend has one file for each of them, and so has the suite of
//! laws (`conformance`, behind the feature of that name):
//!
//! | Trait | What it is about |
//! |---|---|
//! | [`TaskLog`] | everything that becomes true together: objects, tasks, bindings, outcomes |
//! | [`Queue`] | whose turn it is: claiming, owners, due times |
//! | [`Identity`] | which external id belongs to which object of the host |
//! | [`Objects`] | the built-in object store |
//! | [`Sites`] | the tenants of the host |
//! | [`Pages`] | the trees of their pages |
//! | [`Connectors`] | the operator's records and switches |
//! | [`Operate`] | what people ask: counts, lists, details |
//! | [`Wake`] | the doorbell: something may be ready |
//! | [`Outbox`] | what the application logs within transactions of its own |
//! | [`Resyncs`] | which connectors are told of all objects once more |
//! | [`Exchange`] | what was exchanged about an object that travels both ways |
//! | [`Late`] | what connectors were told of without all that it refers to |
//! | [`Cursors`] | how far a connector that asks its external system has come |
//!
//! Time comes in as a parameter; a store reads no clock.

pub mod capability;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod connectors;
pub mod cursors;
pub mod doubt;
pub mod error;
pub mod exchange;
pub mod identity;
pub mod late;
pub mod memory;
pub mod objects;
pub mod operate;
pub mod outbox;
pub mod pages;
pub mod queue;
pub mod resync;
pub mod reviews;
pub mod sites;
pub mod task_log;
pub mod wake;

use bus_core::BoxFuture;

pub use capability::{Capabilities, Durability};
pub use connectors::{Circuit, ConnectorRecord, ConnectorState, Connectors, RecordOwner, Switches};
pub use cursors::{Cursor, CursorMove, Cursors};
pub use doubt::{Doubt, Unsettled};
pub use error::{StoreError, StoreErrorKind};
pub use exchange::{Agreed, Exchange, ExchangeWrite, Exchanged, Said, Sent, Travel};
pub use identity::{Binding, ExternalId, Identity, Missing};
pub use late::{Late, LateReferences};
pub use memory::MemoryStore;
pub use objects::{Expected, FoundBy, ObjectQuery, ObjectRecord, ObjectWrite, Objects};
pub use operate::{
    Attempt, Audit, Counters, DeliveryDetail, DeliveryFilter, DeliverySummary, Intervened, Intervention,
    Operate, QueueCounts, Selected, Verb, Verdict, Waiting,
};
pub use outbox::{
    Drift, EntryEnd, Outbox, OutboxCounts, OutboxEntry, ParkedEntry, Relayed, RelayedTasks, SettledEntry,
    Settles,
};
pub use pages::{NewNode, NodeRecord, PageContent, PageRecord, PageWrite, Pages, ParentNode};
pub use queue::{
    Acquired, Awaited, Claim, Claimed, First, Heartbeat, Outcome, Ownership, Queue, QueueId, Scope,
    Settlement, Terms, Wanted,
};
pub use resync::{NewResync, ResyncId, ResyncRecord, ResyncState, Resynced, Resyncs};
pub use reviews::{ConflictRecord, Decision, Reviews};
pub use sites::{SiteUse, Sites};
pub use task_log::{Commit, Committed, IdempotencyKey, NewDelivery, NewTask, Redelivery, TaskLog};
pub use wake::{Doorbell, Wake};

/// What a store answers, sometime.
pub type StoreFuture<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// A store: all of its parts.
pub trait Store:
    TaskLog
    + Queue
    + Identity
    + Objects
    + Sites
    + Connectors
    + Operate
    + Wake
    + Outbox
    + Exchange
    + Pages
    + Resyncs
    + Late
    + Cursors
    + Reviews
    + Send
    + Sync
    + 'static
{
    /// What this store can and cannot do; told honestly, because laws are judged by it.
    fn capabilities(&self) -> Capabilities;

    /// Stops taking work, finishes what it took, gives up its queues and closes. Idempotent; every later call
    /// answers `Closed`.
    fn close(&self) -> BoxFuture<'_, ()>;
}
