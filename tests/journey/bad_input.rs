//! What is wrong is refused with its name and a remedy, or kept and parked; nothing is lost, nothing panics.

use bus_core::{DeliveryState, Direction, ExternalTask};
use bus_runtime::BusErrorKind;
use bus_testkit::{FakePeer, TestBus};
use bus_tests::{Company, Contact, Crm, Directory, User};

use crate::told::with_crm;

stories!(
    each_refusal_names_the_thing_and_the_remedy,
    what_does_not_decode_is_parked_with_its_bytes,
    a_host_object_that_cannot_be_is_refused,
    a_type_that_nobody_declares_is_named
);

async fn each_refusal_names_the_thing_and_the_remedy(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.configure(|config| config.limits.payload_bytes_max = 1_000).start().await;
    let big = serde_json::json!({ "uid": "1", "login": "x".repeat(2_000), "name": "" }).to_string();
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let table = [
        (
            ExternalTask::received("erp", "contact", b"{}".to_vec()),
            BusErrorKind::UnknownConnector,
            "[connectors.erp]",
        ),
        (
            ExternalTask::received("Crm EU", "contact", b"{}".to_vec()),
            BusErrorKind::BadName,
            "such as `crm-eu`",
        ),
        (
            ExternalTask::received("crm", "invoice", b"{}".to_vec()),
            BusErrorKind::UnknownKind,
            "contact, account",
        ),
        (
            ExternalTask::received("crm", "contact", b"{\"uid\":".to_vec()),
            BusErrorKind::Malformed,
            "is not JSON",
        ),
        (ExternalTask::received("crm", "contact", vec![0xff, 0xfe]), BusErrorKind::Malformed, "is not JSON"),
        (ExternalTask::received("crm", "contact", deep), BusErrorKind::Malformed, "deeper than 64 levels"),
        (ExternalTask::received("crm", "contact", big), BusErrorKind::TooLarge, "`payload_bytes_max`"),
        (
            ExternalTask::received("crm", "contact", b"{}".to_vec()).site("a/b"),
            BusErrorKind::BadName,
            "such as `corp`",
        ),
        (
            ExternalTask::received("crm", "contact", b"{}".to_vec()).key("k".repeat(5_000)),
            BusErrorKind::TooLarge,
            "shorter",
        ),
        (
            ExternalTask::received("crm", "contact", b"{}".to_vec()).key(""),
            BusErrorKind::Malformed,
            "what identifies it",
        ),
    ];
    for (task, kind, remedy) in table {
        let shown = format!("{task:?}");
        let refused = bus.process_external_task(task).await.expect_err(&shown);
        assert_eq!(refused.kind(), kind, "{refused:?}");
        assert!(refused.to_string().contains(remedy), "{refused} should contain {remedy}");
    }
    assert_eq!(bus.counters("crm", Direction::Incoming).await.logged, 0);
}

async fn what_does_not_decode_is_parked_with_its_bytes(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    let body = br#"{"uid": "003", "login": 17}"#;
    bus.process_external_task(ExternalTask::received("crm", "contact", body.to_vec())).await.unwrap();
    let other = Contact::new("003", "ada", "Ada");
    bus.process_external_task(ExternalTask::create::<Crm, _>("crm", &other)).await.unwrap();
    bus.until_idle().await;
    let open = bus.open("crm", Direction::Incoming).await;
    assert_eq!((open.len(), open[0].state), (1, DeliveryState::Parked));
    assert!(open[0].reason.as_deref().unwrap().contains("invalid type: integer `17`"), "{open:?}");
    assert_eq!(bus.delivery(open[0].delivery).await.unwrap().data, body);
    assert!(bus.objects().find::<User>("ada").await.unwrap().is_some(), "that task alone is parked");
}

async fn a_host_object_that_cannot_be_is_refused(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    let taken = bus.objects().save(&mut User::new("ada", "Another Ada")).await.unwrap_err();
    assert_eq!(taken.kind(), BusErrorKind::Conflict);
    assert!(taken.to_string().contains("ada"), "{taken}");
    let mut external = User::new("bob", "Bob");
    external.company = Some(bus_core::Ref::external("A-1"));
    let refused = bus.objects().save(&mut external).await.unwrap_err();
    assert_eq!(refused.kind(), BusErrorKind::Malformed);
    assert!(refused.to_string().contains("`Ref::host`"), "{refused}");
    let mut placed = User::new("eve", "Eve");
    placed.site = Some("no site".to_owned());
    let refused = bus.objects().save(&mut placed).await.unwrap_err();
    assert!(refused.to_string().contains("`no site` is not a site name"), "{refused}");
    assert!(
        bus.delivery(bus_core::DeliveryId(4711))
            .await
            .is_err_and(|error| error.kind() == BusErrorKind::NotFound)
    );
}

async fn a_type_that_nobody_declares_is_named(bus: TestBus) {
    // Linked without `Company`.
    let bus = bus.connector::<Crm>("crm").object::<User>();
    let bus = bus.provide(FakePeer::new("crm")).provide(Directory::default()).start().await;
    let refused = bus.objects().save(&mut Company::new("acme", "Acme")).await.unwrap_err();
    assert_eq!(refused.kind(), BusErrorKind::UnknownKind);
    assert!(refused.to_string().contains("`app.company`"), "{refused}");

    let mut contact = Contact::new("003", "ada", "Ada");
    contact.account = Some("A-1".to_owned());
    bus.process_external_task(ExternalTask::create::<Crm, _>("crm", &contact)).await.unwrap();
    bus.until_idle().await;
    let open = bus.open("crm", Direction::Incoming).await;
    assert_eq!(open[0].state, DeliveryState::Parked);
    let reason = open[0].reason.as_deref().unwrap();
    assert!(
        reason.contains("app.company `A-1`")
            && reason.contains("a type that nobody in this program declares"),
        "{reason}"
    );
}
