//! A connector that is not registered correctly is shown with cause and remedy, and keeps nobody else from working.

use bus_core::descriptor::{
    ConnectorDescriptor, DescribedConnector, DescribedObject, DescribedPage, ObjectDescriptor,
    PageDescriptor, Place, Route,
};
use bus_core::settings::SettingType;
use bus_core::{Change, Connector, Cx, Direction, Failure, Outgoing, Settings, SubscribesTo, Subscription};
use bus_runtime::{Bus, BusErrorKind, ConnectorConfig, Health, Problem, Registry};
use bus_store::{ConnectorState, QueueId};
use bus_testkit::{FakePeer, TestBus};
use bus_tests::{EventLog, User, Watcher};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::pages::Article;

stories!(
    a_wrong_name_is_warned_of_and_nothing_is_logged_for_it,
    a_strict_start_refuses_it,
    each_problem_has_a_cause_and_a_remedy,
    one_connector_can_serve_two_systems,
    a_connector_can_be_registered_at_run_time
);

fn config(name: &str) -> ConnectorConfig {
    ConnectorConfig::new(name.parse().unwrap())
}

async fn a_wrong_name_is_warned_of_and_nothing_is_logged_for_it(bus: TestBus) {
    let log = FakePeer::new("log");
    let bus = bus.linked::<EventLog>().registered(config("evnt-log")).object::<User>().provide(log.clone());
    let bus = bus.start().await;
    let warning = bus.connectors()[0].warning().unwrap();
    assert_eq!(
        warning,
        "connector evnt-log does not work: no linked connector is called `evnt-log`; linked are: `event-log`; \
         name the connector `event-log`, or say `uses = \"event-log\"`"
    );
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.counters("evnt-log", Direction::Outgoing).await.logged, 0);
    assert_eq!(log.calls(), [] as [&str; 0]);
}

async fn a_strict_start_refuses_it(bus: TestBus) {
    let bus = bus
        .linked::<EventLog>()
        .registered(config("nothing-like-it"))
        .configure(|config| config.strict = true);
    let error = bus.try_start().await.err().expect("it must not start");
    assert_eq!(error.kind(), BusErrorKind::Strict);
    assert!(error.to_string().contains("`use nothing_like_it_connector as _;`"), "{error}");
}

async fn each_problem_has_a_cause_and_a_remedy(bus: TestBus) {
    let bus = bus.linked::<Watcher>().registered(config("watcher")).start().await;
    let missing = bus.connectors()[0].clone();
    assert!(matches!(missing.health, Health::Problem(Problem::MissingHandle { .. })), "{missing:?}");
    let warning = missing.warning().unwrap();
    assert!(warning.contains("FakePeer") && warning.contains(".provide(...)"), "{warning}");
    bus.shutdown().await;

    let bus = TestBus::new()
        .linked::<Watcher>()
        .provide(FakePeer::new("log"))
        .registered(config("a").uses("watcher").settings(json!({ "except": 17 })))
        .registered(config("b").uses("watcher").settings(json!({ "exept": "ada" })));
    let bus = bus.start().await;
    let faults = bus.connectors().iter().map(|connector| connector.warning().unwrap()).collect::<Vec<_>>();
    assert!(faults[0].contains("`except`") || faults[0].contains("settings.except"), "{faults:?}");
    assert!(
        faults[1].contains("settings.exept") && faults[1].contains("did you mean `except`"),
        "{faults:?}"
    );
    assert!(faults.iter().all(|fault| fault.contains("[connectors.<name>.settings]")), "{faults:?}");
}

async fn one_connector_can_serve_two_systems(bus: TestBus) {
    let log = FakePeer::new("log");
    let bus = bus.connector::<EventLog>("log-eu").connector::<EventLog>("log-us").object::<User>();
    let bus = bus.provide(log.clone()).start().await;
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    bus.until_idle().await;
    assert_eq!(log.calls().len(), 2);
    for name in ["log-eu", "log-us"] {
        assert_eq!(bus.counters(name, Direction::Outgoing).await.completed, 1);
    }
}

async fn a_connector_can_be_registered_at_run_time(bus: TestBus) {
    let log = FakePeer::new("log");
    let bus = bus.linked::<EventLog>().object::<User>().provide(log.clone()).start().await;
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    let status = bus.register(config("event-log")).await.unwrap();
    assert_eq!(status.health, Health::Well);
    bus.objects().save(&mut User::new("bob", "Bob")).await.unwrap();
    bus.until_idle().await;
    assert_eq!(log.calls(), ["create bob snapshot"]);
}

#[test]
fn two_connectors_of_one_name_are_refused_naming_both_places() {
    use bus_core::descriptor::ConnectorDescriptor;
    static TWIN: ConnectorDescriptor = ConnectorDescriptor::new::<Watcher>("event-log").place(Place {
        crate_name: "twin",
        crate_version: "1.0.0",
        file: "src/twin.rs",
        line: 7,
    });
    let error = Registry::of([EventLog::DESCRIPTOR, &TWIN], []).unwrap_err();
    assert_eq!(error.kind(), BusErrorKind::Discovery);
    let message = error.to_string();
    assert!(message.contains("src/twin.rs:7 (twin 1.0.0)") && message.contains("lib.rs:"), "{message}");
    let other_order = Registry::of([&TWIN, EventLog::DESCRIPTOR], []).unwrap_err();
    assert_eq!(message, other_order.to_string(), "the linker's order does not matter");
}

/// Where the second of two stands.
const ELSEWHERE: Place = Place { crate_name: "twin", crate_version: "1.0.0", file: "src/twin.rs", line: 7 };

fn class(name: &'static str, place: Place) -> &'static PageDescriptor {
    let mut class = *Article::DESCRIPTOR;
    (class.class_name, class.place) = (name, place);
    Box::leak(Box::new(class))
}

fn object(name: &'static str) -> &'static ObjectDescriptor {
    let mut object = *User::DESCRIPTOR;
    (object.object_type, object.place) = (name, ELSEWHERE);
    Box::leak(Box::new(object))
}

#[test]
fn a_name_that_says_two_things_is_refused_naming_its_places() {
    let of_objects = |objects: &[&'static ObjectDescriptor]| Registry::of([], objects.iter().copied());
    let here = Article::DESCRIPTOR.place;
    let class_name = Article::DESCRIPTOR.class_name;
    let twice = |one, other| of_objects(&[]).unwrap().with_pages([one, other]);
    for (what, refused, names) in [
        (
            "a class declared twice",
            twice(class(class_name, here), class(class_name, ELSEWHERE)),
            vec![class_name, "src/twin.rs:7 (twin 1.0.0)", here.file, "rename one of them"],
        ),
        (
            "a class that is an object type",
            of_objects(&[object("app.twin")]).unwrap().with_pages([class("app.twin", here)]),
            vec!["object type and class", "app.twin", "src/twin.rs:7", here.file, "rename one of them"],
        ),
        (
            "an object type with the name of all pages",
            of_objects(&[object("page")]),
            vec!["`page` at src/twin.rs:7", "rename the object type"],
        ),
        (
            "a class that is none",
            of_objects(&[]).unwrap().with_pages([class("App Twin", ELSEWHERE)]),
            vec!["`App Twin` at src/twin.rs:7", "such as `app.article`"],
        ),
    ] {
        let error = refused.map(|_| ()).expect_err(what);
        assert_eq!(error.kind(), BusErrorKind::Discovery, "{what}");
        let message = error.to_string();
        assert!(names.iter().all(|name| message.contains(name)), "{what}: {message}");
    }
    // One that is linked by two ways is one.
    assert!(twice(class(class_name, here), class(class_name, here)).is_ok());
}

#[test]
fn everything_that_is_linked_is_discovered() {
    let registry = Registry::discover().unwrap();
    let names: Vec<_> = registry.connectors().iter().map(|linked| linked.name).collect();
    for name in ["crm", "event-log", "field-log", "greedy-log", "watcher"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(registry.knows_object_type("app.user") && registry.knows_object_type("app.company"));
    assert!(names.is_sorted(), "{names:?}");
}

#[tokio::test]
async fn the_file_owns_what_it_names_and_what_it_names_no_more_is_disabled() {
    let folder = tempfile::TempDir::new().unwrap();
    let write = |text: &str| std::fs::write(folder.path().join("bus.toml"), text).unwrap();
    let log = FakePeer::new("log");
    let start = || {
        let builder = Bus::builder(folder.path().join("bus.toml")).provide(log.clone());
        builder.registry(Registry::of([EventLog::DESCRIPTOR], [User::DESCRIPTOR]).unwrap()).start()
    };
    write("[connectors.event-log]\n");
    let bus = start().await.unwrap();
    let refused = bus.register(config("event-log")).await.unwrap_err();
    assert_eq!(refused.kind(), BusErrorKind::Conflict);
    assert!(refused.to_string().contains("configuration file"), "{refused}");
    bus.register(config("of-the-operator").uses("event-log")).await.unwrap();
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    bus.until_idle().await;
    log.cut_off();
    bus.objects().save(&mut User::new("bob", "Bob")).await.unwrap();
    bus.until_idle().await;
    bus.shutdown().await;

    write("");
    let bus = start().await.unwrap();
    let states: Vec<_> = bus.connectors().iter().map(|known| (known.name.to_string(), known.state)).collect();
    let expected = [("event-log", ConnectorState::Disabled), ("of-the-operator", ConnectorState::Enabled)];
    assert_eq!(states, expected.map(|(name, state)| (name.to_owned(), state)));
    let kept =
        bus.store().counters(&QueueId::new("event-log".parse().unwrap(), Direction::Outgoing)).await.unwrap();
    assert_eq!(kept.open, 1, "its deliveries are kept");
    bus.shutdown().await;
}

/// A key of the form that only the type knows.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Key;

impl TryFrom<String> for Key {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Err(format!("`{text}` does not begin with `key-`"))
    }
}

impl SettingType for Key {
    fn setting_schema() -> Value {
        String::setting_schema()
    }
}

/// Settings that are refused by their type, not by their schema.
#[derive(Debug, Deserialize, Settings)]
struct KeySettings {
    /// The key.
    #[expect(dead_code, reason = "it is never read that far")]
    key: Key,
}

#[derive(Debug)]
struct Keyed;

impl Connector for Keyed {
    type Settings = KeySettings;

    async fn connect(_: KeySettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl SubscribesTo<User> for Keyed {}

impl Outgoing<User> for Keyed {
    async fn deliver(&self, _: Change<User>, _: &Cx) -> Result<(), Failure> {
        Ok(())
    }
}

#[tokio::test]
async fn a_wrong_secret_is_not_told() {
    static KEYED: ConnectorDescriptor = ConnectorDescriptor::new::<Keyed>("keyed")
        .routes(const { &[Route::outgoing::<Keyed, User>(Subscription::to("app.user"), None)] });
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("key"), "hunter2\n").unwrap();
    for key in [json!("hunter2"), json!({ "file": "key" })] {
        let file = folder.path().join("bus.toml");
        let key = if key.is_string() { key.to_string() } else { "{ file = \"key\" }".to_owned() };
        std::fs::write(&file, format!("[connectors.keyed.settings]\nkey = {key}\n")).unwrap();
        let registry = Registry::of([&KEYED], [User::DESCRIPTOR]).unwrap();
        let bus = Bus::builder(file.as_path()).registry(registry).start().await.unwrap();
        let shown = format!("{:?}", bus.connectors());
        let warning = bus.connectors()[0].warning().unwrap();
        assert!(warning.contains("`…` does not begin with `key-`"), "{warning}");
        assert!(!warning.contains("hunter2") && !shown.contains("hunter2"), "{shown}");
        bus.shutdown().await;
    }
}
