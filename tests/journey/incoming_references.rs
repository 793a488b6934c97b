//! External objects that refer to others: found, asked for, or waited for.

use std::time::Duration;

use bus_core::{DeliveryState, Direction, ExternalTask};
use bus_runtime::Switches;
use bus_testkit::TestBus;
use bus_tests::{Account, Company, Contact, Crm, User};

use crate::told::with_crm;

stories!(
    the_connector_is_asked_once_per_distinct_reference,
    a_missing_object_is_waited_for_and_its_arrival_wakes_the_task,
    the_hosts_own_save_wakes_it_too,
    a_reference_to_itself_never_waits,
    references_in_any_order_all_arrive,
    a_reference_that_never_arrives_is_parked_after_the_deadline
);

fn contact(uid: &str, account: Option<&str>, boss: Option<&str>) -> Contact {
    let mut contact = Contact::new(uid, &format!("user{uid}"), &format!("User {uid}"));
    contact.account = account.map(str::to_owned);
    contact.boss = boss.map(str::to_owned);
    contact
}

async fn the_connector_is_asked_once_per_distinct_reference(bus: TestBus) {
    let (bus, peer, directory) = with_crm(bus);
    let bus = bus.start().await;
    let mut acme = Company::new("acme", "Acme");
    let mut ada = User::new("ada", "Ada");
    // The CRM knew both before it was connected.
    bus.set_switches(Switches { log_outgoing: false, ..Switches::default() }).await.unwrap();
    bus.objects().save(&mut acme).await.unwrap();
    bus.objects().save(&mut ada).await.unwrap();
    bus.set_switches(Switches::default()).await.unwrap();
    directory.add("app.company", "A-1", "acme");
    directory.add("app.user", "001", "ada");
    let task = ExternalTask::create::<Crm, _>("crm", &contact("002", Some("A-1"), Some("001")));
    bus.process_external_task(task).await.unwrap();
    bus.until_idle().await;
    assert_eq!(peer.take_calls(), ["who is app.company A-1", "who is app.user 001"]);
    let user: User = bus.objects().find("user002").await.unwrap().unwrap();
    assert_eq!(user.company.unwrap().host_id(), Some(&acme.id));
    assert_eq!(user.manager.unwrap().host_id(), Some(&ada.id));

    // The answer is kept: nobody is asked twice.
    let task = ExternalTask::create::<Crm, _>("crm", &contact("003", Some("A-1"), Some("001")));
    bus.process_external_task(task).await.unwrap();
    bus.until_idle().await;
    assert_eq!(peer.take_calls(), [] as [&str; 0]);
}

async fn a_missing_object_is_waited_for_and_its_arrival_wakes_the_task(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    let task = ExternalTask::create::<Crm, _>("crm", &contact("002", Some("A-1"), None));
    bus.process_external_task(task).await.unwrap();
    bus.until_idle().await;
    let open = bus.open("crm", Direction::Incoming).await;
    assert_eq!((open[0].state, open[0].attempts), (DeliveryState::Waiting, 0));
    let reason = open[0].reason.as_deref().unwrap();
    assert_eq!(reason, "waits for app.company `A-1` of connector crm, which is not in the host yet");

    let account = Account::new("A-1", "acme", "Acme");
    bus.process_external_task(ExternalTask::create::<Crm, _>("crm", &account)).await.unwrap();
    bus.until_idle().await;
    let user: User = bus.objects().find("user002").await.unwrap().unwrap();
    let company: Company = bus.objects().find("acme").await.unwrap().unwrap();
    assert_eq!(user.company.unwrap().host_id(), Some(&company.id));
    let counters = bus.counters("crm", Direction::Incoming).await;
    assert_eq!((counters.open, counters.waited, counters.retried), (0, 1, 0));
}

async fn the_hosts_own_save_wakes_it_too(bus: TestBus) {
    let (bus, _, directory) = with_crm(bus);
    let bus = bus.start().await;
    directory.add("app.company", "A-1", "acme");
    let task = ExternalTask::create::<Crm, _>("crm", &contact("002", Some("A-1"), None));
    bus.process_external_task(task).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.open("crm", Direction::Incoming).await[0].state, DeliveryState::Waiting);
    bus.objects().save(&mut Company::new("other", "Other")).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.open("crm", Direction::Incoming).await[0].state, DeliveryState::Waiting);
    bus.objects().save(&mut Company::new("acme", "Acme")).await.unwrap();
    bus.until_idle().await;
    assert!(bus.objects().find::<User>("user002").await.unwrap().is_some());
}

async fn a_reference_to_itself_never_waits(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    let task = ExternalTask::create::<Crm, _>("crm", &contact("001", None, Some("001")));
    bus.process_external_task(task).await.unwrap();
    bus.until_idle().await;
    let user: User = bus.objects().find("user001").await.unwrap().unwrap();
    assert_eq!(user.manager.clone().unwrap().host_id(), Some(&user.id));
}

async fn references_in_any_order_all_arrive(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    // Each reports to the next, and the last is logged first to last: 200 deep, everybody waits.
    for number in 0..200 {
        let boss = (number < 199).then(|| format!("{:03}", number + 1));
        let task = contact(&format!("{number:03}"), Some("A-1"), boss.as_deref());
        bus.process_external_task(ExternalTask::create::<Crm, _>("crm", &task)).await.unwrap();
    }
    let account = Account::new("A-1", "acme", "Acme");
    bus.process_external_task(ExternalTask::create::<Crm, _>("crm", &account)).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.objects().count::<User>().await.unwrap(), 200);
    assert!(bus.open("crm", Direction::Incoming).await.is_empty());
    assert!(bus.open("crm", Direction::Outgoing).await.is_empty());
}

async fn a_reference_that_never_arrives_is_parked_after_the_deadline(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    let task = ExternalTask::create::<Crm, _>("crm", &contact("002", Some("A-1"), None));
    bus.process_external_task(task).await.unwrap();
    for _ in 0..3 {
        bus.until_idle().await;
        assert_eq!(bus.open("crm", Direction::Incoming).await[0].state, DeliveryState::Waiting);
        bus.clock().advance(Duration::from_hours(72));
    }
    bus.until_idle().await;
    let open = bus.open("crm", Direction::Incoming).await;
    assert_eq!(open[0].state, DeliveryState::Parked);
    assert!(
        open[0].reason.as_deref().unwrap().contains("did not arrive within the wait deadline"),
        "{open:?}"
    );
}
