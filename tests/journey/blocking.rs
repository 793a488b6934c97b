//! Connectors that block their thread: delivered like any other, and what does not return keeps only its own object.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus_core::{
    Change, Clock, Connector, ConnectorName, Cx, DeliveryState, Direction, ExternalTask, Failure, NoSettings,
    Prepared, Received, blocking, connector,
};
use bus_runtime::{ConnectorConfig, ConnectorState, Health, OpenDeliveries, StoreConfig, Synchronous};
use bus_testkit::{RunningTestBus, TestBus};
use bus_tests::{Contact, User};

use crate::told::{ops, until};

stories!(
    both_directions_are_delivered,
    a_panic_is_a_failure,
    one_that_does_not_return_keeps_its_object_and_nobody_else,
    too_many_that_do_not_return_are_one_too_many,
    a_pause_goes_by_while_one_does_not_return,
    a_lost_connection_is_made_again_while_one_does_not_return,
    what_returns_after_its_time_counts,
    a_change_of_the_connector_does_not_wait_for_it_forever,
    nor_does_its_deletion
);

/// Waits at its locks.
#[connector(name = "drill", create_once = repeatable, blocking, needs(Locks))]
#[outgoing(User, data = simple)]
#[incoming(Contact, key = uid)]
struct Drill;

/// Locks at which threads wait. Clones are the same.
#[derive(Clone, Default)]
struct Locks(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    held: BTreeSet<String>,
    running: BTreeSet<String>,
    passed: Vec<String>,
    lost: usize,
}

impl Locks {
    fn hold(&self, login: &str) {
        self.state().held.insert(login.to_owned());
    }

    fn let_go(&self, login: &str) {
        self.state().held.remove(login);
        self.0.1.notify_all();
    }

    fn running(&self) -> Vec<String> {
        self.state().running.iter().cloned().collect()
    }

    fn passed(&self) -> Vec<String> {
        self.state().passed.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self, login: &str, call: String) -> Result<(), Failure> {
        let mut state = self.state();
        if state.lost > 0 {
            state.lost -= 1;
            return Err(Failure::disconnected("gone"));
        }
        assert!(state.running.insert(login.to_owned()), "two calls for {login} at once");
        let waited = self.0.1.wait_while(state, |state| state.held.contains(login));
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.running.remove(login);
        state.passed.push(call);
        Ok(())
    }
}

impl Connector for Drill {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl blocking::Outgoing<User> for Drill {
    fn deliver(&self, change: Change<User>, cx: &Cx) -> Result<(), Failure> {
        let User { login, name, .. } = &change.object;
        assert_ne!(login, "broken", "it breaks");
        cx.handle::<Locks>()?.call(login, format!("{login} {name} {}", change.attempt()))
    }
}

impl blocking::Incoming<Contact> for Drill {
    type Object = User;
    fn prepare_internal_object(
        &self,
        received: Received<Contact, User>,
        cx: &Cx,
    ) -> Result<Prepared<User>, Failure> {
        let Contact { login, name, .. } = received.object;
        cx.handle::<Locks>()?.call(&login, format!("from {login} {name}"))?;
        let mut user = received.existing.unwrap_or_default();
        (user.login, user.name) = (login, name);
        Ok(user.into())
    }
}

fn with_drill(bus: TestBus) -> (TestBus, Locks) {
    let locks = Locks::default();
    (bus.connector::<Drill>("drill").object::<User>().provide(locks.clone()), locks)
}

async fn save(bus: &RunningTestBus, login: &str) -> User {
    let mut user = User::new(login, "1");
    bus.objects().save(&mut user).await.unwrap();
    user
}

/// Saves a user at whom the call hangs until its time is over.
async fn save_and_hang(bus: &RunningTestBus, locks: &Locks, login: &str) -> User {
    locks.hold(login);
    let user = save(bus, login).await;
    until(async || locks.running().contains(&login.to_owned())).await;
    bus.clock().advance(Duration::from_secs(31));
    user
}

async fn both_directions_are_delivered(bus: TestBus) {
    let (bus, locks) = with_drill(bus);
    let bus = bus.start().await;
    save(&bus, "ada").await;
    bus.until_idle().await;
    let contact = Contact::new("003", "bob", "Bob");
    bus.process_external_task(ExternalTask::create::<Drill, _>("drill", &contact)).await.unwrap();
    bus.until_idle().await;
    let mut passed = locks.passed();
    passed.sort();
    assert_eq!(passed, ["ada 1 1", "from bob Bob"]);
    assert_eq!(bus.objects().find::<User>("bob").await.unwrap().unwrap().name, "Bob");
}

async fn a_panic_is_a_failure(bus: TestBus) {
    let (bus, locks) = with_drill(bus);
    let bus = bus.start().await;
    save(&bus, "broken").await;
    save(&bus, "ada").await;
    bus.until_idle().await;
    assert_eq!(locks.passed(), ["ada 1 1"]);
    let open = bus.open("drill", Direction::Outgoing).await;
    assert_eq!((open[0].state, open[0].attempts), (DeliveryState::Retryable, 1));
    let reason = open[0].reason.clone().unwrap();
    assert!(reason.starts_with("the connector panicked: ") && reason.contains("it breaks"), "{reason}");
}

async fn one_that_does_not_return_keeps_its_object_and_nobody_else(bus: TestBus) {
    let (bus, locks) = with_drill(bus);
    let bus = bus.start().await;
    let mut slow = save_and_hang(&bus, &locks, "slow").await;
    slow.name = "2".to_owned();
    bus.objects().save(&mut slow).await.unwrap();
    for login in ["a", "b", "c"] {
        save(&bus, login).await;
    }
    until(async || bus.counters("drill", Direction::Outgoing).await.completed == 3).await;
    assert_eq!((locks.running(), locks.passed().len()), (vec!["slow".to_owned()], 3));
    assert_eq!(bus.connectors()[0].health, Health::Well);
    locks.let_go("slow");
    bus.until_idle().await;
    assert_eq!(locks.passed()[3..], ["slow 1 1", "slow 2 1"]);
}

async fn too_many_that_do_not_return_are_one_too_many(bus: TestBus) {
    let (bus, locks) = with_drill(bus);
    let bus = bus.start().await;
    let logins = ["h1", "h2", "h3", "h4", "h5"];
    for login in logins {
        save_and_hang(&bus, &locks, login).await;
    }
    until(async || bus.connectors()[0].health != Health::Well).await;
    let warning = bus.connectors()[0].warning().unwrap();
    assert!(warning.contains("5 of its calls have not returned in time"), "{warning}");
    save(&bus, "ada").await;
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(locks.passed(), [] as [&str; 0], "nothing more is called");
    locks.let_go("h3");
    until(async || locks.passed() == ["h3 1 1", "ada 1 1"]).await;
    until(async || bus.connectors()[0].health == Health::Well).await;
    for login in logins {
        locks.let_go(login);
    }
    bus.until_idle().await;
    assert_eq!(bus.counters("drill", Direction::Outgoing).await.completed, 6);
}

async fn a_pause_goes_by_while_one_does_not_return(bus: TestBus) {
    let (bus, locks) = with_drill(bus);
    let bus = bus.start().await;
    let name = "drill".parse().unwrap();
    let mut slow = save_and_hang(&bus, &locks, "slow").await;
    for state in [ConnectorState::Paused, ConnectorState::Stopped] {
        bus.set_connector_state(&name, state).await.unwrap();
        slow.name = state.as_str().to_owned();
        bus.objects().save(&mut slow).await.unwrap();
        save(&bus, state.as_str()).await;
        bus.until_idle().await;
        bus.set_connector_state(&name, ConnectorState::Enabled).await.unwrap();
        until(async || locks.passed().contains(&format!("{} 1 1", state.as_str()))).await;
        assert_eq!(locks.running(), ["slow"]);
    }
    locks.let_go("slow");
    bus.until_idle().await;
    assert_eq!(locks.passed()[2..], ["slow 1 1", "slow paused 1", "slow stopped 1"]);
}

async fn a_lost_connection_is_made_again_while_one_does_not_return(bus: TestBus) {
    let (bus, locks) = with_drill(bus);
    let bus = bus.start().await;
    save_and_hang(&bus, &locks, "slow").await;
    locks.state().lost = 1;
    save(&bus, "ada").await;
    until(async || matches!(bus.connectors()[0].health, Health::Unreachable { .. })).await;
    bus.clock().advance(Duration::from_mins(1));
    until(async || locks.passed() == ["ada 1 1"]).await;
    locks.let_go("slow");
    bus.until_idle().await;
    assert_eq!(bus.counters("drill", Direction::Outgoing).await.completed, 2);
}

async fn what_returns_after_its_time_counts(bus: TestBus) {
    let (bus, locks) = with_drill(bus);
    let bus = bus.start().await;
    save_and_hang(&bus, &locks, "slow").await;
    locks.let_go("slow");
    bus.until_idle().await;
    let counters = bus.counters("drill", Direction::Outgoing).await;
    assert_eq!((counters.completed, counters.retried), (1, 0), "the external system knows it");
}

/// Turns the clock until this has ended, which takes what runs the call time-out and the grace.
async fn while_time_goes_by<T>(bus: &RunningTestBus, work: impl Future<Output = T>) -> T {
    let began = bus.clock().now();
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => {
                let took = bus.clock().now().since(began);
                // The clock turns while the store works, too.
                assert!(took >= Duration::from_secs(40), "{took:?}");
                return done;
            }
            () = tokio::task::yield_now() => bus.clock().advance(Duration::from_millis(10)),
        }
    }
}

/// A bus on which an operator has registered the drill, and which calls one that does not return.
async fn with_registered_and_hanging_drill(bus: TestBus) -> (RunningTestBus, Locks) {
    let locks = Locks::default();
    let bus = bus.linked::<Drill>().object::<User>().provide(locks.clone()).start().await;
    bus.register(ConnectorConfig::new(drill())).await.unwrap();
    locks.hold("slow");
    save(&bus, "slow").await;
    until(async || locks.running() == ["slow"]).await;
    (bus, locks)
}

fn drill() -> ConnectorName {
    "drill".parse().unwrap()
}

async fn a_change_of_the_connector_does_not_wait_for_it_forever(bus: TestBus) {
    let (bus, locks) = with_registered_and_hanging_drill(bus).await;
    // The next call will find the way free; the thread of this one sleeps on.
    locks.state().running.clear();
    locks.state().held.clear();
    while_time_goes_by(&bus, bus.register(ConnectorConfig::new(drill()))).await.unwrap();
    until(async || locks.passed() == ["slow 1 2"]).await;
    locks.let_go("slow");
    until(async || locks.passed().len() == 2).await;
    bus.until_idle().await;
    let counters = bus.counters("drill", Direction::Outgoing).await;
    assert_eq!((counters.completed, counters.open), (1, 0));
}

async fn nor_does_its_deletion(bus: TestBus) {
    let (bus, locks) = with_registered_and_hanging_drill(bus).await;
    let (drill, by) = (drill(), ops());
    let deleting = bus.delete_connector(&drill, OpenDeliveries::Discard, &by);
    let deleted = while_time_goes_by(&bus, deleting).await.unwrap();
    assert_eq!(deleted.discarded, 1);
    locks.let_go("slow");
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_it_and_charges_it() {
    let folder = tempfile::TempDir::new().unwrap();
    let on_file = || {
        let path = folder.path().join("bus.db");
        TestBus::new().configure(move |config| {
            config.store = StoreConfig::Sqlite { path, synchronous: Synchronous::Normal };
        })
    };
    let (bus, locks) = with_drill(on_file());
    let bus = bus.start().await;
    save_and_hang(&bus, &locks, "slow").await;
    let stopping = tokio::spawn({
        let bus = bus.clone();
        async move { bus.shutdown().await }
    });
    while !stopping.is_finished() {
        bus.clock().advance(Duration::from_secs(5));
        tokio::task::yield_now().await;
    }
    assert!(stopping.await.unwrap().dropped_calls);
    assert_eq!(locks.running(), ["slow"]);

    let (again, of_again) = with_drill(on_file());
    let again = again.clock(bus.clock().clone()).start().await;
    again.until_idle().await;
    assert_eq!(of_again.passed(), ["slow 1 2"], "its second attempt");
    again.shutdown().await;
    locks.let_go("slow");
}
