//! The operator's records and switches, in memory.

use bus_core::{ConnectorName, Direction};
use serde_json::Value;

use super::MemoryStore;
use crate::connectors::{Circuit, ConnectorRecord, ConnectorState, Connectors, Switches};
use crate::operate::shorten_error;
use crate::queue::QueueId;
use crate::{StoreError, StoreErrorKind, StoreFuture};

impl Connectors for MemoryStore {
    fn connectors(&self) -> StoreFuture<'_, Vec<ConnectorRecord>> {
        self.with("connectors", |state| Ok(state.connectors.values().cloned().collect()))
    }

    fn save_connector(&self, record: ConnectorRecord) -> StoreFuture<'_, ()> {
        self.with("save connector", move |state| {
            state.deleted.remove(&record.name);
            state.connectors.insert(record.name.clone(), record);
            state.revision += 1;
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
            state.revision += 1;
            Ok(())
        })
    }

    fn delete_connector(&self, name: &ConnectorName) -> StoreFuture<'_, bool> {
        let name = name.clone();
        self.with("delete connector", move |state| {
            let queues =
                [Direction::Outgoing, Direction::Incoming].map(|way| QueueId::new(name.clone(), way));
            let open: usize =
                queues.iter().filter_map(|queue| state.queues.get(queue)).map(|queue| queue.rows.len()).sum();
            if open > 0 {
                return Err(StoreError::new(
                    StoreErrorKind::Conflict,
                    "delete connector",
                    format!("{open} deliveries of `{name}` are open; end them first"),
                ));
            }
            state.subscriptions.remove(&name);
            state.circuits.remove(&name);
            state.exchanged.forget_sent_to(&name);
            let was_there = state.connectors.remove(&name).is_some();
            state.deleted.insert(name);
            state.revision += 1;
            Ok(was_there)
        })
    }

    fn set_circuit(&self, name: &ConnectorName, circuit: Option<Circuit>) -> StoreFuture<'_, ()> {
        let name = name.clone();
        self.with("set circuit", move |state| {
            match circuit {
                Some(open) => {
                    let error = shorten_error(open.error);
                    state.circuits.insert(name, Circuit { error, ..open });
                }
                None => {
                    state.circuits.remove(&name);
                }
            }
            Ok(())
        })
    }

    fn circuits(&self) -> StoreFuture<'_, Vec<(ConnectorName, Circuit)>> {
        self.with("circuits", |state| {
            Ok(state.circuits.iter().map(|(name, circuit)| (name.clone(), circuit.clone())).collect())
        })
    }

    fn publish_subscriptions(&self, name: &ConnectorName, subscriptions: Value) -> StoreFuture<'_, ()> {
        let name = name.clone();
        self.with("publish subscriptions", move |state| {
            state.subscriptions.insert(name, subscriptions);
            state.revision += 1;
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
            state.revision += 1;
            Ok(())
        })
    }

    fn revision(&self) -> StoreFuture<'_, u64> {
        self.with("revision", |state| Ok(state.revision))
    }
}
