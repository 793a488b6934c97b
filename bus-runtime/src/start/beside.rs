//! A bus for tools: it looks into a store that others work on.

use std::path::Path;
use std::sync::Arc;

use super::{Builder, Configured, enlist_all, open};
use crate::Result;
use crate::bus::Bus;
use crate::config::Config;
use crate::error::BusError;
use crate::registry::Registry;
use crate::repository::Repositories;
use crate::shared::{Shared, SharedParts};

impl Builder {
    /// Opens the store beside the processes that work on it, to look and to do what operators do: deliveries, the identity
    /// map, the outbox, resyncs. Nothing is registered or migrated, no queue is worked on, nothing is relayed or pruned; of
    /// the configuration only the store counts. A program needs neither connectors nor object types for it: what only those
    /// can tell is not told.
    ///
    /// ```no_run
    /// # async fn f() -> bus_runtime::Result<()> {
    /// let bus = bus_runtime::Bus::builder("bus.toml").beside().await?;
    /// println!("{} entries are not in the queues yet", bus.outbox().await?.entries);
    /// bus.shutdown().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `Config`; `StoreOpen` when there is no such store, or its tables are those of another version of the bus; `Store`.
    pub async fn beside(self) -> Result<Bus> {
        let config = match self.configured {
            Configured::File(path) => Config::from_file(path)?,
            Configured::Made(config) => *config,
        };
        let store = match self.store {
            Some(store) => store,
            None => open(&config.store, config.limits.store_bytes_max, true).await?,
        };
        let switches = store.switches().await.map_err(|error| BusError::store("read the switches", error))?;
        let shared = Arc::new(Shared::new(SharedParts {
            repositories: Repositories::new(),
            store,
            clock: self.clock,
            dice: self.dice,
            registry: Registry::default(),
            handles: self.handles,
            listeners: self.listeners,
            limits: config.limits,
            folder: config.file.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_owned(),
            file: config.file,
            switches: switches.unwrap_or_default(),
        }));
        enlist_all(&shared).await?;
        Ok(Bus::new(shared))
    }
}
