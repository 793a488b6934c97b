//! An external system that answers.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus_core::{ExternalTask, Failure, ObjectOperation};
use bus_runtime::{Bus, BusError};
use serde::Serialize;
use serde_json::Value;

use crate::peer::FakePeer;

/// What a mirror makes of a record that it is given.
type Rewrite = dyn Fn(Value) -> Value + Send + Sync;

/// An external system that calls back: whatever is put there, it keeps, rewritten if it is told to, and sends to the bus as
/// an external object, under its own id. Clones are the same system; hand one to the bus with `provide`, and the bus to it
/// with `attach`.
///
/// What it sends can be held back, to arrive late: `hold`, `let_go`.
#[derive(Clone)]
pub struct Mirror(Arc<Inner>);

struct Inner {
    peer: FakePeer,
    connector: String,
    kind: String,
    rewrite: Box<Rewrite>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bus: Option<Bus>,
    is_holding: bool,
    held: Vec<ExternalTask>,
}

impl Mirror {
    /// A system that sends external objects of this kind to this registered connector.
    pub fn new(connector: &str, kind: &str) -> Self {
        Self::rewriting(connector, kind, |record| record)
    }

    /// As `new`; it keeps and sends what this makes of each record that it is given.
    pub fn rewriting(
        connector: &str,
        kind: &str,
        rewrite: impl Fn(Value) -> Value + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            peer: FakePeer::new(connector),
            connector: connector.to_owned(),
            kind: kind.to_owned(),
            rewrite: Box::new(rewrite),
            state: Mutex::default(),
        }))
    }

    /// The bus that it calls from now on.
    pub fn attach(&self, bus: &Bus) {
        self.state().bus = Some(bus.clone());
    }

    /// Its records and the calls that reached it; to script its failures.
    pub fn peer(&self) -> &FakePeer {
        &self.0.peer
    }

    /// Puts a record under this id, or under a new one, and calls back. Answers the id.
    ///
    /// # Errors
    ///
    /// What the peer's script says, or why the bus does not take what is sent.
    pub async fn put(&self, id: Option<&str>, record: &impl Serialize) -> Result<String, Failure> {
        let record = (self.0.rewrite)(serde_json::to_value(record)?);
        let id = self.0.peer.put(id, &record)?;
        self.send(self.external(&id, ObjectOperation::Update, &record)).await?;
        Ok(id)
    }

    /// Removes the record under this id, and calls back.
    ///
    /// # Errors
    ///
    /// As `put`.
    pub async fn remove(&self, id: Option<&str>) -> Result<(), Failure> {
        let record = id.and_then(|id| self.0.peer.get(id));
        self.0.peer.remove(id)?;
        if let (Some(id), Some(record)) = (id, record) {
            self.send(self.external(id, ObjectOperation::Delete, &record)).await?;
        }
        Ok(())
    }

    /// Somebody there changes a record, or writes a new one, and the system calls the bus.
    ///
    /// # Errors
    ///
    /// As `put`.
    pub async fn edit(&self, id: &str, change: impl FnOnce(&mut Value)) -> Result<(), Failure> {
        let mut record = self.0.peer.get(id).unwrap_or_default();
        change(&mut record);
        self.0.peer.put(Some(id), &record)?;
        self.send(self.external(id, ObjectOperation::Update, &record)).await
    }

    /// Keeps back what it would send from now on.
    pub fn hold(&self) {
        self.state().is_holding = true;
    }

    /// Sends what it kept back, in order, and keeps nothing back any more.
    ///
    /// # Errors
    ///
    /// Why the bus does not take it.
    pub async fn let_go(&self) -> Result<(), Failure> {
        let held = {
            let mut state = self.state();
            state.is_holding = false;
            std::mem::take(&mut state.held)
        };
        for task in held {
            self.send(task).await?;
        }
        Ok(())
    }

    fn external(&self, id: &str, operation: ObjectOperation, record: &Value) -> ExternalTask {
        let task = ExternalTask::received(&self.0.connector, &self.0.kind, record.to_string());
        task.operation(operation).key(id)
    }

    async fn send(&self, task: ExternalTask) -> Result<(), Failure> {
        let bus = {
            let mut state = self.state();
            if state.is_holding {
                state.held.push(task);
                return Ok(());
            }
            state.bus.clone()
        };
        let Some(bus) = bus else {
            return Err(Failure::reject(format!(
                "the mirror of {} has no bus to call; `attach` it first",
                self.0.connector
            )));
        };
        let sent = bus.process_external_task(task).await;
        sent.map(|_| ()).map_err(|error: BusError| Failure::retry(error.to_string()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mirror").field("peer", &self.0.peer).finish_non_exhaustive()
    }
}
