//! What has ended is delivered once more: as it is now, at the end of its key.

use bus_core::{DeliveryId, DeliveryState, Direction, ErrorPolicy, ExternalTask, ObjectOperation};
use bus_runtime::{BusErrorKind, ConnectorState, DeliveryFilter, QueueId, Redelivery};
use bus_testkit::{FakePeer, RunningTestBus, Script, TestBus};
use bus_tests::{Company, Contact, Crm, EventLog, User};

use crate::told::{ops, with_crm};

stories!(
    an_outgoing_one_carries_what_the_object_is_now,
    a_create_stays_one_until_the_external_system_knows_the_object,
    of_an_object_that_is_gone_only_the_delete_is_delivered_again,
    an_incoming_one_is_applied_again_from_its_bytes,
    what_is_open_or_has_no_connector_is_refused
);

/// What says who asked for it.
fn by_jane(of: DeliveryId) -> Redelivery {
    let jane = ops();
    Redelivery { of, by: jane.name, reason: jane.reason }
}

/// The deliveries that ended, oldest first.
async fn ended(bus: &RunningTestBus, connector: &str, direction: Direction) -> Vec<DeliveryId> {
    let queue = QueueId::new(connector.parse().unwrap(), direction);
    let mut ended = Vec::new();
    for state in DeliveryState::FINAL {
        let filter = DeliveryFilter { state: Some(state), ..DeliveryFilter::default() };
        ended.extend(bus.deliveries(&queue, &filter).await.unwrap().iter().map(|row| row.delivery));
    }
    ended.sort_unstable();
    ended
}

async fn an_outgoing_one_carries_what_the_object_is_now(bus: TestBus) {
    let (bus, peer, _) = with_crm(bus);
    let bus = bus.start().await;
    let mut acme = Company::new("acme", "Acme");
    bus.objects().save(&mut acme).await.unwrap();
    let mut ada = User::new("ada", "Ada").at(&acme);
    bus.objects().save(&mut ada).await.unwrap();
    ada.name = "Ada Lovelace".to_owned();
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    let old = ended(&bus, "crm", Direction::Outgoing).await;
    peer.take_calls();

    bus.redeliver(old[1], &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(peer.calls(), ["put crm-2"]);
    let sent = peer.get("crm-2").unwrap();
    assert_eq!((&sent["name"], &sent["company"]), (&"Ada Lovelace".into(), &"crm-1".into()));
    let new = ended(&bus, "crm", Direction::Outgoing).await[3];
    let (old, new) = (bus.delivery(old[1]).await.unwrap(), bus.delivery(new).await.unwrap());
    assert_eq!(new.summary.redelivers, Some(by_jane(old.summary.delivery)));
    assert_ne!(new.idempotency_key, old.idempotency_key);
    // The external system knows her by now.
    assert_eq!(
        (old.operation, new.operation),
        (ObjectOperation::Create.into(), ObjectOperation::Update.into())
    );
    assert_eq!(old.summary.state, DeliveryState::Completed, "final is final");
}

async fn a_create_stays_one_until_the_external_system_knows_the_object(bus: TestBus) {
    let (bus, peer, _) = with_crm(bus);
    let bus = bus.start().await;
    peer.script([Script::Reject("no".to_owned())]);
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    bus.until_idle().await;
    let parked = bus.open("crm", Direction::Outgoing).await[0].delivery;
    bus.skip(parked, &ops()).await.unwrap();
    for _ in 0..2 {
        bus.redeliver(parked, &ops()).await.unwrap();
        bus.until_idle().await;
    }
    let queue = QueueId::new("crm".parse().unwrap(), Direction::Outgoing);
    let completed = DeliveryFilter { state: Some(DeliveryState::Completed), ..DeliveryFilter::default() };
    let titles: Vec<_> =
        bus.deliveries(&queue, &completed).await.unwrap().into_iter().map(|row| row.title).collect();
    assert_eq!(titles, ["Create User Ada", "Update User Ada"]);
}

async fn of_an_object_that_is_gone_only_the_delete_is_delivered_again(bus: TestBus) {
    let log = FakePeer::new("log");
    let bus = bus.connector::<EventLog>("event-log").object::<User>().provide(log.clone()).start().await;
    let mut ada = User::new("ada", "Ada");
    bus.objects().save(&mut ada).await.unwrap();
    bus.objects().delete::<User>(&ada.id).await.unwrap();
    bus.until_idle().await;
    let ended = ended(&bus, "event-log", Direction::Outgoing).await;
    log.take_calls();

    let error = bus.redeliver(ended[0], &ops()).await.unwrap_err();
    assert_eq!(error.kind(), BusErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        format!(
            "delivery {} cannot be redelivered: app.user {} is gone, and only its delete can be delivered still; \
             redeliver that, if there is one",
            ended[0], ada.id
        )
    );
    bus.redeliver(ended[1], &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(log.take_calls(), ["delete ada snapshot"]);

    // Somebody brings her back: what counts is that she is there.
    let mut back = ada.clone();
    bus.objects().save(&mut back).await.unwrap();
    bus.redeliver(ended[1], &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(log.calls(), ["create ada snapshot", "create ada snapshot"]);
}

async fn an_incoming_one_is_applied_again_from_its_bytes(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    let task = ExternalTask::create::<Crm, _>("crm", &Contact::new("003", "ada", "from the CRM"));
    bus.process_external_task(task.error_policy(ErrorPolicy::SkipOnError).idempotency_key("first"))
        .await
        .unwrap();
    bus.until_idle().await;
    let mut ada = bus.objects().find::<User>("ada").await.unwrap().unwrap();
    ada.name = "changed by hand".to_owned();
    bus.objects().save(&mut ada).await.unwrap();
    let first = ended(&bus, "crm", Direction::Incoming).await[0];
    bus.redeliver(first, &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.objects().find::<User>("ada").await.unwrap().unwrap().name, "from the CRM");
    let new = bus.delivery(ended(&bus, "crm", Direction::Incoming).await[1]).await.unwrap();
    assert_eq!((new.summary.redelivers, new.policy), (Some(by_jane(first)), ErrorPolicy::SkipOnError));
    assert_eq!(new.summary.key, "contact=003");
}

async fn what_is_open_or_has_no_connector_is_refused(bus: TestBus) {
    let (bus, peer, _) = with_crm(bus);
    let bus = bus.start().await;
    peer.script([Script::Reject("no".to_owned())]);
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    bus.until_idle().await;
    let parked = bus.open("crm", Direction::Outgoing).await[0].delivery;
    let error = bus.redeliver(parked, &ops()).await.unwrap_err();
    assert_eq!(error.kind(), BusErrorKind::WrongState);
    assert!(error.to_string().contains("is parked, and only what has ended is redelivered"), "{error}");
    assert_eq!(bus.redeliver(DeliveryId(4711), &ops()).await.unwrap_err().kind(), BusErrorKind::NotFound);
    bus.skip(parked, &ops()).await.unwrap();
    bus.set_connector_state(&"crm".parse().unwrap(), ConnectorState::Disabled).await.unwrap();
    assert_eq!(bus.redeliver(parked, &ops()).await.unwrap_err().kind(), BusErrorKind::ConnectorUnable);
}
