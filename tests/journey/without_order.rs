//! Connectors that keep no order: a failing delivery holds up nothing, not even the same object.

use std::time::Duration;

use bus_core::{Direction, ExternalTask};
use bus_runtime::{Ordering, Processing};
use bus_testkit::{FakePeer, Script, TestBus};
use bus_tests::{Contact, Crm, EventLog, FieldLog, User};

use crate::told::with_crm;

stories!(
    a_failing_one_is_overtaken_by_the_same_object,
    each_subscriber_of_a_change_keeps_order_or_not,
    an_incoming_one_is_overtaken_and_still_bound
);

fn without_order() -> Processing {
    let mut processing = Processing::default();
    processing.ordering = Ordering::None;
    processing
}

async fn a_failing_one_is_overtaken_by_the_same_object(bus: TestBus) {
    let log = FakePeer::new("log");
    log.script([Script::Retry("not now".to_owned())]);
    let bus = bus.connector::<EventLog>("event-log").processing(without_order()).object::<User>();
    let bus = bus.provide(log.clone()).start().await;
    let mut ada = User::new("ada", "Ada");
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    ada.name = "Ada Lovelace".to_owned();
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    assert_eq!(log.take_calls(), ["create ada snapshot", "update ada snapshot"]);
    let open = bus.open("event-log", Direction::Outgoing).await;
    assert!(open[0].key.starts_with("app.user#") && open[0].key.ends_with(&format!("={}", ada.id)));
    bus.clock().advance(Duration::from_mins(1));
    bus.until_idle().await;
    assert_eq!(log.calls(), ["create ada snapshot"]);
}

async fn each_subscriber_of_a_change_keeps_order_or_not(bus: TestBus) {
    let log = FakePeer::new("log");
    // The event log without order is called first, then the field log with it.
    let bus = bus.connector::<EventLog>("event-log").processing(without_order());
    let bus = bus.connector::<FieldLog>("field-log").object::<User>().provide(log.clone()).start().await;
    log.script([Script::Retry("not now".to_owned()), Script::Retry("not now".to_owned())]);
    let mut ada = User::new("ada", "Ada");
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    ada.name = "Ada Lovelace".to_owned();
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    let mut calls = log.take_calls();
    calls.sort();
    assert_eq!(calls, ["create ada simple", "create ada snapshot", "update ada snapshot"]);
    bus.clock().advance(Duration::from_mins(1));
    bus.until_idle().await;
    let calls = log.calls();
    let of_field_log: Vec<_> = calls.iter().filter(|call| call.ends_with("simple")).collect();
    assert_eq!(of_field_log, ["create ada simple", "update ada simple"]);
}

async fn an_incoming_one_is_overtaken_and_still_bound(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.processing(without_order()).start().await;
    let refused = Contact::new("003", "", "nobody");
    bus.process_external_task(ExternalTask::create::<Crm, _>("crm", &refused)).await.unwrap();
    let accepted = Contact::new("003", "ada", "Ada");
    bus.process_external_task(ExternalTask::create::<Crm, _>("crm", &accepted)).await.unwrap();
    bus.until_idle().await;
    let parked = bus.open("crm", Direction::Incoming).await;
    assert!(parked[0].key.starts_with("contact#") && parked[0].key.ends_with("=003"), "{parked:?}");
    let bindings = bus.store().bindings(&"crm".parse().unwrap(), None, 10).await.unwrap();
    assert_eq!(bindings[0].external_id, "003");
    assert!(bus.objects().find::<User>("ada").await.unwrap().is_some());
}
