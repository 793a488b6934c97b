//! A connector that knows no Rust types: what it prepares becomes whatever it says, if somebody declares it.

use bus_core::{
    AnyObject, Connector, Cx, DeliveryState, Direction, ExternalTask, Failure, Incoming, NoSettings,
    ObjectOperation, Prepared, Received, connector,
};
use bus_testkit::TestBus;
use bus_tests::{Company, User};
use serde::{Deserialize, Serialize};

stories!(
    what_is_prepared_becomes_what_it_says,
    it_is_handed_what_is_there_and_can_delete_it,
    a_type_that_nobody_declares_is_parked
);

/// A row of any table.
#[derive(Serialize, Deserialize)]
struct Row {
    table: String,
    id: String,
    name: String,
    company: Option<String>,
}

/// Mirrors the tables of another system, whatever they are.
#[connector(name = "mirror")]
#[incoming(Row, key = id)]
struct Mirror;

impl Connector for Mirror {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Incoming<Row> for Mirror {
    type Object = AnyObject;
    async fn prepare_internal_object(
        &self,
        received: Received<Row, AnyObject>,
        _: &Cx,
    ) -> Result<Prepared<AnyObject>, Failure> {
        let row = received.object;
        let object_type = row.table.parse()?;
        let new = || {
            let object =
                AnyObject::new(object_type).with("id", 0).with("guid", uuid::Uuid::nil().to_string());
            object.with("login", row.id.as_str()).with("code", row.id.as_str())
        };
        let mut object = received.existing.unwrap_or_else(new).with("name", row.name);
        if let Some(company) = row.company {
            object = object.with_reference("company", "app.company".parse()?, company);
        }
        Ok(object.into())
    }
}

fn row(table: &str, id: &str, name: &str, company: Option<&str>) -> ExternalTask {
    let row = Row {
        table: table.to_owned(),
        id: id.to_owned(),
        name: name.to_owned(),
        company: company.map(str::to_owned),
    };
    ExternalTask::create::<Mirror, _>("mirror", &row)
}

async fn what_is_prepared_becomes_what_it_says(bus: TestBus) {
    let bus = bus.connector::<Mirror>("mirror").object::<User>().object::<Company>().start().await;
    bus.process_external_task(row("app.user", "ada", "Ada", Some("acme"))).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.open("mirror", Direction::Incoming).await[0].state, DeliveryState::Waiting);
    bus.process_external_task(row("app.company", "acme", "Acme", None)).await.unwrap();
    bus.until_idle().await;
    let ada: User = bus.objects().find("ada").await.unwrap().unwrap();
    let acme: Company = bus.objects().find("acme").await.unwrap().unwrap();
    assert_eq!((ada.name.as_str(), acme.name.as_str()), ("Ada", "Acme"));
    assert_eq!(ada.company.unwrap().host_id(), Some(&acme.id));
    assert!(!ada.guid.is_nil(), "it has an identity of its own");
}

async fn it_is_handed_what_is_there_and_can_delete_it(bus: TestBus) {
    let bus = bus.connector::<Mirror>("mirror").object::<User>().start().await;
    bus.process_external_task(row("app.user", "ada", "Ada", None)).await.unwrap();
    bus.until_idle().await;
    let mut ada: User = bus.objects().find("ada").await.unwrap().unwrap();
    ada.note = Some("likes tea".into());
    bus.objects().save(&mut ada).await.unwrap();
    bus.process_external_task(row("app.user", "ada", "Ada Lovelace", None)).await.unwrap();
    bus.until_idle().await;
    let now: User = bus.objects().find("ada").await.unwrap().unwrap();
    assert_eq!((now.name.as_str(), now.note.as_deref()), ("Ada Lovelace", Some("likes tea")));
    let gone = row("app.user", "ada", "Ada Lovelace", None).operation(ObjectOperation::Delete);
    bus.process_external_task(gone).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.objects().count::<User>().await.unwrap(), 0);
}

async fn a_type_that_nobody_declares_is_parked(bus: TestBus) {
    let bus = bus.connector::<Mirror>("mirror").object::<User>().start().await;
    bus.process_external_task(row("app.invoice", "1", "Invoice", None)).await.unwrap();
    bus.until_idle().await;
    let open = bus.open("mirror", Direction::Incoming).await;
    assert_eq!(open[0].state, DeliveryState::Parked);
    let reason = open[0].reason.as_deref().unwrap();
    assert!(reason.contains("type app.invoice, which nobody in this program declares"), "{reason}");
}
