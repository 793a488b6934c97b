//! Starts the integration bus inside an application.
//!
//! ```no_run
//! # use bus_core::BusObject;
//! # #[derive(serde::Serialize, serde::Deserialize, BusObject)]
//! # #[object(type = "app.user", display = "User")]
//! # struct User { #[object(id)] id: i64, #[object(code_name)] login: String }
//! #[tokio::main]
//! async fn main() -> bus_runtime::Result<()> {
//!     let bus = bus_runtime::start("bus.toml").await?; // every connector that is linked and registered
//!     let mut user = User { id: 0, login: "ada".to_owned() };
//!     bus.objects().save(&mut user).await?; // saved, and logged for whoever subscribed, in one transaction
//!     bus.run_until_shutdown().await
//! }
//! ```
//!
//! The way of a change, a file for each step (`flow/`): change, subscription, task log, queue, worker, translation,
//! delivery, settlement. External objects come in through `ingest` and end in `apply`.

mod bus;
mod capture;
mod clock;
mod config;
mod connection;
#[cfg(test)]
mod docs;
mod error;
mod explain;
mod flow;
mod host;
mod identity;
mod late;
mod listeners;
mod logged;
mod objects;
mod observe;
mod operate;
mod pages;
mod polling;
mod registry;
mod relay;
mod repository;
mod resync;
mod retry;
mod schedule;
mod shared;
mod shutdown;
mod sites;
mod start;
mod suggest;
mod upkeep;

/// What a bus answers of its connectors and queues, in the store's own words.
pub use bus_store::{
    Attempt, Audit, Awaited, Binding, Circuit, ConflictRecord, ConnectorState, Counters, DeliveryDetail,
    DeliveryFilter, DeliverySummary, Doubt, Drift, FoundBy, Intervened, NodeRecord, OutboxCounts,
    ParkedEntry, QueueCounts, QueueId, RecordOwner, Redelivery, ResyncId, ResyncRecord, ResyncState,
    Selected, Switches, Verb, Verdict,
};

pub use bus::{Bus, Deleted, Deletion, OpenDeliveries};
pub use clock::{SystemClock, SystemDice};
pub use config::{Config, ConnectorConfig, Limits, Ordering, Processing, Rate, StoreConfig, Synchronous};
pub use error::{BusError, BusErrorKind};
pub use explain::{Cause, Explanation, Obstacle, Question, Step};
pub use flow::express::SyncEnd;
pub use identity::IdentityMap;
pub use logged::{Logged, Statement};
pub use objects::{ObjectStore, Saved};
pub use observe::{ConnectorStatus, Health, PollStatus, QueueStatus};
pub use operate::{
    AuditReport, InterventionReport, ItemReport, Operator, Resolution, SELECTION_ITEMS_MAX, Selection,
};
pub use pages::PageStore;
pub use registry::{LinkedConnectors, Problem, Registry};
pub use relay::OutboxStatus;
pub use repository::{Deleting, Lookup, Repository, Saving, Settlement};
pub use resync::{Advice, Resync};
pub use schedule::{Schedule, ScheduleError};
pub use shutdown::ShutdownReport;
pub use sites::Sites;
pub use start::{Builder, Configured, start};

/// The README's code compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// What the bus answers the application.
pub type Result<T, E = BusError> = std::result::Result<T, E>;
