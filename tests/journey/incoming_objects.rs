//! External objects become the host's: created, updated, deleted.

use bus_core::{DeliveryState, Direction, ExternalTask};
use bus_runtime::Switches;
use bus_testkit::TestBus;
use bus_tests::{Contact, Crm, User};

use crate::told::with_crm;

stories!(
    an_existing_code_name_is_updated_not_duplicated,
    a_bound_object_is_found_by_its_external_id,
    a_deleted_contact_takes_its_user_along,
    tasks_of_one_external_object_are_applied_in_order,
    two_external_objects_of_one_host_object_are_parked_with_both_names
);

async fn an_existing_code_name_is_updated_not_duplicated(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    let mut ada = User::new("ada", "Ada");
    ada.note = Some("likes tea".into());
    // The CRM is not told of it: it would call it something else than `003`.
    bus.set_switches(Switches { log_outgoing: false, ..Switches::default() }).await.unwrap();
    bus.objects().save(&mut ada).await.unwrap();
    bus.set_switches(Switches::default()).await.unwrap();
    let contact = Contact::new("003", "ada", "Ada Lovelace");
    bus.process_external_task(ExternalTask::create::<Crm, _>("crm", &contact)).await.unwrap();
    bus.until_idle().await;
    let users: Vec<User> = bus.objects().list(None, 10).await.unwrap();
    assert_eq!(users.len(), 1);
    assert_eq!((users[0].id, users[0].guid), (ada.id, ada.guid), "apply never changes id or GUID");
    assert_eq!(users[0].name, "Ada Lovelace");
    assert_eq!(
        users[0].note.as_deref(),
        Some("likes tea"),
        "a first match resets nothing that only the host knows"
    );
}

async fn a_bound_object_is_found_by_its_external_id(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    bus.process_external_task(ExternalTask::create::<Crm, _>("crm", &Contact::new("003", "ada", "Ada")))
        .await
        .unwrap();
    bus.until_idle().await;
    // Another login, the same contact: the user is renamed, not made anew.
    bus.process_external_task(ExternalTask::update::<Crm, _>("crm", &Contact::new("003", "countess", "Ada")))
        .await
        .unwrap();
    bus.until_idle().await;
    let users: Vec<User> = bus.objects().list(None, 10).await.unwrap();
    assert_eq!(users.iter().map(|user| user.login.as_str()).collect::<Vec<_>>(), ["countess"]);
}

async fn a_deleted_contact_takes_its_user_along(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    let contact = Contact::new("003", "ada", "Ada");
    bus.process_external_task(ExternalTask::create::<Crm, _>("crm", &contact)).await.unwrap();
    bus.process_external_task(ExternalTask::delete::<Crm, _>("crm", &contact)).await.unwrap();
    // A second delete finds nothing, and that is fine.
    bus.process_external_task(ExternalTask::delete::<Crm, _>("crm", &contact)).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.objects().count::<User>().await.unwrap(), 0);
    let counters = bus.counters("crm", Direction::Incoming).await;
    assert_eq!((counters.completed, counters.open), (3, 0));
    assert!(bus.store().bindings(&"crm".parse().unwrap(), None, 10).await.unwrap().is_empty());
}

async fn tasks_of_one_external_object_are_applied_in_order(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    for turn in 0..50 {
        for uid in ["1", "2", "3"] {
            let contact = Contact::new(uid, &format!("user{uid}"), &format!("turn {turn}"));
            bus.process_external_task(ExternalTask::update::<Crm, _>("crm", &contact)).await.unwrap();
        }
    }
    bus.until_idle().await;
    let users: Vec<User> = bus.objects().list(None, 10).await.unwrap();
    assert_eq!(users.len(), 3);
    assert!(users.iter().all(|user| user.name == "turn 49"), "{users:?}");
}

async fn two_external_objects_of_one_host_object_are_parked_with_both_names(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    let send = async |task: ExternalTask| {
        bus.process_external_task(task).await.unwrap();
        bus.until_idle().await;
    };
    let (first, second) = (Contact::new("003", "ada", "Ada"), Contact::new("004", "ada", "Another Ada"));
    send(ExternalTask::create::<Crm, _>("crm", &first)).await;
    // What is not ours to delete is not there.
    send(ExternalTask::delete::<Crm, _>("crm", &second)).await;
    send(ExternalTask::create::<Crm, _>("crm", &second)).await;
    let users: Vec<User> = bus.objects().list(None, 10).await.unwrap();
    assert_eq!(users.iter().map(|user| user.name.as_str()).collect::<Vec<_>>(), ["Ada"]);
    let open = bus.open("crm", Direction::Incoming).await;
    assert_eq!((open.len(), open[0].state), (1, DeliveryState::Parked));
    assert_eq!(
        open[0].reason.as_deref(),
        Some(
            format!(
                "it matches app.user {}, which the external system calls `003` already; unlink that, or mend what \
                 identifies one of them",
                users[0].id
            )
            .as_str()
        )
    );
    // Mended, it is what it says.
    send(ExternalTask::update::<Crm, _>("crm", &Contact::new("003", "ada2", "Ada"))).await;
    bus.retry(open[0].delivery, &crate::told::ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.open("crm", Direction::Incoming).await.len(), 0);
    assert_eq!(bus.objects().find::<User>("ada").await.unwrap().unwrap().name, "Another Ada");
}
