//! The living instance of a registered connector: made by `connect`, shared by both directions, dropped and made again
//! when the external system could not be reached.

use std::sync::Arc;

use bus_core::instance::Instance;
use bus_core::{Failure, Timestamp};
use tokio::sync::Mutex;

use crate::flow::call::{self, CallEnd};
use crate::registry::Enlisted;
use crate::retry;
use crate::shared::Shared;

/// The living instance of a registered connector.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    pub(crate) enlisted: Arc<Enlisted>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    instance: Option<Arc<Instance>>,
    /// After a failure, when to try again.
    not_before: Option<Timestamp>,
    /// How often in a row it was lost or could not be made, without a success in between.
    losses: u32,
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
        Self { shared, enlisted, state: Mutex::default() }
    }

    /// The instance; connects if there is none and the back-off is over.
    pub(crate) async fn instance(&self) -> Asked {
        let mut state = self.state.lock().await;
        if let Some(instance) = &state.instance {
            return Asked::Connected(Arc::clone(instance));
        }
        if let Some(at) = state.not_before.filter(|at| *at > self.shared.now()) {
            return Asked::NotBefore(at);
        }
        match self.connect().await {
            Ok(instance) => {
                let instance = Arc::new(instance);
                state.instance = Some(Arc::clone(&instance));
                Asked::Connected(instance)
            }
            Err(failure) => Asked::NotBefore(self.back_off(&mut state, &failure)),
        }
    }

    /// Something was done through this instance, so the external system is there.
    pub(crate) async fn proven(&self, instance: &Arc<Instance>) {
        let mut state = self.state.lock().await;
        if state.instance.as_ref().is_some_and(|current| Arc::ptr_eq(current, instance)) {
            state.losses = 0;
            state.not_before = None;
            self.enlisted.connected();
        }
    }

    /// The external system could not be reached through this instance: `connect` comes first now.
    pub(crate) async fn lost(&self, instance: &Arc<Instance>, failure: &Failure) {
        let mut state = self.state.lock().await;
        let is_current = state.instance.as_ref().is_some_and(|current| Arc::ptr_eq(current, instance));
        if is_current {
            state.instance = None;
            self.back_off(&mut state, failure);
        }
    }

    async fn connect(&self) -> Result<Instance, Failure> {
        let linked = self.enlisted.linked.ok_or_else(|| Failure::reject("the connector is not linked"))?;
        let settings = self.enlisted.settings.clone();
        let cx = self.shared.cx(&self.enlisted.record.name);
        let made = call::run(&self.shared, &self.enlisted.processing, async move {
            (linked.connect)(settings, &cx).await
        });
        match made.await {
            CallEnd::Answered(answer) => answer,
            CallEnd::Aborted => Err(Failure::disconnected("the bus stops")),
        }
    }

    fn back_off(&self, state: &mut State, failure: &Failure) -> Timestamp {
        let now = self.shared.now();
        let failures = self.enlisted.failed_to_connect(failure.message(), now);
        state.losses = state.losses.saturating_add(1);
        let wait = retry::delay(&self.enlisted.processing, state.losses, self.shared.dice.roll());
        let at = retry::clamp_due(now, now.plus(wait));
        state.not_before = Some(at);
        tracing::warn!(
            connector = %self.enlisted.record.name, failures, next = %at, error = %failure,
            "the connector cannot reach its external system"
        );
        at
    }
}
