//! An object with a field of every shape, and references wherever they can stand, as it goes out and comes in.

use std::collections::BTreeMap;
use std::time::Duration;

use bus_core::{
    AnyObject, Change, Children, Connector, Cx, DataType, ExternalTask, Failure, Incoming, NoSettings,
    ObjectId, ObjectKey, Outgoing, Prepared, Received, Ref, connector,
};
use bus_core::{BusObject, ObjectType};
use bus_runtime::{Operator, Switches};
use bus_testkit::{RunningTestBus, TestBus};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Seen;

/// What is referred to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "app.partner")]
struct Partner {
    #[object(id)]
    id: i64,
    #[object(code_name)]
    code: String,
    /// What external systems call it.
    called: String,
}

/// What external systems call the partners: all that can be, and strange.
fn called() -> Vec<String> {
    let short = ["17", " ", "Ünï/cödé", "a~1b\"c\\d", "👩‍🚀 日本", "$bus:0123456789abcdef"];
    short.map(str::to_owned).into_iter().chain(["9".repeat(1_024)]).collect()
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "app.order")]
#[serde(rename_all = "camelCase")]
struct Order {
    #[object(id)]
    id: i64,
    #[object(guid)]
    guid: Uuid,
    #[object(code_name)]
    number: String,
    #[object(display_name)]
    title: Option<String>,
    #[object(site)]
    site: Option<String>,
    /// A date.
    placed_on: String,
    /// A time.
    placed_at: String,
    takes: Duration,
    /// A decimal.
    price: String,
    weight: f64,
    smallest: i64,
    largest: u64,
    is_paid: bool,
    seal: Vec<u8>,
    mark: char,
    nothing: Option<String>,
    state: State,
    payment: Payment,
    buyer: Option<Ref<Partner>>,
    nobody: Option<Ref<Partner>>,
    #[object(reference = late)]
    agent: Option<Ref<Partner>>,
    #[object(reference = late)]
    no_agent: Option<Ref<Partner>>,
    carriers: Vec<Option<Ref<Partner>>>,
    by_role: BTreeMap<String, Ref<Partner>>,
    signed: (String, Ref<Partner>),
    delivery: Delivery,
    #[serde(flatten)]
    billing: Billing,
    #[object(children)]
    lines: Children<Line>,
    #[object(children)]
    not_loaded: Children<Line>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
enum State {
    #[default]
    New,
    #[serde(rename = "on hold")]
    OnHold,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
enum Payment {
    #[default]
    Cash,
    Invoice {
        to: Ref<Partner>,
        days: u32,
    },
    Voucher(Ref<Partner>),
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Delivery {
    address: Address,
    receiver: Option<Ref<Partner>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Address {
    street: String,
    gate: Option<String>,
    keeper: Option<Ref<Partner>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Billing {
    billed_to: Option<Ref<Partner>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Line {
    what: String,
    made_by: Option<Ref<Partner>>,
    paid: Vec<Payment>,
    parts: Vec<Line>,
}

/// An order that refers to these partners, and to nobody late.
fn order(partner: impl Fn(usize) -> Ref<Partner>) -> Order {
    let part = Line { what: "\u{0}\t\n".to_owned(), made_by: Some(partner(3)), ..Line::default() };
    let lines = vec![
        Line { what: String::new(), made_by: Some(partner(4)), paid: vec![], parts: vec![part] },
        Line { what: "𝄞".to_owned(), paid: vec![Payment::Voucher(partner(6))], ..Line::default() },
    ];
    let keeper = Address { street: "Main St. 1".to_owned(), gate: None, keeper: Some(partner(5)) };
    Order {
        id: 0,
        guid: Uuid::from_u128(0x0a1b_2c3d_4e5f_6071_8293_a4b5_c6d7_e8f9),
        number: "A-17".to_owned(),
        title: Some("An \"order\" of Ada Löwe's".to_owned()),
        site: Some("corp".to_owned()),
        placed_on: "2024-02-29".to_owned(),
        placed_at: "2024-02-29T23:59:60.123456789+14:00".to_owned(),
        takes: Duration::new(3, 17),
        price: "12345678901234567890.1234567890".to_owned(),
        weight: 0.1,
        smallest: i64::MIN,
        largest: u64::MAX,
        is_paid: true,
        seal: vec![0, 127, 255],
        mark: '\u{1f511}',
        nothing: None,
        state: State::OnHold,
        payment: Payment::Invoice { to: partner(0), days: 30 },
        buyer: Some(partner(1)),
        nobody: None,
        agent: None,
        no_agent: None,
        carriers: vec![Some(partner(2)), None, Some(partner(2))],
        by_role: [("a/b~c".to_owned(), partner(3)), (String::new(), partner(4))].into(),
        signed: ("Ada".to_owned(), partner(5)),
        delivery: Delivery { address: keeper, receiver: Some(partner(6)) },
        billing: Billing { billed_to: Some(partner(0)) },
        lines: lines.into(),
        not_loaded: Children::NotLoaded,
    }
}

/// That an order came in: the ids of the partners that it refers to.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Sent {
    uid: String,
    partners: Vec<String>,
}

macro_rules! traders {
    ($($trader:ident, $name:literal, $order:ty, $line:meta;)*) => {
        $(
            /// Calls partners what they are called, and writes down what it is told of orders.
            #[connector(name = $name, needs(Seen))]
            #[outgoing(Partner, data = simple)]
            #[$line]
            struct $trader;

            impl Connector for $trader {
                type Settings = NoSettings;
                async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
                    Ok(Self)
                }
            }

            impl Outgoing<Partner> for $trader {
                async fn deliver(&self, change: Change<Partner>, _: &Cx) -> Result<(), Failure> {
                    change.bind(change.object.called.clone());
                    Ok(())
                }
            }

            impl Outgoing<$order> for $trader {
                async fn deliver(&self, change: Change<$order>, cx: &Cx) -> Result<(), Failure> {
                    change.bind("order A-17");
                    let seen = json!({
                        "operation": change.operation(),
                        "data_type": change.data_type(),
                        "external_id": change.external_id(),
                        "site": change.site(),
                        "object": change.object.seen(),
                    });
                    cx.handle::<Seen>()?.0.lock().unwrap().push(seen);
                    Ok(())
                }
            }
        )*
    };
}

traders! {
    SimpleTrader, "simple-trader", Order, outgoing(Order, data = simple);
    SimpleSnapshotTrader, "simple-snapshot-trader", Order, outgoing(Order, data = simple_snapshot);
    SnapshotTrader, "snapshot-trader", Order, outgoing(Order, data = snapshot);
    AnyTrader, "any-trader", AnyObject, outgoing(AnyObject, type = "app.order", data = snapshot);
}

/// As a connector sees it.
trait Viewed {
    fn seen(&self) -> Value;
}

impl Viewed for Order {
    fn seen(&self) -> Value {
        let unresolved = self.agent.as_ref().is_some_and(Ref::is_unresolved);
        json!({ "fields": self, "agent is unresolved": unresolved })
    }
}

impl Viewed for AnyObject {
    fn seen(&self) -> Value {
        json!({ "fields": self.fields, "references": self.references })
    }
}

/// Sends orders: as structs, and as objects without one.
#[connector(name = "sender")]
#[incoming(Sent, key = uid)]
#[incoming(AnySent, key = 0.uid)]
struct Sender;

/// What becomes an object without a struct.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct AnySent(Sent);

impl Connector for Sender {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Incoming<Sent> for Sender {
    type Object = Order;

    async fn prepare_internal_object(
        &self,
        received: Received<Sent, Order>,
        _: &Cx,
    ) -> Result<Prepared<Order>, Failure> {
        Ok(order(|number| Ref::external(received.object.partners[number].clone())).into())
    }
}

impl Incoming<AnySent> for Sender {
    type Object = AnyObject;

    async fn prepare_internal_object(
        &self,
        received: Received<AnySent, AnyObject>,
        _: &Cx,
    ) -> Result<Prepared<AnyObject>, Failure> {
        let partner: ObjectType = Partner::TYPE.parse().map_err(|_| Failure::reject("no type"))?;
        let mut object = AnyObject::new(Order::TYPE.parse().map_err(|_| Failure::reject("no type"))?);
        let fields = serde_json::to_value(order(|_| Ref::host(1)))?;
        object.fields = fields.as_object().cloned().unwrap_or_default();
        let Sent { partners, .. } = received.object.0;
        let object = object.with_reference("buyer", partner.clone(), &partners[1]).with_reference(
            "billed_to",
            partner,
            &partners[6],
        );
        Ok(object.into())
    }
}

/// Shows that a text is long, and how long, instead of all of it.
fn shortened(mut value: Value) -> Value {
    match &mut value {
        Value::String(text) if text.len() > 1_000 => *text = format!("[{} bytes]", text.len()),
        Value::Array(values) => values.iter_mut().for_each(|value| *value = shortened(value.take())),
        Value::Object(fields) => fields.values_mut().for_each(|value| *value = shortened(value.take())),
        _ => {}
    }
    value
}

async fn save_partners(bus: &RunningTestBus) -> Vec<i64> {
    let mut ids = Vec::new();
    for (number, called) in called().into_iter().enumerate() {
        let mut partner = Partner { id: 0, code: format!("p{number}"), called };
        bus.objects().save(&mut partner).await.unwrap();
        ids.push(partner.id);
    }
    bus.until_idle().await;
    ids
}

/// An order is made, before its agent is known there; the agent becomes known; the order is deleted.
async fn told_of_an_order(bus: TestBus) -> Value {
    let seen = Seen::default();
    let bus = bus.site("corp").object::<Order>().object::<Partner>().provide(seen.clone()).start().await;
    let ids = save_partners(&bus).await;
    bus.set_switches(Switches { log_outgoing: false, ..Switches::default() }).await.unwrap();
    let mut agent = Partner { id: 0, code: "late".to_owned(), called: "better late".to_owned() };
    bus.objects().save(&mut agent).await.unwrap();
    bus.set_switches(Switches::default()).await.unwrap();

    let mut order = Order { agent: Some(Ref::host(agent.id)), ..order(|number| Ref::host(ids[number])) };
    bus.objects().save(&mut order).await.unwrap();
    bus.until_idle().await;
    agent.code.push('r');
    bus.objects().save(&mut agent).await.unwrap();
    bus.until_idle().await;
    bus.objects().delete::<Order>(&order.id).await.unwrap();
    bus.until_idle().await;
    let seen = seen.0.lock().unwrap().clone();
    shortened(seen.into())
}

#[tokio::test]
async fn an_order_goes_out_simple() {
    let bus = TestBus::new().connector::<SimpleTrader>("simple-trader");
    insta::assert_json_snapshot!(told_of_an_order(bus).await);
}

#[tokio::test]
async fn an_order_goes_out_as_a_simple_snapshot() {
    let bus = TestBus::new().connector::<SimpleSnapshotTrader>("simple-snapshot-trader");
    insta::assert_json_snapshot!(told_of_an_order(bus).await);
}

#[tokio::test]
async fn an_order_goes_out_as_a_snapshot() {
    let bus = TestBus::new().connector::<SnapshotTrader>("snapshot-trader");
    insta::assert_json_snapshot!(told_of_an_order(bus).await);
}

#[tokio::test]
async fn an_order_goes_out_without_a_struct() {
    insta::assert_json_snapshot!(told_of_an_order(TestBus::new().connector::<AnyTrader>("any-trader")).await);
}

/// What becomes in the host of an order that comes in, and what is stored of it: with its references.
async fn applied(data_type: DataType, task: ExternalTask) -> Value {
    let bus = TestBus::new().connector::<Sender>("sender").site("corp");
    let bus = bus.object::<Order>().object::<Partner>().start().await;
    let ids = save_partners(&bus).await;
    let by = Operator::named("jane");
    let map = bus.identity(&"sender".parse().unwrap());
    for (id, called) in ids.into_iter().zip(called()) {
        let key = ObjectKey { object_type: Partner::TYPE.parse().unwrap(), id: ObjectId::Number(id) };
        map.link(&key, &called, &by).await.unwrap();
    }
    bus.process_external_task(task.data_type(data_type)).await.unwrap();
    bus.until_idle().await;
    let orders: Vec<Order> = bus.objects().list(None, 10).await.unwrap();
    let key = ObjectKey { object_type: Order::TYPE.parse().unwrap(), id: ObjectId::Number(orders[0].id) };
    let stored = bus.store().object(&key).await.unwrap().unwrap();
    let stored: Value = serde_json::from_slice(&stored.data).unwrap();
    shortened(json!({ "orders": orders, "references": stored["references"] }))
}

fn sent(partners: Vec<String>) -> ExternalTask {
    ExternalTask::create::<Sender, _>("sender", &Sent { uid: "👩‍🚀".to_owned(), partners })
}

#[tokio::test]
async fn an_order_comes_in_simple() {
    let host_ids = (1..=7).map(|id: i64| id.to_string());
    insta::assert_json_snapshot!(applied(DataType::Simple, sent(host_ids.collect())).await);
}

#[tokio::test]
async fn an_order_comes_in_as_a_simple_snapshot() {
    insta::assert_json_snapshot!(applied(DataType::SimpleSnapshot, sent(called())).await);
}

#[tokio::test]
async fn an_order_comes_in_as_a_snapshot() {
    insta::assert_json_snapshot!(applied(DataType::Snapshot, sent(called())).await);
}

#[tokio::test]
async fn an_order_comes_in_without_a_struct() {
    let sent = AnySent(Sent { uid: " ".to_owned(), partners: called() });
    let task = ExternalTask::create::<Sender, _>("sender", &sent);
    insta::assert_json_snapshot!(applied(DataType::SimpleSnapshot, task).await);
}
