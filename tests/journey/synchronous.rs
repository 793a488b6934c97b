//! Connectors that are told before the logging call returns, where they can be.

use std::sync::{Arc, OnceLock};

use bus_core::{
    Change, Connector, Cx, DeliveryState, Direction, Failure, NoSettings, ObjectKey, Outgoing, connector,
};
use bus_runtime::{Bus, ConnectorState, Processing, Saved, SyncEnd};
use bus_testkit::{RunningTestBus, TestBus};
use bus_tests::{Company, User};

use crate::gates::Gates;
use crate::told::{ops, until};

stories!(
    the_external_system_knows_before_the_save_returns,
    what_stands_behind_an_earlier_one_of_its_object_is_queued,
    a_paused_connector_is_told_later,
    a_connector_that_is_cut_off_is_told_later,
    a_connector_without_a_free_slot_is_told_later,
    they_go_in_the_order_of_their_names_and_a_failure_ends_it,
    who_steps_aside_or_defers_does_not_end_it,
    who_cannot_be_told_now_does_not_end_it,
    the_attempt_is_in_the_store_before_the_call,
    a_save_from_within_a_delivery_is_queued,
    saves_side_by_side_share_the_slot_or_are_queued,
    nobody_waits_for_the_limit_of_calls
);

/// Is told of users at once.
#[connector(name = "synced", create_once = repeatable, needs(Gates))]
#[outgoing(User, sync)]
struct Synced;

impl Connector for Synced {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, cx: &Cx) -> Result<Self, Failure> {
        cx.handle::<Gates>()?.connect()?;
        Ok(Self)
    }
}

impl Outgoing<User> for Synced {
    async fn deliver(&self, change: Change<User>, cx: &Cx) -> Result<(), Failure> {
        let who = format!("{}/{}", cx.connector(), change.object.login);
        cx.handle::<Gates>()?.call(&who, format!("{who} {}", change.object.name)).await
    }
}

/// The host, as a connector can reach it.
#[derive(Clone, Default)]
struct Host {
    bus: Arc<OnceLock<Bus>>,
    saved: Arc<OnceLock<Saved>>,
}

/// Makes a user of each company, from within its delivery.
#[connector(name = "founder", create_once = repeatable, needs(Host))]
#[outgoing(Company, sync)]
struct Founder;

impl Connector for Founder {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Outgoing<Company> for Founder {
    async fn deliver(&self, change: Change<Company>, cx: &Cx) -> Result<(), Failure> {
        let host = cx.handle::<Host>()?;
        let bus = host.bus.get().ok_or_else(|| Failure::retry("no bus yet"))?;
        let mut user = User::new(&change.object.code, "founder");
        let saved = bus.objects().save(&mut user).await?;
        host.saved.set(saved).map_err(|_| Failure::reject("twice"))
    }
}

/// Three of them: c is registered first, a is told first.
async fn with_three(bus: TestBus) -> (RunningTestBus, Gates) {
    let gates = Gates::new();
    let bus = bus.connector::<Synced>("c").connector::<Synced>("a").connector::<Synced>("b");
    let bus = bus.object::<User>().provide(gates.clone()).start().await;
    bus.until_idle().await;
    (bus, gates)
}

async fn with_one(bus: TestBus, change: impl FnOnce(&mut Processing)) -> (RunningTestBus, Gates) {
    let gates = Gates::new();
    let mut processing = Processing::default();
    change(&mut processing);
    let bus = bus.connector::<Synced>("a").processing(processing).object::<User>().provide(gates.clone());
    let bus = bus.start().await;
    bus.until_idle().await;
    (bus, gates)
}

fn ends(saved: &Saved) -> Vec<(&str, SyncEnd)> {
    saved.synchronous.iter().map(|(connector, end)| (connector.as_str(), end.clone())).collect()
}

fn failed(error: &str) -> SyncEnd {
    SyncEnd::Failed { error: error.to_owned() }
}

async fn the_external_system_knows_before_the_save_returns(bus: TestBus) {
    let (bus, gates) = with_one(bus, |_| {}).await;
    let mut ada = User::new("ada", "1");
    for name in ["1", "2", "3"] {
        ada.name = name.to_owned();
        let saved = bus.objects().save(&mut ada).await.unwrap();
        assert_eq!(ends(&saved), [("a", SyncEnd::Completed)]);
        assert_eq!(gates.take_calls(), [format!("a/ada {name}")]);
    }
    let saved = bus.objects().save(&mut ada).await.unwrap();
    assert_eq!(ends(&saved), [], "nothing has changed");
    let deleted = bus.objects().delete::<User>(&ada.id).await.unwrap().unwrap();
    assert_eq!(ends(&deleted), [("a", SyncEnd::Completed)]);
    assert_eq!(bus.counters("a", Direction::Outgoing).await.completed, 4);
}

async fn what_stands_behind_an_earlier_one_of_its_object_is_queued(bus: TestBus) {
    let (bus, gates) = with_one(bus, |_| {}).await;
    gates.fail("a/ada", [|| Failure::reject("no")]);
    let mut ada = User::new("ada", "1");
    let saved = bus.objects().save(&mut ada).await.unwrap();
    assert_eq!(ends(&saved), [("a", failed("no"))]);
    ada.name = "2".to_owned();
    let saved = bus.objects().save(&mut ada).await.unwrap();
    assert_eq!(ends(&saved), [("a", SyncEnd::Queued)]);
    // Its worker has looked at that, and has time again.
    bus.until_idle().await;
    let saved = bus.objects().save(&mut User::new("bob", "1")).await.unwrap();
    assert_eq!(ends(&saved), [("a", SyncEnd::Completed)], "other objects are not concerned");
    let parked = bus.open("a", Direction::Outgoing).await[0].delivery;
    bus.skip(parked, &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(gates.calls(), ["a/ada 1", "a/bob 1", "a/ada 2"]);
}

async fn a_paused_connector_is_told_later(bus: TestBus) {
    let (bus, gates) = with_one(bus, |_| {}).await;
    let name = "a".parse().unwrap();
    for state in [ConnectorState::Paused, ConnectorState::Stopped] {
        bus.set_connector_state(&name, state).await.unwrap();
        let saved = bus.objects().save(&mut User::new(state.as_str(), "1")).await.unwrap();
        assert_eq!(ends(&saved), [("a", SyncEnd::Queued)]);
        assert_eq!(gates.take_calls(), [] as [&str; 0]);
        bus.set_connector_state(&name, ConnectorState::Enabled).await.unwrap();
        bus.until_idle().await;
        assert_eq!(gates.take_calls(), [format!("a/{} 1", state.as_str())]);
    }
}

async fn a_connector_that_is_cut_off_is_told_later(bus: TestBus) {
    let (bus, gates) = with_one(bus, |_| {}).await;
    gates.cut_off(true);
    let saved = bus.objects().save(&mut User::new("ada", "1")).await.unwrap();
    assert_eq!(ends(&saved), [("a", failed("cut off"))], "it was there when the call began");
    bus.until_idle().await;
    let saved = bus.objects().save(&mut User::new("bob", "1")).await.unwrap();
    assert_eq!(ends(&saved), [("a", SyncEnd::Queued)]);
    gates.cut_off(false);
    bus.clock().advance(std::time::Duration::from_mins(1));
    bus.until_idle().await;
    assert_eq!(gates.passed(), ["a/ada 1", "a/bob 1"]);
    let saved = bus.objects().save(&mut User::new("eve", "1")).await.unwrap();
    assert_eq!(ends(&saved), [("a", SyncEnd::Completed)]);
}

async fn a_connector_without_a_free_slot_is_told_later(bus: TestBus) {
    let (bus, gates) = with_one(bus, |_| {}).await;
    gates.hold("a/ada");
    let saving = saving(&bus, "ada");
    until(async || gates.running() == ["a/ada"]).await;
    let saved = bus.objects().save(&mut User::new("bob", "1")).await.unwrap();
    assert_eq!(ends(&saved), [("a", SyncEnd::Queued)]);
    gates.let_go("a/ada");
    assert_eq!(ends(&saving.await.unwrap()), [("a", SyncEnd::Completed)]);
    bus.until_idle().await;
    assert_eq!(gates.passed(), ["a/ada 1", "a/bob 1"]);
}

/// Saves a new user meanwhile.
fn saving(bus: &RunningTestBus, login: &str) -> tokio::task::JoinHandle<Saved> {
    let (objects, mut user) = (bus.objects(), User::new(login, "1"));
    tokio::spawn(async move { objects.save(&mut user).await.unwrap() })
}

async fn they_go_in_the_order_of_their_names_and_a_failure_ends_it(bus: TestBus) {
    let (bus, gates) = with_three(bus).await;
    let mut ada = User::new("ada", "1");
    let saved = bus.objects().save(&mut ada).await.unwrap();
    let all = ["a", "b", "c"].map(|connector| (connector, SyncEnd::Completed));
    assert_eq!(ends(&saved), all);
    assert_eq!(gates.take_calls(), ["a/ada 1", "b/ada 1", "c/ada 1"]);

    gates.fail("b/ada", [|| Failure::reject("no")]);
    ada.name = "2".to_owned();
    let saved = bus.objects().save(&mut ada).await.unwrap();
    let expected = [("a", SyncEnd::Completed), ("b", failed("no")), ("c", SyncEnd::Queued)];
    assert_eq!(ends(&saved), expected);
    // What was not called on this path is delivered by the way of the queue.
    bus.until_idle().await;
    assert_eq!(gates.take_calls(), ["a/ada 2", "b/ada 2", "c/ada 2"]);
    assert_eq!(bus.open("b", Direction::Outgoing).await[0].state, DeliveryState::Parked);
}

async fn who_steps_aside_or_defers_does_not_end_it(bus: TestBus) {
    let (bus, gates) = with_three(bus).await;
    gates.fail("a/ada", [|| Failure::step_aside("busy")]);
    gates.fail("b/ada", [|| Failure::defer("closed")]);
    let saved = bus.objects().save(&mut User::new("ada", "1")).await.unwrap();
    let expected = [("a", SyncEnd::SteppedAside), ("b", SyncEnd::Deferred), ("c", SyncEnd::Completed)];
    assert_eq!(ends(&saved), expected);
    bus.clock().advance(std::time::Duration::from_mins(1));
    bus.until_idle().await;
    assert_eq!(gates.passed().len(), 3);
}

async fn who_cannot_be_told_now_does_not_end_it(bus: TestBus) {
    let (bus, gates) = with_three(bus).await;
    bus.set_connector_state(&"b".parse().unwrap(), ConnectorState::Paused).await.unwrap();
    let saved = bus.objects().save(&mut User::new("ada", "1")).await.unwrap();
    let expected = [("a", SyncEnd::Completed), ("b", SyncEnd::Queued), ("c", SyncEnd::Completed)];
    assert_eq!(ends(&saved), expected);
    assert_eq!(gates.calls(), ["a/ada 1", "c/ada 1"]);
}

async fn the_attempt_is_in_the_store_before_the_call(bus: TestBus) {
    let (bus, gates) = with_one(bus, |_| {}).await;
    gates.hold("a/ada");
    let saving = saving(&bus, "ada");
    until(async || gates.running() == ["a/ada"]).await;
    let open = bus.open("a", Direction::Outgoing).await;
    assert_eq!((open[0].state, open[0].attempts), (DeliveryState::Running, 1));
    let ada = bus.objects().find::<User>("ada").await.unwrap();
    assert!(ada.is_some(), "the change is durable before anybody is told");
    gates.let_go("a/ada");
    assert_eq!(ends(&saving.await.unwrap()), [("a", SyncEnd::Completed)]);
}

async fn a_save_from_within_a_delivery_is_queued(bus: TestBus) {
    let (gates, host) = (Gates::new(), Host::default());
    let bus = bus.connector::<Synced>("a").connector::<Founder>("founder").object::<User>();
    let bus = bus.object::<Company>().provide(gates.clone()).provide(host.clone()).start().await;
    assert!(host.bus.set(bus.clone()).is_ok());
    bus.until_idle().await;
    let saved = bus.objects().save(&mut Company::new("acme", "Acme")).await.unwrap();
    assert_eq!(ends(&saved), [("founder", SyncEnd::Completed)]);
    let nested = host.saved.get().unwrap();
    let ObjectKey { object_type, .. } = &nested.key;
    assert_eq!((object_type.as_str(), ends(nested)), ("app.user", vec![("a", SyncEnd::Queued)]));
    bus.until_idle().await;
    assert_eq!(gates.calls(), ["a/acme founder"]);
}

async fn saves_side_by_side_share_the_slot_or_are_queued(bus: TestBus) {
    let (bus, gates) = with_one(bus, |_| {}).await;
    let logins: Vec<String> = (0..20).map(|number| format!("user{number}")).collect();
    let calls: Vec<_> = logins.iter().map(|login| saving(&bus, login)).collect();
    for call in calls {
        let saved = call.await.unwrap();
        assert!(matches!(saved.synchronous[0].1, SyncEnd::Completed | SyncEnd::Queued), "{saved:?}");
    }
    bus.until_idle().await;
    assert_eq!(gates.passed().len(), 20);
    assert_eq!(gates.running_most(), 1);
}

async fn nobody_waits_for_the_limit_of_calls(bus: TestBus) {
    let rate = bus_runtime::Rate { calls_max: 1, interval_ms: 60_000 };
    let (bus, gates) = with_one(bus, |processing| processing.rate = Some(rate)).await;
    let calls = [saving(&bus, "a"), saving(&bus, "b"), saving(&bus, "c")];
    let mut now = 0;

    for call in calls {
        let saved = call.await.unwrap();
        now += usize::from(saved.synchronous[0].1 == SyncEnd::Completed);
    }

    // Whoever takes the slot may be one that came by the way of the queue.
    assert!(now <= 1 && gates.passed().len() == 1, "{now} of {:?}", gates.passed());
    for passed in [2, 3] {
        bus.clock().advance(std::time::Duration::from_mins(1));
        bus.until_idle().await;
        assert_eq!(gates.passed().len(), passed);
    }
}
