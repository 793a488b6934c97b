//! What is bound to what, as people see it and mend it.

use std::time::Duration;

use bus_core::{
    Change, Connector, Cx, DeliveryState, Direction, ExternalTask, Failure, NoSettings, ObjectId, ObjectKey,
    ObjectOperation, Outgoing, Ref, connector,
};
use bus_runtime::{BusErrorKind, ConnectorState, IdentityMap, Operator, Switches};
use bus_testkit::{FakePeer, RunningTestBus, TestBus};
use bus_tests::{Company, Contact, Crm, User};

use crate::told::{ops, with_crm};

stories!(
    an_operator_links_and_the_next_change_is_an_update,
    a_link_wakes_who_waits_for_it,
    what_contradicts_is_refused_unless_it_is_to_be_replaced,
    a_new_object_of_a_former_id_is_nobody_the_external_system_knows,
    a_new_object_of_a_former_id_can_be_matched,
    what_is_bound_again_after_a_delete_is_still_deleted
);

fn crm(bus: &RunningTestBus) -> IdentityMap {
    bus.identity(&"crm".parse().unwrap())
}

fn key(object_type: &str, id: i64) -> ObjectKey {
    ObjectKey { object_type: object_type.parse().unwrap(), id: ObjectId::Number(id) }
}

/// Saves a user whom the CRM is not told of.
async fn save_unseen(bus: &RunningTestBus, user: &mut User) -> ObjectKey {
    bus.set_switches(Switches { log_outgoing: false, ..Switches::default() }).await.unwrap();
    let saved = bus.objects().save(user).await.unwrap();
    bus.set_switches(Switches::default()).await.unwrap();
    saved.key
}

async fn an_operator_links_and_the_next_change_is_an_update(bus: TestBus) {
    let (bus, peer, _) = with_crm(bus);
    let bus = bus.start().await;
    let mut ada = User::new("ada", "Ada");
    let ada_key = save_unseen(&bus, &mut ada).await;
    let map = crm(&bus);
    assert_eq!(map.external_id(&ada_key).await.unwrap(), None);
    map.link(&ada_key, "003", &ops()).await.unwrap();
    assert_eq!(map.host_id::<User>("003").await.unwrap(), Some(ada.id));
    ada.name = "Ada Lovelace".to_owned();
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    assert_eq!(peer.take_calls(), ["put 003"]);
    // Incoming, it is the same one.
    let contact = Contact::new("003", "countess", "Ada");
    bus.process_external_task(ExternalTask::update::<Crm, _>("crm", &contact)).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.objects().load::<User>(&ada.id).await.unwrap().unwrap().login, "countess");
    let listed = map.list(None, 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(map.list(listed.last(), 10).await.unwrap(), []);
    assert_eq!(map.unlink(&ada_key, &ops()).await.unwrap().as_deref(), Some("003"));
    assert_eq!(map.unlink(&ada_key, &ops()).await.unwrap(), None);
    assert_eq!(map.host_id::<User>("003").await.unwrap(), None);
}

async fn a_link_wakes_who_waits_for_it(bus: TestBus) {
    let (bus, peer, _) = with_crm(bus);
    let bus = bus.start().await;
    bus.set_switches(Switches { log_outgoing: false, ..Switches::default() }).await.unwrap();
    let mut acme = Company::new("acme", "Acme");
    let acme_key = bus.objects().save(&mut acme).await.unwrap().key;
    bus.set_switches(Switches::default()).await.unwrap();
    let mut ada = User { company: Some(Ref::host(acme.id)), ..User::new("ada", "Ada") };
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.open("crm", Direction::Outgoing).await[0].state, DeliveryState::Waiting);
    crm(&bus).link(&acme_key, "001", &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.open("crm", Direction::Outgoing).await.len(), 0);
    assert_eq!(peer.get("crm-1").unwrap()["company"], "001");
}

async fn what_contradicts_is_refused_unless_it_is_to_be_replaced(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    let ada = save_unseen(&bus, &mut User::new("ada", "Ada")).await;
    let bob = save_unseen(&bus, &mut User::new("bob", "Bob")).await;
    let map = crm(&bus);
    map.link(&ada, "003", &ops()).await.unwrap();
    map.link(&ada, "003", &ops()).await.unwrap();
    map.link(&bob, "004", &ops()).await.unwrap();
    for (object, external_id, expected) in
        [(&ada, "005", format!("{ada} is `003` already")), (&bob, "003", format!("{bob} is `004` already"))]
    {
        let error = map.link(object, external_id, &ops()).await.unwrap_err();
        assert_eq!(error.kind(), BusErrorKind::Conflict);
        assert!(error.to_string().contains(&expected), "{error}");
    }
    let mut displaced = map.relink(&bob, "003", &ops()).await.unwrap();
    displaced.sort_by(|one, other| one.external_id.cmp(&other.external_id));
    let displaced: Vec<_> = displaced.iter().map(|was| (&was.object, was.external_id.as_str())).collect();
    assert_eq!(displaced, [(&ada, "003"), (&bob, "004")]);
    assert_eq!(map.relink(&bob, "003", &ops()).await.unwrap(), []);
    assert_eq!(map.list(None, 10).await.unwrap().len(), 1);

    let nobody = map.link(&key("app.user", 4711), "009", &ops()).await.unwrap_err();
    assert_eq!(nobody.kind(), BusErrorKind::NotFound);
    let nameless = map.link(&ada, "009", &Operator::named(" ")).await.unwrap_err();
    assert_eq!(nameless.kind(), BusErrorKind::BadName);
    let unknown = bus.identity(&"shop".parse().unwrap()).link(&ada, "009", &ops()).await.unwrap_err();
    assert_eq!(unknown.kind(), BusErrorKind::UnknownConnector);
    for (external_id, kind) in
        [(String::new(), BusErrorKind::Malformed), ("9".repeat(1_025), BusErrorKind::TooLarge)]
    {
        let error = map.link(&ada, &external_id, &ops()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
}

async fn a_new_object_of_a_former_id_is_nobody_the_external_system_knows(bus: TestBus) {
    let (bus, peer, _) = with_crm(bus);
    let bus = bus.start().await;
    let mut ada = User::new("ada", "Ada");
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    assert_eq!(peer.take_calls(), ["put crm-1"]);
    let map = crm(&bus);
    bus.set_connector_state(&"crm".parse().unwrap(), ConnectorState::Paused).await.unwrap();
    bus.objects().delete::<User>(&ada.id).await.unwrap();
    let mut another = User { id: ada.id, ..User::new("bob", "Bob") };
    let bob = bus.objects().save(&mut another).await.unwrap().key;
    assert_eq!(map.external_id(&bob).await.unwrap(), None);
    assert_eq!(map.host_id::<User>("crm-1").await.unwrap(), None);
    bus.set_connector_state(&"crm".parse().unwrap(), ConnectorState::Enabled).await.unwrap();
    bus.until_idle().await;
    assert_eq!(peer.calls(), ["remove crm-1", "put crm-2"]);
    assert_eq!(map.external_id(&bob).await.unwrap().as_deref(), Some("crm-2"));
}

async fn a_new_object_of_a_former_id_can_be_matched(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    let mut ada = User::new("ada", "Ada");
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    // What was called crm-1 is gone, and its delete is not delivered.
    bus.set_switches(Switches { process_outgoing: false, ..Switches::default() }).await.unwrap();
    bus.objects().delete::<User>(&ada.id).await.unwrap();
    let mut another = User { id: ada.id, ..User::new("bob", "Bob") };
    let bob = bus.objects().save(&mut another).await.unwrap().key;
    let contact = Contact::new("004", "bob", "Robert");
    bus.process_external_task(ExternalTask::update::<Crm, _>("crm", &contact)).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.open("crm", Direction::Incoming).await.len(), 0);
    assert_eq!(crm(&bus).external_id(&bob).await.unwrap().as_deref(), Some("004"));
    assert_eq!(bus.objects().find::<User>("bob").await.unwrap().unwrap().name, "Robert");
}

/// Binds `A` each time, and fails the first.
#[connector(name = "sticky", create_once = repeatable, needs(FakePeer))]
#[outgoing(User, data = simple)]
struct Sticky;

impl Connector for Sticky {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Outgoing<User> for Sticky {
    async fn deliver(&self, change: Change<User>, cx: &Cx) -> Result<(), Failure> {
        let (operation, known) = (change.operation(), change.external_id().unwrap_or("nothing"));
        cx.handle::<FakePeer>()?.say(format!("{operation} {known}"))?;
        if operation != ObjectOperation::Delete {
            change.bind("A");
        }
        if change.attempt() == 1 && operation == ObjectOperation::Create {
            return Err(Failure::retry("the answer was lost"));
        }
        Ok(())
    }
}

async fn what_is_bound_again_after_a_delete_is_still_deleted(bus: TestBus) {
    let peer = FakePeer::new("sticky");
    let bus = bus.connector::<Sticky>("sticky").object::<User>().provide(peer.clone()).start().await;
    let mut ada = User::new("ada", "Ada");
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    bus.objects().delete::<User>(&ada.id).await.unwrap();
    bus.clock().advance(Duration::from_mins(1));
    bus.until_idle().await;
    assert_eq!(peer.calls(), ["create nothing", "create A", "delete A"]);
    let map = bus.identity(&"sticky".parse().unwrap());
    assert_eq!(map.list(None, 10).await.unwrap(), []);
}
