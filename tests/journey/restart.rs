//! A bus that stops and starts again goes on where it was.

use bus_core::{Direction, ExternalTask, Site};
use bus_runtime::{ConnectorConfig, StoreConfig, Synchronous};
use bus_testkit::{FakePeer, TestBus};
use bus_tests::{Contact, Crm, EventLog, User};

use crate::told::with_crm;

#[tokio::test]
async fn what_was_accepted_before_a_stop_is_done_after_the_start() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("bus.db");
    let on_file = || {
        let path = path.clone();
        let bus = TestBus::new();
        bus.configure(move |config| {
            config.store = StoreConfig::Sqlite { path, synchronous: Synchronous::Full }
        })
    };
    let (bus, peer, _) = with_crm(on_file());
    let bus = bus.start().await;
    peer.cut_off();
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    let mut waiting = Contact::new("003", "bob", "Bob");
    waiting.account = Some("A-1".to_owned());
    bus.process_external_task(ExternalTask::create::<Crm, _>("crm", &waiting)).await.unwrap();
    bus.until_idle().await;
    let report = bus.shutdown().await;
    assert_eq!(report.open.iter().map(|(_, open)| *open).sum::<u64>(), 2, "{report}");
    assert!(report.to_string().contains("left open: 1 for crm"), "{report}");
    assert!(bus.objects().save(&mut User::new("eve", "Eve")).await.is_err(), "a stopped bus takes nothing");

    let (bus, peer, _) = with_crm(on_file());
    let bus = bus.start().await;
    bus.until_idle().await;
    assert!(peer.calls().contains(&"put crm-1".to_owned()), "{:?}", peer.calls());
    let account = bus_tests::Account::new("A-1", "acme", "Acme");
    bus.process_external_task(ExternalTask::create::<Crm, _>("crm", &account)).await.unwrap();
    bus.until_idle().await;
    assert!(bus.objects().find::<User>("bob").await.unwrap().is_some());
    for direction in Direction::ALL {
        assert_eq!(bus.counters("crm", direction).await.open, 0);
    }
    assert!(bus.shutdown().await.open.is_empty());
}

#[tokio::test]
async fn a_program_without_the_connector_logs_for_it() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("bus.db");
    let log = FakePeer::new("log");
    let on_file = || {
        let path = path.clone();
        let registered = ConnectorConfig::new("event-log".parse().unwrap());
        let bus = TestBus::new().registered(registered).object::<User>().provide(log.clone());
        bus.configure(move |config| {
            config.store = StoreConfig::Sqlite { path, synchronous: Synchronous::Normal }
        })
    };
    let with_it = on_file().linked::<EventLog>().start().await;
    with_it.shutdown().await;

    let without_it = on_file().start().await;
    assert!(without_it.connectors()[0].warning().unwrap().contains("no linked connector"));
    without_it.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    without_it.until_idle().await;
    assert_eq!(log.calls(), [] as [&str; 0]);
    assert_eq!(without_it.counters("event-log", Direction::Outgoing).await.open, 1);

    // It leaves the queues to whoever can work on them, while it still runs.
    let with_it = on_file().linked::<EventLog>().start().await;
    with_it.until_idle().await;
    assert_eq!(log.calls(), ["create ada snapshot"]);
    with_it.shutdown().await;
    without_it.shutdown().await;
}

#[tokio::test]
async fn each_start_registers_the_sites_of_the_configuration_and_removes_none() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("bus.db");
    let on_file = || {
        let path = path.clone();
        TestBus::new().configure(move |config| {
            config.store = StoreConfig::Sqlite { path, synchronous: Synchronous::Normal }
        })
    };
    let corp = Site::new("corp").unwrap();
    let bus = on_file().site("branch").site("corp").start().await;
    bus.sites().register(corp.clone().display_name("Corporate")).await.unwrap();
    bus.sites().register(Site::new("shop").unwrap()).await.unwrap();
    bus.shutdown().await;

    let bus = on_file().site("corp").start().await;
    let expected = [Site::new("branch").unwrap(), corp, Site::new("shop").unwrap()];
    assert_eq!(bus.sites().list().await.unwrap(), expected, "what it names is as it says again");
}
