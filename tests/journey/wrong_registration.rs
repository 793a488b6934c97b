//! A connector that is not registered correctly is shown with cause and remedy, and keeps nobody else from working.

use bus_core::Direction;
use bus_runtime::{BusErrorKind, ConnectorConfig, Health, Problem};
use bus_testkit::{FakePeer, TestBus};
use bus_tests::{EventLog, User, Watcher};
use serde_json::json;

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
    let bus = bus.linked::<EventLog>().registered(config("nothing-like-it")).configure(|config| config.strict = true);
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
    assert!(faults[1].contains("settings.exept") && faults[1].contains("did you mean `except`"), "{faults:?}");
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
