//! The operator's records and switches, in memory.

use bus_core::ConnectorName;
use serde_json::Value;

use super::MemoryStore;
use crate::connectors::{ConnectorRecord, ConnectorState, Connectors, Switches};
use crate::{StoreError, StoreErrorKind, StoreFuture};

impl Connectors for MemoryStore {
    fn connectors(&self) -> StoreFuture<'_, Vec<ConnectorRecord>> {
        self.with("connectors", |state| Ok(state.connectors.values().cloned().collect()))
    }

    fn save_connector(&self, record: ConnectorRecord) -> StoreFuture<'_, ()> {
        self.with("save connector", move |state| {
            state.connectors.insert(record.name.clone(), record);
            Ok(())
        })
    }

    fn set_connector_state(&self, name: &ConnectorName, new: ConnectorState) -> StoreFuture<'_, ()> {
        let name = name.clone();
        self.with("set connector state", move |state| {
            let record = state.connectors.get_mut(&name).ok_or_else(|| {
                StoreError::new(
                    StoreErrorKind::NotFound,
                    "set connector state",
                    format!("there is no connector `{name}`; register it first"),
                )
            })?;
            record.state = new;
            Ok(())
        })
    }

    fn publish_subscriptions(&self, name: &ConnectorName, subscriptions: Value) -> StoreFuture<'_, ()> {
        let name = name.clone();
        self.with("publish subscriptions", move |state| {
            state.subscriptions.insert(name, subscriptions);
            Ok(())
        })
    }

    fn published_subscriptions(&self) -> StoreFuture<'_, Vec<(ConnectorName, Value)>> {
        self.with("published subscriptions", |state| {
            Ok(state.subscriptions.iter().map(|(name, said)| (name.clone(), said.clone())).collect())
        })
    }

    fn switches(&self) -> StoreFuture<'_, Option<Switches>> {
        self.with("switches", |state| Ok(state.switches))
    }

    fn set_switches(&self, switches: Switches) -> StoreFuture<'_, ()> {
        self.with("set switches", move |state| {
            state.switches = Some(switches);
            Ok(())
        })
    }
}
