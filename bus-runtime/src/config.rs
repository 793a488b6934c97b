//! What an operator can set, and within which limits.

mod processing;
mod read;
mod secrets;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bus_core::{ConnectorName, Site};
use bus_store::{ConnectorState, Switches};
use serde_json::Value;

use crate::error::BusError;

pub use processing::{Ordering, Processing, Rate};

pub(crate) use secrets::resolve as resolve_secrets;

/// The configuration of a bus: from `bus.toml`, or built by hand.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Where tasks are kept.
    pub store: StoreConfig,
    /// Whether a connector that is not registered correctly keeps the bus from starting.
    pub strict: bool,
    /// The switches at the first start; later ones are the operator's.
    pub switches: Switches,
    /// What is too much.
    pub limits: Limits,
    /// The sites that the file registers, in its order. It never removes one.
    pub sites: Vec<Site>,
    /// The connectors that the file registers, in its order.
    pub connectors: Vec<ConnectorConfig>,
    /// The file that it came from, for messages.
    pub file: Option<PathBuf>,
}

/// Where tasks are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreConfig {
    /// In one SQLite file. Durable when a call returns, unless `synchronous` says otherwise.
    Sqlite {
        /// The file; made if it is not there.
        path: PathBuf,
        /// Whether acknowledged tasks survive a power loss (`Full`), or only the end of the process (`Normal`).
        synchronous: Synchronous,
    },
    /// In memory, for tests: lost with the process.
    Memory,
}

/// What an acknowledged task survives in SQLite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// A power loss.
    #[default]
    Full,
    /// The end of the process, but not a power loss.
    Normal,
}

/// What is too much, for the whole bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest object that is logged, in bytes. 1 MiB unless set; at most 64 MiB.
    pub payload_bytes_max: usize,
    /// How long a shutdown waits for what is running. 10 s unless set; at most 10 minutes.
    pub shutdown_grace: Duration,
    /// The furthest due time of a delivery: one that is further off is brought back to it, because clocks jump. 30 days
    /// unless set; 24 h to 366 days.
    pub due_max: Duration,
    /// How large the SQLite file may grow, in bytes, so that it is full before its volume is: what has to end needs a
    /// little room. No limit unless set; 4 MiB to 1 TiB. Of no meaning for a store that the application hands over.
    pub store_bytes_max: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            payload_bytes_max: 1024 * 1024,
            shutdown_grace: Duration::from_secs(10),
            due_max: FURTHEST_DUE,
            store_bytes_max: None,
        }
    }
}

/// A connector as the file registers it. `Debug` leaves the settings out: they may hold a secret.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct ConnectorConfig {
    /// Its code name.
    pub name: ConnectorName,
    /// What people call it; its code name unless given.
    pub display_name: String,
    /// The linked connector that it uses; its own name unless given.
    pub uses: String,
    /// Whether it logs and processes.
    pub state: ConnectorState,
    /// What it is set to; secrets as references.
    pub settings: Value,
    /// How its deliveries are processed.
    pub processing: Processing,
}

/// A due time further off than this is clamped to it: clocks jump.
pub(crate) const FURTHEST_DUE: Duration = Duration::from_hours(30 * 24);

impl Config {
    /// A configuration with this store and nothing registered.
    pub fn new(store: StoreConfig) -> Self {
        Self {
            store,
            strict: false,
            switches: Switches::default(),
            limits: Limits::default(),
            sites: Vec::new(),
            connectors: Vec::new(),
            file: None,
        }
    }

    /// Reads a file. All of its mistakes are reported at once, each with its line and its remedy.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, BusError> {
        read::from_file(path.as_ref())
    }

    /// Reads a text as if it stood in a file in this folder.
    pub fn from_text(text: &str, folder: impl AsRef<Path>) -> Result<Self, BusError> {
        read::from_text(text, folder.as_ref(), None)
    }

    /// Registers a site, as the file would.
    #[must_use]
    pub fn site(mut self, site: Site) -> Self {
        self.sites.push(site);
        self
    }

    /// Registers a connector, as the file would.
    #[must_use]
    pub fn connector(mut self, connector: ConnectorConfig) -> Self {
        self.connectors.push(connector);
        self
    }
}

impl fmt::Debug for ConnectorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectorConfig")
            .field("name", &self.name)
            .field("display_name", &self.display_name)
            .field("uses", &self.uses)
            .field("state", &self.state)
            .field("settings", &format_args!("…"))
            .field("processing", &self.processing)
            .finish()
    }
}

impl ConnectorConfig {
    /// A connector that uses the linked one of the same name, enabled, without settings.
    pub fn new(name: ConnectorName) -> Self {
        Self {
            display_name: name.to_string(),
            uses: name.to_string(),
            name,
            state: ConnectorState::Enabled,
            settings: Value::Object(serde_json::Map::new()),
            processing: Processing::default(),
        }
    }

    /// Using the linked connector of this name.
    #[must_use]
    pub fn uses(mut self, linked: impl Into<String>) -> Self {
        self.uses = linked.into();
        self
    }

    /// With these settings.
    #[must_use]
    pub fn settings(mut self, settings: Value) -> Self {
        self.settings = settings;
        self
    }

    /// In this state.
    #[must_use]
    pub fn state(mut self, state: ConnectorState) -> Self {
        self.state = state;
        self
    }

    /// Processed like this.
    #[must_use]
    pub fn processing(mut self, processing: Processing) -> Self {
        self.processing = processing;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_does_not_show_the_settings() {
        let text = "[connectors.crm.settings]\nkey = \"s3cret\"\n";
        let config = Config::from_text(text, "/srv/app").unwrap();
        assert_eq!(config.connectors[0].settings["key"], "s3cret");
        for shown in [format!("{config:?}"), format!("{config:#?}"), format!("{:?}", config.connectors[0])] {
            assert!(!shown.contains("s3cret") && shown.contains("settings: …"), "{shown}");
        }
    }
}
