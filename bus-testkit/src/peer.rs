//! An external system that does what a test tells it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus_core::Failure;
use serde::Serialize;
use serde_json::Value;

/// An external system that does what a test tells it: keeps records under ids of its own, writes down each call, and
/// fails when its script says so. Clones are the same system; hand one to the bus with `provide`.
#[derive(Debug, Clone)]
pub struct FakePeer {
    name: String,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    records: BTreeMap<String, Value>,
    calls: Vec<String>,
    script: VecDeque<Script>,
    is_cut_off: bool,
    last_number: u64,
}

/// What the next call does instead of working.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    /// Works after all.
    Work,
    /// Fails; to be tried again.
    Retry(String),
    /// Fails; to be tried again after this long.
    RetryAfter(String, Duration),
    /// Fails for good.
    Reject(String),
    /// Cannot be reached.
    Disconnected(String),
    /// Panics.
    Panic(String),
    /// Does what it was asked, and then answers that it failed: the dangerous case.
    WorkAndFail(String),
    /// Does what it was asked, and then the connection is lost: nobody hears of it.
    WorkAndDisconnect(String),
}

impl FakePeer {
    /// An empty system; its ids begin with this name: `crm-1`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), state: Arc::default() }
    }

    /// Puts a record under this id, or under a new one. Answers the id.
    pub fn put(&self, id: Option<&str>, record: &impl Serialize) -> Result<String, Failure> {
        let record = serde_json::to_value(record)?;
        let mut state = self.state();
        let id = id.map_or_else(|| format!("{}-{}", self.name, state.last_number + 1), str::to_owned);
        let answer = state.call(format!("put {id}"))?;
        state.last_number += u64::from(!state.records.contains_key(&id));
        state.records.insert(id.clone(), record);
        answer.map_or(Ok(id), Err)
    }

    /// Removes the record under this id; none there is no failure.
    pub fn remove(&self, id: Option<&str>) -> Result<(), Failure> {
        let mut state = self.state();
        let answer = state.call(format!("remove {}", id.unwrap_or("nothing")))?;
        if let Some(id) = id {
            state.records.remove(id);
        }
        answer.map_or(Ok(()), Err)
    }

    /// A call with no effect but being written down.
    pub fn say(&self, what: impl Into<String>) -> Result<(), Failure> {
        self.state().call(what.into())?.map_or(Ok(()), Err)
    }

    /// What the next calls do, in this order; after that they work.
    pub fn script(&self, script: impl IntoIterator<Item = Script>) {
        self.state().script.extend(script);
    }

    /// Cuts the system off: every call is *disconnected* until `reconnect`.
    pub fn cut_off(&self) {
        self.state().is_cut_off = true;
    }

    /// Makes it reachable again.
    pub fn reconnect(&self) {
        self.state().is_cut_off = false;
    }

    /// Fails while the system is cut off: for `Connector::connect`.
    pub fn check_connection(&self) -> Result<(), Failure> {
        if self.state().is_cut_off {
            Err(Failure::disconnected(format!("{} is cut off", self.name)))
        } else {
            Ok(())
        }
    }

    /// The calls that reached it, in order.
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// The calls since the last time this was asked.
    pub fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state().calls)
    }

    /// Its records.
    pub fn records(&self) -> BTreeMap<String, Value> {
        self.state().records.clone()
    }

    /// One of its records.
    pub fn get(&self, id: &str) -> Option<Value> {
        self.state().records.get(id).cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Writes a call down. `Err`: it did not happen; `Ok(Some)`: it did, but is to fail afterwards.
    fn call(&mut self, call: String) -> Result<Option<Failure>, Failure> {
        if self.is_cut_off {
            return Err(Failure::disconnected("the external system is cut off"));
        }
        self.calls.push(call);
        match self.script.pop_front() {
            None | Some(Script::Work) => Ok(None),
            Some(Script::Retry(why)) => Err(Failure::retry(why)),
            Some(Script::RetryAfter(why, delay)) => Err(Failure::retry_after(why, delay)),
            Some(Script::Reject(why)) => Err(Failure::reject(why)),
            Some(Script::Disconnected(why)) => Err(Failure::disconnected(why)),
            Some(Script::Panic(why)) => panic!("{why}"),
            Some(Script::WorkAndFail(why)) => Ok(Some(Failure::retry(why))),
            Some(Script::WorkAndDisconnect(why)) => Ok(Some(Failure::disconnected(why))),
        }
    }
}
