//! Deliveries that wait for each other: one of them is parked, and says why.

use bus_core::{DeliveryState, Direction, ExternalTask, Ref};
use bus_runtime::ConnectorState;
use bus_testkit::{RunningTestBus, TestBus};
use bus_tests::{Contact, Crm, User};

use crate::told::{ops, with_crm};

stories!(
    two_users_who_refer_to_each_other_are_parked_with_the_chain,
    three_in_a_circle_are_found,
    two_contacts_who_refer_to_each_other_are_parked_with_the_chain,
    who_refers_to_themselves_never_waits
);

/// Users whom the CRM does not know.
async fn unknown<const N: usize>(bus: TestBus, logins: [&str; N]) -> (RunningTestBus, [User; N]) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    let crm = "crm".parse().unwrap();
    bus.set_connector_state(&crm, ConnectorState::Disabled).await.unwrap();
    let mut users = logins.map(|login| User::new(login, login));
    for user in &mut users {
        bus.objects().save(user).await.unwrap();
    }
    bus.set_connector_state(&crm, ConnectorState::Enabled).await.unwrap();
    (bus, users)
}

async fn report_to(bus: &RunningTestBus, user: &mut User, manager: &User) {
    user.manager = Some(Ref::host(manager.id));
    bus.objects().save(user).await.unwrap();
    bus.until_idle().await;
}

async fn two_users_who_refer_to_each_other_are_parked_with_the_chain(bus: TestBus) {
    let (bus, [mut ada, mut bob]) = unknown(bus, ["ada", "bob"]).await;
    report_to(&bus, &mut ada, &bob).await;
    report_to(&bus, &mut bob, &ada).await;
    let open = bus.open("crm", Direction::Outgoing).await;
    assert_eq!((open[0].state, open[1].state), (DeliveryState::Waiting, DeliveryState::Parked));
    let reason = open[1].reason.clone().unwrap();
    let chain = format!(
        "it waits for app.user {}, which delivery {} brings, which waits for app.user {}, which is itself",
        ada.id, open[0].delivery, bob.id
    );
    assert!(reason.contains(&chain), "{reason}");
    // A person breaks the circle: one of them goes without the reference, and the other follows.
    bob.manager = None;
    bus.objects().save(&mut bob).await.unwrap();
    bus.skip(open[1].delivery, &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.counters("crm", Direction::Outgoing).await.open, 0);
}

async fn three_in_a_circle_are_found(bus: TestBus) {
    let (bus, [mut a, mut b, mut c]) = unknown(bus, ["a", "b", "c"]).await;
    report_to(&bus, &mut a, &b).await;
    report_to(&bus, &mut b, &c).await;
    report_to(&bus, &mut c, &a).await;
    let states: Vec<_> = bus.open("crm", Direction::Outgoing).await.iter().map(|row| row.state).collect();
    assert_eq!(states, [DeliveryState::Waiting, DeliveryState::Waiting, DeliveryState::Parked]);
}

async fn two_contacts_who_refer_to_each_other_are_parked_with_the_chain(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    let send = async |uid: &str, boss: Option<&str>| {
        let contact = Contact { boss: boss.map(str::to_owned), ..Contact::new(uid, uid, uid) };
        let task = ExternalTask::create::<Crm, _>("crm", &contact);
        bus.process_external_task(task).await.unwrap();
        bus.until_idle().await;
    };
    send("ada", Some("bob")).await;
    send("bob", Some("ada")).await;
    let open = bus.open("crm", Direction::Incoming).await;
    assert_eq!((open[0].state, open[1].state), (DeliveryState::Waiting, DeliveryState::Parked));
    let reason = open[1].reason.clone().unwrap();
    let chain = format!("which delivery {} brings, which waits for app.user `bob`", open[0].delivery);
    assert!(reason.contains("it waits for app.user `ada`") && reason.contains(&chain), "{reason}");
    // A person breaks the circle: one of them comes again without the reference.
    bus.skip(open[1].delivery, &ops()).await.unwrap();
    send("bob", None).await;
    assert_eq!(bus.counters("crm", Direction::Incoming).await.open, 0);
    let ada: User = bus.objects().find("ada").await.unwrap().unwrap();
    let bob: User = bus.objects().find("bob").await.unwrap().unwrap();
    assert_eq!((ada.manager, bob.manager), (Some(Ref::host(bob.id)), None));
}

async fn who_refers_to_themselves_never_waits(bus: TestBus) {
    let (bus, [mut ada]) = unknown(bus, ["ada"]).await;
    let itself = ada.clone();
    report_to(&bus, &mut ada, &itself).await;
    let counters = bus.counters("crm", Direction::Outgoing).await;
    assert_eq!((counters.open, counters.waited), (0, 0));
}
