//! Objects that live in the application's own tables, with a repository that tells the bus how to get at them: what an
//! external system sends is applied there, and the delivery is done in the same transaction. Told on SQLite only, as
//! `host_transaction` is.

mod tables;
mod two_owners;

use std::time::Duration;

use bus_core::{BusObject as _, DeliveryState, Direction, ExternalTask, Failure, ObjectId, ObjectKey};
use bus_runtime::{BusErrorKind, DeliveryDetail, DeliveryFilter, Logged, QueueId};
use bus_store_sqlite::capture::{self, Capture};
use bus_store_sqlite::{SqliteOptions, SqliteStore};
use bus_testkit::{FakePeer, RunningTestBus, TestBus};
use bus_tests::{Account, Company, Contact, Crm, Directory, EventLog, User};

use crate::told::with_crm;
use crate::typed_listeners::Registrar;
use tables::{Companies, Host, Manner, late};

fn with_log(host: &Host) -> (TestBus, FakePeer, FakePeer, Directory) {
    let log = FakePeer::new("log");
    let (bus, peer, directory) = with_crm(host.bus());
    (bus, log, peer, directory)
}

async fn crm(host: &Host) -> RunningTestBus {
    let (bus, ..) = with_log(host);
    bus.start().await
}

fn ada() -> Contact {
    Contact::new("003", "ada", "Ada")
}

async fn send(bus: &RunningTestBus, contact: &Contact) {
    bus.process_external_task(ExternalTask::create::<Crm, _>("crm", contact)).await.unwrap();
    bus.until_idle().await;
}

async fn only_delivery(bus: &RunningTestBus) -> DeliveryDetail {
    let queue = QueueId::new("crm".parse().unwrap(), Direction::Incoming);
    let open = bus.store().deliveries(&queue, &DeliveryFilter::default()).await.unwrap();
    let [open] = &open[..] else { panic!("one is open: {open:?}") };
    bus.store().delivery(open.delivery).await.unwrap().unwrap()
}

fn user_key(id: i64) -> ObjectKey {
    ObjectKey { object_type: "app.user".parse().unwrap(), id: ObjectId::Number(id) }
}

/// The repository says that what it writes is its own; whatever else writes is captured.
#[tokio::test]
async fn what_a_repository_writes_is_not_captured_besides() {
    let host = Host::new();
    let log = FakePeer::new("log");
    let bus = host.bus().connector::<Crm>("crm").connector::<EventLog>("event-log");
    let bus = bus.object::<User>().object::<Company>().provide(log.clone()).provide(Directory::default());
    let bus = bus.start().await;
    let store = SqliteStore::open(host.file(), SqliteOptions::default()).unwrap();
    let users = Capture::new(User::TYPE.parse().unwrap(), "users", "id");
    capture::apply(&store, users).await.unwrap();
    send(&bus, &ada()).await;
    assert_eq!(log.take_calls(), ["create ada snapshot"]);
    host.connect().execute("UPDATE users SET note = 'likes tea' WHERE login = 'ada'", []).unwrap();
    bus.until_idle().await;
    assert_eq!(log.take_calls().iter().filter(|call| *call == "update ada snapshot").count(), 1);
    send(&bus, &Contact::new("003", "lovelace", "Ada Lovelace")).await;
    assert_eq!(log.take_calls(), ["update lovelace snapshot"]);
    assert_eq!(capture::check(&store).await.unwrap(), []);
    assert_eq!(bus.outbox().await.unwrap().parked, 0);
}

#[tokio::test]
async fn an_incoming_object_lands_in_the_hosts_own_table_with_its_outcome() {
    let host = Host::new();
    // Users are logged for whoever keeps a log of them, too.
    let log = FakePeer::new("log");
    let bus = host.bus().connector::<Crm>("crm").connector::<EventLog>("event-log");
    let bus = bus.object::<User>().object::<Company>().provide(log.clone()).provide(Directory::default());
    let bus = bus.start().await;
    send(&bus, &ada()).await;
    let user = host.user("ada").unwrap();
    assert_eq!((user.id, user.name.as_str()), (41, "Ada"));
    assert!(!user.guid.is_nil(), "the bus gives it");
    assert_eq!(bus.counters("crm", Direction::Incoming).await.completed, 1);
    assert_eq!(log.take_calls(), ["create ada snapshot"]);
    let identity = bus.identity(&"crm".parse().unwrap());
    assert_eq!(identity.external_id(&user_key(41)).await.unwrap().as_deref(), Some("003"));

    // Nothing is different: nothing is saved.
    send(&bus, &ada()).await;
    assert_eq!(log.take_calls(), [] as [&str; 0]);

    // Found by its binding, although login and name are others; what only the host knows stays, and who sent the rest is
    // told of it: nobody has logged it.
    host.connect().execute("UPDATE users SET note = 'likes tea' WHERE id = 41", []).unwrap();
    send(&bus, &Contact::new("003", "lovelace", "Ada Lovelace")).await;
    let user = host.user("lovelace").unwrap();
    assert_eq!((user.id, user.note.as_deref()), (41, Some("likes tea")));
    let mut calls = log.take_calls();
    calls.sort_unstable();
    assert_eq!(calls, ["put 003", "update lovelace snapshot"]);

    bus.process_external_task(ExternalTask::delete::<Crm, _>("crm", &ada())).await.unwrap();
    bus.until_idle().await;
    assert_eq!(host.users(), 0);
    assert_eq!(log.take_calls(), ["delete lovelace snapshot"]);
    assert_eq!(identity.external_id(&user_key(41)).await.unwrap(), None);
    assert_eq!(bus.outbox().await.unwrap().entries, 0);
    bus.shutdown().await;
}

#[tokio::test]
async fn whoever_listens_to_the_type_may_refuse_what_a_repository_is_to_save() {
    let host = Host::new();
    let registrar = Registrar::default();
    let (bus, ..) = with_log(&host);
    let bus = bus.listen_to::<User>(registrar.clone()).start().await;
    send(&bus, &ada()).await;
    send(&bus, &Contact::new("003", "ada", "Ada Lovelace")).await;
    send(&bus, &Contact::new("004", "eve", "Eve")).await;
    assert_eq!(host.users(), 1);
    let refused = only_delivery(&bus).await.summary;
    assert_eq!(refused.state, DeliveryState::Parked);
    assert!(refused.reason.unwrap().ends_with("the registrar is against it"));
    let heard = ["incoming create by crm: nobody, Ada", "incoming update by crm: Ada, Ada Lovelace"];
    assert_eq!(registrar.heard(), heard);
}

#[tokio::test]
async fn what_the_host_has_already_is_matched_not_made_again() {
    let host = Host::new();
    let bus = crm(&host).await;
    send(&bus, &Contact::new("001", "root", "The Root")).await;
    assert_eq!(host.users(), 0);
    assert_eq!(host.user("root").unwrap().name, "The Root");
    let found: User = bus.objects().find("root").await.unwrap().unwrap();
    let loaded: User = bus.objects().load(&40).await.unwrap().unwrap();
    assert_eq!((found.id, loaded.name.as_str()), (40, "The Root"));
}

#[tokio::test]
async fn a_rolled_back_save_leaves_the_delivery_open() {
    for manner in [Manner::RollsBack, Manner::ForgetsTheStatement] {
        let host = Host::new();
        let bus = crm(&host).await;
        host.misbehave([manner]);
        send(&bus, &ada()).await;
        let open = only_delivery(&bus).await;
        assert_eq!(open.summary.state, DeliveryState::Retryable);
        let reason = open.summary.reason.unwrap();
        assert!(reason.starts_with("the repository of app.user answered that it is done"), "{reason}");
        bus.clock().advance(Duration::from_mins(10));
        bus.until_idle().await;
        assert_eq!(host.users(), 1);
        assert_eq!(bus.counters("crm", Direction::Incoming).await.completed, 1);
    }
}

#[tokio::test]
async fn a_failure_half_way_leaves_nothing_and_is_tried_again() {
    let host = Host::new();
    let bus = crm(&host).await;
    host.misbehave([Manner::FailsHalfWay(Failure::retry("no room on the disk"))]);
    send(&bus, &ada()).await;
    assert_eq!(host.users(), 0);
    assert_eq!(only_delivery(&bus).await.summary.reason.as_deref(), Some("no room on the disk"));
    host.misbehave([Manner::FailsHalfWay(Failure::reject("a login has three letters at least"))]);
    bus.clock().advance(Duration::from_mins(10));
    bus.until_idle().await;
    assert_eq!(only_delivery(&bus).await.summary.state, DeliveryState::Parked);
    assert_eq!(host.users(), 0);
}

#[tokio::test]
async fn a_commit_counts_whatever_the_call_answers() {
    let host = Host::new();
    let bus = crm(&host).await;
    host.misbehave([Manner::CommitsAndFails]);
    send(&bus, &ada()).await;
    assert_eq!(host.users(), 1);
    let counters = bus.counters("crm", Direction::Incoming).await;
    assert_eq!((counters.completed, counters.open), (1, 0));
}

#[tokio::test]
async fn a_conflict_starts_over() {
    let host = Host::new();
    let bus = crm(&host).await;
    send(&bus, &ada()).await;
    host.misbehave([Manner::After("UPDATE users SET note = 'meanwhile' WHERE login = 'ada'")]);
    send(&bus, &Contact::new("003", "ada", "Ada Lovelace")).await;
    assert!(host.is_done());
    let user = host.user("ada").unwrap();
    assert_eq!((user.name.as_str(), user.note.as_deref()), ("Ada Lovelace", Some("meanwhile")));
    let counters = bus.counters("crm", Direction::Incoming).await;
    assert_eq!((counters.completed, counters.retried), (2, 0), "nothing was charged");
}

#[tokio::test]
async fn a_former_owner_cannot_save() {
    let host = Host::new();
    let bus = crm(&host).await;
    host.misbehave([Manner::After("UPDATE bus_queue SET epoch = epoch + 1 WHERE direction = 1")]);
    send(&bus, &ada()).await;
    assert!(host.is_done());
    assert_eq!(host.users(), 0);
    // The worker has lost its queue, and acquires it again.
    bus.clock().advance(Duration::from_mins(1));
    bus.until_idle().await;
    assert_eq!(host.users(), 1);
    assert_eq!(bus.counters("crm", Direction::Incoming).await.completed, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_save_that_comes_after_its_time_out_is_refused() {
    let host = Host::new();
    let bus = crm(&host).await;
    let (manner, go, told) = late();
    host.misbehave([manner]);
    bus.process_external_task(ExternalTask::create::<Crm, _>("crm", &ada())).await.unwrap();
    crate::told::until(async || host.is_done()).await;
    bus.clock().advance(Duration::from_mins(1));
    bus.until_idle().await;
    go.send(()).unwrap();
    let ended = tokio::task::spawn_blocking(move || told.recv().unwrap()).await.unwrap();
    let refused = ended.unwrap_err();
    assert!(refused.contains("in the hands of somebody else by now: roll back"), "{refused}");
    bus.clock().advance(Duration::from_mins(10));
    bus.until_idle().await;
    assert_eq!(host.users(), 1);
    assert_eq!(bus.counters("crm", Direction::Incoming).await.completed, 1);
}

#[tokio::test]
async fn a_settlement_that_is_none_is_refused_with_the_remedy() {
    for (manner, state, words) in [
        (Manner::SettlesAs(0), DeliveryState::Parked, "insert its row first"),
        (Manner::SettlesTwice, DeliveryState::Retryable, "this delivery is settled already"),
    ] {
        let host = Host::new();
        let bus = crm(&host).await;
        host.misbehave([manner]);
        send(&bus, &ada()).await;
        let open = only_delivery(&bus).await.summary;
        let reason = open.reason.unwrap();
        assert!(open.state == state && reason.contains(words), "{reason}");
        assert_eq!(host.users(), 0);
    }
    let host = Host::new();
    let bus = crm(&host).await;
    host.misbehave([Manner::SettlesAs(39)]);
    send(&bus, &Contact::new("001", "root", "The Root")).await;
    let reason = only_delivery(&bus).await.summary.reason.unwrap();
    assert_eq!(reason, "app.user 40 is settled with the id 39; settle it with its own");
    assert_eq!(host.user("root").unwrap().name, "Root");
}

#[tokio::test]
async fn what_a_repository_may_not_answer_is_told() {
    let nobody = User::new("ada", "Ada");
    let stranger = User { id: 7, ..nobody.clone() };
    let abroad = User { id: 7, manager: Some(bus_core::Ref::external("003")), ..nobody.clone() };
    for (manner, state, words) in [
        (Manner::Answers(nobody), DeliveryState::Parked, "answered an object without an id"),
        (Manner::Answers(abroad), DeliveryState::Parked, "reference at /manager holds an external id"),
        (Manner::CannotLook, DeliveryState::Retryable, "the table is locked"),
    ] {
        let host = Host::new();
        let bus = crm(&host).await;
        host.misbehave([manner]);
        send(&bus, &ada()).await;
        let open = only_delivery(&bus).await.summary;
        let reason = open.reason.unwrap();
        assert!(open.state == state && reason.contains(words), "{state:?} {reason}");
    }
    let host = Host::new();
    let bus = crm(&host).await;
    host.misbehave([Manner::Answers(stranger)]);
    let refused = bus.objects().load::<User>(&40).await.unwrap_err();
    assert_eq!(refused.kind(), BusErrorKind::Store);
    let told = format!("{refused:?}");
    assert!(told.contains("the repository of app.user was asked for 40, and answered 7"), "{told}");
}

#[tokio::test]
async fn references_resolve_through_the_repository() {
    let host = Host::new();
    let (bus, peer, directory) = with_crm(host.bus().repository::<Company>(Companies(host.clone())));
    let bus = bus.start().await;
    directory.add("app.company", "A-1", "initech");
    let contact = Contact { account: Some("A-1".to_owned()), ..ada() };
    send(&bus, &contact).await;
    assert_eq!(host.user("ada").unwrap().company.unwrap().host_id(), Some(&70));
    assert_eq!(peer.take_calls(), ["who is app.company A-1"]);

    // It is not there yet: it is waited for, and its arrival wakes the delivery.
    let bob = Contact { account: Some("A-2".to_owned()), ..Contact::new("004", "bob", "Bob") };
    send(&bus, &bob).await;
    assert_eq!(only_delivery(&bus).await.summary.state, DeliveryState::Waiting);
    let acme = Account::new("A-2", "acme", "Acme");
    bus.process_external_task(ExternalTask::create::<Crm, _>("crm", &acme)).await.unwrap();
    bus.until_idle().await;
    assert_eq!(host.user("bob").unwrap().company.unwrap().host_id(), Some(&71));
    bus.shutdown().await;
}

#[tokio::test]
async fn what_the_application_logs_tells_of_its_rows() {
    let host = Host::new();
    let (bus, peer, _) = with_crm(host.bus().repository::<Company>(Companies(host.clone())));
    let bus = bus.start().await;
    let user = User { id: 40, company: Some(bus_core::Ref::host(70)), ..User::new("root", "Root") };
    let statement = bus.log(Logged::created(&user)).await.unwrap();
    assert!(statement.json().contains("\"code_name\":\"initech\""), "{}", statement.json());
    host.connect().execute(statement.sql(), [statement.json()]).unwrap();
    let initech = bus.objects().load::<Company>(&70).await.unwrap().unwrap();
    let statement = bus.log(Logged::created(&initech)).await.unwrap();
    host.connect().execute(statement.sql(), [statement.json()]).unwrap();
    bus.until_idle().await;
    assert_eq!(peer.get("crm-2").unwrap()["company"], "crm-1");
}

#[tokio::test]
async fn what_comes_back_from_where_it_was_sent_is_known_again() {
    let host = Host::new();
    let (bus, peer, _) = with_crm(host.bus());
    let bus = bus.start().await;
    send(&bus, &ada()).await;
    // What has come from the CRM is not told there; what the application makes of it is.
    assert_eq!(peer.take_calls(), [] as [&str; 0]);
    let before = host.user("ada").unwrap();
    let renamed = User { name: "Ada Lovelace".to_owned(), ..before.clone() };
    let statement = bus.log(Logged::updated(&before, &renamed)).await.unwrap();
    let db = host.connect();
    db.execute("UPDATE users SET name = ?1 WHERE id = ?2", (&renamed.name, renamed.id)).unwrap();
    db.execute(statement.sql(), [statement.json()]).unwrap();
    bus.until_idle().await;
    assert_eq!(peer.take_calls(), ["put 003"]);

    // The CRM tells of what it was told; meanwhile the application has gone on.
    db.execute("UPDATE users SET note = 'likes tea' WHERE id = ?1", [renamed.id]).unwrap();
    let saves = host.saves();
    send(&bus, &Contact::new("003", "ada", "Ada Lovelace")).await;
    assert_eq!(host.saves(), saves, "nothing of it is new");
    assert_eq!(host.user("ada").unwrap().note.as_deref(), Some("likes tea"));
    // News from there is applied, and told to nobody there.
    send(&bus, &Contact::new("003", "ada", "Countess of Lovelace")).await;
    assert_eq!(host.saves(), saves + 1);
    assert_eq!(host.user("ada").unwrap().name, "Countess of Lovelace");
    assert_eq!(peer.take_calls(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_new_object_that_refers_to_itself_is_parked_with_the_remedy() {
    let host = Host::new();
    let bus = crm(&host).await;
    send(&bus, &Contact { boss: Some("003".to_owned()), ..ada() }).await;
    let open = only_delivery(&bus).await.summary;
    assert_eq!(open.state, DeliveryState::Parked);
    let reason = open.reason.unwrap();
    assert!(reason.contains("refers to itself at /manager"), "{reason}");
}

#[tokio::test]
async fn the_built_in_store_leaves_them_alone() {
    let host = Host::new();
    let bus = crm(&host).await;
    let objects = bus.objects();
    let refused = [
        objects.save(&mut User::new("ada", "Ada")).await.err(),
        objects.delete::<User>(&40).await.err(),
        objects.list::<User>(None, 10).await.err(),
        objects.count::<User>().await.err(),
        objects.add_to_site::<User>(&40, "corp").await.err(),
    ];
    for refused in refused {
        let refused = refused.unwrap();
        assert_eq!(refused.kind(), BusErrorKind::WrongState);
        assert!(refused.to_string().contains("log it with `Bus::log`"), "{refused}");
    }
    // A company lives there still.
    objects.save(&mut Company::new("acme", "Acme")).await.unwrap();
}

#[tokio::test]
async fn a_repository_that_could_never_work_is_refused_at_the_start() {
    let host = Host::new();
    let in_memory = with_crm(TestBus::new().repository::<User>(host.clone())).0.try_start().await;
    let twice = with_crm(host.bus().repository::<User>(host.clone())).0.try_start().await;
    let undeclared = host.bus().try_start().await;
    for (refused, words) in
        [(in_memory, "use SQLite"), (twice, "there are two"), (undeclared, "derive `BusObject` for it")]
    {
        let refused = refused.err().unwrap();
        assert_eq!(refused.kind(), BusErrorKind::Config);
        assert!(refused.to_string().contains(words), "{refused}");
    }
}
