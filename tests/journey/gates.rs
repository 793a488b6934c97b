//! A connector whose calls a story can hold, fail and watch, each by the login of its user.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus_core::{
    Change, Connector, Cx, Failure, Incoming, NoSettings, Outgoing, Prepared, Received, connector,
};
use bus_runtime::Processing;
use bus_testkit::TestBus;
use bus_tests::{Contact, User};
use tokio::sync::watch;

/// Does nothing but pass the gates.
#[connector(name = "gated", create_once = repeatable, needs(Gates))]
#[outgoing(User, data = simple)]
#[incoming(Contact, key = uid)]
pub(crate) struct Gated {
    /// Shared with the gates, so that they can count instances.
    _alive: Arc<()>,
}

/// What a call answers instead of `Ok`.
pub(crate) type Answer = fn() -> Failure;

/// Lets calls through, or not. Clones are the same.
#[derive(Clone)]
pub(crate) struct Gates {
    state: Arc<Mutex<State>>,
    moved: watch::Sender<()>,
    alive: Arc<()>,
}

#[derive(Default)]
struct State {
    held: BTreeSet<String>,
    answers: BTreeMap<String, VecDeque<Answer>>,
    calls: Vec<String>,
    passed: Vec<String>,
    running: BTreeSet<String>,
    running_most: usize,
    is_cut_off: bool,
    connects: usize,
}

/// A call that runs, until it is dropped.
struct Running<'g> {
    gates: &'g Gates,
    login: String,
}

impl Gates {
    pub(crate) fn new() -> Self {
        Self { state: Arc::default(), moved: watch::Sender::new(()), alive: Arc::default() }
    }

    /// Holds calls for this user until they are let go.
    pub(crate) fn hold(&self, login: &str) {
        self.state().held.insert(login.to_owned());
    }

    pub(crate) fn let_go(&self, login: &str) {
        self.state().held.remove(login);
        self.moved.send_replace(());
    }

    /// What the next calls for this user answer; after that they work.
    pub(crate) fn fail<const N: usize>(&self, login: &str, answers: [Answer; N]) {
        self.state().answers.entry(login.to_owned()).or_default().extend(answers);
    }

    /// Lets every call and every `connect` fail, or not.
    pub(crate) fn cut_off(&self, is_cut_off: bool) {
        self.state().is_cut_off = is_cut_off;
    }

    /// The calls that began, in order: operation, login, name.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    pub(crate) fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state().calls)
    }

    /// The calls that succeeded.
    pub(crate) fn passed(&self) -> Vec<String> {
        self.state().passed.clone()
    }

    /// Whose calls run.
    pub(crate) fn running(&self) -> Vec<String> {
        self.state().running.iter().cloned().collect()
    }

    /// How many ran side by side at most.
    pub(crate) fn running_most(&self) -> usize {
        self.state().running_most
    }

    /// How often `connect` was asked.
    pub(crate) fn connects(&self) -> usize {
        self.state().connects
    }

    /// How many instances there are.
    pub(crate) fn instances(&self) -> usize {
        let handles = Arc::strong_count(&self.state);
        Arc::strong_count(&self.alive).saturating_sub(handles)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call for this user.
    pub(crate) async fn call(&self, login: &str, call: String) -> Result<(), Failure> {
        let mut moved = self.moved.subscribe();
        let _running = self.begin(login, &call);
        while self.state().held.contains(login) {
            moved.changed().await?;
        }
        let answer = {
            let mut state = self.state();
            if state.is_cut_off {
                return Err(Failure::disconnected("cut off"));
            }
            let answer = state.answers.get_mut(login).and_then(VecDeque::pop_front);
            if answer.is_none() {
                state.passed.push(call);
            }
            answer
        };
        // It may panic.
        answer.map_or(Ok(()), |answer| Err(answer()))
    }

    fn begin(&self, login: &str, call: &str) -> Running<'_> {
        let mut state = self.state();
        assert!(state.running.insert(login.to_owned()), "two calls for {login} at once");
        state.running_most = state.running_most.max(state.running.len());
        state.calls.push(call.to_owned());
        Running { gates: self, login: login.to_owned() }
    }

    pub(crate) fn connect(&self) -> Result<(), Failure> {
        let mut state = self.state();
        state.connects += 1;
        if state.is_cut_off { Err(Failure::disconnected("cut off")) } else { Ok(()) }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.gates.state().running.remove(&self.login);
    }
}

/// A bus with the gated connector, about to start.
pub(crate) fn with_gates(bus: TestBus, change: impl FnOnce(&mut Processing)) -> (TestBus, Gates) {
    let gates = Gates::new();
    let mut processing = Processing::default();
    change(&mut processing);
    let bus = bus.connector::<Gated>("gated").processing(processing).object::<User>();
    (bus.provide(gates.clone()), gates)
}

impl Connector for Gated {
    type Settings = NoSettings;

    async fn connect(_: NoSettings, cx: &Cx) -> Result<Self, Failure> {
        let gates = cx.handle::<Gates>()?;
        gates.connect()?;
        Ok(Self { _alive: Arc::clone(&gates.alive) })
    }
}

impl Outgoing<User> for Gated {
    async fn deliver(&self, change: Change<User>, cx: &Cx) -> Result<(), Failure> {
        let User { login, name, .. } = &change.object;
        cx.handle::<Gates>()?.call(login, format!("{} {login} {name}", change.operation())).await
    }
}

impl Incoming<Contact> for Gated {
    type Object = User;

    async fn prepare_internal_object(
        &self,
        received: Received<Contact, User>,
        cx: &Cx,
    ) -> Result<Prepared<User>, Failure> {
        let Contact { login, name, .. } = received.object;
        cx.handle::<Gates>()?.call(&login, format!("{} {login} {name}", received.operation)).await?;
        let mut user = received.existing.unwrap_or_default();
        (user.login, user.name) = (login, name);
        Ok(user.into())
    }
}
