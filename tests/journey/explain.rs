//! Why something does not move: the first cause, in one sentence.

use std::time::Duration;

use bus_core::{Direction, ExternalTask, Failure, ObjectId, ObjectKey, Ref};
use bus_runtime::{
    BusErrorKind, Cause, Circuit, ConnectorConfig, ConnectorState, Question, Rate, Schedule, StoreConfig,
    Switches, Synchronous,
};
use bus_testkit::{RunningTestBus, Script, TestBus};
use bus_tests::{Company, Contact, Crm, User};

use crate::gates::with_gates;
use crate::told::{ops, with_crm};

stories!(
    what_is_not_registered_correctly_comes_first,
    then_the_switches_and_the_state_of_the_connector,
    then_the_external_system,
    then_what_the_delivery_waits_for,
    what_it_waits_for_may_be_on_its_way,
    a_chain_is_followed_to_its_end,
    a_cause_is_for_programs_too,
    what_waits_for_each_other_is_told,
    an_object_is_followed_too,
    what_has_ended_says_how_and_by_whom,
    the_pace_comes_last
);

async fn told(bus: &RunningTestBus, question: Question) -> String {
    bus.explain(question).await.unwrap().to_string()
}

async fn of_crm(bus: &RunningTestBus) -> String {
    told(bus, Question::Connector("crm".parse().unwrap())).await
}

fn key(object_type: &str, id: i64) -> ObjectKey {
    ObjectKey { object_type: object_type.parse().unwrap(), id: ObjectId::Number(id) }
}

async fn what_is_not_registered_correctly_comes_first(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.registered(ConnectorConfig::new("shop".parse().unwrap())).start().await;
    assert_eq!(
        told(&bus, Question::Connector("nobody".parse().unwrap())).await,
        "no connector nobody is registered; register it, or delete it together with what is open for it"
    );
    let shop = told(&bus, Question::Connector("shop".parse().unwrap())).await;
    assert!(
        shop.starts_with(
            "connector shop does not work: no linked connector is called `shop`; linked are: `crm`; "
        ),
        "{shop}"
    );
    assert_eq!(of_crm(&bus).await, "nothing is open for connector crm");
    let error = bus.explain(Question::Delivery(bus_core::DeliveryId(4711))).await.unwrap_err();
    assert_eq!(error.kind(), BusErrorKind::NotFound);
}

async fn then_the_switches_and_the_state_of_the_connector(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    let crm = "crm".parse().unwrap();
    bus.set_connector_state(&crm, ConnectorState::Paused).await.unwrap();
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    let delivery = bus.open("crm", Direction::Outgoing).await[0].delivery;
    for (switches, expected) in [
        (Switches { bus: false, ..Switches::default() }, "the bus is switched off; switch `bus` on"),
        (
            Switches { process_outgoing: false, ..Switches::default() },
            "the processing of outgoing tasks is switched off; switch `process_outgoing` on",
        ),
        (Switches { process_incoming: false, ..Switches::default() }, "connector crm is paused; enable it"),
    ] {
        bus.set_switches(switches).await.unwrap();
        assert_eq!(of_crm(&bus).await, expected);
        assert_eq!(
            told(&bus, Question::Delivery(delivery)).await,
            format!("delivery {delivery} does not move: {expected}")
        );
    }
}

async fn then_the_external_system(bus: TestBus) {
    let (bus, peer, _) = with_crm(bus);
    let bus = bus.start().await;
    bus.until_idle().await;
    peer.cut_off();
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    bus.until_idle().await;
    let unreachable = of_crm(&bus).await;
    assert!(
        unreachable
            .starts_with("connector crm cannot reach its external system since 2026-01-01T00:00:00Z (")
            && unreachable.ends_with("; see that it answers, the bus goes on trying"),
        "{unreachable}"
    );
    let now = bus.clock().clone();
    let now = bus_core::Clock::now(&now);
    let circuit = Circuit { opened_at: now, probe_at: now, failures: 5, error: "refused".to_owned() };
    bus.store().set_circuit(&"crm".parse().unwrap(), Some(circuit)).await.unwrap();
    assert_eq!(
        of_crm(&bus).await,
        "connector crm cannot reach its external system since 2026-01-01T00:00:00Z (5 times in a row: refused) and probes \
         it at 2026-01-01T00:00:00Z; see that it answers, the bus goes on trying"
    );
}

async fn then_what_the_delivery_waits_for(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    let crm = "crm".parse().unwrap();
    bus.set_connector_state(&crm, ConnectorState::Disabled).await.unwrap();
    let mut acme = Company::new("acme", "Acme");
    bus.objects().save(&mut acme).await.unwrap();
    bus.set_connector_state(&crm, ConnectorState::Enabled).await.unwrap();
    let mut ada = User::new("ada", "Ada").at(&acme);
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    ada.name = "Ada Lovelace".to_owned();
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    let open = bus.open("crm", Direction::Outgoing).await;
    let (first, second) = (open[0].delivery, open[1].delivery);
    assert_eq!(
        told(&bus, Question::Delivery(second)).await,
        format!(
            "delivery {second} is blocked by delivery {first}, which waits for app.company {} (no delivery brings it); \
             save it again, so that it is logged for connector crm, or end delivery {first}",
            acme.id
        )
    );
}

async fn what_it_waits_for_may_be_on_its_way(bus: TestBus) {
    let (bus, peer, _) = with_crm(bus);
    let bus = bus.start().await;
    peer.script([Script::Retry("not now".to_owned())]);
    let mut acme = Company::new("acme", "Acme");
    bus.objects().save(&mut acme).await.unwrap();
    bus.objects().save(&mut User::new("ada", "Ada").at(&acme)).await.unwrap();
    bus.until_idle().await;
    let open = bus.open("crm", Direction::Outgoing).await;
    let (first, second) = (open[0].delivery, open[1].delivery);
    let failed = format!(
        "failed 1 of 10 times and is tried again at {}: not now; it goes on by itself; retry delivery {first} to do it now",
        open[0].due.unwrap()
    );
    assert_eq!(
        told(&bus, Question::Delivery(second)).await,
        format!(
            "delivery {second} waits for app.company {}, to be brought by delivery {first}, which {failed}",
            acme.id
        )
    );
    assert_eq!(of_crm(&bus).await, format!("connector crm: delivery {first} {failed}"));
}

async fn a_chain_is_followed_to_its_end(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    let nameless = Contact::new("001", "", "Boss");
    bus.process_external_task(ExternalTask::create::<Crm, _>("crm", &nameless)).await.unwrap();
    let mut ada = Contact::new("002", "ada", "Ada");
    ada.boss = Some("001".to_owned());
    let mut bob = Contact::new("003", "bob", "Bob");
    bob.account = Some("A-1".to_owned());
    bus.until_idle().await;
    for contact in [&ada, &bob, &Contact::new("004", "", "Nobody")] {
        bus.process_external_task(ExternalTask::create::<Crm, _>("crm", contact)).await.unwrap();
    }
    bus.until_idle().await;
    let open: Vec<_> = bus.open("crm", Direction::Incoming).await.iter().map(|row| row.delivery).collect();
    assert_eq!(
        told(&bus, Question::Delivery(open[1])).await,
        format!(
            "delivery {} waits for app.user `001` of connector crm, to be brought by delivery {first}, which is parked: \
             contact 001 has no login; mend the reason, then retry delivery {first}, or skip it",
            open[1],
            first = open[0]
        )
    );
    assert_eq!(
        told(&bus, Question::Delivery(open[2])).await,
        format!(
            "delivery {0} waits for app.company `A-1` of connector crm (no delivery brings it); let the external system \
             send it, or end delivery {0}",
            open[2]
        )
    );
    assert_eq!(
        told(&bus, Question::Delivery(open[3])).await,
        format!(
            "delivery {0} is parked: contact 004 has no login; mend the reason, then retry delivery {0}, or skip it",
            open[3]
        )
    );
}

async fn a_cause_is_for_programs_too(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    bus.set_connector_state(&"crm".parse().unwrap(), ConnectorState::Stopped).await.unwrap();
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    let open = bus.open("crm", Direction::Outgoing).await[0].delivery;
    let explanation = bus.explain(Question::Delivery(open)).await.unwrap();
    assert!(matches!(explanation.cause, Cause::NotEnabled { state: ConnectorState::Stopped, .. }));
    assert_eq!((explanation.delivery, explanation.steps.len()), (Some(open), 0));
    assert_eq!(explanation.remedy().as_deref(), Some("enable it"));
}

async fn what_waits_for_each_other_is_told(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    let crm = "crm".parse().unwrap();
    bus.set_connector_state(&crm, ConnectorState::Disabled).await.unwrap();
    let (mut ada, mut bob) = (User::new("ada", "Ada"), User::new("bob", "Bob"));
    bus.objects().save(&mut ada).await.unwrap();
    bus.objects().save(&mut bob).await.unwrap();
    bus.set_connector_state(&crm, ConnectorState::Enabled).await.unwrap();
    ada.manager = Some(Ref::host(bob.id));
    bob.manager = Some(Ref::host(ada.id));
    bus.objects().save(&mut ada).await.unwrap();
    bus.objects().save(&mut bob).await.unwrap();
    bus.until_idle().await;
    let open: Vec<_> = bus.open("crm", Direction::Outgoing).await.iter().map(|row| row.delivery).collect();
    let explained = told(&bus, Question::Delivery(open[0])).await;
    assert!(explained.contains("they wait for each other"), "{explained}");
}

async fn an_object_is_followed_too(bus: TestBus) {
    let (bus, peer, _) = with_crm(bus);
    let bus = bus.start().await;
    let crm = || "crm".parse().unwrap();
    peer.script([Script::Reject("no".to_owned())]);
    let mut ada = User::new("ada", "Ada");
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    let open = bus.open("crm", Direction::Outgoing).await[0].delivery;
    let of_ada = Question::Object(key("app.user", ada.id), crm());
    assert_eq!(
        told(&bus, of_ada.clone()).await,
        format!(
            "app.user {} for connector crm: delivery {open} is parked: no; mend the reason, then retry delivery {open}, or \
             skip it",
            ada.id
        )
    );
    bus.retry(open, &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(
        told(&bus, of_ada).await,
        format!("app.user {} for connector crm: delivery {open} completed at 2026-01-01T00:00:00Z", ada.id)
    );
    assert_eq!(
        told(&bus, Question::Object(key("app.user", 4711), crm())).await,
        "app.user 4711 for connector crm: nothing is open for connector crm"
    );
    assert_eq!(
        told(&bus, Question::Object(key("app.product", 9), crm())).await,
        "app.product 9 for connector crm: connector crm is not told of app.product; add an `#[outgoing]` line for it"
    );
}

async fn what_has_ended_says_how_and_by_whom(bus: TestBus) {
    let (bus, peer, _) = with_crm(bus);
    let bus = bus.start().await;
    peer.script([Script::Reject("no".to_owned())]);
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    bus.until_idle().await;
    let open = bus.open("crm", Direction::Outgoing).await[0].delivery;
    bus.skip(open, &ops()).await.unwrap();
    assert_eq!(
        told(&bus, Question::Delivery(open)).await,
        format!("delivery {open} was skipped at 2026-01-01T00:00:00Z by jane: the story says so")
    );
}

#[tokio::test]
async fn a_queue_that_another_process_works_on_is_explained_there() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("bus.db");
    let start = || {
        let path = path.clone();
        let (bus, _, _) = with_crm(TestBus::new());
        let bus = bus.configure(move |config| {
            config.store = StoreConfig::Sqlite { path, synchronous: Synchronous::Normal };
        });
        bus.start()
    };
    let one = start().await;
    one.until_idle().await;
    let other = start().await;
    other.until_idle().await;
    assert_eq!(of_crm(&other).await, "another process works on the queue crm outgoing; ask that process");
    other.shutdown().await;
    one.shutdown().await;
}

async fn the_pace_comes_last(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |processing| {
        processing.rate = Some(Rate { calls_max: 1, interval_ms: 60_000 });
        processing.schedule = Some(Schedule::parse("0 2 * * *", "Europe/Berlin").unwrap());
    });
    let bus = bus.start().await;
    let ask = || told(&bus, Question::Connector("gated".parse().unwrap()));
    assert_eq!(ask().await, "nothing is open for connector gated");
    gates.fail("ada", [|| Failure::reject("no such user")]);
    bus.objects().save(&mut User::new("ada", "1")).await.unwrap();
    bus.until_idle().await;
    let first = bus.open("gated", Direction::Outgoing).await[0].delivery;
    assert_eq!(
        ask().await,
        format!(
            "connector gated: delivery {first} is next in line, but connector gated runs by a schedule, next at \
             2026-01-01T01:00:00Z; it goes on by itself; request the processing of its tasks to do it now"
        )
    );
    bus.clock().advance(Duration::from_hours(1));
    bus.until_idle().await;
    bus.objects().save(&mut User::new("bob", "1")).await.unwrap();
    bus.request_tasks_processing(None).unwrap();
    bus.until_idle().await;
    let second = bus.open("gated", Direction::Outgoing).await[1].delivery;
    assert_eq!(
        told(&bus, Question::Delivery(second)).await,
        format!(
            "delivery {second} is next in line, but connector gated has made as many calls as it may; the next one may \
             begin at 2026-01-01T01:01:00Z; it goes on by itself; raise `rate` if it may call more often"
        )
    );
    // What a person has to do something about is not told to be a matter of time.
    assert!(ask().await.contains(&format!("delivery {first} is parked: no such user")), "{}", ask().await);
}
