//! A connector that asks: a story says what its external system answers, and sees from where it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus_core::{
    Change, Connector, Cx, ExternalTask, Failure, Incoming, NoSettings, Outgoing, Poll, Prepared, Received,
    connector,
};
use bus_runtime::{ConnectorConfig, ConnectorStatus, Processing};
use bus_testkit::{RunningTestBus, TestBus};
use bus_tests::{Company, Contact, User};
use tokio::sync::watch;

/// Asks its external system, and tells it of users.
#[connector(name = "polled", create_once = repeatable, needs(Script))]
#[outgoing(User, data = simple)]
#[incoming(Contact, key = uid)]
pub(crate) struct Polled(Script);

/// What the external system answers to one poll.
pub(crate) type Answer = Box<dyn FnOnce() -> Result<Poll, Failure> + Send>;

/// What the external system answers, poll by poll, and from where it was asked. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    moved: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    answers: VecDeque<Answer>,
    asked: Vec<String>,
    prepared: Vec<String>,
    is_held: bool,
    is_running: bool,
}

impl Script {
    /// The next poll is answered with this.
    pub(crate) fn answer(&self, answer: impl FnOnce() -> Result<Poll, Failure> + Send + 'static) {
        self.state().answers.push_back(Box::new(answer));
    }

    /// The next poll is answered with this page.
    pub(crate) fn page(&self, poll: Poll) {
        self.answer(move || Ok(poll));
    }

    /// From where it was asked since the last look; the first time from `-`.
    pub(crate) fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state().asked)
    }

    /// What was prepared.
    pub(crate) fn prepared(&self) -> Vec<String> {
        self.state().prepared.clone()
    }

    /// Keeps polls from being answered, or not.
    pub(crate) fn hold(&self, is_held: bool) {
        self.state().is_held = is_held;
        self.0.moved.send_replace(());
    }

    /// Whether a poll is being answered.
    pub(crate) fn is_running(&self) -> bool {
        self.state().is_running
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn poll(&self, since: Option<&str>) -> Result<Poll, Failure> {
        let mut moved = self.0.moved.subscribe();
        self.state().asked.push(since.unwrap_or("-").to_owned());
        self.state().is_running = true;
        while self.state().is_held {
            moved.changed().await?;
        }
        let answer = self.state().answers.pop_front();
        self.state().is_running = false;
        // Without an answer nothing has changed.
        answer.map_or_else(|| Ok(Poll::new(since.unwrap_or("0"))), |answer| answer())
    }
}

impl Connector for Polled {
    type Settings = NoSettings;

    async fn connect(_: NoSettings, cx: &Cx) -> Result<Self, Failure> {
        Ok(Self(Script::clone(&*cx.handle::<Script>()?)))
    }

    async fn poll(&self, since: Option<&str>, _: &Cx) -> Result<Poll, Failure> {
        self.0.poll(since).await
    }
}

impl Outgoing<User> for Polled {
    async fn deliver(&self, change: Change<User>, _: &Cx) -> Result<(), Failure> {
        change.bind(format!("of-{}", change.object.login));
        Ok(())
    }
}

impl Incoming<Contact> for Polled {
    type Object = User;

    async fn prepare_internal_object(
        &self,
        received: Received<Contact, User>,
        _: &Cx,
    ) -> Result<Prepared<User>, Failure> {
        let Contact { uid, login, name, .. } = received.object;
        self.0.state().prepared.push(uid);
        if name == "bad" {
            return Err(Failure::reject("nobody is called that"));
        }
        let user = received.existing.unwrap_or_else(|| User::new(&login, &name));
        Ok(User { login, name, ..user }.into())
    }
}

/// A bus with the connector that asks, about to start.
pub(crate) fn with_polled(bus: TestBus, set: impl FnOnce(&mut Processing)) -> (TestBus, Script) {
    let script = Script::default();
    let mut processing = Processing::default();
    set(&mut processing);
    let polled = ConnectorConfig::new("polled".parse().unwrap()).processing(processing);
    let bus = bus.linked::<Polled>().registered(polled).object::<User>().object::<Company>();
    (bus.provide(script.clone()), script)
}

/// A contact that has changed.
pub(crate) fn changed(uid: &str) -> ExternalTask {
    named(uid, uid)
}

/// A contact that has changed, and is called this.
pub(crate) fn named(uid: &str, name: &str) -> ExternalTask {
    ExternalTask::update::<Polled, _>("polled", &Contact::new(uid, uid, name))
}

/// The logins of the users that there are.
pub(crate) async fn logins(bus: &RunningTestBus) -> Vec<String> {
    let users = bus.objects().list::<User>(None, 1_000).await.unwrap();
    let mut logins: Vec<String> = users.into_iter().map(|user| user.login).collect();
    logins.sort();
    logins
}

/// How the connector is.
pub(crate) fn status(bus: &RunningTestBus) -> ConnectorStatus {
    bus.connectors().into_iter().find(|status| status.name.as_str() == "polled").unwrap()
}
