//! A notification that overtakes the answer to our own call.

use std::time::Duration;

use bus_core::descriptor::DescribedConnector;
use bus_core::{DeliveryState, Direction, ExternalTask};
use bus_runtime::{Doubt, Question};
use bus_testkit::{FakePeer, RunningTestBus, Script, TestBus};
use bus_tests::{Contact, User};

use crate::creators::{Doubter, Finder, Way, with_creator};
use crate::told::{ops, until};

stories!(
    a_notification_that_overtakes_the_answer_makes_no_duplicate,
    a_notification_waits_until_a_lost_answer_is_looked_up,
    a_notification_does_not_wait_for_a_person,
    who_ends_what_is_in_doubt_lets_the_notification_go,
    what_is_known_and_what_is_told_otherwise_waits_for_nobody
);

/// Lets the external system create a user, and keeps its answer back.
async fn begin_to_create<C: DescribedConnector>(bus: TestBus) -> (RunningTestBus, FakePeer, Way) {
    let (bus, peer, way) = with_creator::<C>(bus);
    let bus = bus.start().await;
    way.hold();
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    until(async || !peer.records().is_empty()).await;
    (bus, peer, way)
}

/// The external system tells of a user under another login, so that nothing but a binding says who that is.
async fn notify(bus: &RunningTestBus, uid: &str) {
    let contact = Contact::new(uid, "countess", "Ada Lovelace");
    let task = match bus.registry().connector("finder") {
        Some(_) => ExternalTask::create::<Finder, _>("crm", &contact),
        None => ExternalTask::create::<Doubter, _>("crm", &contact),
    };
    bus.process_external_task(task).await.unwrap();
}

async fn incoming(bus: &RunningTestBus) -> Vec<DeliveryState> {
    bus.open("crm", Direction::Incoming).await.iter().map(|one| one.state).collect()
}

async fn logins(bus: &RunningTestBus) -> Vec<String> {
    let users: Vec<User> = bus.objects().list(None, 10).await.unwrap();
    users.into_iter().map(|user| user.login).collect()
}

async fn a_notification_that_overtakes_the_answer_makes_no_duplicate(bus: TestBus) {
    let (bus, _, way) = begin_to_create::<Finder>(bus).await;
    notify(&bus, "crm-1").await;
    until(async || incoming(&bus).await == [DeliveryState::Waiting]).await;
    let waits = bus.open("crm", Direction::Incoming).await.remove(0);
    let runs = bus.open("crm", Direction::Outgoing).await.remove(0).delivery;
    let reason = format!("waits for delivery {runs}, which may be creating this very app.user at crm");
    assert_eq!(waits.reason, Some(reason));
    let explanation = bus.explain(Question::Delivery(waits.delivery)).await.unwrap().to_string();
    assert!(
        explanation.contains(&format!("waits for the outcome of delivery {runs}, which is running")),
        "{explanation}"
    );
    way.let_go();
    bus.until_idle().await;
    assert_eq!(logins(&bus).await, ["countess"], "it is the same one");
    assert_eq!(incoming(&bus).await, []);
}

async fn a_notification_waits_until_a_lost_answer_is_looked_up(bus: TestBus) {
    let (bus, peer, way) = begin_to_create::<Finder>(bus).await;
    bus.clock().advance(Duration::from_secs(31));
    bus.until_idle().await;
    notify(&bus, "crm-1").await;
    bus.until_idle().await;
    assert_eq!(
        incoming(&bus).await,
        [DeliveryState::Waiting],
        "the call was dropped, and may have gone through"
    );
    way.let_go();
    bus.clock().advance(Duration::from_secs(2));
    bus.until_idle().await;
    assert_eq!(logins(&bus).await, ["countess"]);
    assert_eq!((incoming(&bus).await, peer.records().len()), (Vec::new(), 1));
}

async fn a_notification_does_not_wait_for_a_person(bus: TestBus) {
    let (bus, peer, _) = with_creator::<Doubter>(bus);
    let bus = bus.start().await;
    peer.script([Script::WorkAndDisconnect("it hung up".into())]);
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    bus.until_idle().await;
    notify(&bus, "crm-1").await;
    bus.until_idle().await;
    assert_eq!(incoming(&bus).await, [DeliveryState::Waiting]);
    bus.clock().advance(Duration::from_mins(2));
    bus.until_idle().await;
    assert_eq!((incoming(&bus).await, logins(&bus).await.len()), (Vec::new(), 2));
    // By now the doubt is an old one: the next does not wait at all.
    notify(&bus, "crm-9").await;
    bus.until_idle().await;
    let open = bus.open("crm", Direction::Incoming).await;
    assert!(open.iter().all(|one| one.state != DeliveryState::Waiting), "{open:?}");
}

async fn who_ends_what_is_in_doubt_lets_the_notification_go(bus: TestBus) {
    let (bus, peer, _) = with_creator::<Doubter>(bus);
    let bus = bus.start().await;
    peer.script([Script::WorkAndDisconnect("it hung up".into())]);
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    bus.until_idle().await;
    let in_doubt = bus.open("crm", Direction::Outgoing).await.remove(0).delivery;
    assert_eq!(bus.delivery(in_doubt).await.unwrap().doubt, Doubt::InDoubt);
    notify(&bus, "crm-1").await;
    bus.until_idle().await;
    assert_eq!(incoming(&bus).await, [DeliveryState::Waiting]);
    bus.skip(in_doubt, &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(incoming(&bus).await, []);
}

async fn what_is_known_and_what_is_told_otherwise_waits_for_nobody(bus: TestBus) {
    let (bus, peer, way) = with_creator::<Finder>(bus);
    let bus = bus.start().await;
    let mut ada = User::new("ada", "Ada");
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    way.hold();
    ada.name = "Ada Lovelace".into();
    bus.objects().save(&mut ada).await.unwrap();
    until(async || peer.get("crm-1").is_some_and(|ada| ada["name"] == "Ada Lovelace")).await;
    // Ada is known, so that what runs creates nobody.
    notify(&bus, "crm-7").await;
    until(async || incoming(&bus).await.is_empty()).await;
    assert_eq!(logins(&bus).await, ["ada", "countess"]);
    way.let_go();
    bus.until_idle().await;
}
