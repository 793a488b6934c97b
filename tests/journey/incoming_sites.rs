//! External objects that stand on a site: made and added in one transaction, and removed again.

use bus_core::{
    ChangeSummary, DeliveryState, Direction, ExternalTask, Listener, ObjectOperation, SiteName, Veto,
};
use bus_runtime::{BusErrorKind, DeliveryFilter, QueueId};
use bus_testkit::{FakePeer, RunningTestBus, TestBus};
use bus_tests::{Contact, Crm, EventLog, User};

use crate::told::{ops, with_crm};

stories!(
    an_incoming_add_to_site_makes_the_object_and_assigns_it_in_one_transaction,
    a_veto_of_the_assignment_leaves_no_object_behind,
    what_is_there_already_is_added_and_nothing_else_of_it_is_told,
    what_is_removed_from_a_site_stays_and_needs_nothing_in_order,
    what_belongs_to_a_site_is_parked_with_the_reason,
    an_external_object_for_an_unknown_site_is_refused_when_it_is_logged,
    a_site_that_was_removed_meanwhile_parks_what_names_it
);

fn with_log(bus: TestBus) -> (TestBus, FakePeer) {
    let (bus, peer, _) = with_crm(bus.site("branch").site("corp"));
    (bus.connector::<EventLog>("event-log"), peer)
}

fn ada() -> Contact {
    Contact::new("003", "ada", "Ada")
}

async fn send(bus: &RunningTestBus, task: ExternalTask) {
    bus.process_external_task(task).await.unwrap();
    bus.until_idle().await;
}

async fn found(bus: &RunningTestBus) -> Option<User> {
    bus.objects().find("ada").await.unwrap()
}

async fn sites_of_ada(bus: &RunningTestBus) -> Vec<String> {
    let ada = found(bus).await.expect("she is there");
    let sites = bus.objects().sites_of::<User>(&ada.id).await.unwrap();
    sites.into_iter().map(String::from).collect()
}

async fn reason_of_parked(bus: &RunningTestBus) -> String {
    let open = bus.open("crm", Direction::Incoming).await;
    assert_eq!((open.len(), open[0].state), (1, DeliveryState::Parked), "{open:?}");
    open[0].reason.clone().unwrap()
}

async fn an_incoming_add_to_site_makes_the_object_and_assigns_it_in_one_transaction(bus: TestBus) {
    let (bus, peer) = with_log(bus);
    let bus = bus.start().await;
    send(&bus, ExternalTask::add_to_site::<Crm, _>("crm", &ada(), "corp")).await;
    assert_eq!(peer.take_calls(), ["create ada snapshot", "add_to_site ada snapshot"]);
    assert_eq!(sites_of_ada(&bus).await, ["corp"]);
    assert_eq!(found(&bus).await.unwrap().site, None, "it stays global");
    let counters = bus.counters("crm", Direction::Incoming).await;
    assert_eq!((counters.logged, counters.completed), (1, 1));
    assert_eq!(bus.counters("crm", Direction::Outgoing).await.logged, 0, "the CRM knows");
}

/// Says no to whatever is about a site.
struct NoSites;

impl Listener for NoSites {
    fn before_logging(&self, change: &ChangeSummary) -> Result<(), Veto> {
        assert_eq!(change.operation.is_of_site(), change.site == SiteName::parse("corp").ok());
        if change.operation.is_of_site() { Err(Veto::because("sites are closed")) } else { Ok(()) }
    }
}

async fn a_veto_of_the_assignment_leaves_no_object_behind(bus: TestBus) {
    let (bus, peer) = with_log(bus);
    let bus = bus.listen(NoSites).start().await;
    send(&bus, ExternalTask::add_to_site::<Crm, _>("crm", &ada(), "corp")).await;
    let reason = reason_of_parked(&bus).await;
    assert!(reason.contains("refuses to add to site app.user") && reason.contains("closed"), "{reason}");
    assert!(found(&bus).await.is_none());
    assert_eq!((peer.calls().len(), bus.counters("event-log", Direction::Outgoing).await.logged), (0, 0));
}

async fn what_is_there_already_is_added_and_nothing_else_of_it_is_told(bus: TestBus) {
    let (bus, peer) = with_log(bus);
    let bus = bus.start().await;
    send(&bus, ExternalTask::create::<Crm, _>("crm", &ada())).await;
    peer.take_calls();
    for site in ["corp", "corp", "branch"] {
        send(&bus, ExternalTask::add_to_site::<Crm, _>("crm", &ada(), site)).await;
    }
    assert_eq!(peer.take_calls(), ["add_to_site ada snapshot", "add_to_site ada snapshot"]);
    assert_eq!(sites_of_ada(&bus).await, ["branch", "corp"]);
    // What has changed as well is told before it.
    bus.objects().remove_from_site::<User>(&found(&bus).await.unwrap().id, "corp").await.unwrap();
    bus.until_idle().await;
    peer.take_calls();
    let renamed = Contact::new("003", "ada", "Ada Lovelace");
    send(&bus, ExternalTask::add_to_site::<Crm, _>("crm", &renamed, "corp")).await;
    assert_eq!(peer.calls(), ["update ada snapshot", "add_to_site ada snapshot"]);
}

async fn what_is_removed_from_a_site_stays_and_needs_nothing_in_order(bus: TestBus) {
    let (bus, peer) = with_log(bus);
    let bus = bus.start().await;
    send(&bus, ExternalTask::add_to_site::<Crm, _>("crm", &ada(), "corp")).await;
    peer.take_calls();
    let mut changed = Contact::new("003", "ada", "Somebody else");
    changed.account = Some("nobody knows it".to_owned());
    for _ in 0..2 {
        send(&bus, ExternalTask::remove_from_site::<Crm, _>("crm", &changed, "corp")).await;
    }
    let told: Vec<_> = peer.calls().into_iter().filter(|call| !call.starts_with("who is")).collect();
    assert_eq!(told, ["remove_from_site ada snapshot"]);
    assert_eq!(sites_of_ada(&bus).await, [""; 0]);
    assert_eq!(found(&bus).await.unwrap().name, "Ada", "nothing else of it is taken over");
    // Who is not there is on no site.
    let eve = Contact::new("004", "eve", "Eve");
    send(&bus, ExternalTask::remove_from_site::<Crm, _>("crm", &eve, "corp")).await;
    assert_eq!(bus.objects().count::<User>().await.unwrap(), 1);
    let counters = bus.counters("crm", Direction::Incoming).await;
    assert_eq!((counters.completed, counters.open), (4, 0));
}

async fn what_belongs_to_a_site_is_parked_with_the_reason(bus: TestBus) {
    let (bus, _) = with_log(bus);
    let bus = bus.start().await;
    send(&bus, ExternalTask::create::<Crm, _>("crm", &ada()).site("branch")).await;
    send(&bus, ExternalTask::add_to_site::<Crm, _>("crm", &ada(), "corp")).await;
    let reason = reason_of_parked(&bus).await;
    assert!(reason.contains("is to be added to site corp, but belongs to site branch"), "{reason}");
}

async fn an_external_object_for_an_unknown_site_is_refused_when_it_is_logged(bus: TestBus) {
    let (bus, _) = with_log(bus);
    let bus = bus.start().await;
    let nowhere = |operation| ExternalTask::create::<Crm, _>("crm", &ada()).operation(operation);
    for (task, kind, remedy) in [
        (
            ExternalTask::create::<Crm, _>("crm", &ada()).site("crop"),
            BusErrorKind::UnknownSite,
            "log the contact for connector crm: no site `crop` is registered; register it, or mend the name (did you \
             mean `corp`?)",
        ),
        (
            ExternalTask::remove_from_site::<Crm, _>("crm", &ada(), "CORP"),
            BusErrorKind::UnknownSite,
            "did you mean `corp`?",
        ),
        (
            nowhere(ObjectOperation::AddToSite),
            BusErrorKind::Malformed,
            "the contact for connector crm is to be added to a site, and names none; add `.site(...)`",
        ),
        (nowhere(ObjectOperation::RemoveFromSite), BusErrorKind::Malformed, "is to be removed from a site"),
    ] {
        let refused = bus.process_external_task(task).await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{refused}");
        assert!(refused.to_string().contains(remedy), "{refused} should contain {remedy}");
    }
    assert_eq!(bus.counters("crm", Direction::Incoming).await.logged, 0);
}

async fn a_site_that_was_removed_meanwhile_parks_what_names_it(bus: TestBus) {
    let (bus, _) = with_log(bus);
    let bus = bus.start().await;
    bus.set_switches(bus_runtime::Switches { process_incoming: false, ..bus.switches() }).await.unwrap();
    send(&bus, ExternalTask::add_to_site::<Crm, _>("crm", &ada(), "corp")).await;
    assert!(bus.sites().remove("corp").await.unwrap());
    bus.set_switches(bus_runtime::Switches::default()).await.unwrap();
    bus.until_idle().await;
    let reason = reason_of_parked(&bus).await;
    assert!(reason.contains("site `corp` is not registered"), "{reason}");
    assert!(found(&bus).await.is_none());

    // Once the site is there again, it can be retried; ended, it can be redelivered.
    let parked = bus.open("crm", Direction::Incoming).await[0].delivery;
    bus.skip(parked, &ops()).await.unwrap();
    let refused = bus.redeliver(parked, &ops()).await.unwrap_err();
    assert_eq!(refused.kind(), BusErrorKind::UnknownSite, "{refused}");
    bus.sites().register(bus_core::Site::new("corp").unwrap()).await.unwrap();
    bus.redeliver(parked, &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(sites_of_ada(&bus).await, ["corp"]);
    let queue = QueueId::new("crm".parse().unwrap(), Direction::Incoming);
    let completed = DeliveryFilter { state: Some(DeliveryState::Completed), ..DeliveryFilter::default() };
    assert_eq!(bus.deliveries(&queue, &completed).await.unwrap()[0].title, "add to site contact 003");
}
