//! References on their way out: translated by the bus before the connector sees the object.

use bus_core::{
    Change, Connector, Cx, DeliveryState, Direction, Failure, NoSettings, Outgoing, Ref, connector,
};
use bus_store::ConnectorState;
use bus_testkit::{FakePeer, Script, TestBus};
use bus_tests::{Address, Company, EventLog, User};

use crate::told::with_crm;

stories!(
    references_are_the_external_systems_ids_when_the_connector_sees_them,
    a_user_waits_for_a_company_that_is_not_there_yet,
    a_delete_never_waits,
    a_reference_that_can_never_be_answered_is_parked_at_once,
    a_binding_is_kept_whatever_becomes_of_the_delivery
);

async fn references_are_the_external_systems_ids_when_the_connector_sees_them(bus: TestBus) {
    let (bus, peer, _) = with_crm(bus);
    let bus = bus.start().await;
    let mut acme = Company::new("acme", "Acme");
    bus.objects().save(&mut acme).await.unwrap();
    let mut boss = User::new("boss", "Boss").at(&acme);
    bus.objects().save(&mut boss).await.unwrap();
    let mut ada = User::new("ada", "Ada").at(&acme);
    ada.manager = Some(Ref::host(boss.id));
    ada.addresses = vec![Address { city: "London".to_owned(), paid_by: Some(Ref::host(acme.id)) }].into();
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    let sent = peer.get("crm-3").unwrap();
    assert_eq!((&sent["company"], &sent["manager"]), (&"crm-1".into(), &"crm-2".into()));
    assert_eq!(sent["addresses"][0]["paid_by"], "crm-1");
}

async fn a_user_waits_for_a_company_that_is_not_there_yet(bus: TestBus) {
    let (bus, peer, _) = with_crm(bus);
    let bus = bus.start().await;
    peer.script([Script::Retry("not now".to_owned())]);
    let mut acme = Company::new("acme", "Acme");
    bus.objects().save(&mut acme).await.unwrap();
    bus.until_idle().await;
    bus.objects().save(&mut User::new("ada", "Ada").at(&acme)).await.unwrap();
    bus.until_idle().await;
    let open = bus.open("crm", Direction::Outgoing).await;
    assert_eq!((open[0].state, open[1].state), (DeliveryState::Retryable, DeliveryState::Waiting));
    let reason = open[1].reason.as_deref().unwrap();
    assert_eq!(
        reason,
        format!("waits for app.company {} (/company), which connector crm does not know yet", acme.id)
    );
    bus.clock().advance(std::time::Duration::from_secs(10));
    bus.until_idle().await;
    assert_eq!(peer.get("crm-2").unwrap()["company"], "crm-1");
}

async fn a_delete_never_waits(bus: TestBus) {
    let (bus, peer, _) = with_crm(bus);
    let bus = bus.start().await;
    let crm = "crm".parse().unwrap();
    let mut ada = User::new("ada", "Ada");
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    bus.set_connector_state(&crm, ConnectorState::Disabled).await.unwrap();
    let mut acme = Company::new("acme", "Acme");
    bus.objects().save(&mut acme).await.unwrap();
    ada = ada.at(&acme);
    bus.objects().save(&mut ada).await.unwrap();
    bus.set_connector_state(&crm, ConnectorState::Enabled).await.unwrap();
    bus.objects().delete::<User>(&ada.id).await.unwrap();
    bus.until_idle().await;
    assert_eq!(peer.calls(), ["put crm-1", "remove crm-1"]);
    assert!(
        bus.store().bindings(&crm, None, 10).await.unwrap().is_empty(),
        "the binding ends with the delete"
    );
}

async fn a_reference_that_can_never_be_answered_is_parked_at_once(bus: TestBus) {
    let log = FakePeer::new("log");
    let bus =
        bus.connector::<EventLog>("event-log").object::<User>().object::<Company>().provide(log.clone());
    let bus = bus.start().await;
    let mut acme = Company::new("acme", "Acme");
    bus.objects().save(&mut acme).await.unwrap();
    bus.objects().save(&mut User::new("ada", "Ada").at(&acme)).await.unwrap();
    bus.until_idle().await;
    let open = bus.open("event-log", Direction::Outgoing).await;
    assert_eq!(open[0].state, DeliveryState::Parked);
    let reason = open[0].reason.as_deref().unwrap();
    assert!(reason.contains("neither subscribes to app.company nor accepts it"), "{reason}");
    assert_eq!(log.calls(), [] as [&str; 0]);
}

/// Binds, and then fails as long as its peer says so.
#[connector(name = "careful", create_once = repeatable)]
#[outgoing(User)]
struct Careful;

impl Connector for Careful {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Outgoing<User> for Careful {
    async fn deliver(&self, change: Change<User>, cx: &Cx) -> Result<(), Failure> {
        let known = change.external_id().map(str::to_owned);
        change.bind("U-1");
        cx.handle::<FakePeer>()?.say(format!("known as {known:?}"))
    }
}

async fn a_binding_is_kept_whatever_becomes_of_the_delivery(bus: TestBus) {
    let peer = FakePeer::new("careful");
    let bus = bus.connector::<Careful>("careful").object::<User>().provide(peer.clone()).start().await;
    peer.script([Script::Retry("the answer was lost".to_owned())]);
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    bus.until_idle().await;
    bus.clock().advance(std::time::Duration::from_mins(1));
    bus.until_idle().await;
    assert_eq!(peer.calls(), ["known as None", "known as Some(\"U-1\")"]);
}
