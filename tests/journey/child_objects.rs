//! Child objects: objects of their own that travel with their parent, out and in, by the rule of the list.

use std::collections::BTreeMap;

use bus_core::descriptor::{DescribedObject, ObjectDescriptor};
use bus_core::reference::ReferenceField;
use bus_core::{
    Bindings, BusObject, Change, Children, Connector, Cx, DataType, DeliveryState, Direction, ExternalTask,
    Failure, Incoming, ListField, ListRule, NoSettings, ObjectOperation, ObjectParams, ObjectType, Outgoing,
    Prepared, Received, Ref, connector,
};
use bus_runtime::{BusErrorKind, DeliveryFilter, DeliverySummary, QueueId, Registry};
use bus_testkit::{FakePeer, RunningTestBus, TestBus};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::told::ops;

stories!(
    each_rule_does_what_it_says,
    bindings_are_applied_by_their_rule,
    without_a_snapshot_lists_say_nothing,
    a_saved_list_is_saved_by_its_rule_and_its_objects_get_ids,
    a_childs_change_is_told_to_the_parents_snapshot_subscribers_only,
    a_change_two_levels_down_is_told_to_the_topmost_parent,
    a_child_that_moves_is_told_to_both_parents,
    what_stands_beneath_goes_with_its_parent,
    an_incoming_delete_takes_the_children_along,
    a_snapshot_and_its_application_are_inverse,
    what_was_told_with_its_children_comes_back_and_stops,
    children_saved_at_once_leave_the_newest_snapshot_last,
    a_redelivered_parent_has_its_children_of_now,
    a_list_that_names_the_child_of_another_is_refused,
    an_incoming_list_that_names_the_child_of_another_is_parked,
    children_are_listed_beneath_their_parent
);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "shop.order", display = "Order")]
struct Order {
    #[object(id)]
    id: i64,
    #[object(code_name)]
    number: String,
    customer: String,
    #[object(children, rule = incremental)]
    #[serde(rename = "order/lines")]
    lines: Children<Line>,
    #[object(children, rule = complete)]
    notes: Children<Note>,
    #[object(children, rule = none)]
    visits: Children<Visit>,
    #[object(bindings)]
    tags: Bindings<Tag>,
    #[object(bindings, rule = complete)]
    labels: Bindings<Tag>,
    #[object(bindings, rule = none)]
    flags: Bindings<Tag>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "shop.order_line", display = "Order line")]
struct Line {
    #[object(id)]
    id: i64,
    #[object(code_name)]
    sku: String,
    count: u32,
    #[object(parent)]
    order: Ref<Order>,
    #[object(children, rule = complete)]
    parts: Children<Part>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "shop.part", display = "Part")]
struct Part {
    #[object(id)]
    id: i64,
    #[object(code_name)]
    code: String,
    #[object(parent)]
    line: Ref<Line>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "shop.note", display = "Note")]
struct Note {
    #[object(id)]
    id: i64,
    #[object(code_name)]
    text: String,
    #[object(parent)]
    order: Ref<Order>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "shop.visit", display = "Visit")]
struct Visit {
    #[object(id)]
    id: i64,
    #[object(code_name)]
    day: String,
    #[object(parent)]
    order: Ref<Order>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "shop.tag", display = "Tag")]
struct Tag {
    #[object(id)]
    id: String,
    #[object(code_name)]
    code: String,
}

/// Has no order yet, or that in whose list it stands.
fn line(sku: &str, count: u32) -> Line {
    Line { id: 0, sku: sku.to_owned(), count, order: Ref::host(0), parts: Children::NotLoaded }
}

fn note(text: &str) -> Note {
    Note { id: 0, text: text.to_owned(), order: Ref::host(0) }
}

fn part(code: &str) -> Part {
    Part { id: 0, code: code.to_owned(), line: Ref::host(0) }
}

fn order(number: &str) -> Order {
    Order { number: number.to_owned(), ..Order::default() }
}

/// Keeps orders with all that belongs to them, and knows tags by their codes.
#[connector(name = "order-book", create_once = repeatable, needs(FakePeer))]
#[outgoing(Order, data = snapshot)]
#[outgoing(Tag)]
struct Book;

impl Connector for Book {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Outgoing<Order> for Book {
    async fn deliver(&self, change: Change<Order>, cx: &Cx) -> Result<(), Failure> {
        let peer = cx.handle::<FakePeer>()?;
        let number = &change.object.number;
        peer.say(format!("book: {} {number}", change.operation()))?;
        let lines: Vec<_> = change.object.lines.as_slice().iter().map(|line| line.sku.as_str()).collect();
        peer.say(format!("book: {number} has {}", lines.join(" ")))?;
        if change.operation() != ObjectOperation::Delete {
            change.bind(peer.put(Some(number), &change.object)?);
        }
        Ok(())
    }
}

impl Outgoing<Tag> for Book {
    async fn deliver(&self, change: Change<Tag>, _: &Cx) -> Result<(), Failure> {
        change.bind(change.object.code.clone());
        Ok(())
    }
}

/// Is told of the fields of orders, of lines and of notes.
#[connector(name = "order-fields", create_once = repeatable, needs(FakePeer))]
#[outgoing(Order, data = simple)]
#[outgoing(Line, data = simple)]
#[outgoing(Note, data = simple)]
#[outgoing(Part, data = simple)]
struct Fields;

impl Connector for Fields {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

macro_rules! told_of {
    ($($object:ident by $name:ident),*) => {
        $(
            impl Outgoing<$object> for Fields {
                async fn deliver(&self, change: Change<$object>, cx: &Cx) -> Result<(), Failure> {
                    let line = format!("fields: {} {}", change.operation(), change.object.$name);
                    cx.handle::<FakePeer>()?.say(line)
                }
            }
        )*
    };
}

told_of!(Order by number, Line by sku, Note by text, Part by code);

/// An order as the shop sends it; what is not sent is not said.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Purchase {
    number: String,
    customer: String,
    lines: Option<Vec<PurchasedLine>>,
    notes: Option<Vec<String>>,
    visits: Option<Vec<String>>,
    tags: Option<Vec<String>>,
    labels: Option<Vec<String>>,
    flags: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct PurchasedLine {
    /// The host's, where the shop happens to know it.
    id: i64,
    sku: String,
    count: u32,
    parts: Option<Vec<String>>,
}

fn sold(sku: &str, count: u32) -> PurchasedLine {
    PurchasedLine { sku: sku.to_owned(), count, ..PurchasedLine::default() }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// An order as another bus has told the book of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Parcel {
    number: String,
    order: Value,
}

#[connector(name = "web-shop")]
#[incoming(Purchase, key = number)]
#[incoming(Parcel, key = number)]
struct Shop;

impl Connector for Shop {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }

    async fn internal_object_params(
        &self,
        external_id: &str,
        _: &ObjectType,
        _: &Cx,
    ) -> Result<Option<ObjectParams>, Failure> {
        Ok(Some(ObjectParams::code_name(external_id)))
    }
}

impl Incoming<Purchase> for Shop {
    type Object = Order;

    async fn prepare_internal_object(
        &self,
        received: Received<Purchase, Order>,
        _: &Cx,
    ) -> Result<Prepared<Order>, Failure> {
        if received.operation == ObjectOperation::Delete {
            return Ok(Prepared::existing());
        }
        let purchase = received.object;
        let mut order = received.existing.unwrap_or_default();
        assert!(!order.lines.is_loaded(), "what is handed to a connector has no child objects in it");
        order.number = purchase.number;
        order.customer = purchase.customer;
        let bound =
            |codes: Vec<String>| Bindings::from(codes.into_iter().map(Ref::external).collect::<Vec<_>>());
        let lines = purchase.lines.into_iter().flatten().map(|sold| Line {
            id: sold.id,
            parts: sold.parts.map_or(Children::NotLoaded, |codes| {
                codes.iter().map(|code| part(code)).collect::<Vec<_>>().into()
            }),
            ..line(&sold.sku, sold.count)
        });
        order.lines = lines.collect::<Vec<_>>().into();
        if let Some(notes) = purchase.notes {
            order.notes = notes.iter().map(|text| note(text)).collect::<Vec<_>>().into();
        }
        if let Some(days) = purchase.visits {
            let visit = |day| Visit { id: 0, day, order: Ref::host(0) };
            order.visits = days.into_iter().map(visit).collect::<Vec<_>>().into();
        }
        for (bindings, codes) in [
            (&mut order.tags, purchase.tags),
            (&mut order.labels, purchase.labels),
            (&mut order.flags, purchase.flags),
        ] {
            if let Some(codes) = codes {
                *bindings = bound(codes);
            }
        }
        Ok(order.into())
    }
}

impl Incoming<Parcel> for Shop {
    type Object = Order;

    async fn prepare_internal_object(
        &self,
        received: Received<Parcel, Order>,
        _: &Cx,
    ) -> Result<Prepared<Order>, Failure> {
        let mut order: Order = serde_json::from_value(received.object.order)?;
        order.id = 0;
        for bindings in [&mut order.tags, &mut order.labels, &mut order.flags] {
            let code = |tag: &Ref<Tag>| Ref::external(tag.host_id().cloned().unwrap_or_default());
            *bindings = bindings.as_slice().iter().map(code).collect::<Vec<_>>().into();
        }
        Ok(order.into())
    }
}

/// With all of the types, and what listens to them.
fn with_orders(bus: TestBus) -> (TestBus, FakePeer) {
    let peer = FakePeer::new("peer");
    let bus = bus.object::<Order>().object::<Line>().object::<Part>().object::<Note>().object::<Visit>();
    (bus.object::<Tag>().provide(peer.clone()), peer)
}

async fn with_tags(bus: &RunningTestBus) {
    for code in ["red", "green", "blue"] {
        let mut tag = Tag { id: format!("tag-{code}"), code: code.to_owned() };
        bus.objects().save(&mut tag).await.unwrap();
    }
}

async fn buy(bus: &RunningTestBus, purchase: &Purchase) {
    let task = ExternalTask::update::<Shop, _>("shop", purchase).data_type(DataType::Snapshot);
    bus.process_external_task(task).await.unwrap();
    bus.until_idle().await;
}

async fn found(bus: &RunningTestBus) -> Order {
    bus.objects().find("7").await.unwrap().unwrap()
}

async fn lines(bus: &RunningTestBus, order: &Order) -> Vec<Line> {
    bus.objects().list_children::<Order, Line>(&order.id, None, 1_000).await.unwrap()
}

/// What was delivered, in the order in which it was logged.
async fn completed(bus: &RunningTestBus, connector: &str) -> Vec<DeliverySummary> {
    let queue = QueueId::new(connector.parse().unwrap(), Direction::Outgoing);
    let filter = DeliveryFilter { state: Some(DeliveryState::Completed), ..DeliveryFilter::default() };
    let mut completed = bus.deliveries(&queue, &filter).await.unwrap();
    completed.sort_by_key(|one| one.delivery);
    completed
}

fn sold_of(lines: &[Line]) -> Vec<(&str, u32)> {
    lines.iter().map(|line| (line.sku.as_str(), line.count)).collect()
}

async fn notes(bus: &RunningTestBus, order: &Order) -> Vec<String> {
    let notes = bus.objects().list_children::<Order, Note>(&order.id, None, 1_000).await.unwrap();
    notes.into_iter().map(|note| note.text).collect()
}

async fn parts(bus: &RunningTestBus, line: &Line) -> Vec<String> {
    let parts = bus.objects().list_children::<Line, Part>(&line.id, None, 1_000).await.unwrap();
    parts.into_iter().map(|part| part.code).collect()
}

fn purchase(lines: &[PurchasedLine]) -> Purchase {
    Purchase {
        number: "7".into(),
        customer: "Ada".into(),
        lines: Some(lines.to_vec()),
        ..Purchase::default()
    }
}

async fn each_rule_does_what_it_says(bus: TestBus) {
    let (bus, _) = with_orders(bus);
    let bus = bus.connector::<Shop>("shop").start().await;
    let with_parts = PurchasedLine { parts: Some(texts(&["bolt", "nut"])), ..sold("bike", 1) };
    let first = purchase(&[with_parts, sold("bell", 2)]);
    buy(
        &bus,
        &Purchase { notes: Some(texts(&["fragile", "gift"])), visits: Some(texts(&["monday"])), ..first },
    )
    .await;
    let order = found(&bus).await;
    let before = lines(&bus, &order).await;
    assert_eq!(sold_of(&before), [("bike", 1), ("bell", 2)]);
    assert!(before.iter().all(|line| line.order == Ref::host(order.id)));
    assert_eq!(parts(&bus, &before[0]).await, ["bolt", "nut"]);
    assert_eq!(notes(&bus, &order).await, ["fragile", "gift"]);
    assert_eq!(bus.objects().count::<Visit>().await.unwrap(), 0, "`none` is not applied");

    // Known by their names: one is changed, one stays, one is new; of those that are complete, the rest goes.
    let with_parts = PurchasedLine { parts: Some(texts(&["nut", "chain"])), ..sold("bike", 5) };
    let second = purchase(&[sold("lamp", 1), with_parts]);
    buy(&bus, &Purchase { notes: Some(texts(&["gift", "urgent"])), ..second }).await;
    let after = lines(&bus, &order).await;
    assert_eq!(sold_of(&after), [("bike", 5), ("bell", 2), ("lamp", 1)]);
    assert_eq!((after[0].id, after[1].id), (before[0].id, before[1].id), "the same objects as before");
    assert_eq!(parts(&bus, &after[0]).await, ["nut", "chain"]);
    assert_eq!(notes(&bus, &order).await, ["gift", "urgent"]);

    // By its id, whatever it is called now. What is not sent stays, what is sent empty is emptied.
    let renamed = PurchasedLine { id: after[1].id, ..sold("horn", 2) };
    buy(&bus, &purchase(&[renamed])).await;
    assert_eq!(sold_of(&lines(&bus, &order).await), [("bike", 5), ("horn", 2), ("lamp", 1)]);
    assert_eq!(notes(&bus, &order).await, ["gift", "urgent"]);
    buy(&bus, &Purchase { notes: Some(texts(&[])), ..purchase(&[]) }).await;
    assert_eq!(lines(&bus, &order).await.len(), 3);
    assert_eq!(notes(&bus, &order).await, [""; 0]);
    assert_eq!(bus.counters("shop", Direction::Incoming).await.open, 0);
}

async fn bindings_are_applied_by_their_rule(bus: TestBus) {
    let (bus, peer) = with_orders(bus);
    let bus = bus.connector::<Shop>("shop").connector::<Book>("book").start().await;
    with_tags(&bus).await;
    let (red, blue) = (Some(texts(&["red"])), Some(texts(&["blue", "red"])));
    let first = Purchase { tags: red.clone(), labels: red.clone(), flags: red.clone(), ..purchase(&[]) };
    buy(&bus, &first).await;
    let codes = |bindings: &Bindings<Tag>| {
        let id = |tag: &Ref<Tag>| tag.host_id().cloned().unwrap_or_default();
        bindings.as_slice().iter().map(id).collect::<Vec<_>>()
    };
    let order = found(&bus).await;
    assert_eq!(codes(&order.tags), ["tag-red"]);
    assert_eq!(codes(&order.labels), ["tag-red"]);
    assert!(!order.flags.is_loaded(), "`none` is not applied");
    // What the host says is so, whatever the rule.
    let flags = Bindings::from(vec![Ref::host("tag-green".to_owned())]);
    bus.objects().save(&mut Order { flags, ..order }).await.unwrap();

    buy(&bus, &Purchase { tags: blue.clone(), labels: blue.clone(), flags: blue, ..purchase(&[]) }).await;
    let order = found(&bus).await;
    assert_eq!(codes(&order.tags), ["tag-red", "tag-blue"], "those that were there, and the new one once");
    assert_eq!(codes(&order.labels), ["tag-blue", "tag-red"]);
    assert_eq!(codes(&order.flags), ["tag-green"]);
    let told = peer.get("7").unwrap();
    assert_eq!(told["tags"], json!(["red", "blue"]), "translated, as every reference is");
    // The same once more is no change.
    let logged = bus.counters("book", Direction::Outgoing).await.logged;
    buy(&bus, &Purchase { tags: Some(texts(&["blue"])), ..purchase(&[]) }).await;
    assert_eq!(bus.counters("book", Direction::Outgoing).await.logged, logged);
    // The host takes one away.
    bus.objects().save(&mut Order { tags: vec![].into(), ..order }).await.unwrap();
    bus.until_idle().await;
    assert_eq!(peer.get("7").unwrap()["tags"], json!([]));
}

async fn without_a_snapshot_lists_say_nothing(bus: TestBus) {
    let (bus, _) = with_orders(bus);
    let bus = bus.connector::<Shop>("shop").start().await;
    with_tags(&bus).await;
    let tagged = Purchase { tags: Some(texts(&["red"])), ..purchase(&[sold("bike", 1)]) };
    for data_type in [DataType::Simple, DataType::SimpleSnapshot] {
        let task = ExternalTask::update::<Shop, _>("shop", &tagged).data_type(data_type);
        bus.process_external_task(task).await.unwrap();
        bus.until_idle().await;
        let order = found(&bus).await;
        assert_eq!((lines(&bus, &order).await, order.tags.is_loaded()), (vec![], false), "{data_type}");
    }
    buy(&bus, &tagged).await;
    let order = found(&bus).await;
    assert_eq!((lines(&bus, &order).await.len(), order.tags.as_slice().len()), (1, 1));
}

async fn a_saved_list_is_saved_by_its_rule_and_its_objects_get_ids(bus: TestBus) {
    let (bus, _) = with_orders(bus);
    let bus = bus.connector::<Book>("book").start().await;
    let bike = Line { parts: vec![part("bolt"), part("nut")].into(), ..line("bike", 1) };
    let mut first = Order { lines: vec![bike, line("bell", 2)].into(), ..order("7") };
    bus.objects().save(&mut first).await.unwrap();
    let stored = lines(&bus, &first).await;
    let given: Vec<_> = first.lines.as_slice().iter().map(|line| line.id).collect();
    assert_eq!(given, stored.iter().map(|line| line.id).collect::<Vec<_>>());
    let codes = first.lines.as_slice()[0].parts.as_slice();
    assert!(codes.iter().all(|part| part.id > 0) && codes[0].id != codes[1].id, "{codes:?}");
    assert!(codes.iter().all(|part| part.line == Ref::host(given[0])), "each knows its parent: {codes:?}");
    assert_eq!(first.lines.as_slice()[1], stored[1]);
    assert_eq!(parts(&bus, &stored[0]).await, ["bolt", "nut"]);

    // The same once more is no change.
    bus.objects().save(&mut first).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.counters("book", Direction::Outgoing).await.logged, 1);

    // One that is there is known by its name, and told to whoever saves it.
    let mut again = Order { lines: vec![line("bell", 9)].into(), ..first.clone() };
    bus.objects().save(&mut again).await.unwrap();
    assert_eq!(again.lines.as_slice()[0].id, given[1]);
    assert_eq!(sold_of(&lines(&bus, &first).await), [("bike", 1), ("bell", 9)]);
    // What is not loaded stays.
    let loaded: Order = bus.objects().load(&first.id).await.unwrap().unwrap();
    assert!(!loaded.lines.is_loaded());
    bus.objects().save(&mut Order { customer: "Eve".to_owned(), ..loaded }).await.unwrap();
    assert_eq!(lines(&bus, &first).await.len(), 2);
}

async fn a_childs_change_is_told_to_the_parents_snapshot_subscribers_only(bus: TestBus) {
    let (bus, peer) = with_orders(bus);
    let bus = bus.connector::<Book>("book").connector::<Fields>("fields").start().await;
    let told = async |what: &str| {
        bus.until_idle().await;
        let mut calls = peer.take_calls();
        calls.retain(|call| call.starts_with(what));
        calls
    };
    let mut order = Order { lines: vec![line("bike", 1)].into(), ..order("7") };
    bus.objects().save(&mut order).await.unwrap();
    bus.until_idle().await;
    peer.take_calls();
    // Alone.
    let mut bell = Line { order: Ref::host(order.id), ..line("bell", 2) };
    bus.objects().save(&mut bell).await.unwrap();
    assert_eq!(told("").await.len(), 4, "one of the book with its put, one of the fields");
    bell.count = 3;
    bus.objects().save(&mut bell).await.unwrap();
    assert_eq!(told("fields").await, ["fields: update bell"], "nothing about the order");
    assert_eq!(peer.get("7").unwrap()["order/lines"][1]["count"], json!(3));
    bus.objects().save(&mut bell).await.unwrap();
    assert_eq!(told("").await, [""; 0], "nothing was different");
    bus.objects().delete::<Line>(&bell.id).await.unwrap().unwrap();
    assert_eq!(told("book").await, ["book: update 7", "book: 7 has bike"]);
    // Several in one save, and the order with them: told once.
    order.customer = "Eve".to_owned();
    order.lines = vec![line("lamp", 1), line("horn", 1)].into();
    bus.objects().save(&mut order).await.unwrap();
    assert_eq!(told("book").await, ["book: update 7", "book: 7 has bike lamp horn"]);
    // The list alone, of which the order itself has nothing.
    order.lines = vec![Line { count: 8, ..order.lines.as_slice()[0].clone() }].into();
    bus.objects().save(&mut order).await.unwrap();
    bus.until_idle().await;
    let calls = peer.take_calls();
    assert!(calls.contains(&"book: update 7".to_owned()), "{calls:?}");
    assert!(calls.contains(&"fields: update lamp".to_owned()), "{calls:?}");
    assert!(!calls.contains(&"fields: update 7".to_owned()), "{calls:?}");
}

async fn a_change_two_levels_down_is_told_to_the_topmost_parent(bus: TestBus) {
    let (bus, peer) = with_orders(bus);
    let bus = bus.connector::<Book>("book").start().await;
    let mut order = Order { lines: vec![line("bike", 1)].into(), ..order("7") };
    bus.objects().save(&mut order).await.unwrap();
    let bike = order.lines.as_slice()[0].id;
    bus.objects().save(&mut Part { line: Ref::host(bike), ..part("bolt") }).await.unwrap();
    bus.until_idle().await;
    let told = peer.get("7").unwrap();
    assert_eq!(told["order/lines"][0]["parts"][0]["code"], json!("bolt"));
    assert_eq!(told["order/lines"][0]["order"], json!("7"), "the order is what the book calls it");
    assert_eq!(bus.counters("book", Direction::Outgoing).await.completed, 2);
}

async fn a_child_that_moves_is_told_to_both_parents(bus: TestBus) {
    let (bus, peer) = with_orders(bus);
    let bus = bus.connector::<Book>("book").start().await;
    let mut from = Order { lines: vec![line("bike", 1)].into(), ..order("7") };
    let mut to = order("8");
    bus.objects().save(&mut from).await.unwrap();
    bus.objects().save(&mut to).await.unwrap();
    let mut bike = Line { order: Ref::host(to.id), ..from.lines.as_slice()[0].clone() };
    bus.objects().save(&mut bike).await.unwrap();
    bus.until_idle().await;
    let told = |number: &str| peer.get(number).unwrap()["order/lines"].as_array().map(Vec::len);
    assert_eq!((told("7"), told("8")), (Some(0), Some(1)));
}

async fn what_stands_beneath_goes_with_its_parent(bus: TestBus) {
    let (bus, peer) = with_orders(bus);
    let bus = bus.connector::<Book>("book").connector::<Fields>("fields").start().await;
    let bike = Line { parts: vec![part("bolt")].into(), ..line("bike", 1) };
    let mut gone = Order { lines: vec![bike].into(), notes: vec![note("gift")].into(), ..order("7") };
    let mut other = Order { lines: vec![line("bike", 2)].into(), ..order("8") };
    bus.objects().save(&mut gone).await.unwrap();
    bus.objects().save(&mut other).await.unwrap();
    bus.until_idle().await;
    peer.take_calls();
    bus.objects().delete::<Order>(&gone.id).await.unwrap().unwrap();
    bus.until_idle().await;
    let calls = peer.take_calls();
    let book: Vec<_> = calls.iter().filter(|call| call.starts_with("book")).collect();
    assert_eq!(book, ["book: delete 7", "book: 7 has bike"], "a delete tells all that is gone");
    let logged: Vec<_> = completed(&bus, "fields").await.into_iter().map(|one| one.title).collect();
    let logged = &logged[logged.len() - 4..];
    assert_eq!(logged.last().map(String::as_str), Some("Delete Order 7"), "the topmost last: {logged:?}");
    let place = |title: &str| logged.iter().position(|one| one == title);
    assert!(place("Delete Part bolt") < place("Delete Order line bike"), "{logged:?}");
    assert!(place("Delete Part bolt").is_some() && place("Delete Note gift").is_some(), "{logged:?}");
    assert_eq!(bus.objects().count::<Part>().await.unwrap(), 0);
    assert_eq!(bus.objects().count::<Note>().await.unwrap(), 0);
    assert_eq!(sold_of(&lines(&bus, &other).await), [("bike", 2)]);
}

async fn an_incoming_delete_takes_the_children_along(bus: TestBus) {
    let (bus, _) = with_orders(bus);
    let bus = bus.connector::<Shop>("shop").start().await;
    let with_parts = PurchasedLine { parts: Some(texts(&["bolt"])), ..sold("bike", 1) };
    let purchase = purchase(&[with_parts]);
    buy(&bus, &purchase).await;
    assert_eq!(bus.objects().count::<Part>().await.unwrap(), 1);
    bus.process_external_task(ExternalTask::delete::<Shop, _>("shop", &purchase)).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.objects().count::<Order>().await.unwrap(), 0);
    assert_eq!(bus.objects().count::<Line>().await.unwrap(), 0);
    assert_eq!(bus.objects().count::<Part>().await.unwrap(), 0);
}

/// Without what each host chooses by itself.
fn without_ids(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            fields.retain(|name, _| !["id", "order", "line"].contains(&name.as_str()));
            for field in fields.values_mut() {
                *field = without_ids(field.take());
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| *value = without_ids(value.take())),
        _ => {}
    }
    value
}

async fn a_snapshot_and_its_application_are_inverse(bus: TestBus) {
    let (out, sent) = with_orders(bus);
    let out = out.connector::<Book>("book").start().await;
    let (there, arrived) = with_orders(TestBus::new());
    let there = there.connector::<Shop>("shop").connector::<Book>("book").start().await;
    with_tags(&out).await;
    with_tags(&there).await;
    let bike = Line { parts: vec![part("bolt"), part("nut")].into(), ..line("bike", 1) };
    let lines: Vec<Line> =
        std::iter::once(bike).chain((0..11).map(|n| line(&format!("lamp-{n}"), n))).collect();
    let tag = |code: &str| Ref::host(format!("tag-{code}"));
    let mut order = Order {
        customer: "Ada".to_owned(),
        lines: lines.into(),
        notes: vec![note("gift")].into(),
        visits: Children::NotLoaded,
        tags: vec![tag("red"), tag("blue")].into(),
        labels: vec![tag("green")].into(),
        ..order("7")
    };
    out.objects().save(&mut order).await.unwrap();
    for turn in 0..2 {
        out.until_idle().await;
        let mut parcel = Parcel { number: "7".into(), order: sent.get("7").unwrap() };
        for (field, owner) in [("order/lines", "order"), ("notes", "order")] {
            for child in parcel.order[field].as_array_mut().unwrap() {
                child[owner] = json!(0);
                child["id"] = json!(0);
                for part in child.get_mut("parts").and_then(Value::as_array_mut).into_iter().flatten() {
                    (part["line"], part["id"]) = (json!(0), json!(0));
                }
            }
        }
        let task = ExternalTask::update::<Shop, _>("shop", &parcel).data_type(DataType::Snapshot);
        there.process_external_task(task).await.unwrap();
        there.until_idle().await;
        let (sent, arrived) = (sent.get("7").unwrap(), arrived.get("7").unwrap());
        assert_eq!(without_ids(sent), without_ids(arrived), "turn {turn}");
        // One that stays is different, one comes, and one of those that are complete goes.
        order.lines = vec![line("lamp-3", 33), line("horn", 1)].into();
        order.notes = vec![note("urgent")].into();
        out.objects().save(&mut order).await.unwrap();
    }
    assert_eq!(there.counters("shop", Direction::Incoming).await.completed, 2);
}

/// Is told of orders, and tells of them.
#[connector(name = "order-twin", create_once = repeatable)]
#[outgoing(Order, data = snapshot)]
#[incoming(Returned, key = number)]
struct Twin;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Returned {
    number: String,
    lines: Vec<(String, u32)>,
}

impl Connector for Twin {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Outgoing<Order> for Twin {
    async fn deliver(&self, change: Change<Order>, _: &Cx) -> Result<(), Failure> {
        change.bind(change.object.number.clone());
        Ok(())
    }
}

impl Incoming<Returned> for Twin {
    type Object = Order;

    async fn prepare_internal_object(
        &self,
        received: Received<Returned, Order>,
        _: &Cx,
    ) -> Result<Prepared<Order>, Failure> {
        let mut order = received.existing.unwrap_or_default();
        order.number = received.object.number;
        let lines = received.object.lines.iter().map(|(sku, count)| line(sku, *count));
        order.lines = lines.collect::<Vec<_>>().into();
        Ok(order.into())
    }
}

async fn what_was_told_with_its_children_comes_back_and_stops(bus: TestBus) {
    let (bus, peer) = with_orders(bus);
    let bus = bus.connector::<Twin>("twin").connector::<Book>("book").start().await;
    let send = async |lines: &[(&str, u32)]| {
        let lines = lines.iter().map(|(sku, count)| ((*sku).to_owned(), *count)).collect();
        let returned = Returned { number: "7".into(), lines };
        let task = ExternalTask::update::<Twin, _>("twin", &returned).data_type(DataType::Snapshot);
        bus.process_external_task(task).await.unwrap();
        bus.until_idle().await;
    };
    let mut order = Order { lines: vec![line("bike", 1), line("bell", 1)].into(), ..order("7") };
    bus.objects().save(&mut order).await.unwrap();
    let mut bike = order.lines.as_slice()[0].clone();
    bus.until_idle().await;
    bike.count = 2;
    bus.objects().save(&mut bike).await.unwrap();
    bus.until_idle().await;
    peer.take_calls();
    // What it was told first comes late, and what it was told last.
    send(&[("bike", 1), ("bell", 1)]).await;
    send(&[("bike", 2), ("bell", 1)]).await;
    assert_eq!(sold_of(&lines(&bus, &order).await), [("bike", 2), ("bell", 1)], "neither undoes anything");
    assert_eq!(peer.take_calls(), [""; 0], "nobody is told");
    // What it says by itself counts.
    send(&[("bike", 9), ("lamp", 1)]).await;
    assert_eq!(sold_of(&lines(&bus, &order).await), [("bike", 9), ("bell", 1), ("lamp", 1)]);
    assert_eq!(peer.take_calls()[1], "book: 7 has bike bell lamp");
    assert_eq!(bus.counters("twin", Direction::Outgoing).await.logged, 2, "and it is not told what it said");
    assert_eq!(bus.counters("twin", Direction::Incoming).await.completed, 3);
}

async fn children_saved_at_once_leave_the_newest_snapshot_last(bus: TestBus) {
    const WRITERS: u32 = 32;
    let (bus, peer) = with_orders(bus);
    let bus = bus.connector::<Book>("book").start().await;
    let mut order = order("7");
    bus.objects().save(&mut order).await.unwrap();
    let save = |number: u32| {
        let (objects, owner) = (bus.objects(), order.id);
        tokio::spawn(async move {
            let mut line = Line { order: Ref::host(owner), ..line(&format!("sku-{number}"), 1) };
            for count in 0..2 {
                line.count = count;
                objects.save(&mut line).await.unwrap();
            }
        })
    };
    let writers: Vec<_> = (0..WRITERS).map(save).collect();
    for writer in writers {
        writer.await.unwrap();
    }
    bus.until_idle().await;
    let told = peer.get("7").unwrap();
    let counts: BTreeMap<_, _> = told["order/lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["sku"].to_string(), line["count"].clone()))
        .collect();
    assert_eq!(counts.len(), WRITERS as usize);
    assert!(counts.values().all(|count| *count == json!(1)), "{counts:?}");
    assert_eq!(bus.counters("book", Direction::Outgoing).await.completed, u64::from(1 + 2 * WRITERS));
}

async fn a_redelivered_parent_has_its_children_of_now(bus: TestBus) {
    let (bus, peer) = with_orders(bus);
    let bus = bus.connector::<Book>("book").start().await;
    let mut order = Order { lines: vec![line("bike", 1)].into(), ..order("7") };
    bus.objects().save(&mut order).await.unwrap();
    bus.objects().save(&mut Line { order: Ref::host(order.id), ..line("bell", 2) }).await.unwrap();
    bus.until_idle().await;
    let ended = completed(&bus, "book").await;
    peer.take_calls();
    bus.redeliver(ended[0].delivery, &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(peer.take_calls()[1], "book: 7 has bike bell");
}

async fn a_list_that_names_the_child_of_another_is_refused(bus: TestBus) {
    let (bus, _) = with_orders(bus);
    let bus = bus.start().await;
    let mut other = Order { lines: vec![line("bike", 1)].into(), ..order("8") };
    bus.objects().save(&mut other).await.unwrap();
    let bike = other.lines.as_slice()[0].clone();
    let stolen = Line { order: Ref::host(0), ..bike.clone() };
    let visit = Visit { id: 0, day: "monday".into(), order: Ref::host(0) };
    let mut mine = order("7");
    bus.objects().save(&mut mine).await.unwrap();
    let with_lines = |lines: Vec<Line>| Order { lines: lines.into(), ..mine.clone() };
    for (mut bad, said) in [
        (
            with_lines(vec![stolen]),
            format!("names shop.order_line {}, which belongs to shop.order {}", bike.id, other.id),
        ),
        (with_lines(vec![line("x", 1), bike]), format!("names one at 1 whose `order` is {}", other.id)),
        (
            with_lines(vec![line("x", 1), Line { id: 0, ..line("x", 2) }]),
            // Both are new: the name of the first is taken when the second is written.
            "cannot have the code name `x`".to_owned(),
        ),
        (
            Order { visits: vec![visit].into(), ..mine.clone() },
            "`visits` of shop.order".to_owned() + &format!(" {} has the rule `none`", mine.id),
        ),
    ] {
        let before = bad.clone();
        let error = bus.objects().save(&mut bad).await.unwrap_err();
        assert!(error.to_string().contains(&said), "{error}");
        assert!(matches!(error.kind(), BusErrorKind::Malformed | BusErrorKind::Conflict), "{error:?}");
        assert_eq!(bad, before, "nobody was given an id");
    }
    assert_eq!(lines(&bus, &mine).await, []);
    assert_eq!(bus.objects().count::<Line>().await.unwrap(), 1);
    // Two that are one.
    let mut lamp = with_lines(vec![line("lamp", 1)]);
    bus.objects().save(&mut lamp).await.unwrap();
    let twice = vec![line("lamp", 2), lamp.lines.as_slice()[0].clone()];
    let error = bus.objects().save(&mut with_lines(twice)).await.unwrap_err();
    assert!(error.to_string().contains("names one object twice, at 0 and at 1; keep one of them"), "{error}");
}

async fn an_incoming_list_that_names_the_child_of_another_is_parked(bus: TestBus) {
    let (bus, _) = with_orders(bus);
    let bus = bus.connector::<Shop>("shop").start().await;
    let mut other = Order { lines: vec![line("bike", 1)].into(), ..order("8") };
    bus.objects().save(&mut other).await.unwrap();
    let bike = other.lines.as_slice()[0].id;
    buy(&bus, &purchase(&[sold("lamp", 1), PurchasedLine { id: bike, ..sold("bike", 1) }])).await;
    let open = bus.open("shop", Direction::Incoming).await;
    assert_eq!((open.len(), open[0].state), (1, DeliveryState::Parked));
    let reason = open[0].reason.clone().unwrap_or_default();
    let said = format!(
        "names shop.order_line {bike}, which belongs to shop.order {}; take it out of the list",
        other.id
    );
    assert!(reason.contains(&said), "{reason}");
    assert_eq!(bus.objects().count::<Order>().await.unwrap(), 1, "all of it or nothing");
    assert_eq!(bus.objects().count::<Line>().await.unwrap(), 1);
}

async fn children_are_listed_beneath_their_parent(bus: TestBus) {
    let (bus, _) = with_orders(bus);
    let bus = bus.start().await;
    let mut order =
        Order { lines: (0..5).map(|n| line(&n.to_string(), n)).collect::<Vec<_>>().into(), ..order("7") };
    bus.objects().save(&mut order).await.unwrap();
    let ids: Vec<i64> = order.lines.as_slice().iter().map(|line| line.id).collect();
    let page = bus.objects().list_children::<Order, Line>(&order.id, Some(&ids[1]), 2).await.unwrap();
    assert_eq!(page.iter().map(|line| line.id).collect::<Vec<_>>(), ids[2..4]);
    bus.objects().delete::<Line>(&ids[1]).await.unwrap();
    let error = bus.objects().list_children::<Order, Line>(&order.id, Some(&ids[1]), 2).await.unwrap_err();
    assert_eq!(error.kind(), BusErrorKind::NotFound, "{error}");
    let error = bus.objects().list_children::<Order, Part>(&order.id, None, 2).await.unwrap_err();
    assert_eq!(error.kind(), BusErrorKind::UnknownKind);
    assert!(error.to_string().contains("shop.order holds no list of shop.part; give it a field"), "{error}");
}

#[test]
fn a_list_of_what_nobody_declares_is_refused_at_start() {
    let error = Registry::of([], [Order::DESCRIPTOR, Line::DESCRIPTOR]).unwrap_err();
    assert_eq!(error.kind(), BusErrorKind::Discovery);
    let said =
        "holds children of type shop.note, which nobody in this program declares as a whole; link the crate";
    assert!(error.to_string().contains(said), "{error}");
}

/// Written by hand, so that nobody finds it among what is linked.
#[derive(Serialize, Deserialize)]
struct Album {
    id: i64,
}

impl BusObject for Album {
    type Id = i64;
    const TYPE: &'static str = "shop.album";
    const DISPLAY: &'static str = "Album";
    const REFERENCES: &'static [ReferenceField] = &[];
    const CHILDREN: &'static [ListField] = &[
        ListField { field: "front", object_type: "shop.note", rule: ListRule::Complete },
        ListField { field: "back", object_type: "shop.note", rule: ListRule::Complete },
    ];
    fn id(&self) -> &i64 {
        &self.id
    }
    fn set_id(&mut self, id: i64) {
        self.id = id;
    }
}

#[test]
fn two_lists_of_the_same_children_are_refused_at_start() {
    const ALBUM: &ObjectDescriptor = &ObjectDescriptor::new::<Album>();
    let error = Registry::of([], [ALBUM, Note::DESCRIPTOR]).unwrap_err();
    let said = "`back` of shop.album at a place in the program that it does not name and `front` both hold children of type";
    assert!(error.to_string().contains(said), "{error}");
}
