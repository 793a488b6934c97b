//! Connectors and listeners that misbehave: what they do reaches no further than their own delivery.

use std::time::Duration;

use bus_core::{
    Change, ChangeSummary, Connector, Cx, DeliveryState, Direction, ExternalTask, Failure, Incoming,
    Listener, NoSettings, Outgoing, Prepared, Received, Veto, connector,
};
use bus_runtime::Processing;
use bus_testkit::{FakePeer, TestBus};
use bus_tests::{Company, Contact, Crm, Directory, User};

stories!(
    one_delivery_that_always_loses_the_connection_stops_nobody_else,
    a_panicking_filter_loses_nothing,
    a_panicking_listener_costs_its_own_task_and_nothing_else,
    a_failed_flush_delivers_again_in_order,
    an_object_bound_to_another_id_than_its_key_is_the_right_one,
    two_tasks_of_one_external_object_make_one,
    a_connector_writes_only_what_it_owns
);

/// Loses its connection over whoever is called `poison`; panics when it is asked about whoever is called `mine`.
#[connector(name = "fragile", create_once = repeatable, needs(FakePeer))]
#[outgoing(User, data = simple, filter = Fragile::filter)]
struct Fragile;

impl Fragile {
    fn filter(change: &ChangeSummary, _: &NoSettings) -> bool {
        assert_ne!(change.code_name.as_deref(), Some("mine"), "a mistake in the filter");
        true
    }
}

impl Connector for Fragile {
    type Settings = NoSettings;

    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }

    async fn flush(&self, cx: &Cx) -> Result<(), Failure> {
        cx.handle::<FakePeer>()?.say("flush")
    }
}

impl Outgoing<User> for Fragile {
    async fn deliver(&self, change: Change<User>, cx: &Cx) -> Result<(), Failure> {
        if change.object.login == "poison" {
            return Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into());
        }
        cx.handle::<FakePeer>()?.say(format!("{} {}", change.object.login, change.object.name))
    }
}

fn with_fragile(bus: TestBus) -> (TestBus, FakePeer) {
    let peer = FakePeer::new("peer");
    (bus.connector::<Fragile>("fragile").object::<User>().provide(peer.clone()), peer)
}

async fn one_delivery_that_always_loses_the_connection_stops_nobody_else(bus: TestBus) {
    let (bus, peer) = with_fragile(bus);
    let bus = bus.start().await;
    for login in ["poison", "a", "b"] {
        bus.objects().save(&mut User::new(login, login)).await.unwrap();
    }
    for _ in 0..10 {
        bus.until_idle().await;
        bus.clock().advance(Duration::from_mins(15));
    }
    bus.until_idle().await;
    let mut calls = peer.calls();
    calls.retain(|call| call != "flush");
    assert_eq!(calls, ["a a", "b b"]);
    let open = bus.open("fragile", Direction::Outgoing).await;
    assert_eq!((open.len(), open[0].attempts), (1, 0), "{open:?}");
}

async fn a_panicking_filter_loses_nothing(bus: TestBus) {
    let (bus, peer) = with_fragile(bus);
    let bus = bus.start().await;
    bus.objects().save(&mut User::new("mine", "Mine")).await.unwrap();
    bus.until_idle().await;
    assert_eq!(peer.calls(), ["mine Mine", "flush"]);
}

async fn a_failed_flush_delivers_again_in_order(bus: TestBus) {
    use bus_testkit::Script;
    let (bus, peer) = with_fragile(bus);
    let bus = bus.start().await;
    let paused = "fragile".parse().unwrap();
    bus.set_connector_state(&paused, bus_runtime::ConnectorState::Paused).await.unwrap();
    let mut user = User::new("a", "1");
    for name in ["1", "2", "3"] {
        user.name = name.into();
        bus.objects().save(&mut user).await.unwrap();
    }
    peer.script([Script::Work, Script::Work, Script::Work, Script::Retry("the disk is full".to_owned())]);
    bus.set_connector_state(&paused, bus_runtime::ConnectorState::Enabled).await.unwrap();
    bus.until_idle().await;
    assert_eq!(peer.take_calls(), ["a 1", "a 2", "a 3", "flush"]);
    bus.clock().advance(Duration::from_mins(1));
    bus.until_idle().await;
    let mut calls = peer.calls();
    calls.retain(|call| call != "flush");
    assert_eq!(calls, ["a 1", "a 2", "a 3"]);
    let counters = bus.counters("fragile", Direction::Outgoing).await;
    assert_eq!((counters.completed, counters.retried, counters.stale), (3, 1, 0));
}

/// Panics over whoever is called Eve.
struct Clumsy;

impl Listener for Clumsy {
    fn before_logging(&self, change: &ChangeSummary) -> Result<(), Veto> {
        assert_ne!(change.display_name.as_deref(), Some("Eve"), "a mistake in the listener");
        Ok(())
    }
}

async fn a_panicking_listener_costs_its_own_task_and_nothing_else(bus: TestBus) {
    let peer = FakePeer::new("peer");
    let mut processing = Processing::default();
    processing.max_attempts = 3;
    let bus =
        bus.connector::<Crm>("crm").connector::<Fragile>("fragile").processing(processing).listen(Clumsy);
    let bus =
        bus.object::<User>().object::<Company>().provide(peer).provide(Directory::default()).start().await;
    for (uid, name) in [("1", "Eve"), ("2", "Ada"), ("3", "Bob")] {
        let contact = Contact::new(uid, &name.to_lowercase(), name);
        bus.process_external_task(ExternalTask::create::<Crm, _>("crm", &contact)).await.unwrap();
    }
    for _ in 0..10 {
        bus.until_idle().await;
        bus.clock().advance(Duration::from_mins(1));
    }
    bus.until_idle().await;
    let open = bus.open("crm", Direction::Incoming).await;
    assert_eq!((open.len(), open[0].state), (1, DeliveryState::Parked), "{open:?}");
    let reason = open[0].reason.as_deref().unwrap();
    assert!(reason.contains("it panicked") && reason.contains("a mistake in the listener"), "{reason}");
    assert_eq!(bus.objects().count::<User>().await.unwrap(), 2);
}

/// A line of an order, and an order: both become the user who ordered.
#[derive(serde::Serialize, serde::Deserialize)]
struct Line {
    number: String,
    customer: String,
}

/// Knows customers by their own number, whatever it is told of.
#[connector(name = "shop")]
#[incoming(Line, key = number)]
struct Shop;

impl Connector for Shop {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Incoming<Line> for Shop {
    type Object = User;
    async fn prepare_internal_object(
        &self,
        received: Received<Line, User>,
        _: &Cx,
    ) -> Result<Prepared<User>, Failure> {
        let line = received.object;
        let mut user = received.existing.unwrap_or_else(|| User::new(&line.number, ""));
        user.name.push_str(&line.number);
        Ok(Prepared::from(user).bound_to(line.customer))
    }
}

fn line(number: &str, customer: &str) -> ExternalTask {
    let line = Line { number: number.to_owned(), customer: customer.to_owned() };
    ExternalTask::create::<Shop, _>("shop", &line)
}

async fn an_object_bound_to_another_id_than_its_key_is_the_right_one(bus: TestBus) {
    let bus = bus.connector::<Shop>("shop").object::<User>().start().await;
    // The customer 5 exists; then the line 5 of customer 7.
    bus.process_external_task(line("1", "5")).await.unwrap();
    bus.until_idle().await;
    bus.process_external_task(line("5", "7")).await.unwrap();
    bus.until_idle().await;
    let five: User = bus.objects().find("1").await.unwrap().unwrap();
    let seven: User = bus.objects().find("5").await.unwrap().unwrap();
    assert_eq!((five.name.as_str(), seven.name.as_str()), ("1", "5"));
    assert_eq!(bus.store().bindings(&"shop".parse().unwrap(), None, 10).await.unwrap().len(), 2);
}

/// Owns the name of a user, and writes everything that it is handed.
#[connector(name = "liar")]
#[incoming(Contact, key = uid, owns(name))]
struct Liar;

impl Connector for Liar {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Incoming<Contact> for Liar {
    type Object = User;
    async fn prepare_internal_object(
        &self,
        received: Received<Contact, User>,
        _: &Cx,
    ) -> Result<Prepared<User>, Failure> {
        let Contact { login, name, .. } = received.object;
        // It does not even begin with what is there.
        Ok(User { note: Some("from the liar".to_owned()), ..User::new(&login, &name) }.into())
    }
}

async fn a_connector_writes_only_what_it_owns(bus: TestBus) {
    let bus = bus.connector::<Liar>("liar").object::<User>().start().await;
    let mut ada = User { note: Some("likes tea".to_owned()), ..User::new("ada", "Ada") };
    bus.objects().save(&mut ada).await.unwrap();
    for name in ["Ada Lovelace", "Countess Ada"] {
        let contact = Contact::new("003", "ada", name);
        bus.process_external_task(ExternalTask::update::<Liar, _>("liar", &contact)).await.unwrap();
        bus.until_idle().await;
        let found = bus.objects().load::<User>(&ada.id).await.unwrap().unwrap();
        assert_eq!((found.name.as_str(), found.note.as_deref()), (name, Some("likes tea")));
    }
    // A new one is the external system's, all of it.
    let contact = Contact::new("004", "bob", "Bob");
    bus.process_external_task(ExternalTask::create::<Liar, _>("liar", &contact)).await.unwrap();
    bus.until_idle().await;
    let bob = bus.objects().find::<User>("bob").await.unwrap().unwrap();
    assert_eq!(bob.note.as_deref(), Some("from the liar"));
}

async fn two_tasks_of_one_external_object_make_one(bus: TestBus) {
    let bus = bus.connector::<Shop>("shop").object::<User>().start().await;
    let shop = "shop".parse().unwrap();
    bus.set_connector_state(&shop, bus_runtime::ConnectorState::Paused).await.unwrap();
    for number in ["a", "b", "c"] {
        bus.process_external_task(line(number, "9")).await.unwrap();
    }
    bus.set_connector_state(&shop, bus_runtime::ConnectorState::Enabled).await.unwrap();
    bus.until_idle().await;
    let users: Vec<User> = bus.objects().list(None, 10).await.unwrap();
    assert_eq!(users.len(), 1, "{users:?}");
    assert_eq!(users[0].name, "abc", "each began where the one before it ended");
}
