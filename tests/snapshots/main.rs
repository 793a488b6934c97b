//! Translated objects as the external system and the host see them, in both directions, for every data type.

mod pages;
mod shapes;

use std::sync::{Arc, Mutex};

use bus_core::{
    AnyObject, BusObject, Change, Connector, Cx, DataType, ExternalTask, Failure, NoSettings,
    ObjectOperation, Outgoing, Ref, connector,
};
use bus_testkit::{FakePeer, RunningTestBus, TestBus};
use bus_tests::{Account, Address, Company, Contact, Crm, Directory, User};
use serde_json::{Value, json};

/// What the viewers saw.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Value>>>);

macro_rules! viewers {
    ($($viewer:ident, $name:literal, $data:ident;)*) => {
        $(
            /// Knows companies by their code, and writes down what it is told of users.
            #[connector(name = $name, needs(Seen))]
            #[outgoing(User, data = $data)]
            #[outgoing(Company, data = simple)]
            struct $viewer;

            impl Connector for $viewer {
                type Settings = NoSettings;
                async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
                    Ok(Self)
                }
            }

            impl Outgoing<User> for $viewer {
                async fn deliver(&self, change: Change<User>, cx: &Cx) -> Result<(), Failure> {
                    change.bind(format!("{}/{}", $name, change.object.login));
                    view(&change, cx)
                }
            }

            impl Outgoing<Company> for $viewer {
                async fn deliver(&self, change: Change<Company>, _: &Cx) -> Result<(), Failure> {
                    change.bind(format!("{}/{}", $name, change.object.code));
                    Ok(())
                }
            }
        )*
    };
}

viewers! {
    SimpleViewer, "simple-viewer", simple;
    SimpleSnapshotViewer, "simple-snapshot-viewer", simple_snapshot;
    SnapshotViewer, "snapshot-viewer", snapshot;
}

fn view<T: BusObject>(change: &Change<T>, cx: &Cx) -> Result<(), Failure> {
    let seen = json!({
        "operation": change.operation(),
        "data_type": change.data_type(),
        "external_id": change.external_id(),
        "object": change.object,
    });
    cx.handle::<Seen>()?.0.lock().unwrap().push(seen);
    Ok(())
}

/// Sees objects without their Rust types.
#[connector(name = "any-viewer", needs(Seen))]
#[outgoing(AnyObject, type = "app.%")]
struct AnyViewer;

impl Connector for AnyViewer {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Outgoing<AnyObject> for AnyViewer {
    async fn deliver(&self, change: Change<AnyObject>, cx: &Cx) -> Result<(), Failure> {
        change.bind(format!("any/{}", change.key()));
        let seen = json!({
            "operation": change.operation(),
            "object": change.object.fields,
            "references": change.object.references,
        });
        cx.handle::<Seen>()?.0.lock().unwrap().push(seen);
        Ok(())
    }
}

/// A user with a reference of every kind, created, updated and deleted.
async fn a_life(bus: &RunningTestBus) {
    let mut acme = Company::new("acme", "Acme");
    bus.objects().save(&mut acme).await.unwrap();
    let mut boss = User::new("boss", "Boss");
    bus.objects().save(&mut boss).await.unwrap();
    bus.until_idle().await;
    let mut ada = User::new("ada", "Ada \"Countess\" Löwe").at(&acme);
    ada.manager = Some(Ref::host(boss.id));
    let flat = |city: &str| Address { city: city.to_owned(), paid_by: Some(Ref::host(acme.id)) };
    ada.addresses = vec![flat("London"), Address { city: "Paris".to_owned(), paid_by: None }].into();
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    ada.manager = Some(Ref::host(ada.id));
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    bus.objects().delete::<User>(&ada.id).await.unwrap();
    bus.until_idle().await;
}

async fn seen_by(bus: TestBus) -> Vec<Value> {
    let seen = Seen::default();
    let bus = bus.object::<User>().object::<Company>().provide(seen.clone()).start().await;
    a_life(&bus).await;

    seen.0.lock().unwrap().clone()
}

macro_rules! assert_seen {
    ($seen:expr) => {
        insta::assert_json_snapshot!($seen, { "[].object.guid" => "[guid]", "[].references[].record.guid" => "[guid]" });
    };
}

#[tokio::test]
async fn outgoing_simple() {
    assert_seen!(seen_by(TestBus::new().connector::<SimpleViewer>("simple-viewer")).await);
}

#[tokio::test]
async fn outgoing_simple_snapshot() {
    let bus = TestBus::new().connector::<SimpleSnapshotViewer>("simple-snapshot-viewer");
    assert_seen!(seen_by(bus).await);
}

#[tokio::test]
async fn outgoing_snapshot() {
    assert_seen!(seen_by(TestBus::new().connector::<SnapshotViewer>("snapshot-viewer")).await);
}

#[tokio::test]
async fn outgoing_any_object() {
    assert_seen!(seen_by(TestBus::new().connector::<AnyViewer>("any-viewer")).await);
}

/// What becomes of a contact in the host, and what the task log holds of it.
async fn applied(data_type: DataType, contact: Contact) -> Value {
    let bus = TestBus::new().connector::<Crm>("crm").object::<User>().object::<Company>();
    let bus = bus.site("corp").provide(FakePeer::new("crm")).provide(Directory::default()).start().await;
    let account = Account::new("A-1", "acme", "Acme");
    bus.process_external_task(ExternalTask::create::<Crm, _>("crm", &account)).await.unwrap();
    let boss = Contact::new("001", "boss", "Boss");
    bus.process_external_task(ExternalTask::create::<Crm, _>("crm", &boss)).await.unwrap();
    bus.until_idle().await;
    let task = ExternalTask::create::<Crm, _>("crm", &contact).operation(ObjectOperation::Create);
    bus.process_external_task(task.data_type(data_type).site("corp")).await.unwrap();
    bus.until_idle().await;
    let users: Vec<User> = bus.objects().list(None, 10).await.unwrap();
    let bindings = bus.store().bindings(&"crm".parse().unwrap(), None, 10).await.unwrap();
    json!({ "users": users, "bindings": bindings })
}

macro_rules! assert_applied {
    ($applied:expr) => {
        insta::assert_json_snapshot!($applied, { ".users[].guid" => "[guid]" });
    };
}

fn contact() -> Contact {
    let mut contact = Contact::new("003", "ada", "Ada Löwe");
    contact.account = Some("A-1".to_owned());
    contact.boss = Some("001".to_owned());
    contact
}

#[tokio::test]
async fn incoming_simple_takes_references_as_host_ids() {
    let mut contact = contact();
    contact.account = Some("1".to_owned());
    contact.boss = None;
    assert_applied!(applied(DataType::Simple, contact).await);
}

#[tokio::test]
async fn incoming_simple_snapshot() {
    assert_applied!(applied(DataType::SimpleSnapshot, contact()).await);
}

#[tokio::test]
async fn incoming_snapshot() {
    assert_applied!(applied(DataType::Snapshot, contact()).await);
}
