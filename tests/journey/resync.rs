//! A connector is told of everything once more: after it was disabled, or when its external system was set back.

use bus_core::{Direction, ObjectOperation};
use bus_runtime::{
    Advice, BusErrorKind, ConnectorState, Operator, Resync, ResyncId, ResyncRecord, ResyncState, StoreConfig,
    Synchronous,
};
use bus_testkit::{FakePeer, RunningTestBus, TestBus};
use bus_tests::{Company, EventLog, User};

use crate::gates::Gates;
use crate::pages::{Article, Reader, article, with_sites};
use crate::told::{ops, until, with_crm};

stories!(
    a_resync_tells_one_connector_of_what_there_is_now,
    a_resync_creates_what_the_external_system_does_not_know,
    a_change_during_a_resync_comes_last,
    a_resync_waits_for_its_connector_and_can_be_cancelled,
    a_resync_of_thousands_is_spread_over_time,
    what_cannot_be_logged_is_skipped_and_counted,
    a_resync_that_makes_no_sense_is_refused,
    pages_are_told_once_more_behind_the_objects,
);

async fn known(bus: &RunningTestBus, resync: ResyncId) -> ResyncRecord {
    let resyncs = bus.resyncs().await.unwrap();
    resyncs.into_iter().find(|known| known.resync == resync).unwrap()
}

async fn a_resync_tells_one_connector_of_what_there_is_now(bus: TestBus) {
    let log = FakePeer::new("log");
    let (bus, crm, _) = with_crm(bus.connector::<EventLog>("one").connector::<EventLog>("other"));
    drop(crm);
    // Both write to the same log.
    let bus = bus.provide(log.clone()).start().await;
    let mut ada = User::new("ada", "Ada");
    bus.objects().save(&mut ada).await.unwrap();
    ada.login = "ada.king".to_owned();
    bus.objects().save(&mut ada).await.unwrap();
    let mut eve = User::new("eve", "Eve");
    bus.objects().save(&mut eve).await.unwrap();
    bus.objects().save(&mut User::new("bob", "Bob")).await.unwrap();
    bus.objects().delete::<User>(&eve.id).await.unwrap();
    bus.until_idle().await;
    log.take_calls();
    let logged = || async {
        let mut logged = Vec::new();
        for connector in ["one", "other", "crm"] {
            logged.push(bus.counters(connector, Direction::Outgoing).await.logged);
        }
        logged
    };
    let before = logged().await;

    let resync = bus.resync(&"one".parse().unwrap(), Resync::of::<User>(), &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(log.take_calls(), ["create ada.king snapshot", "create bob snapshot"], "as they are now");
    assert_eq!(logged().await, [before[0] + 2, before[1], before[2]]);
    let known = known(&bus, resync).await;
    assert_eq!((known.state, known.logged, known.skipped), (ResyncState::Done, 2, 0));
    assert_eq!((known.what.by.as_str(), known.what.reason.as_deref()), ("jane", Some("the story says so")));
}

async fn a_resync_creates_what_the_external_system_does_not_know(bus: TestBus) {
    let (bus, crm, _) = with_crm(bus);
    let bus = bus.start().await;
    let mut acme = Company::new("acme", "Acme");
    bus.objects().save(&mut acme).await.unwrap();
    bus.objects().save(&mut User::new("ada", "Ada").at(&acme)).await.unwrap();
    bus.until_idle().await;
    let crm_name = "crm".parse().unwrap();
    assert_eq!(bus.set_connector_state(&crm_name, ConnectorState::Disabled).await.unwrap(), None);
    bus.objects().save(&mut Company::new("globex", "Globex")).await.unwrap();
    bus.until_idle().await;
    crm.take_calls();

    let advice = bus.set_connector_state(&crm_name, ConnectorState::Enabled).await.unwrap();
    assert_eq!(advice, Some(Advice::Resync));
    assert!(Advice::Resync.to_string().contains("resync it"));
    let told = bus.set_connector_state(&crm_name, ConnectorState::Paused).await.unwrap();
    assert_eq!(told, None, "it logged all the time");
    bus.set_connector_state(&crm_name, ConnectorState::Enabled).await.unwrap();
    let all = bus.resync(&crm_name, Resync::of_types("%"), &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(known(&bus, all).await.logged, 3);
    assert_eq!(crm.records().len(), 3, "two updates and a create: {:?}", crm.calls());
    let delivered = bus.store().resyncs().await.unwrap();
    assert_eq!(delivered.len(), 1);
}

async fn a_change_during_a_resync_comes_last(bus: TestBus) {
    let (bus, crm, _) = with_crm(bus);
    let bus = bus.start().await;
    let mut users = Vec::new();
    for number in 0..250 {
        let mut user = User::new(&format!("u{number}"), "before");
        bus.objects().save(&mut user).await.unwrap();
        users.push(user);
    }
    bus.until_idle().await;
    crm.take_calls();
    let resync = bus.resync(&"crm".parse().unwrap(), Resync::of::<User>(), &ops()).await.unwrap();
    // Beside it, without waiting for it.
    for user in users.iter_mut().rev() {
        user.name = "after".to_owned();
        bus.objects().save(user).await.unwrap();
    }
    bus.until_idle().await;
    assert_eq!(known(&bus, resync).await.state, ResyncState::Done);
    let records = crm.records();
    assert_eq!(records.len(), users.len());
    assert!(
        records.values().all(|record| record["name"] == "after"),
        "an old version never follows a newer one"
    );
}

async fn a_resync_waits_for_its_connector_and_can_be_cancelled(bus: TestBus) {
    let log = FakePeer::new("log");
    let bus = bus.connector::<EventLog>("log").object::<User>().object::<Company>().provide(log.clone());
    let bus = bus.start().await;
    let name = "log".parse().unwrap();
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    bus.until_idle().await;
    log.take_calls();
    bus.set_connector_state(&name, ConnectorState::Disabled).await.unwrap();
    let given_up = bus.resync(&name, Resync::of::<User>(), &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(known(&bus, given_up).await.state, ResyncState::Running);
    let refused = bus.resync(&name, Resync::of::<User>(), &ops()).await.unwrap_err();
    assert_eq!(refused.kind(), BusErrorKind::Conflict);
    assert!(refused.to_string().contains("wait for its end, or cancel it"), "{refused}");
    assert!(bus.cancel_resync(given_up, &ops()).await.unwrap());
    assert!(!bus.cancel_resync(given_up, &ops()).await.unwrap());

    let resync = bus.resync(&name, Resync::of::<User>(), &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(log.calls(), [] as [&str; 0]);
    bus.set_connector_state(&name, ConnectorState::Enabled).await.unwrap();
    until(async || known(&bus, resync).await.state == ResyncState::Done).await;
    bus.until_idle().await;
    assert_eq!(log.calls(), ["create ada snapshot"]);
    assert_eq!(known(&bus, given_up).await.state, ResyncState::Cancelled);
}

async fn a_resync_of_thousands_is_spread_over_time(bus: TestBus) {
    let log = FakePeer::new("log");
    let bus = bus.connector::<EventLog>("log").object::<User>().object::<Company>().provide(log.clone());
    let bus = bus.start().await;
    let name = "log".parse().unwrap();
    bus.set_connector_state(&name, ConnectorState::Disabled).await.unwrap();
    for number in 0..1_250 {
        bus.objects().save(&mut User::new(&format!("u{number}"), "")).await.unwrap();
    }
    bus.set_connector_state(&name, ConnectorState::Paused).await.unwrap();
    let resync = bus.resync(&name, Resync::of::<User>(), &ops()).await.unwrap();
    bus.until_idle().await;
    let held = known(&bus, resync).await;
    assert_eq!((held.state, held.logged), (ResyncState::Running, 1_000), "the queue is long enough");
    bus.set_connector_state(&name, ConnectorState::Enabled).await.unwrap();
    bus.until_idle().await;
    let done = known(&bus, resync).await;
    assert_eq!((done.state, done.logged), (ResyncState::Done, 1_250));
    assert_eq!(log.calls().len(), 1_250);
}

async fn what_cannot_be_logged_is_skipped_and_counted(bus: TestBus) {
    let log = FakePeer::new("log");
    let bus = bus.connector::<EventLog>("log").object::<User>().object::<Company>().provide(log.clone());
    let bus = bus.configure(|config| config.limits.payload_bytes_max = 1_000).start().await;
    let name = "log".parse().unwrap();
    bus.set_connector_state(&name, ConnectorState::Disabled).await.unwrap();
    // Nobody is told of it, so nobody looks at its size.
    bus.objects().save(&mut User::new("long", &"x".repeat(2_000))).await.unwrap();
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    bus.set_connector_state(&name, ConnectorState::Enabled).await.unwrap();
    let resync = bus.resync(&name, Resync::of::<User>(), &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(log.calls(), ["create ada snapshot"]);
    let known = known(&bus, resync).await;
    assert_eq!((known.state, known.logged, known.skipped), (ResyncState::Done, 1, 1));
}

async fn a_resync_that_makes_no_sense_is_refused(bus: TestBus) {
    let log = FakePeer::new("log");
    let bus =
        bus.connector::<EventLog>("log").object::<User>().object::<Company>().provide(log).start().await;
    let name = "log".parse().unwrap();
    for (connector, what, by, kind, reason) in [
        (
            "lgo",
            Resync::of::<User>(),
            ops(),
            BusErrorKind::UnknownConnector,
            "no connector lgo is registered",
        ),
        (
            "log",
            Resync::of::<Company>(),
            ops(),
            BusErrorKind::ConnectorUnable,
            "told nothing of `app.company`",
        ),
        (
            "log",
            Resync::of_types("app.usr"),
            ops(),
            BusErrorKind::ConnectorUnable,
            "told nothing of `app.usr`",
        ),
        ("log", Resync::of_types(""), ops(), BusErrorKind::ConnectorUnable, "told nothing of ``"),
        ("log", Resync::of::<User>(), Operator::named(" "), BusErrorKind::BadName, "say who asks"),
    ] {
        let refused = bus.resync(&connector.parse().unwrap(), what, &by).await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{refused}");
        assert!(refused.to_string().contains(reason), "{refused}");
    }
    assert_eq!(bus.resyncs().await.unwrap(), []);
    assert!(!bus.cancel_resync(ResyncId(99), &ops()).await.unwrap());
    let nobody = bus.cancel_resync(ResyncId(99), &Operator::named("")).await.unwrap_err();
    assert_eq!(nobody.kind(), BusErrorKind::BadName);
    let empty = bus.resync(&name, Resync::of::<User>(), &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(known(&bus, empty).await.state, ResyncState::Done, "of nothing it is done at once");
}

#[tokio::test]
async fn a_resync_is_resumed_after_a_restart() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("bus.db");
    let log = FakePeer::new("log");
    let on_file = || {
        let path = path.clone();
        let bus = TestBus::new().connector::<EventLog>("log").object::<User>().object::<Company>();
        bus.provide(log.clone()).configure(move |config| {
            config.store = StoreConfig::Sqlite { path, synchronous: Synchronous::Normal }
        })
    };
    let name = "log".parse().unwrap();
    let bus = on_file().start().await;
    bus.set_connector_state(&name, ConnectorState::Disabled).await.unwrap();
    for number in 0..1_150 {
        bus.objects().save(&mut User::new(&format!("u{number:04}"), "")).await.unwrap();
    }
    bus.set_connector_state(&name, ConnectorState::Paused).await.unwrap();
    let resync = bus.resync(&name, Resync::of::<User>(), &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(known(&bus, resync).await.logged, 1_000);
    bus.shutdown().await;

    let bus = on_file().start().await;
    bus.set_connector_state(&name, ConnectorState::Enabled).await.unwrap();
    bus.until_idle().await;
    let done = known(&bus, resync).await;
    assert_eq!((done.state, done.logged), (ResyncState::Done, 1_150));
    let mut calls = log.take_calls();
    assert_eq!(calls.len(), 1_150, "each of them");
    calls.sort();
    calls.dedup();
    assert_eq!(calls.len(), 1_150, "once");
    let create = ObjectOperation::Create.as_str();
    assert!(calls.iter().all(|call| call.starts_with(create)), "{calls:?}");
}

async fn pages_are_told_once_more_behind_the_objects(bus: TestBus) {
    let gates = Gates::new();
    let bus = with_sites(bus).connector::<Reader>("reader").provide(gates.clone()).start().await;
    let reader = "reader".parse().unwrap();
    for number in 0..150 {
        let mut page = article("en-US", &format!("Page-{number:03}"), "1");
        bus.pages().save(&mut page).await.unwrap();
        if number == 0 {
            bus.pages().publish(page.node.guid, "en-US").await.unwrap();
            page.node = page.node.in_culture("de-DE");
            bus.pages().save(&mut page).await.unwrap();
        }
    }
    bus.until_idle().await;
    gates.take_calls();
    let by = Operator::named("jane");
    let resync = bus.resync(&reader, Resync::of_pages::<Article>(), &by).await.unwrap();
    until(async || known(&bus, resync).await.state == ResyncState::Done).await;
    bus.until_idle().await;
    let told = gates.take_calls();
    assert_eq!(told.len(), 151, "each page in each of its cultures");
    let mut first = told[..2].to_vec();
    first.sort();
    assert_eq!(first, ["update /Page-000 de-DE draft 1", "update /Page-000 en-US published 1"]);
    assert_eq!(told[150], "update /Page-149 en-US draft 1");
    assert_eq!((known(&bus, resync).await.logged, known(&bus, resync).await.skipped), (151, 0));
    let refused = bus.resync(&reader, Resync::of_types("shop.%"), &by).await.unwrap_err();
    assert_eq!(refused.kind(), BusErrorKind::ConnectorUnable, "it takes no products: {refused}");
}
