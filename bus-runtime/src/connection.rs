//! The living instance of a registered connector: made by `connect`, shared by both directions, dropped and made again
//! when the external system could not be reached. After too many losses in a row the circuit opens: from then on one
//! delivery at a time probes whether the external system is there again. That it is open is kept in the store, so that
//! a process that starts, or takes over, does not begin anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bus_core::instance::Instance;
use bus_core::{Direction, Failure, Timestamp};
use bus_store::Circuit;
use tokio::sync::Mutex;

use crate::flow::call::{self, CallEnd};
use crate::registry::Enlisted;
use crate::retry;
use crate::shared::Shared;

/// The living instance of a registered connector.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    pub(crate) enlisted: Arc<Enlisted>,
    /// Whether the circuit is open: what is delivered now is a probe.
    is_open: AtomicBool,
    /// How often in a row it was lost or could not be made, without a success in between.
    losses: AtomicU32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether the store was asked for what an earlier process knew.
    is_read: bool,
    instance: Option<Arc<Instance>>,
    /// After a failure, when to try again.
    not_before: Option<Timestamp>,
    /// Since when the circuit is open.
    opened_at: Option<Timestamp>,
    /// Where it was lost last, since something was done through it.
    lost_at: Option<Direction>,
}

/// What came of asking for the instance.
pub(crate) enum Asked {
    /// Here it is.
    Connected(Arc<Instance>),
    /// It cannot be had before this.
    NotBefore(Timestamp),
}

impl Connection {
    pub(crate) fn new(shared: Arc<Shared>, enlisted: Arc<Enlisted>) -> Self {
        let (is_open, losses) = (AtomicBool::new(false), AtomicU32::new(0));
        Self { shared, enlisted, is_open, losses, state: Mutex::default() }
    }

    /// The instance; connects if there is none and the back-off is over.
    pub(crate) async fn instance(&self) -> Asked {
        let mut state = self.state.lock().await;
        self.read_circuit(&mut state).await;
        if let Some(instance) = &state.instance {
            return Asked::Connected(Arc::clone(instance));
        }
        // A clock that was set back must not keep it from trying until the clock has caught up.
        let now = self.shared.now();
        let longest = now.plus(self.wait_longest());
        state.not_before = state.not_before.map(|at| at.min(longest));
        if let Some(at) = state.not_before.filter(|at| *at > now) {
            return Asked::NotBefore(at);
        }
        match self.connect().await {
            Ok(instance) => {
                let instance = Arc::new(instance);
                state.instance = Some(Arc::clone(&instance));
                Asked::Connected(instance)
            }
            Err(failure) => Asked::NotBefore(self.back_off(&mut state, &failure).await),
        }
    }

    /// Whether the circuit is open, so that one delivery at a time is a probe.
    pub(crate) fn is_probing(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    /// The longest that it can take until it is connected again, if it is lost now.
    pub(crate) fn wait_longest(&self) -> Duration {
        self.wait_after(self.losses.load(Ordering::Relaxed).saturating_add(1), u64::MAX)
    }

    /// Something was done through this instance, so the external system is there.
    pub(crate) async fn proven(&self, instance: &Arc<Instance>, by: Direction) {
        let mut state = self.state.lock().await;
        // What comes in may be prepared without the external system: it says nothing where the other way is cut off.
        if by == Direction::Incoming && state.lost_at == Some(Direction::Outgoing) {
            return;
        }
        if state.instance.as_ref().is_some_and(|current| Arc::ptr_eq(current, instance)) {
            self.losses.store(0, Ordering::Relaxed);
            state.lost_at = None;
            state.not_before = None;
            self.enlisted.connected();
            if state.opened_at.take().is_some() {
                self.is_open.store(false, Ordering::Relaxed);
                tracing::info!(connector = %self.enlisted.record.name, "the external system is there again");
                self.write_circuit(None).await;
            }
        }
    }

    /// The external system could not be reached through this instance: `connect` comes first now.
    pub(crate) async fn lost(&self, instance: &Arc<Instance>, failure: &Failure, at: Direction) {
        let mut state = self.state.lock().await;
        let is_current = state.instance.as_ref().is_some_and(|current| Arc::ptr_eq(current, instance));
        if is_current {
            state.instance = None;
            state.lost_at = Some(at);
            self.back_off(&mut state, failure).await;
        }
    }

    /// Drops the instance: the connector is stopped.
    pub(crate) async fn close(&self) {
        self.state.lock().await.instance = None;
    }

    async fn connect(&self) -> Result<Instance, Failure> {
        let linked = self.enlisted.linked.ok_or_else(|| Failure::reject("the connector is not linked"))?;
        let settings = self.enlisted.settings.clone();
        let cx = self.shared.cx(&self.enlisted.record.name);
        let made =
            call::run(&self.shared, &self.enlisted, async move { (linked.connect)(settings, &cx).await });
        match made.await {
            CallEnd::Answered(answer) => answer,
            CallEnd::Aborted => Err(Failure::disconnected("the bus stops")),
        }
    }

    async fn back_off(&self, state: &mut State, failure: &Failure) -> Timestamp {
        let now = self.shared.now();
        if self.shared.stopping.is_cancelled() || self.enlisted.aborting().is_cancelled() {
            // It broke off because the bus, or the connector, stops: that says nothing of the external system.
            return now;
        }
        let failures = self.enlisted.failed_to_connect(failure.message(), now);
        let losses = self.losses.load(Ordering::Relaxed).saturating_add(1);
        self.losses.store(losses, Ordering::Relaxed);
        let wait = self.wait_after(losses, self.shared.dice.roll());
        let at = retry::clamp_due(now, now.plus(wait), self.shared.limits.due_max);
        state.not_before = Some(at);
        tracing::warn!(
            connector = %self.enlisted.record.name, failures, next = %at, error = %failure,
            "the connector cannot reach its external system"
        );
        if self.opens_after(losses) {
            let opened_at = *state.opened_at.get_or_insert(now);
            self.is_open.store(true, Ordering::Relaxed);
            let error = failure.message();
            self.write_circuit(Some(Circuit { opened_at, probe_at: at, failures: losses, error })).await;
        }
        at
    }

    fn wait_after(&self, losses: u32, dice: u64) -> Duration {
        let processing = &self.enlisted.processing;
        if self.opens_after(losses) {
            Duration::from_millis(processing.circuit_probe_ms)
        } else {
            retry::delay(processing, losses, dice)
        }
    }

    fn opens_after(&self, losses: u32) -> bool {
        losses >= self.enlisted.processing.circuit_failures
    }

    /// What an earlier process knew.
    async fn read_circuit(&self, state: &mut State) {
        if std::mem::replace(&mut state.is_read, true) {
            return;
        }
        let name = &self.enlisted.record.name;
        let circuit = match self.shared.store.circuits().await {
            Ok(circuits) => circuits.into_iter().find(|(connector, _)| connector == name),
            Err(error) => {
                tracing::warn!(connector = %name, %error, "whether the circuit is open is not known; it is tried");
                None
            }
        };
        let Some((_, circuit)) = circuit else { return };
        let now = self.shared.now();
        let wait = Duration::from_millis(self.enlisted.processing.circuit_probe_ms);
        self.is_open.store(true, Ordering::Relaxed);
        self.enlisted.failed_to_connect(circuit.error, circuit.opened_at);
        state.opened_at = Some(circuit.opened_at);
        self.losses.store(circuit.failures, Ordering::Relaxed);
        state.not_before = Some(retry::clamp_due(now, circuit.probe_at, wait));
    }

    async fn write_circuit(&self, circuit: Option<Circuit>) {
        let name = &self.enlisted.record.name;
        if let Err(error) = self.shared.store.set_circuit(name, circuit).await {
            tracing::warn!(connector = %name, %error, "the state of the circuit could not be written down");
        }
    }
}
