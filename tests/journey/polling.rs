//! External systems that do not call: they are asked, page by page, and what they answer is written with how far it goes.

use std::time::Duration;

use bus_core::{DeliveryState, Direction, ExternalTask, Failure, ObjectOperation, Poll};
use bus_runtime::{BusErrorKind, ConnectorState, Health, Schedule, StoreConfig, Switches, Synchronous};
use bus_testkit::{RunningTestBus, TestBus};
use bus_tests::{Contact, User};

use crate::polled::{Polled, Script, changed, logins, named, status, with_polled};
use crate::told::{ops, until, with_crm};

stories!(
    a_poll_brings_what_has_changed_and_the_next_goes_on_from_there,
    pages_are_polled_until_there_is_no_more,
    a_poll_that_breaks_off_is_repeated_without_a_gap,
    it_polls_at_the_times_of_its_schedule,
    it_polls_at_once_when_somebody_asks,
    it_polls_from_the_start_when_somebody_asks,
    nothing_is_polled_while_paused_or_switched_off,
    nothing_is_polled_while_too_much_is_open,
    a_poll_that_loses_the_connection_opens_the_circuit,
    what_is_no_json_is_parked_and_the_poll_goes_on,
    what_cannot_be_logged_keeps_the_cursor_and_says_why,
    an_answer_that_goes_on_for_ever_is_refused,
    what_is_gone_is_deleted_without_asking_the_connector,
    what_is_gone_needs_a_key_and_a_type,
    a_poll_that_takes_too_long_is_asked_again,
    a_poll_brings_what_was_told_and_it_stops
);

const MINUTE: Duration = Duration::from_mins(1);

async fn after(bus: &RunningTestBus, wait: Duration) {
    bus.clock().advance(wait);
    bus.until_idle().await;
}

fn name() -> bus_core::ConnectorName {
    "polled".parse().unwrap()
}

async fn a_poll_brings_what_has_changed_and_the_next_goes_on_from_there(bus: TestBus) {
    let (bus, script) = with_polled(bus, |_| {});
    script.page(Poll::new("1").task(changed("ada")).tasks([changed("bob"), named("ada", "Ada")]));
    let bus = bus.start().await;
    bus.until_idle().await;
    assert_eq!(script.take_asked(), ["-"]);
    assert_eq!(logins(&bus).await, ["ada", "bob"]);
    assert_eq!(bus.objects().find::<User>("ada").await.unwrap().unwrap().name, "Ada", "in their order");
    let began = status(&bus).poll.unwrap().polled_at;
    assert_eq!(began, Some(bus_core::Clock::now(bus.clock())));

    after(&bus, Duration::from_millis(59_999)).await;
    assert_eq!(script.take_asked(), [""; 0]);
    script.page(Poll::new("2").task(changed("eve")));
    after(&bus, Duration::from_millis(1)).await;
    after(&bus, MINUTE).await;
    assert_eq!(script.take_asked(), ["1", "2"]);
    assert_eq!(logins(&bus).await, ["ada", "bob", "eve"]);
    assert_eq!(status(&bus).warning(), None);
    let counters = bus.counters("polled", Direction::Incoming).await;
    assert_eq!((counters.logged, counters.completed), (4, 4));
}

async fn pages_are_polled_until_there_is_no_more(bus: TestBus) {
    let (bus, script) = with_polled(bus, |_| {});
    script.page(Poll::new("1").task(changed("a")).more());
    script.page(Poll::new("2").more());
    script.page(Poll::new("2").task(changed("b")).more());
    script.page(Poll::new("3").task(changed("c")));
    let bus = bus.start().await;
    bus.until_idle().await;
    assert_eq!(script.take_asked(), ["-", "1", "2", "2"]);
    assert_eq!(logins(&bus).await, ["a", "b", "c"]);
}

async fn a_poll_that_breaks_off_is_repeated_without_a_gap(bus: TestBus) {
    let (bus, script) = with_polled(bus, |_| {});
    script.page(Poll::new("1").task(changed("a")).more());
    script.answer(|| Err(Failure::retry("the page is missing")));
    script.answer(|| panic!("the page is torn"));
    let bus = bus.start().await;
    bus.until_idle().await;
    assert_eq!(script.take_asked(), ["-", "1"]);
    let poll = status(&bus).poll.unwrap();
    assert_eq!((poll.failures, poll.error.as_deref()), (1, Some("the page is missing")));
    let warning = status(&bus).warning().unwrap();
    assert!(
        warning.contains("connector polled cannot be polled (1 times in a row): the page is"),
        "{warning}"
    );

    after(&bus, Duration::from_secs(1)).await;
    assert!(status(&bus).warning().unwrap().contains("(2 times in a row): the connector panicked"));
    script.page(Poll::new("2").task(changed("b")));
    after(&bus, Duration::from_secs(2)).await;
    assert_eq!(script.take_asked(), ["1", "1"]);
    assert_eq!(logins(&bus).await, ["a", "b"]);
    assert_eq!((status(&bus).warning(), status(&bus).poll.unwrap().failures), (None, 0));
}

async fn it_polls_at_the_times_of_its_schedule(bus: TestBus) {
    let (bus, script) = with_polled(bus, |processing| {
        processing.poll = Some(Schedule::parse("*/20 * * * *", "UTC").unwrap());
    });
    let bus = bus.start().await;
    bus.until_idle().await;
    after(&bus, Duration::from_secs(20 * 60 - 1)).await;
    assert_eq!(script.take_asked(), [""; 0]);
    after(&bus, Duration::from_secs(1)).await;
    assert_eq!(script.take_asked(), ["-"]);
    after(&bus, MINUTE * 19).await;
    assert_eq!(script.take_asked(), [""; 0]);
    after(&bus, MINUTE).await;
    assert_eq!(script.take_asked(), ["0"]);
}

async fn it_polls_at_once_when_somebody_asks(bus: TestBus) {
    let (bus, script) = with_polled(bus, |_| {});
    let (bus, ..) = with_crm(bus);
    let bus = bus.start().await;
    bus.until_idle().await;
    script.take_asked();
    script.answer(|| Err(Failure::retry_after("busy", Duration::from_hours(1))));
    for _ in 0..3 {
        bus.poll_now(&name()).unwrap();
        bus.until_idle().await;
    }
    assert_eq!(script.take_asked(), ["0", "0", "0"], "it did not wait for the hour");

    let refused = |name: &str| bus.poll_now(&name.parse().unwrap()).unwrap_err();
    assert_eq!(refused("nobody").kind(), BusErrorKind::UnknownConnector);
    let error = refused("crm");
    assert_eq!(error.kind(), BusErrorKind::ConnectorUnable);
    assert!(error.to_string().contains("crm does not poll; implement `Connector::poll`"), "{error}");
    bus.set_connector_state(&name(), ConnectorState::Paused).await.unwrap();
    let error = refused("polled");
    assert_eq!(error.kind(), BusErrorKind::ConnectorUnable);
    assert!(error.to_string().contains("is not polled here; see that it is"), "{error}");
}

async fn it_polls_from_the_start_when_somebody_asks(bus: TestBus) {
    let (bus, script) = with_polled(bus, |_| {});
    script.page(Poll::new("1").task(changed("ada")));
    let bus = bus.start().await;
    bus.until_idle().await;
    let nobody = bus.poll_from_start(&name(), &bus_runtime::Operator::named(" ")).await.unwrap_err();
    assert_eq!(nobody.kind(), BusErrorKind::BadName);
    script.page(Poll::new("2").task(changed("ada")).task(changed("bob")));
    bus.poll_from_start(&name(), &ops()).await.unwrap();
    bus.until_idle().await;
    after(&bus, MINUTE).await;
    assert_eq!(script.take_asked(), ["-", "-", "2"]);
    assert_eq!(logins(&bus).await, ["ada", "bob"]);
}

async fn nothing_is_polled_while_paused_or_switched_off(bus: TestBus) {
    let (bus, script) = with_polled(bus, |_| {});
    let bus = bus.start().await;
    bus.until_idle().await;
    script.take_asked();
    let on = Switches::default();
    for off in [
        Switches { bus: false, ..on },
        Switches { log_incoming: false, ..on },
        Switches { process_incoming: false, ..on },
    ] {
        bus.set_switches(off).await.unwrap();
        after(&bus, MINUTE * 5).await;
        assert_eq!(script.take_asked(), [""; 0], "{off:?}");
        bus.set_switches(on).await.unwrap();
        bus.until_idle().await;
        assert_eq!(script.take_asked(), ["0"], "what was due is polled once");
    }
    bus.set_connector_state(&name(), ConnectorState::Paused).await.unwrap();
    after(&bus, MINUTE * 5).await;
    assert_eq!(script.take_asked(), [""; 0]);
    bus.set_connector_state(&name(), ConnectorState::Enabled).await.unwrap();
    bus.until_idle().await;
    assert_eq!(script.take_asked(), ["0"]);
}

async fn nothing_is_polled_while_too_much_is_open(bus: TestBus) {
    let (bus, script) = with_polled(bus, |processing| processing.poll_backlog_max = 1);
    script.page(Poll::new("1").tasks([named("a", "bad"), named("b", "bad")]));
    let bus = bus.start().await;
    bus.until_idle().await;
    after(&bus, MINUTE * 5).await;
    assert_eq!(script.take_asked(), ["-"]);
    let open = bus.open("polled", Direction::Incoming).await;
    bus.skip(open[0].delivery, &ops()).await.unwrap();
    after(&bus, MINUTE).await;
    assert_eq!(script.take_asked(), ["1"], "one is not too much");
}

async fn a_poll_that_loses_the_connection_opens_the_circuit(bus: TestBus) {
    let (bus, script) = with_polled(bus, |processing| processing.circuit_failures = 2);
    for _ in 0..2 {
        script.answer(|| Err(Failure::disconnected("no route to it")));
    }
    script.page(Poll::new("1").task(changed("ada")));
    let bus = bus.start().await;
    bus.until_idle().await;
    assert!(matches!(status(&bus).health, Health::Unreachable { failures: 1, .. }), "{:?}", status(&bus));
    after(&bus, Duration::from_secs(2)).await;
    assert!(matches!(status(&bus).health, Health::Unreachable { failures: 2, .. }), "{:?}", status(&bus));
    script.take_asked();
    after(&bus, Duration::from_secs(29)).await;
    assert_eq!(script.take_asked(), [""; 0], "the circuit is open");
    after(&bus, MINUTE).await;
    assert_eq!((script.take_asked().len(), logins(&bus).await.len()), (1, 1));
    assert_eq!((status(&bus).health, status(&bus).warning()), (Health::Well, None));
}

async fn what_is_no_json_is_parked_and_the_poll_goes_on(bus: TestBus) {
    let (bus, script) = with_polled(bus, |_| {});
    let torn = |body: &str| ExternalTask::received("polled", "contact", body);
    script.page(Poll::new("1").task(torn("{\"uid\":").key("a")).task(torn("BEGIN:VCARD")).task(changed("b")));
    let bus = bus.start().await;
    bus.until_idle().await;
    assert_eq!(logins(&bus).await, ["b"]);
    let open = bus.open("polled", Direction::Incoming).await;
    assert!(open.iter().all(|open| open.state == DeliveryState::Parked), "{open:?}");
    let mut bytes = Vec::new();
    for open in &open {
        let detail = bus.delivery(open.delivery).await.unwrap();
        assert_eq!(detail.content_type, "application/octet-stream");
        bytes.push(String::from_utf8(detail.data).unwrap());
    }
    assert_eq!(bytes, ["{\"uid\":", "BEGIN:VCARD"], "as they were received");
    after(&bus, MINUTE).await;
    assert_eq!(script.take_asked(), ["-", "1"]);
}

async fn what_cannot_be_logged_keeps_the_cursor_and_says_why(bus: TestBus) {
    let (bus, script) = with_polled(bus, |_| {});
    let bus = bus.configure(|config| config.limits.payload_bytes_max = 1_000).start().await;
    bus.until_idle().await;
    script.take_asked();
    let contact = |name: &str| Contact::new("a", "a", name);
    let received = |kind: &str| ExternalTask::received("polled", kind, br#"{"uid":"a"}"#.as_slice());
    let rows = [
        (
            Poll::new("1").task(named("x", &"n".repeat(1_000)).key("x")),
            "logged `x`: the contact for connector polled is 1",
        ),
        (Poll::new("1").task(changed("ok")).task(received("account")), "does not accept `account`"),
        (Poll::new("1").task(received("contact").key("")), "is empty"),
        (Poll::new("1").task(changed("a").site("nowhere")), "site `nowhere` is not registered"),
        (Poll::new("1").task(ExternalTask::update::<Polled, _>("crm", &contact("a"))), "for connector `crm`"),
        (Poll::new("x".repeat(65_537)), "a cursor of 65537 bytes, more than 65536"),
        (Poll::new("1").tasks(vec![changed("a"); 1_001]), "1001 tasks at once, more than 1000; answer fewer"),
    ];
    for (poll, expected) in rows {
        script.page(poll);
        bus.poll_now(&name()).unwrap();
        bus.until_idle().await;
        let error = status(&bus).poll.unwrap().error.unwrap();
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(bus.counters("polled", Direction::Incoming).await.logged, 0, "nothing of such an answer");
    bus.poll_now(&name()).unwrap();
    bus.until_idle().await;
    assert_eq!(script.take_asked(), ["0"; 8]);
    assert_eq!(status(&bus).warning(), None);
}

async fn an_answer_that_goes_on_for_ever_is_refused(bus: TestBus) {
    let (bus, script) = with_polled(bus, |_| {});
    script.page(Poll::new("1").more());
    script.page(Poll::new("1").more());
    let bus = bus.start().await;
    bus.until_idle().await;
    assert_eq!(script.take_asked(), ["-", "1"]);
    let error = status(&bus).poll.unwrap().error.unwrap();
    assert!(
        error.contains("`more` without anything new, at the cursor `1` again; answer without"),
        "{error}"
    );
}

async fn what_is_gone_is_deleted_without_asking_the_connector(bus: TestBus) {
    let (bus, script) = with_polled(bus, |_| {});
    script.page(Poll::new("1").tasks([changed("ada"), changed("bob")]));
    let bus = bus.start().await;
    bus.until_idle().await;
    let gone = |key: &str| ExternalTask::gone("polled", "contact", key);
    script.page(Poll::new("2").tasks([gone("ada"), gone("ada"), gone("nobody")]));
    after(&bus, MINUTE).await;
    assert_eq!(logins(&bus).await, ["bob"]);
    assert_eq!(script.prepared(), ["ada", "bob"]);
    let counters = bus.counters("polled", Direction::Incoming).await;
    assert_eq!((counters.completed, counters.open), (5, 0));
    assert_eq!(bus.counters("polled", Direction::Outgoing).await.logged, 0, "it knows");
    // In its place among the others of its key.
    script.page(Poll::new("3").tasks([changed("ada"), gone("ada"), changed("ada"), gone("bob")]));
    after(&bus, MINUTE).await;
    assert_eq!(logins(&bus).await, ["ada"]);
}

async fn what_is_gone_needs_a_key_and_a_type(bus: TestBus) {
    let (bus, _) = with_polled(bus, |_| {});
    let bus = bus.linked::<Anything>().connector::<Anything>("anything").start().await;
    let gone = ExternalTask::gone("polled", "contact", "ada");
    let rows = [
        (
            gone.clone().operation(ObjectOperation::Update),
            "is said to be gone, and not to be deleted; make it with",
        ),
        (ExternalTask { key: None, ..gone }, "is said to be gone, without a key; say which it is"),
        (
            ExternalTask::gone("anything", "contact", "ada"),
            "may become any object, so nobody knows which is gone; send",
        ),
    ];
    for (task, expected) in rows {
        let error = bus.process_external_task(task).await.unwrap_err();
        assert_eq!(error.kind(), BusErrorKind::Malformed);
        assert!(error.to_string().contains(expected), "{error}");
    }
}

async fn a_poll_that_takes_too_long_is_asked_again(bus: TestBus) {
    let (bus, script) = with_polled(bus, |_| {});
    script.hold(true);
    let bus = bus.start().await;
    until(async || script.is_running()).await;
    bus.clock().advance(Duration::from_secs(30));
    until(async || status(&bus).poll.is_some_and(|poll| poll.failures == 1)).await;
    assert!(status(&bus).warning().unwrap().contains("took longer than 30000 ms"));
    script.hold(false);
    after(&bus, Duration::from_secs(1)).await;
    assert_eq!((script.take_asked(), status(&bus).warning()), (vec!["-".to_owned(); 2], None));
}

async fn a_poll_brings_what_was_told_and_it_stops(bus: TestBus) {
    let (bus, script) = with_polled(bus, |_| {});
    let bus = bus.start().await;
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.counters("polled", Direction::Outgoing).await.completed, 1);
    let told = ExternalTask::update::<Polled, _>("polled", &Contact::new("of-ada", "ada", "Ada"));
    script.page(Poll::new("1").task(told));
    after(&bus, MINUTE).await;
    after(&bus, MINUTE).await;
    assert_eq!(bus.counters("polled", Direction::Outgoing).await.logged, 1, "it says what is known");
    assert_eq!(logins(&bus).await, ["ada"]);
}

/// Makes anything of what comes in.
#[bus_core::connector(name = "anything")]
#[incoming(Contact, key = uid)]
struct Anything;

impl bus_core::Connector for Anything {
    type Settings = bus_core::NoSettings;

    async fn connect(_: bus_core::NoSettings, _: &bus_core::Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl bus_core::Incoming<Contact> for Anything {
    type Object = bus_core::AnyObject;

    async fn prepare_internal_object(
        &self,
        _: bus_core::Received<Contact, bus_core::AnyObject>,
        _: &bus_core::Cx,
    ) -> Result<bus_core::Prepared<bus_core::AnyObject>, Failure> {
        Ok(bus_core::Prepared::Ignore)
    }
}

/// A bus on this file, with the connector that asks.
async fn on(folder: &tempfile::TempDir) -> (RunningTestBus, Script) {
    let path = folder.path().join("bus.db");
    let (bus, script) = with_polled(TestBus::new(), |_| {});
    let bus = bus.configure(move |config| {
        config.store = StoreConfig::Sqlite { path, synchronous: Synchronous::Normal };
    });
    (bus.start().await, script)
}

#[tokio::test]
async fn of_two_processes_one_polls_and_the_other_takes_over_from_there() {
    let folder = tempfile::TempDir::new().unwrap();
    let (one, first) = on(&folder).await;
    first.page(Poll::new("17").task(changed("ada")));
    one.until_idle().await;
    let (other, second) = on(&folder).await;
    for _ in 0..3 {
        after(&one, MINUTE).await;
        after(&other, Duration::from_secs(5)).await;
    }
    assert_eq!((first.take_asked().len(), second.take_asked().len()), (4, 0));
    assert_eq!(other.poll_now(&name()).unwrap_err().kind(), BusErrorKind::ConnectorUnable);
    one.shutdown().await;
    until(async || {
        other.clock().advance(Duration::from_secs(10));
        !second.take_asked().is_empty()
    })
    .await;
    other.until_idle().await;
    assert_eq!(other.counters("polled", Direction::Incoming).await.logged, 1);
    other.shutdown().await;
    let (again, third) = on(&folder).await;
    after(&again, MINUTE * 10).await;
    assert_eq!(third.take_asked().first().map(String::as_str), Some("17"));
    again.shutdown().await;
}
