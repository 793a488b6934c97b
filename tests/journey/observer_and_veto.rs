//! A listener of the application's: says no before anything is written, hears of what was.

use std::sync::{Arc, Mutex};

use bus_core::{
    ChangeSummary, DeliveryState, Direction, ExternalSummary, ExternalTask, Listener, ObjectOperation,
    TaskId, Veto,
};
use bus_runtime::BusErrorKind;
use bus_testkit::{FakePeer, TestBus};
use bus_tests::{Company, Contact, Crm, EventLog, User};

use crate::told::with_crm;

stories!(
    a_veto_leaves_nothing_behind_and_an_observer_sees_the_task,
    a_listener_that_panics_over_what_was_logged_undoes_nothing,
    an_incoming_task_is_vetoed_or_heard_of,
    what_is_sent_again_is_heard_of_once,
    a_listener_that_panics_over_what_comes_in_is_not_the_senders_fault,
    a_listener_that_panics_before_something_is_saved_is_against_it,
    a_veto_of_what_is_applied_leaves_nothing_and_parks_the_task
);

#[derive(Clone, Default)]
struct Guard(Arc<Mutex<Vec<(String, TaskId)>>>);

impl Listener for Guard {
    fn before_logging(&self, change: &ChangeSummary) -> Result<(), Veto> {
        if change.operation == ObjectOperation::Delete {
            return Err(Veto::because("users are kept for ten years"));
        }
        Ok(())
    }

    fn after_logging(&self, change: &ChangeSummary, task: TaskId) {
        self.0.lock().unwrap().push((format!("{} {}", change.operation, change.object_type), task));
    }
}

async fn a_veto_leaves_nothing_behind_and_an_observer_sees_the_task(bus: TestBus) {
    let (guard, log) = (Guard::default(), FakePeer::new("log"));
    let bus =
        bus.connector::<EventLog>("event-log").object::<User>().provide(log.clone()).listen(guard.clone());
    let bus = bus.start().await;
    let mut ada = User::new("ada", "Ada");
    bus.objects().save(&mut ada).await.unwrap();
    let vetoed = bus.objects().delete::<User>(&ada.id).await.unwrap_err();
    assert_eq!(vetoed.kind(), BusErrorKind::Vetoed);
    assert!(vetoed.to_string().ends_with("users are kept for ten years"), "{vetoed}");
    bus.until_idle().await;
    assert!(bus.objects().load::<User>(&ada.id).await.unwrap().is_some(), "the object is still there");
    assert_eq!(bus.counters("event-log", Direction::Outgoing).await.logged, 1);
    let seen = guard.0.lock().unwrap().clone();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].0, "create app.user");
}

/// Panics over whatever it hears of.
struct Startled;

impl Listener for Startled {
    fn after_logging(&self, change: &ChangeSummary, _: TaskId) {
        panic!("a mistake in the listener, over {change:?}");
    }
}

async fn a_listener_that_panics_over_what_was_logged_undoes_nothing(bus: TestBus) {
    let (guard, log) = (Guard::default(), FakePeer::new("log"));
    let bus = bus.connector::<EventLog>("event-log").object::<User>().provide(log.clone());
    let bus = bus.listen(Startled).listen(guard.clone()).start().await;
    for login in ["ada", "bob"] {
        bus.objects().save(&mut User::new(login, login)).await.unwrap();
    }
    bus.until_idle().await;
    assert_eq!(log.calls(), ["create ada snapshot", "create bob snapshot"]);
    assert_eq!(guard.0.lock().unwrap().len(), 2, "the other listener hears of it, too");
    let counters = bus.counters("event-log", Direction::Outgoing).await;
    assert_eq!((counters.completed, counters.open), (2, 0));
}

/// Panics before whatever is logged.
struct Afraid;

impl Listener for Afraid {
    fn before_logging(&self, change: &ChangeSummary) -> Result<(), Veto> {
        panic!("afraid of {}", change.operation);
    }
}

async fn a_listener_that_panics_before_something_is_saved_is_against_it(bus: TestBus) {
    let bus = bus.connector::<EventLog>("event-log").object::<User>().provide(FakePeer::new("log"));
    let bus = bus.listen(Afraid).start().await;
    let vetoed = bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap_err();
    assert_eq!(vetoed.kind(), BusErrorKind::Vetoed);
    let said = vetoed.to_string();
    assert!(said.ends_with("it panicked (afraid of create); mend it, then try again"), "{said}");
    assert_eq!(bus.objects().count::<User>().await.unwrap(), 0);
    assert_eq!(bus.counters("event-log", Direction::Outgoing).await.logged, 0);
}

/// Says no to contacts without a name of their own, and to a site that is closed; hears of the others.
#[derive(Clone, Default)]
struct Doorman(Arc<Mutex<Vec<(String, TaskId)>>>);

impl Listener for Doorman {
    fn before_logging_incoming(&self, external: &ExternalSummary) -> Result<(), Veto> {
        assert_ne!(external.key.as_deref(), Some("clumsy"), "a mistake in the listener");
        match external.site.as_ref().map(AsRef::as_ref) {
            Some("museum") => Err(Veto::because("the museum is closed")),
            _ => Ok(()),
        }
    }

    fn after_logging_incoming(&self, external: &ExternalSummary, task: TaskId) {
        assert_ne!(external.key.as_deref(), Some("loud"), "another mistake in the listener");
        let ExternalSummary { connector, kind, operation, key, content_type, .. } = external;
        let key = key.as_deref().unwrap_or("none");
        self.0
            .lock()
            .unwrap()
            .push((format!("{operation} {kind} {key} of {connector}, {content_type}"), task));
    }
}

impl Doorman {
    fn heard(&self) -> Vec<(String, TaskId)> {
        self.0.lock().unwrap().clone()
    }
}

fn ada(uid: &str) -> ExternalTask {
    ExternalTask::create::<Crm, _>("crm", &Contact::new(uid, "ada", "Ada"))
}

async fn an_incoming_task_is_vetoed_or_heard_of(bus: TestBus) {
    let doorman = Doorman::default();
    let bus = with_crm(bus.site("museum").listen(doorman.clone())).0.start().await;
    let vetoed = bus.process_external_task(ada("1").site("museum")).await.unwrap_err();
    assert_eq!(vetoed.kind(), BusErrorKind::Vetoed);
    let said = vetoed.to_string();
    assert!(said.contains("refuses the contact for connector crm: the museum is closed"), "{said}");
    assert_eq!(doorman.heard(), []);
    assert_eq!(bus.counters("crm", Direction::Incoming).await.logged, 0, "nothing is left behind");

    let task = bus.process_external_task(ada("2")).await.unwrap();
    let unreadable = ExternalTask::received("crm", "contact", b"<x/>".to_vec()).content_type("text/xml");
    let other = bus.process_external_task(unreadable).await.unwrap();
    let heard = [
        ("create contact 2 of crm, application/json".to_owned(), task),
        ("create contact none of crm, text/xml".to_owned(), other),
    ];
    assert_eq!(doorman.heard(), heard);
    bus.until_idle().await;
    assert!(bus.objects().find::<User>("ada").await.unwrap().is_some());
}

async fn what_is_sent_again_is_heard_of_once(bus: TestBus) {
    let doorman = Doorman::default();
    let bus = with_crm(bus.listen(doorman.clone())).0.start().await;
    let first = bus.process_external_task(ada("1").idempotency_key("monday")).await.unwrap();
    let again = bus.process_external_task(ada("1").idempotency_key("monday")).await.unwrap();
    assert_eq!((first, doorman.heard().len()), (again, 1));
}

async fn a_listener_that_panics_over_what_comes_in_is_not_the_senders_fault(bus: TestBus) {
    let doorman = Doorman::default();
    let bus = with_crm(bus.listen(doorman.clone())).0.start().await;
    let refused = bus.process_external_task(ada("clumsy")).await.unwrap_err();
    assert_eq!(refused.kind(), BusErrorKind::Vetoed);
    assert!(refused.to_string().ends_with("; mend it, then send it again"), "{refused}");
    assert!(refused.to_string().contains("a mistake in the listener; left"), "{refused}");
    bus.process_external_task(ada("loud")).await.unwrap();
    assert_eq!(doorman.heard(), []);
    assert_eq!(bus.counters("crm", Direction::Incoming).await.logged, 1, "it was logged by then");
    bus.until_idle().await;
    assert!(bus.objects().find::<User>("ada").await.unwrap().is_some());
}

async fn a_veto_of_what_is_applied_leaves_nothing_and_parks_the_task(bus: TestBus) {
    let (guard, log) = (Guard::default(), FakePeer::new("log"));
    let bus = bus.connector::<EventLog>("event-log").provide(log).listen(guard);
    let bus = bus.connector::<Crm>("crm").object::<User>().object::<Company>();
    let bus = bus.provide(bus_tests::Directory::default()).start().await;
    bus.process_external_task(ada("1")).await.unwrap();
    bus.until_idle().await;
    bus.process_external_task(ExternalTask::delete::<Crm, _>("crm", &Contact::new("1", "ada", "Ada")))
        .await
        .unwrap();
    bus.until_idle().await;
    let [open] = &bus.open("crm", Direction::Incoming).await[..] else { panic!() };
    assert_eq!(open.state, DeliveryState::Parked);
    let reason = open.reason.clone().unwrap_or_default();
    assert!(reason.contains("users are kept for ten years"), "{reason}");
    assert!(bus.objects().find::<User>("ada").await.unwrap().is_some());
}
