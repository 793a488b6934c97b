//! Processing and logging switched off and on while the bus runs.

use bus_core::{DeliveryState, Direction, ExternalTask};
use bus_runtime::BusErrorKind;
use bus_store::Switches;
use bus_testkit::TestBus;
use bus_tests::{Company, Contact, Crm, User};

use crate::told::with_crm;

stories!(
    a_task_waits_while_processing_is_off_and_shows_what_it_holds,
    an_incoming_task_waits_while_processing_is_off,
    what_is_not_to_be_logged_is_refused_or_left_out
);

async fn a_task_waits_while_processing_is_off_and_shows_what_it_holds(bus: TestBus) {
    let (bus, peer, _) = with_crm(bus);
    let bus = bus.start().await;
    bus.set_switches(Switches { process_outgoing: false, ..bus.switches() }).await.unwrap();
    let mut acme = Company::new("acme", "Acme");
    bus.objects().save(&mut acme).await.unwrap();
    let mut ada = User::new("ada", "Ada").at(&acme);
    bus.objects().save(&mut ada).await.unwrap();
    ada.name = "Ada Lovelace".into();
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    assert_eq!(peer.calls(), [] as [&str; 0]);

    let open = bus.open("crm", Direction::Outgoing).await;
    let titles: Vec<_> = open.iter().map(|delivery| delivery.title.as_str()).collect();
    assert_eq!(titles, ["Create Company Acme", "Create User Ada", "Update User Ada Lovelace"]);
    assert!(open.iter().all(|delivery| delivery.state != DeliveryState::Running));
    let detail = bus.delivery(open[1].delivery).await.unwrap();
    let data: serde_json::Value = serde_json::from_slice(&detail.data).unwrap();
    assert_eq!(data["object"]["login"], "ada");
    let record = &data["references"][0];
    assert_eq!((record["at"].as_str(), record["type"].as_str()), (Some("/company"), Some("app.company")));
    assert_eq!(record["record"]["code_name"], "acme");

    bus.set_switches(Switches::default()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(peer.calls(), ["put crm-1", "put crm-2", "put crm-2"]);
    assert_eq!(peer.get("crm-2").unwrap()["name"], "Ada Lovelace");
}

async fn an_incoming_task_waits_while_processing_is_off(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.site("corp").start().await;
    bus.set_switches(Switches { process_incoming: false, ..bus.switches() }).await.unwrap();
    let contact = Contact::new("003", "ada", "Ada");
    let task =
        ExternalTask::create::<Crm, _>("crm", &contact).site("corp").data_type(bus_core::DataType::Simple);
    let task = bus.process_external_task(task).await.unwrap();
    bus.until_idle().await;
    let open = bus.open("crm", Direction::Incoming).await;
    assert_eq!((open.len(), open[0].task), (1, task));
    assert_eq!(bus.objects().count::<User>().await.unwrap(), 0);

    bus.set_switches(Switches::default()).await.unwrap();
    bus.request_tasks_processing(None).unwrap();
    bus.until_idle().await;
    let users: Vec<User> = bus.objects().list(None, 10).await.unwrap();
    assert_eq!((users.len(), users[0].login.as_str(), users[0].site.as_deref()), (1, "ada", Some("corp")));
    assert!(bus.open("crm", Direction::Incoming).await.is_empty());
}

async fn what_is_not_to_be_logged_is_refused_or_left_out(bus: TestBus) {
    let (bus, peer, _) = with_crm(bus);
    let bus = bus.start().await;
    bus.set_switches(Switches { log_outgoing: false, log_incoming: false, ..bus.switches() }).await.unwrap();
    let task = ExternalTask::create::<Crm, _>("crm", &Contact::new("003", "ada", "Ada"));
    let refused = bus.process_external_task(task).await.unwrap_err();
    assert_eq!(refused.kind(), BusErrorKind::SwitchedOff);
    assert!(refused.to_string().contains("`log_incoming`"), "{refused}");
    bus.objects().save(&mut User::new("bob", "Bob")).await.unwrap();
    bus.until_idle().await;
    assert_eq!(peer.calls(), [] as [&str; 0]);
    assert_eq!(bus.counters("crm", Direction::Outgoing).await.logged, 0);
}

#[tokio::test]
async fn the_switches_of_the_file_count_at_the_first_start_only() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("bus.toml");
    for (written, expected) in [(false, false), (true, false)] {
        std::fs::write(&file, format!("[switches]\nprocess_outgoing = {written}\n")).unwrap();
        let bus = bus_runtime::start(file.as_path()).await.unwrap();
        assert_eq!(bus.switches().process_outgoing, expected);
        bus.shutdown().await;
    }
    let bus = bus_runtime::start(file.as_path()).await.unwrap();
    bus.set_switches(Switches::default()).await.unwrap();
    bus.shutdown().await;
    let bus = bus_runtime::start(file.as_path()).await.unwrap();
    assert_eq!(bus.switches(), Switches::default(), "what the operator set is kept");
    bus.shutdown().await;
}
