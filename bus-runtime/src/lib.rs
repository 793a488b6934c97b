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
mod clock;
mod config;
mod connection;
mod error;
mod flow;
mod objects;
mod observe;
mod registry;
mod retry;
mod shared;
mod shutdown;
mod start;
mod suggest;

/// What a bus answers of its connectors and queues, in the store's own words.
pub use bus_store::{
    Attempt, Binding, ConnectorState, Counters, DeliveryDetail, DeliveryFilter, DeliverySummary, QueueCounts,
    QueueId, RecordOwner, Switches,
};

pub use bus::Bus;
pub use clock::{SystemClock, SystemDice};
pub use config::{Config, ConnectorConfig, Limits, Processing, StoreConfig, Synchronous};
pub use error::{BusError, BusErrorKind};
pub use objects::ObjectStore;
pub use observe::{ConnectorStatus, Health, QueueStatus};
pub use registry::{LinkedConnectors, Problem, Registry};
pub use shutdown::ShutdownReport;
pub use start::{Builder, Configured, start};

/// The README's code compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// What the bus answers the application.
pub type Result<T, E = BusError> = std::result::Result<T, E>;
