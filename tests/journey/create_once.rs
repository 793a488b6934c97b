//! Creates whose answers are lost: the external system has the object, and nobody was told.

use std::io;
use std::time::Duration;

use bus_core::descriptor::DescribedConnector;
use bus_core::{DeliveryId, DeliveryState, Direction, Failure, ObjectId, ObjectKey};
use bus_runtime::{Cause, Doubt, Question, Verdict};
use bus_testkit::{RunningTestBus, Script, TestBus};
use bus_tests::User;

use crate::creators::{Doubter, Finder, Repeater, Silent, with_creator};
use crate::told::{ops, until};

stories!(
    a_lost_answer_is_looked_up_before_a_second_create,
    what_is_looked_up_and_not_there_is_created,
    an_answer_that_takes_too_long_is_looked_up,
    what_is_found_twice_is_left_to_a_person,
    who_cannot_be_asked_is_told_again,
    a_repeatable_create_carries_the_same_key,
    what_cannot_be_looked_up_is_parked_in_doubt,
    an_operator_links_what_is_in_doubt_and_it_becomes_an_update,
    an_operator_has_what_is_in_doubt_created,
    what_the_connector_says_of_a_failure_is_believed,
    a_failed_flush_is_no_doubt_for_repeatable,
    a_failed_flush_leaves_the_rest_in_doubt,
    an_external_id_that_cannot_be_kept_is_in_doubt,
    a_redelivery_of_what_was_in_doubt_is_looked_up,
    who_says_nothing_of_creates_is_advised
);

async fn save(bus: &RunningTestBus, name: &str) -> User {
    let mut ada = User::new("ada", name);
    bus.objects().save(&mut ada).await.unwrap();
    go_on(bus).await;
    ada
}

/// Lets the bus work, and connect again where it lost the connection.
async fn go_on(bus: &RunningTestBus) {
    bus.until_idle().await;
    bus.clock().advance(Duration::from_secs(2));
    bus.until_idle().await;
}

/// Saves a user whose create is done, and its answer lost.
async fn lose_an_answer<C: DescribedConnector>(bus: TestBus) -> (RunningTestBus, bus_testkit::FakePeer) {
    let (bus, peer, _) = with_creator::<C>(bus);
    let bus = bus.start().await;
    peer.script([Script::WorkAndDisconnect("it hung up".into())]);
    save(&bus, "Ada").await;
    (bus, peer)
}

async fn open(bus: &RunningTestBus) -> Vec<(DeliveryId, DeliveryState)> {
    let open = bus.open("crm", Direction::Outgoing).await;
    open.iter().map(|one| (one.delivery, one.state)).collect()
}

fn key(id: i64) -> ObjectKey {
    ObjectKey { object_type: "app.user".parse().unwrap(), id: ObjectId::Number(id) }
}

async fn external_id(bus: &RunningTestBus, id: i64) -> Option<String> {
    bus.identity(&"crm".parse().unwrap()).external_id(&key(id)).await.unwrap()
}

async fn a_lost_answer_is_looked_up_before_a_second_create(bus: TestBus) {
    let (bus, peer, way) = with_creator::<Finder>(bus);
    let bus = bus.start().await;
    peer.script([Script::WorkAndDisconnect("it hung up".into())]);
    let ada = save(&bus, "Ada").await;
    assert_eq!(peer.calls(), ["put crm-1", "find app.user 1 ada (Ada) by its GUID", "put crm-1"]);
    assert_eq!(way.operations(), ["create new", "update crm-1"]);
    assert_eq!(peer.records().len(), 1);
    assert_eq!(external_id(&bus, ada.id).await.as_deref(), Some("crm-1"));
    assert_eq!(open(&bus).await, []);
}

async fn what_is_looked_up_and_not_there_is_created(bus: TestBus) {
    let (bus, peer, way) = with_creator::<Finder>(bus);
    let bus = bus.start().await;
    peer.script([Script::Disconnected("it hung up".into())]);
    save(&bus, "Ada").await;
    assert_eq!(way.operations(), ["create new", "create new"]);
    assert_eq!(peer.calls()[1], "find app.user 1 ada (Ada) by its GUID");
    assert_eq!((peer.records().len(), open(&bus).await), (1, Vec::new()));
}

async fn an_answer_that_takes_too_long_is_looked_up(bus: TestBus) {
    let (bus, peer, way) = with_creator::<Finder>(bus);
    let bus = bus.start().await;
    way.hold();
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    until(async || !peer.records().is_empty()).await;
    bus.clock().advance(Duration::from_secs(31));
    bus.until_idle().await;
    assert_eq!(open(&bus).await[0].1, DeliveryState::Retryable);
    way.let_go();
    bus.clock().advance(Duration::from_mins(1));
    bus.until_idle().await;
    assert_eq!(way.operations(), ["create new", "update crm-1"]);
    assert_eq!((peer.records().len(), open(&bus).await), (1, Vec::new()));
}

async fn what_is_found_twice_is_left_to_a_person(bus: TestBus) {
    let (bus, peer, way) = with_creator::<Finder>(bus);
    let bus = bus.start().await;
    bus.objects().save(&mut User::new("bob", "Bob")).await.unwrap();
    bus.until_idle().await;
    for (found, reason) in [
        ("crm-1", "answered `crm-1`, which is app.user 1 already; unlink that, or mend `find_external`"),
        ("", "the external id is empty"),
        (&*"9".repeat(1_025), "the external id is 1025 bytes, more than 1024"),
    ] {
        way.find(found);
        peer.script([Script::WorkAndFail("500".into())]);
        let login = format!("ada {}", found.len());
        bus.objects().save(&mut User::new(&login, "Ada")).await.unwrap();
        go_on(&bus).await;
        let parked = bus.open("crm", Direction::Outgoing).await.pop().unwrap();
        assert_eq!(parked.state, DeliveryState::Parked);
        assert!(parked.reason.as_ref().unwrap().contains(reason), "{parked:?}");
    }
}

async fn who_cannot_be_asked_is_told_again(bus: TestBus) {
    let (bus, peer) = lose_an_answer::<Silent>(bus).await;
    assert_eq!(peer.calls(), ["put crm-1", "put crm-2"]);
    assert_eq!(open(&bus).await, []);
}

async fn a_repeatable_create_carries_the_same_key(bus: TestBus) {
    let (bus, peer) = lose_an_answer::<Repeater>(bus).await;
    let calls = peer.calls();
    assert_eq!((calls.len(), &calls[0]), (2, &calls[1]));
    assert_eq!((peer.records().len(), open(&bus).await), (1, Vec::new()));
}

async fn what_cannot_be_looked_up_is_parked_in_doubt(bus: TestBus) {
    let (bus, peer) = lose_an_answer::<Doubter>(bus).await;
    let mut ada: User = bus.objects().find("ada").await.unwrap().unwrap();
    ada.name = "Ada Lovelace".into();
    bus.objects().save(&mut ada).await.unwrap();
    bus.objects().save(&mut User::new("bob", "Bob")).await.unwrap();
    bus.until_idle().await;
    assert_eq!(peer.calls(), ["put crm-1", "put crm-2"], "Bob is told of, and nothing later of Ada");
    let open = open(&bus).await;
    let [(parked, DeliveryState::Parked), (_, DeliveryState::Blocked)] = open[..] else { panic!("{open:?}") };
    let detail = bus.delivery(parked).await.unwrap();
    assert_eq!(detail.doubt, Doubt::InDoubt);
    let reason = "in doubt: connector crm may have created app.user 1 (it hung up), and can neither look it up nor repeat \
                  it; look there, then link it and retry, or retry to create it";
    assert_eq!(detail.summary.reason.as_deref(), Some(reason));
    let explanation = bus.explain(Question::Delivery(parked)).await.unwrap();
    assert!(matches!(explanation.cause, Cause::InDoubt { .. }), "{explanation}");
    assert!(explanation.to_string().contains("look whether the external system has it"), "{explanation}");
    let cancelled = bus.cancel(parked, &ops()).await.unwrap();
    assert_eq!(cancelled.items[0].verdict, Verdict::WasCalled);
}

async fn an_operator_links_what_is_in_doubt_and_it_becomes_an_update(bus: TestBus) {
    let (bus, peer, way) = with_creator::<Doubter>(bus);
    let bus = bus.start().await;
    peer.script([Script::WorkAndDisconnect("it hung up".into())]);
    let ada = save(&bus, "Ada").await;
    let [(parked, _)] = open(&bus).await[..] else { panic!("one is in doubt") };
    bus.identity(&"crm".parse().unwrap()).link(&key(ada.id), "crm-1", &ops()).await.unwrap();
    bus.retry(parked, &ops()).await.unwrap();
    go_on(&bus).await;
    assert_eq!(way.operations(), ["create new", "update crm-1"]);
    assert_eq!((peer.records().len(), open(&bus).await), (1, Vec::new()));
}

async fn an_operator_has_what_is_in_doubt_created(bus: TestBus) {
    let (bus, peer, way) = with_creator::<Doubter>(bus);
    let bus = bus.start().await;
    peer.script([Script::Disconnected("it hung up".into()), Script::Disconnected("again".into())]);
    save(&bus, "Ada").await;
    for _ in 0..2 {
        let [(parked, DeliveryState::Parked)] = open(&bus).await[..] else { panic!("one is in doubt") };
        bus.retry(parked, &ops()).await.unwrap();
        go_on(&bus).await;
    }
    assert_eq!(way.operations(), ["create new"; 3], "each doubt is one of its own");
    assert_eq!((peer.records().len(), open(&bus).await), (1, Vec::new()));
}

async fn what_the_connector_says_of_a_failure_is_believed(bus: TestBus) {
    let (bus, peer, way) = with_creator::<Doubter>(bus);
    let bus = bus.start().await;
    way.refuse(|| io::Error::from(io::ErrorKind::ConnectionRefused).into());
    way.refuse(|| Failure::disconnected("it is closed").nothing_done());
    way.refuse(|| Failure::retry("503"));
    save(&bus, "Ada").await;
    for _ in 0..3 {
        bus.clock().advance(Duration::from_mins(20));
        bus.until_idle().await;
    }
    assert_eq!(way.operations(), ["create new"; 4]);
    assert_eq!((peer.records().len(), open(&bus).await), (1, Vec::new()));
}

async fn a_failed_flush_is_no_doubt_for_repeatable(bus: TestBus) {
    let (bus, peer, way) = with_creator::<Repeater>(bus);
    let bus = bus.start().await;
    way.fail_flush(|| Failure::disconnected("the index is closed"));
    save(&bus, "Ada").await;
    assert_eq!((peer.records().len(), open(&bus).await), (1, Vec::new()));
}

async fn a_failed_flush_leaves_the_rest_in_doubt(bus: TestBus) {
    let (bus, peer, way) = with_creator::<Doubter>(bus);
    let bus = bus.start().await;
    way.fail_flush(|| Failure::disconnected("the index is closed"));
    let ada = save(&bus, "Ada").await;
    // It has said what it is called: what is bound is told again, and not made again.
    assert_eq!(way.operations(), ["create new", "create crm-1"]);
    assert_eq!((peer.records().len(), open(&bus).await), (1, Vec::new()));
    assert_eq!(external_id(&bus, ada.id).await.as_deref(), Some("crm-1"));
}

async fn an_external_id_that_cannot_be_kept_is_in_doubt(bus: TestBus) {
    let (bus, peer, way) = with_creator::<Doubter>(bus);
    let bus = bus.start().await;
    for (login, external_id, reason) in [
        ("ada", "9".repeat(1_025), "the external id is 1025 bytes, more than 1024; bind a shorter one"),
        ("bob", String::new(), "the external id is empty; bind what identifies it"),
    ] {
        way.bind(&external_id);
        bus.objects().save(&mut User::new(login, login)).await.unwrap();
        bus.until_idle().await;
        let parked = bus.open("crm", Direction::Outgoing).await.pop().unwrap();
        assert_eq!(parked.state, DeliveryState::Parked);
        assert!(parked.reason.as_ref().unwrap().contains(reason), "{parked:?}");
        assert_eq!(bus.delivery(parked.delivery).await.unwrap().doubt, Doubt::InDoubt, "it is there");
    }
    assert_eq!(peer.records().len(), 2);
}

async fn a_redelivery_of_what_was_in_doubt_is_looked_up(bus: TestBus) {
    let (bus, peer, way) = with_creator::<Finder>(bus);
    let bus = bus.start().await;
    peer.script([Script::WorkAndFail("500".into())]);
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    bus.until_idle().await;
    let [(failed, DeliveryState::Retryable)] = open(&bus).await[..] else { panic!("it failed") };
    bus.skip(failed, &ops()).await.unwrap();
    bus.redeliver(failed, &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(way.operations(), ["create new", "update crm-1"]);
    assert_eq!((peer.records().len(), open(&bus).await), (1, Vec::new()));
}

async fn who_says_nothing_of_creates_is_advised(bus: TestBus) {
    let (bus, _, _) = with_creator::<Silent>(bus);
    let bus = bus.connector::<Finder>("finder").start().await;
    let advice: Vec<_> = bus.connectors().into_iter().map(|connector| connector.advice).collect();
    let [Some(advice), None] = &advice[..] else { panic!("{advice:?}") };
    assert!(
        advice.contains("connector crm does not say what becomes of a create whose answer is lost"),
        "{advice}"
    );
    assert!(advice.contains("write `create_once = find`, or write `repeatable` or `in_doubt`"), "{advice}");
}
