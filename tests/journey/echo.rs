//! Two systems that tell each other of every change, theirs and each other's: what comes back is known again, and what goes
//! round is ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bus_core::{
    BusObject, Change, Connector, Cx, DeliveryState, Direction, Echo, ExternalTask, Failure, Incoming,
    NoSettings, ObjectOperation, Outgoing, Prepared, Received, connector,
};
use bus_runtime::{Processing, Switches};
use bus_testkit::{Mirror, RunningTestBus, TestBus};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::told::{ops, until};

stories!(
    our_own_write_comes_back_and_stops,
    a_notification_that_overtakes_the_answer_is_waited_for,
    a_late_echo_undoes_nothing,
    what_a_person_sets_there_after_the_echo_is_news,
    who_is_overwritten_there_is_overwritten_here,
    a_normalising_peer_is_taken_over_and_told_to_the_others,
    two_normalisers_that_disagree_are_parked_as_a_loop,
    a_peer_that_answers_everything_is_parked_as_a_loop,
    none_and_all,
    a_deleted_object_stays_deleted,
    what_is_redelivered_is_applied_whatever_it_looks_like,
    a_failed_call_that_arrived_all_the_same_is_known_again,
);

/// Somebody with a telephone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "app.person", display = "Person")]
struct Person {
    #[object(id)]
    id: i64,
    #[object(code_name)]
    login: String,
    #[object(display_name)]
    name: String,
    phone: String,
}

/// What an address book calls a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Card {
    #[serde(default)]
    uid: String,
    login: String,
    name: String,
    phone: String,
}

/// Keeps an address book in step with the persons, both ways.
#[connector(name = "book", create_once = repeatable)]
#[outgoing(Person)]
#[incoming(Card, key = uid)]
struct Book;

/// The address books, by the registered connector, and how many of their answers may still come.
#[derive(Clone)]
struct Books {
    mirrors: BTreeMap<String, Mirror>,
    answers: Arc<Semaphore>,
}

impl Books {
    fn of(cx: &Cx) -> Result<Mirror, Failure> {
        let books = cx.handle::<Self>()?;
        let book = books.mirrors.get(cx.connector().as_str()).cloned();
        book.ok_or_else(|| Failure::reject(format!("there is no book for {}", cx.connector())))
    }
}

impl Connector for Book {
    type Settings = NoSettings;

    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Outgoing<Person> for Book {
    async fn deliver(&self, change: Change<Person>, cx: &Cx) -> Result<(), Failure> {
        let book = Books::of(cx)?;
        if change.operation() == ObjectOperation::Delete {
            return book.remove(change.external_id()).await;
        }
        let Person { login, name, phone, .. } = change.object.clone();
        let card = Card { uid: String::new(), login, name, phone };
        change.bind(book.put(change.external_id(), &card).await?);
        if let Ok(answer) = cx.handle::<Books>()?.answers.acquire().await {
            answer.forget();
        }
        Ok(())
    }
}

impl Incoming<Card> for Book {
    type Object = Person;

    async fn prepare_internal_object(
        &self,
        received: Received<Card, Person>,
        _: &Cx,
    ) -> Result<Prepared<Person>, Failure> {
        if received.operation == ObjectOperation::Delete {
            return Ok(Prepared::existing());
        }
        let Card { login, name, phone, .. } = received.object;
        Ok(Person { login, name, phone, ..received.existing.unwrap_or_default() }.into())
    }
}

async fn start(bus: TestBus, books: &[(&str, &Mirror)]) -> RunningTestBus {
    start_with(bus, Processing::default(), books).await
}

async fn start_with(bus: TestBus, processing: Processing, books: &[(&str, &Mirror)]) -> RunningTestBus {
    start_answering(bus, processing, books, Arc::new(Semaphore::new(1_000))).await
}

async fn start_answering(
    mut bus: TestBus,
    processing: Processing,
    books: &[(&str, &Mirror)],
    answers: Arc<Semaphore>,
) -> RunningTestBus {
    for (name, _) in books {
        bus = bus.connector::<Book>(name);
    }
    let mirrors = books.iter().map(|(name, book)| ((*name).to_owned(), (*book).clone())).collect();
    let handle = Books { mirrors, answers };
    let bus = bus.processing(processing).object::<Person>().provide(handle).start().await;
    for (_, book) in books {
        book.attach(&bus);
    }
    bus
}

async fn save(bus: &RunningTestBus, person: &mut Person) {
    bus.objects().save(person).await.unwrap();
    bus.until_idle().await;
}

fn ada() -> Person {
    Person { login: "ada".to_owned(), name: "Ada".to_owned(), phone: "1".to_owned(), ..Person::default() }
}

async fn stored(bus: &RunningTestBus) -> Person {
    bus.objects().find::<Person>("ada").await.unwrap().unwrap()
}

fn upper(mut record: Value) -> Value {
    record["name"] = record["name"].as_str().unwrap_or_default().to_uppercase().into();
    record
}

async fn our_own_write_comes_back_and_stops(bus: TestBus) {
    let (crm, shop) = (Mirror::new("crm", "card"), Mirror::new("shop", "card"));
    let bus = start(bus, &[("crm", &crm), ("shop", &shop)]).await;
    let mut ada = ada();
    save(&bus, &mut ada).await;
    ada.name = "Ada Lovelace".to_owned();
    save(&bus, &mut ada).await;
    for (name, book) in [("crm", &crm), ("shop", &shop)] {
        assert_eq!(book.peer().calls(), [format!("put {name}-1"), format!("put {name}-1")]);
        let counters = bus.counters(name, Direction::Incoming).await;
        assert_eq!((counters.logged, counters.completed), (2, 2));
        assert_eq!(bus.counters(name, Direction::Outgoing).await.logged, 2);
    }
    // A person's change there goes to the other, and stops.
    crm.edit("crm-1", |card| card["phone"] = "2".into()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(stored(&bus).await, Person { phone: "2".to_owned(), ..ada });
    assert_eq!(shop.peer().get("shop-1").unwrap()["phone"], "2");
    assert_eq!(bus.counters("crm", Direction::Outgoing).await.logged, 2);
    assert_eq!(bus.counters("shop", Direction::Outgoing).await.logged, 3);
}

async fn a_notification_that_overtakes_the_answer_is_waited_for(bus: TestBus) {
    let (crm, answers) = (Mirror::new("crm", "card"), Arc::new(Semaphore::new(1)));
    let bus = start_answering(bus, Processing::default(), &[("crm", &crm)], Arc::clone(&answers)).await;
    let mut ada = ada();
    save(&bus, &mut ada).await;
    ada.name = "Ada L.".to_owned();
    bus.objects().save(&mut ada).await.unwrap();
    let waiting = async || {
        let open = bus.open("crm", Direction::Incoming).await;
        open.into_iter().find(|delivery| delivery.state == DeliveryState::Waiting)
    };
    until(async || waiting().await.is_some()).await;
    let reason = waiting().await.and_then(|delivery| delivery.reason).unwrap_or_default();
    assert!(reason.contains("is just being delivered to crm by delivery 3"), "{reason}");
    ada.name = "Ada Lovelace".to_owned();
    bus.objects().save(&mut ada).await.unwrap();
    answers.add_permits(10);
    bus.until_idle().await;
    assert_eq!(stored(&bus).await.name, "Ada Lovelace", "what came back undoes nothing");
    assert_eq!(crm.peer().get("crm-1").unwrap()["name"], "Ada Lovelace");
}

async fn a_late_echo_undoes_nothing(bus: TestBus) {
    let (crm, shop) = (Mirror::new("crm", "card"), Mirror::new("shop", "card"));
    let bus = start(bus, &[("crm", &crm), ("shop", &shop)]).await;
    let mut ada = ada();
    save(&bus, &mut ada).await;
    crm.hold();
    for name in ["Ada L.", "Ada Lovelace"] {
        ada.name = name.to_owned();
        save(&bus, &mut ada).await;
    }
    let calls = shop.peer().calls().len();
    crm.let_go().await.unwrap();
    bus.until_idle().await;
    assert_eq!(stored(&bus).await, ada);
    assert_eq!(shop.peer().calls().len(), calls, "nobody was told of anything");
    assert_eq!(bus.counters("crm", Direction::Incoming).await.completed, 3);
}

async fn what_a_person_sets_there_after_the_echo_is_news(bus: TestBus) {
    let crm = Mirror::new("crm", "card");
    let bus = start(bus, &[("crm", &crm)]).await;
    let mut ada = ada();
    save(&bus, &mut ada).await;
    ada.name = "Ada Lovelace".to_owned();
    save(&bus, &mut ada).await;
    // Both have come back: what was once sent may be set again.
    crm.edit("crm-1", |card| card["name"] = "Ada".into()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(stored(&bus).await.name, "Ada");
}

async fn who_is_overwritten_there_is_overwritten_here(bus: TestBus) {
    let crm = Mirror::new("crm", "card");
    let bus = start(bus, &[("crm", &crm)]).await;
    let mut ada = ada();
    save(&bus, &mut ada).await;
    // Somebody there is faster, and is not heard of for a while.
    crm.hold();
    crm.edit("crm-1", |card| card["name"] = "Theirs".into()).await.unwrap();
    ada.name = "Ours".to_owned();
    save(&bus, &mut ada).await;
    bus.clock().advance(Duration::from_mins(11));
    crm.let_go().await.unwrap();
    bus.until_idle().await;
    assert_eq!(crm.peer().get("crm-1").unwrap()["name"], "Ours", "ours came last");
    assert_eq!(stored(&bus).await.name, "Ours", "and both sides have it");
}

async fn a_normalising_peer_is_taken_over_and_told_to_the_others(bus: TestBus) {
    let (crm, shop) = (Mirror::rewriting("crm", "card", upper), Mirror::new("shop", "card"));
    let bus = start(bus, &[("crm", &crm), ("shop", &shop)]).await;
    save(&bus, &mut ada()).await;
    assert_eq!(stored(&bus).await.name, "ADA");
    assert_eq!(shop.peer().get("shop-1").unwrap()["name"], "ADA");
    assert_eq!(crm.peer().calls(), ["put crm-1"]);
    let told = shop.peer().calls().len();
    assert!((1..=2).contains(&told), "at most once for each: {told}");
    assert_eq!(bus.open("crm", Direction::Incoming).await, []);
}

async fn two_normalisers_that_disagree_are_parked_as_a_loop(bus: TestBus) {
    let longer = |mut record: Value| {
        record["name"] = format!("{}.", record["name"].as_str().unwrap_or_default()).into();
        record
    };
    let (crm, shop) = (Mirror::rewriting("crm", "card", longer), Mirror::rewriting("shop", "card", longer));
    let mut processing = Processing::default();
    (processing.hop_limit, processing.loop_after) = (4, 100);
    let bus = start_with(bus, processing, &[("crm", &crm), ("shop", &shop)]).await;
    bus.objects().save(&mut ada()).await.unwrap();
    let parked = async || {
        let mut open = bus.open("crm", Direction::Incoming).await;
        open.extend(bus.open("shop", Direction::Incoming).await);
        open.retain(|delivery| delivery.state == DeliveryState::Parked);
        open
    };
    until(async || !parked().await.is_empty()).await;
    bus.until_idle().await;
    for parked in parked().await {
        let reason = parked.reason.unwrap_or_default();
        assert!(reason.starts_with("loop: this change of app.person "), "{reason}");
        assert!(
            reason.contains("has been answered 5 times on its way, more than the hop limit of 4"),
            "{reason}"
        );
    }
}

async fn a_peer_that_answers_everything_is_parked_as_a_loop(bus: TestBus) {
    let crm = Mirror::new("crm", "card");
    let bus = start(bus, &[("crm", &crm)]).await;
    let mut ada = ada();
    save(&bus, &mut ada).await;
    // Each time that it is told something it says something else, a while after it has confirmed that.
    for turn in 1..=5 {
        ada.phone = format!("host {turn}");
        save(&bus, &mut ada).await;
        crm.edit("crm-1", |card| card["phone"] = format!("there {turn}").into()).await.unwrap();
        bus.until_idle().await;
        ada = stored(&bus).await;
    }
    assert_eq!(ada.phone, "host 5", "the fifth is not taken");
    let open = bus.open("crm", Direction::Incoming).await;
    assert_eq!((open.len(), open[0].state), (1, DeliveryState::Parked));
    let reason = open[0].reason.clone().unwrap_or_default();
    let expected = format!(
        "loop: app.person {} has gone back and forth between here and crm 5 times, each soon after the other; see which of \
         the two rewrites what it receives, then retry it",
        ada.id
    );
    assert_eq!(reason, expected);
    // Mended, and after a while of quiet, it is what it says.
    bus.clock().advance(Duration::from_mins(11));
    bus.retry(open[0].delivery, &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(stored(&bus).await.phone, "there 5");
}

async fn none_and_all(bus: TestBus) {
    let (crm, shop) = (Mirror::new("crm", "card"), Mirror::new("shop", "card"));
    let bus = start(bus, &[("crm", &crm), ("shop", &shop)]).await;
    let send = async |name: &str, echo| {
        let card = format!(r#"{{"login": "ada", "name": "{name}", "phone": "1"}}"#);
        let task = ExternalTask::received("crm", "card", card).key("003").echo(echo);
        bus.process_external_task(task).await.unwrap();
        bus.until_idle().await;
        (crm.peer().take_calls(), shop.peer().take_calls().len())
    };
    assert_eq!(send("Ada", Echo::None).await, (vec![], 0));
    assert_eq!(send("Ada L.", Echo::Others).await, (vec![], 1));
    assert_eq!(send("Ada Lovelace", Echo::All).await, (vec!["put 003".to_owned()], 1));
    assert_eq!(stored(&bus).await.name, "Ada Lovelace");
}

async fn a_deleted_object_stays_deleted(bus: TestBus) {
    let (crm, shop) = (Mirror::new("crm", "card"), Mirror::new("shop", "card"));
    let bus = start(bus, &[("crm", &crm), ("shop", &shop)]).await;
    let mut ada = ada();
    save(&bus, &mut ada).await;
    bus.objects().delete::<Person>(&ada.id).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.objects().count::<Person>().await.unwrap(), 0);
    for book in [&crm, &shop] {
        assert_eq!(book.peer().records().len(), 0);
    }
    for name in ["crm", "shop"] {
        let counters = bus.counters(name, Direction::Incoming).await;
        assert_eq!((counters.completed, counters.open), (2, 0));
    }
}

async fn what_is_redelivered_is_applied_whatever_it_looks_like(bus: TestBus) {
    let crm = Mirror::new("crm", "card");
    let bus = start(bus, &[("crm", &crm)]).await;
    let mut ada = ada();
    save(&bus, &mut ada).await;
    crm.hold();
    ada.name = "Ada Lovelace".to_owned();
    save(&bus, &mut ada).await;
    bus.set_switches(Switches { log_outgoing: false, ..Switches::default() }).await.unwrap();
    ada.name = "Countess".to_owned();
    save(&bus, &mut ada).await;
    crm.let_go().await.unwrap();
    bus.until_idle().await;
    assert_eq!(stored(&bus).await.name, "Countess", "an echo");
    let queue = bus_store::QueueId::new("crm".parse().unwrap(), Direction::Incoming);
    let filter = bus_store::DeliveryFilter { state: Some(DeliveryState::Completed), ..Default::default() };
    let last = bus.deliveries(&queue, &filter).await.unwrap().pop().unwrap();
    bus.redeliver(last.delivery, &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(stored(&bus).await.name, "Ada Lovelace", "somebody wants it to be applied");
}

async fn a_failed_call_that_arrived_all_the_same_is_known_again(bus: TestBus) {
    let crm = Mirror::new("crm", "card");
    let bus = start(bus, &[("crm", &crm)]).await;
    let mut ada = ada();
    save(&bus, &mut ada).await;
    crm.hold();
    // It works, and the answer is lost: the connector hears of a failure.
    crm.edit("crm-1", |card| card["name"] = "Ada L.".into()).await.unwrap();
    crm.peer().script([bus_testkit::Script::Retry("the answer was lost".to_owned())]);
    ada.name = "Ada L.".to_owned();
    bus.objects().save(&mut ada).await.unwrap();
    until(async || {
        let open = bus.open("crm", Direction::Outgoing).await;
        open.first().is_some_and(|delivery| delivery.state == DeliveryState::Retryable)
    })
    .await;
    ada.name = "Ada Lovelace".to_owned();
    bus.objects().save(&mut ada).await.unwrap();
    crm.let_go().await.unwrap();
    until(async || bus.counters("crm", Direction::Incoming).await.completed == 2).await;
    assert_eq!(stored(&bus).await.name, "Ada Lovelace", "what came back undoes nothing");
}
