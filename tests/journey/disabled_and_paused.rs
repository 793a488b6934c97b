//! A connector that is disabled hears nothing; one that is paused hears everything later.

use bus_core::{Direction, ExternalTask};
use bus_runtime::BusErrorKind;
use bus_store::ConnectorState;
use bus_testkit::{FakePeer, TestBus};
use bus_tests::{Contact, EventLog, User};

use crate::told::with_crm;

stories!(disabled_hears_nothing, paused_hears_it_later, disabled_refuses_external_objects);

async fn disabled_hears_nothing(bus: TestBus) {
    let log = FakePeer::new("log");
    let bus = bus.connector::<EventLog>("event-log").object::<User>().provide(log.clone()).start().await;
    let name = "event-log".parse().unwrap();
    bus.set_connector_state(&name, ConnectorState::Disabled).await.unwrap();
    let mut ada = User::new("ada", "Ada");
    bus.objects().save(&mut ada).await.unwrap();
    bus.set_connector_state(&name, ConnectorState::Enabled).await.unwrap();
    ada.name = "Ada L.".into();
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    assert_eq!(log.calls(), ["update ada snapshot"]);
}

async fn paused_hears_it_later(bus: TestBus) {
    let log = FakePeer::new("log");
    let bus = bus.connector::<EventLog>("event-log").object::<User>().provide(log.clone()).start().await;
    let name = "event-log".parse().unwrap();
    bus.set_connector_state(&name, ConnectorState::Paused).await.unwrap();
    let mut ada = User::new("ada", "Ada");
    bus.objects().save(&mut ada).await.unwrap();
    bus.objects().delete::<User>(&ada.id).await.unwrap();
    bus.until_idle().await;
    assert_eq!(log.calls(), [] as [&str; 0]);
    assert_eq!(bus.counters("event-log", Direction::Outgoing).await.open, 2);
    bus.set_connector_state(&name, ConnectorState::Enabled).await.unwrap();
    bus.until_idle().await;
    assert_eq!(log.calls(), ["create ada snapshot", "delete ada snapshot"]);
}

async fn disabled_refuses_external_objects(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    bus.set_connector_state(&"crm".parse().unwrap(), ConnectorState::Disabled).await.unwrap();
    let task = ExternalTask::create::<bus_tests::Crm, _>("crm", &Contact::new("003", "ada", "Ada"));
    let refused = bus.process_external_task(task).await.unwrap_err();
    assert_eq!(refused.kind(), BusErrorKind::ConnectorUnable);
    assert!(refused.to_string().contains("enable it"), "{refused}");
}
