//! A connector that is deleted: with what is open for it, or not at all.

use bus_core::{ConnectorName, DeliveryState, Direction, ExternalTask};
use bus_runtime::{
    BusErrorKind, ConnectorConfig, ConnectorState, Deletion, DeliveryFilter, OpenDeliveries, QueueId,
    StoreConfig, Synchronous, Verb,
};
use bus_testkit::{FakePeer, RunningTestBus, Script, TestBus};
use bus_tests::{Company, Contact, Crm, Directory, User};

use crate::told::ops;

stories!(
    one_with_open_deliveries_stays_unless_they_are_discarded,
    what_is_open_is_discarded_with_who_and_why,
    its_bindings_stay_unless_they_are_forgotten,
    one_of_the_configuration_file_is_deleted_there
);

fn crm() -> ConnectorName {
    "crm".parse().unwrap()
}

/// A bus on which an operator has registered the CRM.
async fn with_registered_crm(bus: TestBus) -> (RunningTestBus, FakePeer) {
    let peer = FakePeer::new("crm");
    let bus = bus.linked::<Crm>().object::<User>().object::<Company>();
    let bus = bus.provide(peer.clone()).provide(Directory::default()).start().await;
    bus.register(ConnectorConfig::new(crm())).await.unwrap();
    (bus, peer)
}

async fn one_with_open_deliveries_stays_unless_they_are_discarded(bus: TestBus) {
    let (bus, peer) = with_registered_crm(bus).await;
    peer.script([Script::Reject("no".to_owned())]);
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    bus.until_idle().await;
    let error = bus.delete_connector(&crm(), OpenDeliveries::Refuse, &ops()).await.unwrap_err();
    assert_eq!(error.kind(), BusErrorKind::WrongState);
    assert!(error.to_string().starts_with("connector crm has 1 open deliveries;"), "{error}");
    // It goes on.
    bus.objects().save(&mut User::new("bob", "Bob")).await.unwrap();
    bus.until_idle().await;
    assert_eq!(peer.calls(), ["put crm-1", "put crm-1"]);
    let parked = bus.open("crm", Direction::Outgoing).await[0].delivery;
    bus.skip(parked, &ops()).await.unwrap();
    bus.delete_connector(&crm(), OpenDeliveries::Refuse, &ops()).await.unwrap();
    assert!(bus.connectors().is_empty());
    let error = bus.delete_connector(&crm(), OpenDeliveries::Refuse, &ops()).await.unwrap_err();
    assert_eq!(error.kind(), BusErrorKind::UnknownConnector);
}

async fn what_is_open_is_discarded_with_who_and_why(bus: TestBus) {
    let (bus, peer) = with_registered_crm(bus).await;
    peer.script([Script::Reject("no".to_owned())]);
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    bus.until_idle().await;
    let parked = bus.open("crm", Direction::Outgoing).await[0].delivery;
    bus.set_connector_state(&crm(), ConnectorState::Paused).await.unwrap();
    for number in 0..1_010 {
        let contact = Contact::new(&format!("{number}"), "x", "x");
        bus.process_external_task(ExternalTask::create::<Crm, _>("crm", &contact)).await.unwrap();
    }
    let deleted = bus.delete_connector(&crm(), OpenDeliveries::Discard, &ops()).await.unwrap();
    assert_eq!((deleted.discarded, deleted.bindings_forgotten), (1_011, 0));
    let discarded = bus.delivery(parked).await.unwrap();
    assert_eq!(discarded.summary.state, DeliveryState::Discarded);
    assert_eq!(discarded.summary.reason.as_deref(), Some("the story says so"));
    let last = discarded.interventions.last().unwrap();
    assert_eq!((last.verb, last.by.as_str()), (Verb::Discard, "jane"));
    // The counters are its tombstone; it is logged for no more.
    let counters = bus.counters("crm", Direction::Incoming).await;
    assert_eq!((counters.logged, counters.discarded, counters.open), (1_010, 1_010, 0));
    bus.objects().save(&mut User::new("eve", "Eve")).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.counters("crm", Direction::Outgoing).await.logged, 1);

    // Registered again it begins with nothing, and goes on counting.
    bus.register(ConnectorConfig::new(crm())).await.unwrap();
    bus.objects().save(&mut User::new("bob", "Bob")).await.unwrap();
    bus.until_idle().await;
    let counters = bus.counters("crm", Direction::Outgoing).await;
    assert_eq!((counters.logged, counters.completed, counters.discarded), (2, 1, 1));
}

async fn its_bindings_stay_unless_they_are_forgotten(bus: TestBus) {
    let (bus, _) = with_registered_crm(bus).await;
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    bus.until_idle().await;
    bus.delete_connector(&crm(), OpenDeliveries::Refuse, &ops()).await.unwrap();
    assert_eq!(bus.store().bindings(&crm(), None, 10).await.unwrap().len(), 1);
    bus.register(ConnectorConfig::new(crm())).await.unwrap();
    let how = Deletion::from(OpenDeliveries::Refuse).forgetting_bindings();
    let deleted = bus.delete_connector(&crm(), how, &ops()).await.unwrap();
    assert_eq!(deleted.bindings_forgotten, 1);
    assert!(bus.store().bindings(&crm(), None, 10).await.unwrap().is_empty());
}

async fn one_of_the_configuration_file_is_deleted_there(bus: TestBus) {
    let (bus, _, _) = crate::told::with_crm(bus);
    let bus = bus.configure(|config| config.file = Some("/srv/app/bus.toml".into())).start().await;
    let error = bus.delete_connector(&crm(), OpenDeliveries::Discard, &ops()).await.unwrap_err();
    assert_eq!(error.kind(), BusErrorKind::Conflict);
    assert_eq!(
        error.to_string(),
        "connector crm is registered in /srv/app/bus.toml; remove it there, start again, and delete it then"
    );
}

#[tokio::test]
async fn what_the_file_names_no_longer_can_be_deleted() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("bus.db");
    let on_file = || {
        let path = path.clone();
        TestBus::new().configure(move |config| {
            config.store = StoreConfig::Sqlite { path, synchronous: Synchronous::Normal };
        })
    };
    let (bus, peer, _) = crate::told::with_crm(on_file());
    let bus = bus.start().await;
    peer.script([Script::Reject("no".to_owned())]);
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    bus.until_idle().await;
    bus.shutdown().await;

    let without_it = on_file().start().await;
    let deleted = without_it.delete_connector(&crm(), OpenDeliveries::Discard, &ops()).await.unwrap();
    assert_eq!(deleted.discarded, 1);
    let discarded = DeliveryFilter { state: Some(DeliveryState::Discarded), ..DeliveryFilter::default() };
    let queue = QueueId::new(crm(), Direction::Outgoing);
    assert_eq!(without_it.deliveries(&queue, &discarded).await.unwrap().len(), 1);
}
