//! A stopped connector has no instance; a paused one keeps it.

use bus_core::Direction;
use bus_runtime::ConnectorState;
use bus_testkit::TestBus;
use bus_tests::User;

use crate::gates::with_gates;

stories!(a_stopped_connector_drops_its_instance, a_paused_connector_keeps_its_instance);

async fn a_stopped_connector_drops_its_instance(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |_| {});
    let bus = bus.start().await;
    bus.until_idle().await;
    assert_eq!((gates.connects(), gates.instances()), (1, 1));
    let name = "gated".parse().unwrap();
    bus.set_connector_state(&name, ConnectorState::Stopped).await.unwrap();
    bus.objects().save(&mut User::new("ada", "1")).await.unwrap();
    bus.until_idle().await;
    assert_eq!((gates.instances(), gates.calls().len()), (0, 0));
    assert_eq!(bus.counters("gated", Direction::Outgoing).await.open, 1);
    bus.set_connector_state(&name, ConnectorState::Enabled).await.unwrap();
    bus.until_idle().await;
    assert_eq!((gates.connects(), gates.passed().len()), (2, 1));
}

async fn a_paused_connector_keeps_its_instance(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |_| {});
    let bus = bus.start().await;
    bus.until_idle().await;
    let name = "gated".parse().unwrap();
    bus.set_connector_state(&name, ConnectorState::Paused).await.unwrap();
    bus.objects().save(&mut User::new("ada", "1")).await.unwrap();
    bus.until_idle().await;
    assert_eq!((gates.instances(), gates.calls().len()), (1, 0));
    bus.set_connector_state(&name, ConnectorState::Enabled).await.unwrap();
    bus.until_idle().await;
    assert_eq!((gates.connects(), gates.passed().len()), (1, 1));
}
