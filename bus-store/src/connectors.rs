//! The operator's records and switches.

use std::fmt;

use bus_core::{ConnectorName, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::StoreFuture;

/// Where registered connectors and the switches are kept.
pub trait Connectors {
    /// All of them, by name.
    fn connectors(&self) -> StoreFuture<'_, Vec<ConnectorRecord>>;

    /// Writes one: a new one, or in the place of the one with this name. Whatever is logged for it from then on is open,
    /// also where one of this name was deleted before.
    fn save_connector(&self, record: ConnectorRecord) -> StoreFuture<'_, ()>;

    /// Changes one's state.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is none of this name.
    fn set_connector_state(&self, name: &ConnectorName, state: ConnectorState) -> StoreFuture<'_, ()>;

    /// Forgets one, and what it published. Its bindings and counters stay, under its name. Whether there was one.
    ///
    /// From then on nothing is ever open for it, whoever still logs for it: that is discarded by the commit that logs it
    /// ([`DELETED_REASON`](crate::operate::DELETED_REASON)), until one of this name is saved again.
    ///
    /// # Errors
    ///
    /// `Conflict` while deliveries of it are open: end them first.
    fn delete_connector(&self, name: &ConnectorName) -> StoreFuture<'_, bool>;

    /// Writes down that a connector's circuit is open, or, with `None`, that it is closed.
    fn set_circuit(&self, name: &ConnectorName, circuit: Option<Circuit>) -> StoreFuture<'_, ()>;

    /// The connectors whose circuit is open.
    fn circuits(&self) -> StoreFuture<'_, Vec<(ConnectorName, Circuit)>>;

    /// Says what this connector subscribes to, in the runtime's own words, kept as they are: so that a process that
    /// does not contain the connector can log for it. Takes the place of what was said before.
    fn publish_subscriptions(&self, name: &ConnectorName, subscriptions: Value) -> StoreFuture<'_, ()>;

    /// What was published, by connector.
    fn published_subscriptions(&self) -> StoreFuture<'_, Vec<(ConnectorName, Value)>>;

    /// The switches; `None` before they were set for the first time.
    fn switches(&self) -> StoreFuture<'_, Option<Switches>>;

    /// Sets the switches.
    fn set_switches(&self, switches: Switches) -> StoreFuture<'_, ()>;

    /// A number that is another one once what `connectors`, `published_subscriptions` or `switches` answer has changed,
    /// whichever process has set it: a cheap question instead of these three. To be asked before them. It is this
    /// process's number, and it may grow without need.
    fn revision(&self) -> StoreFuture<'_, u64>;
}

/// The operator's record of a connector. `Debug` leaves the settings out: they may hold a secret.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ConnectorRecord {
    /// Its code name.
    pub name: ConnectorName,
    /// What people call it.
    pub display_name: String,
    /// The compiled name of the linked connector that it uses; its own name unless told otherwise.
    pub uses: String,
    /// Whether it logs and processes.
    pub state: ConnectorState,
    /// Its settings, secrets as references.
    pub settings: Value,
    /// How its deliveries are processed (attempts, back-off, time-outs): the runtime's words, kept as they are.
    #[serde(default)]
    pub processing: Value,
    /// Who may change it.
    pub owner: RecordOwner,
}

impl fmt::Debug for ConnectorRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectorRecord")
            .field("name", &self.name)
            .field("display_name", &self.display_name)
            .field("uses", &self.uses)
            .field("state", &self.state)
            .field("settings", &format_args!("…"))
            .field("processing", &self.processing)
            .field("owner", &self.owner)
            .finish()
    }
}

/// An open circuit: the external system is out of reach, and nothing is delivered until a probe succeeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circuit {
    /// Since when.
    pub opened_at: Timestamp,
    /// When it is probed next.
    pub probe_at: Timestamp,
    /// How many failures in a row there were.
    pub failures: u32,
    /// What was said last, at most [`ERROR_BYTES_MAX`](crate::operate::ERROR_BYTES_MAX) bytes.
    pub error: String,
}

/// Whether a registered connector logs and processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum ConnectorState {
    /// It logs and processes.
    #[default]
    Enabled,
    /// It logs; what is logged waits.
    Paused,
    /// As paused, and its instance is dropped: it holds no connection.
    Stopped,
    /// It does neither; what was logged before stays.
    Disabled,
}

impl ConnectorState {
    /// The word shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Disabled => "disabled",
        }
    }
}

/// Who may change a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum RecordOwner {
    /// The configuration file: changes belong there.
    File,
    /// Whoever operates the bus.
    #[default]
    Operator,
}

/// The five switches, for the whole bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "they are five independent switches")]
pub struct Switches {
    /// The bus as a whole.
    pub bus: bool,
    /// Whether changes of the host are logged.
    pub log_outgoing: bool,
    /// Whether logged changes are delivered.
    pub process_outgoing: bool,
    /// Whether external objects are logged.
    pub log_incoming: bool,
    /// Whether logged external objects are applied.
    pub process_incoming: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            bus: true,
            log_outgoing: true,
            process_outgoing: true,
            log_incoming: true,
            process_incoming: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_does_not_show_the_settings() {
        let record = ConnectorRecord {
            name: "crm".parse().unwrap(),
            display_name: "CRM".to_owned(),
            uses: "crm".to_owned(),
            state: ConnectorState::Enabled,
            settings: serde_json::json!({ "key": "s3cret" }),
            processing: Value::Null,
            owner: RecordOwner::File,
        };
        for shown in [format!("{record:?}"), format!("{record:#?}")] {
            assert!(!shown.contains("s3cret") && shown.contains("settings: …"), "{shown}");
        }
    }
}
