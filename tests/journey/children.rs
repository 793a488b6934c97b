//! Lists of children that were not loaded stay as they are stored, wherever in the object they stand.

use bus_core::{BusObject, Children, Direction, Ref};
use bus_testkit::{FakePeer, TestBus};
use bus_tests::{Address, Company, EventLog, User};
use serde::{Deserialize, Serialize};

stories!(a_save_keeps_lists_that_were_not_loaded, an_unchanged_save_logs_nothing_whichever_way_children_came);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "app.order", display = "Order")]
struct Order {
    #[object(id)]
    id: i64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    note: Option<String>,
    details: Details,
    #[object(children)]
    #[serde(rename = "ship/to~")]
    ship_to: Children<Address>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Details {
    comment: String,
    lines: Children<Line>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Line {
    company: Option<Ref<Company>>,
    parts: Children<i64>,
}

async fn a_save_keeps_lists_that_were_not_loaded(bus: TestBus) {
    let bus = bus.object::<Order>().object::<Company>().start().await;
    let line = Line { company: Some(Ref::host(7)), parts: vec![1, 2].into() };
    let address = Address { city: "London".to_owned(), paid_by: Some(Ref::host(8)) };
    let mut order = Order {
        note: Some("urgent".to_owned()),
        details: Details { comment: "old".to_owned(), lines: vec![line.clone()].into() },
        ship_to: vec![address.clone()].into(),
        ..Order::default()
    };
    bus.objects().save(&mut order).await.unwrap();
    let details = Details { comment: "new".to_owned(), lines: Children::NotLoaded };
    let mut bare = Order { id: order.id, details, ..Order::default() };
    bus.objects().save(&mut bare).await.unwrap();
    let stored: Order = bus.objects().load(&order.id).await.unwrap().unwrap();
    assert_eq!((stored.note, stored.details.comment.as_str()), (None, "new"), "fields are what was saved");
    assert_eq!(stored.details.lines, Children::Loaded(vec![line]));
    assert_eq!(stored.ship_to, Children::Loaded(vec![address]));
}

async fn an_unchanged_save_logs_nothing_whichever_way_children_came(bus: TestBus) {
    let bus = bus.connector::<EventLog>("event-log").object::<User>().object::<Company>();
    let bus = bus.provide(FakePeer::new("log")).start().await;
    let home = Address { city: "London".to_owned(), paid_by: Some(Ref::host(7)) };
    let mut ada = User::new("ada", "Ada");
    ada.company = Some(Ref::host(8));
    ada.addresses = vec![home].into();
    bus.objects().save(&mut ada).await.unwrap();
    ada.addresses = Children::NotLoaded;
    bus.objects().save(&mut ada).await.unwrap();
    let mut ada: User = bus.objects().load(&ada.id).await.unwrap().unwrap();
    assert!(ada.addresses.is_loaded());
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.counters("event-log", Direction::Outgoing).await.logged, 1);
}
