//! Connectors where nothing overtakes what has failed.

use std::time::Duration;

use bus_core::{DeliveryState, Direction, ExternalTask, Failure};
use bus_runtime::{ConnectorState, Ordering, Processing, StoreConfig, Synchronous};
use bus_testkit::{RunningTestBus, TestBus};
use bus_tests::{Company, Contact, User};

use crate::gates::{Gated, Gates, with_gates};
use crate::told::{ops, with_crm};

stories!(
    nothing_overtakes_what_is_tried_again,
    nothing_overtakes_what_is_parked_until_a_person_comes,
    what_steps_aside_lets_others_pass,
    what_is_put_off_holds_all,
    what_waits_for_a_reference_is_overtaken_by_what_it_waits_for,
    incoming_ones_keep_the_order_too
);

fn in_order(processing: &mut Processing) {
    processing.ordering = Ordering::Connector;
}

async fn save_all(bus: &RunningTestBus, logins: &[&str]) {
    for login in logins {
        bus.objects().save(&mut User::new(login, "1")).await.unwrap();
    }
    bus.until_idle().await;
}

async fn after_a_minute(bus: &RunningTestBus) {
    bus.clock().advance(Duration::from_mins(1));
    bus.until_idle().await;
}

async fn with_bus(bus: TestBus) -> (RunningTestBus, Gates) {
    let (bus, gates) = with_gates(bus, in_order);
    (bus.start().await, gates)
}

async fn nothing_overtakes_what_is_tried_again(bus: TestBus) {
    let (bus, gates) = with_bus(bus).await;
    gates.fail("b", [|| Failure::retry("not now"), || panic!("broken")]);
    save_all(&bus, &["a", "b", "c", "d"]).await;
    assert_eq!(gates.calls(), ["create a 1", "create b 1"]);
    let open = bus.open("gated", Direction::Outgoing).await;
    assert_eq!((open[1].state, open[2].state), (DeliveryState::Blocked, DeliveryState::Blocked));
    after_a_minute(&bus).await;
    assert_eq!(gates.passed(), ["create a 1"]);
    after_a_minute(&bus).await;
    assert_eq!(gates.passed(), ["create a 1", "create b 1", "create c 1", "create d 1"]);
}

async fn nothing_overtakes_what_is_parked_until_a_person_comes(bus: TestBus) {
    let (bus, gates) = with_bus(bus).await;
    gates.fail("a", [|| Failure::reject("no")]);
    save_all(&bus, &["a", "b", "c"]).await;
    after_a_minute(&bus).await;
    assert_eq!(gates.passed(), [] as [&str; 0]);
    let parked = bus.open("gated", Direction::Outgoing).await[0].delivery;
    bus.skip(parked, &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(gates.passed(), ["create b 1", "create c 1"]);
}

async fn what_steps_aside_lets_others_pass(bus: TestBus) {
    let (bus, gates) = with_bus(bus).await;
    gates.fail("a", [|| Failure::step_aside("locked")]);
    save_all(&bus, &["a", "b", "c"]).await;
    assert_eq!(gates.passed(), ["create b 1", "create c 1"]);
    after_a_minute(&bus).await;
    assert_eq!(gates.passed(), ["create b 1", "create c 1", "create a 1"]);
}

async fn what_is_put_off_holds_all(bus: TestBus) {
    let (bus, gates) = with_bus(bus).await;
    gates.fail("a", [|| Failure::defer("closed")]);
    save_all(&bus, &["a", "b"]).await;
    assert_eq!(gates.passed(), [] as [&str; 0]);
    after_a_minute(&bus).await;
    assert_eq!(gates.passed(), ["create a 1", "create b 1"]);
}

async fn what_waits_for_a_reference_is_overtaken_by_what_it_waits_for(bus: TestBus) {
    let (bus, peer, _) = with_crm(bus);
    let mut processing = Processing::default();
    in_order(&mut processing);
    let bus = bus.processing(processing).start().await;
    let crm = "crm".parse().unwrap();
    bus.set_connector_state(&crm, ConnectorState::Disabled).await.unwrap();
    let mut acme = Company::new("acme", "Acme");
    bus.objects().save(&mut acme).await.unwrap();
    bus.set_connector_state(&crm, ConnectorState::Enabled).await.unwrap();

    bus.objects().save(&mut User::new("ada", "Ada").at(&acme)).await.unwrap();
    save_all(&bus, &["bob"]).await;
    let open = bus.open("crm", Direction::Outgoing).await;
    assert_eq!((open.len(), open[0].state), (1, DeliveryState::Waiting));
    // What it waits for stands behind it.
    acme.name = "Acme Ltd.".to_owned();
    bus.objects().save(&mut acme).await.unwrap();
    bus.until_idle().await;
    let records: Vec<_> = peer.records().into_values().map(|record| record["name"].clone()).collect();
    assert_eq!(records, ["1", "Acme Ltd.", "Ada"]);
    assert_eq!(peer.get("crm-3").unwrap()["company"], "crm-2");
}

async fn incoming_ones_keep_the_order_too(bus: TestBus) {
    let (bus, gates) = with_bus(bus).await;
    gates.fail("a", [|| Failure::retry("not now")]);
    for login in ["a", "b", "c"] {
        let contact = Contact::new(login, login, "1");
        bus.process_external_task(ExternalTask::create::<Gated, _>("gated", &contact)).await.unwrap();
    }
    bus.until_idle().await;
    assert_eq!(bus.objects().count::<User>().await.unwrap(), 0);
    after_a_minute(&bus).await;
    assert_eq!(gates.passed(), ["create a 1", "create b 1", "create c 1"]);
    assert_eq!(bus.objects().count::<User>().await.unwrap(), 3);
}

#[tokio::test]
async fn the_order_is_kept_over_a_restart() {
    let folder = tempfile::TempDir::new().unwrap();
    let on_file = || {
        let path = folder.path().join("bus.db");
        TestBus::new().configure(move |config| {
            config.store = StoreConfig::Sqlite { path, synchronous: Synchronous::Normal };
        })
    };
    let (bus, gates) = with_gates(on_file(), in_order);
    let bus = bus.start().await;
    gates.fail("b", [|| Failure::retry_after("not now", Duration::from_mins(10))]);
    save_all(&bus, &["a", "b", "c", "d"]).await;
    assert_eq!(gates.passed(), ["create a 1"]);
    bus.shutdown().await;

    let (again, gates) = with_gates(on_file(), in_order);
    let again = again.clock(bus.clock().clone()).start().await;
    again.until_idle().await;
    assert_eq!(gates.calls(), [] as [&str; 0]);
    again.clock().advance(Duration::from_mins(10));
    again.until_idle().await;
    assert_eq!(gates.passed(), ["create b 1", "create c 1", "create d 1"]);
    again.shutdown().await;
}
