//! Two systems kept in step both ways: one change travels once and stops.

use bus_core::{Direction, ExternalTask};
use bus_testkit::{FakePeer, TestBus};
use bus_tests::{Company, Contact, Crm, Directory, EventLog, User};

stories!(one_change_travels_once_and_stops);

async fn one_change_travels_once_and_stops(bus: TestBus) {
    let peer = FakePeer::new("peer");
    let bus = bus
        .connector::<Crm>("crm-eu")
        .connector::<Crm>("crm-us")
        .connector::<EventLog>("event-log")
        .object::<User>()
        .object::<Company>();
    let bus = bus.provide(peer.clone()).provide(Directory::default()).start().await;
    let contact = Contact::new("003", "ada", "Ada");
    bus.process_external_task(ExternalTask::create::<Crm, _>("crm-eu", &contact)).await.unwrap();
    bus.until_idle().await;
    // Told: the other CRM and the log. Not told: the one it came from.
    let logged = |connector| bus.counters(connector, Direction::Outgoing);
    assert_eq!(logged("crm-eu").await.logged, 0);
    assert_eq!((logged("crm-us").await.completed, logged("event-log").await.completed), (1, 1));

    // The host's own change goes to everybody, once.
    let mut user: User = bus.objects().find("ada").await.unwrap().unwrap();
    user.name = "Ada Lovelace".into();
    bus.objects().save(&mut user).await.unwrap();
    bus.until_idle().await;
    assert_eq!((logged("crm-eu").await.completed, logged("crm-us").await.completed), (1, 2));
    assert_eq!(peer.get("003").unwrap()["name"], "Ada Lovelace", "the first CRM's own id is used");
}
