//! Listeners to one type of objects: they are shown what was and what is, whoever makes the change.

use std::sync::{Arc, Mutex};

use bus_core::{
    BusObject, Change, Children, Connector, Cx, DeliveryState, Direction, Event, ExternalTask, Failure,
    ListenerOf, NoSettings, ObjectOperation, Outgoing, Ref, TaskId, Veto, connector,
};
use bus_runtime::{BusErrorKind, Switches};
use bus_testkit::{FakePeer, RunningTestBus, TestBus};
use bus_tests::{Company, Contact, Crm, EventLog, User};
use serde::{Deserialize, Serialize};

use crate::gates::Gates;
use crate::pages::{Article, Reader, article, with_sites};
use crate::told::with_crm;

stories!(
    a_listener_is_shown_what_was_and_what_is,
    a_veto_leaves_the_object_as_it_was,
    a_veto_of_one_of_several_changes_leaves_nothing,
    what_an_external_object_changes_is_asked_about_whether_anybody_is_told_or_not,
    a_panic_before_is_a_veto_and_one_after_undoes_nothing,
    a_view_is_enough_to_listen_with,
    what_a_listener_cannot_be_shown_is_refused,
    whoever_would_never_hear_anything_is_refused_at_the_start,
    pages_are_listened_to_by_class,
);

/// Keeps what it is shown; says no to whoever is called Eve, and to a second name for Ada.
#[derive(Clone, Default)]
pub(crate) struct Registrar(Arc<Mutex<Vec<(String, TaskId)>>>);

impl Registrar {
    pub(crate) fn heard(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|(line, _)| line.clone()).collect()
    }

    pub(crate) fn tasks(&self) -> Vec<TaskId> {
        self.0.lock().unwrap().iter().map(|(_, task)| *task).collect()
    }
}

impl ListenerOf<User> for Registrar {
    fn before(&self, event: &Event<User>) -> Result<(), Veto> {
        assert_ne!(event.object().name, "Mallory", "a mistake of the registrar's");
        let is_renamed = event.before().zip(event.after()).is_some_and(|(was, is)| was.login != is.login);
        if is_renamed || event.object().name == "Eve" {
            return Err(Veto::because("the registrar is against it"));
        }
        Ok(())
    }

    fn after(&self, event: &Event<User>, task: TaskId) {
        let name = |user: Option<&User>| user.map_or("nobody".to_owned(), |user| user.name.clone());
        let (was, is) = (name(event.before()), name(event.after()));
        let (operation, direction) = (event.change().operation, event.direction());
        let by = event.change().origin.as_ref().map_or("the host".to_owned(), ToString::to_string);
        self.0.lock().unwrap().push((format!("{direction} {operation} by {by}: {was}, {is}"), task));
        assert_ne!(event.object().name, "Trent", "another mistake of the registrar's");
    }
}

/// A bus that logs what happens to users, and has a registrar of them.
async fn with_registrar(bus: TestBus) -> (RunningTestBus, Registrar, FakePeer) {
    let (registrar, log) = (Registrar::default(), FakePeer::new("log"));
    let bus = bus.connector::<EventLog>("event-log").object::<User>().object::<Company>();
    let bus = bus.provide(log.clone()).listen_to::<User>(registrar.clone());
    (bus.start().await, registrar, log)
}

async fn a_listener_is_shown_what_was_and_what_is(bus: TestBus) {
    let (bus, registrar, log) = with_registrar(bus.site("corp")).await;
    let mut ada = User::new("ada", "Ada");
    bus.objects().save(&mut ada).await.unwrap();
    ada.name = "Ada Lovelace".to_owned();
    bus.objects().save(&mut ada).await.unwrap();
    bus.objects().save(&mut ada).await.unwrap();
    bus.objects().save(&mut Company::new("acme", "Acme")).await.unwrap();
    bus.objects().delete::<User>(&ada.id).await.unwrap();
    let heard = [
        "outgoing create by the host: nobody, Ada",
        "outgoing update by the host: Ada, Ada Lovelace",
        "outgoing delete by the host: Ada Lovelace, nobody",
    ];
    assert_eq!(registrar.heard(), heard);
    bus.until_idle().await;
    assert_eq!(log.calls().len(), 3);
}

async fn a_veto_leaves_the_object_as_it_was(bus: TestBus) {
    let (bus, registrar, _) = with_registrar(bus).await;
    let mut ada = User::new("ada", "Ada");
    bus.objects().save(&mut ada).await.unwrap();
    let mut renamed = User { login: "countess".to_owned(), ..ada.clone() };
    let vetoed = bus.objects().save(&mut renamed).await.unwrap_err();
    assert_eq!(vetoed.kind(), BusErrorKind::Vetoed);
    assert!(vetoed.to_string().ends_with(": the registrar is against it"), "{vetoed}");
    assert_eq!(bus.objects().load::<User>(&ada.id).await.unwrap().unwrap(), ada);
    assert_eq!(registrar.heard().len(), 1);
    assert_eq!(bus.counters("event-log", Direction::Outgoing).await.logged, 1);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "shop.cart", display = "Cart")]
struct Cart {
    #[object(id)]
    id: i64,
    #[object(code_name)]
    number: String,
    #[object(children, rule = incremental)]
    goods: Children<Good>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "shop.good", display = "Good")]
struct Good {
    #[object(id)]
    id: i64,
    #[object(code_name)]
    name: String,
    #[object(parent)]
    cart: Ref<Cart>,
}

#[connector(name = "till", create_once = repeatable)]
#[outgoing(Cart)]
#[outgoing(Good)]
struct Till;

impl Connector for Till {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Outgoing<Cart> for Till {
    async fn deliver(&self, _: Change<Cart>, _: &Cx) -> Result<(), Failure> {
        Ok(())
    }
}

impl Outgoing<Good> for Till {
    async fn deliver(&self, _: Change<Good>, _: &Cx) -> Result<(), Failure> {
        Ok(())
    }
}

/// Does not sell poison.
struct Grocer;

impl ListenerOf<Good> for Grocer {
    fn before(&self, event: &Event<Good>) -> Result<(), Veto> {
        match event.after() {
            Some(good) if good.name == "poison" => Err(Veto::because("that is not sold here")),
            _ => Ok(()),
        }
    }
}

fn cart(goods: &[&str]) -> Cart {
    let good = |name: &&str| Good { id: 0, name: (*name).to_owned(), cart: Ref::host(0) };
    Cart { id: 0, number: "7".to_owned(), goods: goods.iter().map(good).collect::<Vec<_>>().into() }
}

async fn a_veto_of_one_of_several_changes_leaves_nothing(bus: TestBus) {
    let bus = bus.connector::<Till>("till").object::<Cart>().object::<Good>();
    let bus = bus.listen_to::<Good>(Grocer).start().await;
    let (objects, goods) = (bus.objects(), async || bus.objects().count::<Good>().await.unwrap());
    let vetoed = objects.save(&mut cart(&["bread", "poison", "cheese"])).await.unwrap_err();
    assert_eq!(vetoed.kind(), BusErrorKind::Vetoed);
    assert!(vetoed.to_string().contains("that is not sold here"), "{vetoed}");
    assert_eq!((objects.count::<Cart>().await.unwrap(), goods().await), (0, 0));
    assert_eq!(bus.counters("till", Direction::Outgoing).await.logged, 0);

    let mut bought = cart(&["bread"]);
    objects.save(&mut bought).await.unwrap();
    let logged = bus.counters("till", Direction::Outgoing).await.logged;
    let mut more = Cart { id: bought.id, number: "8".to_owned(), ..cart(&["cheese", "poison"]) };
    objects.save(&mut more).await.unwrap_err();
    let kept = objects.load::<Cart>(&bought.id).await.unwrap().unwrap();
    assert_eq!((kept.number.as_str(), goods().await), ("7", 1), "not even what was well");
    assert_eq!(bus.counters("till", Direction::Outgoing).await.logged, logged);
}

fn contact(uid: &str, name: &str) -> Contact {
    Contact::new(uid, &name.to_lowercase(), name)
}

async fn what_an_external_object_changes_is_asked_about_whether_anybody_is_told_or_not(bus: TestBus) {
    let registrar = Registrar::default();
    let bus = with_crm(bus.listen_to::<User>(registrar.clone())).0.start().await;
    let ada = bus.process_external_task(ExternalTask::create::<Crm, _>("crm", &contact("1", "Ada"))).await;
    bus.process_external_task(ExternalTask::create::<Crm, _>("crm", &contact("2", "Eve"))).await.unwrap();
    bus.until_idle().await;
    assert_eq!(registrar.heard(), ["incoming create by crm: nobody, Ada"]);
    assert_eq!(registrar.tasks(), [ada.unwrap()], "the task that made the change");
    let [open] = &bus.open("crm", Direction::Incoming).await[..] else { panic!("one is refused") };
    assert_eq!(open.state, DeliveryState::Parked);
    let reason = open.reason.clone().unwrap_or_default();
    assert!(reason.ends_with("the registrar is against it"), "{reason}");
    assert!(bus.objects().find::<User>("eve").await.unwrap().is_none());

    // Whether it is logged for others makes no difference.
    bus.set_switches(Switches { log_outgoing: false, ..bus.switches() }).await.unwrap();
    let gone = ExternalTask::delete::<Crm, _>("crm", &contact("1", "Ada"));
    bus.process_external_task(gone).await.unwrap();
    bus.until_idle().await;
    assert_eq!(registrar.heard()[1..], ["incoming delete by crm: Ada, nobody"]);
}

async fn a_panic_before_is_a_veto_and_one_after_undoes_nothing(bus: TestBus) {
    let (bus, registrar, log) = with_registrar(bus).await;
    let vetoed = bus.objects().save(&mut User::new("mallory", "Mallory")).await.unwrap_err();
    assert_eq!(vetoed.kind(), BusErrorKind::Vetoed);
    let said = vetoed.to_string();
    assert!(said.contains("refuses to create app.user"), "{said}");
    assert!(said.contains("a mistake of the registrar's"), "its own words: {said}");
    assert!(said.ends_with("mend it, then try again"), "{said}");
    assert_eq!(bus.objects().count::<User>().await.unwrap(), 0);

    bus.objects().save(&mut User::new("trent", "Trent")).await.unwrap();
    bus.objects().save(&mut User::new("bob", "Bob")).await.unwrap();
    bus.until_idle().await;
    assert_eq!(log.calls(), ["create trent snapshot", "create bob snapshot"]);
    assert_eq!(registrar.heard().len(), 2);
}

/// A user, as the door knows them.
#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.user", view)]
struct Badge {
    #[object(id)]
    id: i64,
    login: String,
}

#[derive(Clone, Default)]
struct Door(Arc<Mutex<Vec<String>>>);

impl ListenerOf<Badge> for Door {
    fn after(&self, event: &Event<Badge>, _: TaskId) {
        let is_known = event.before().is_some() && event.change().operation == ObjectOperation::Update;
        self.0.lock().unwrap().push(format!("{} {is_known}", event.object().login));
    }
}

async fn a_view_is_enough_to_listen_with(bus: TestBus) {
    let (door, log) = (Door::default(), FakePeer::new("log"));
    let bus = bus.connector::<EventLog>("event-log").object::<User>().provide(log);
    let bus = bus.listen_to::<Badge>(door.clone()).start().await;
    let mut ada = User::new("ada", "Ada");
    bus.objects().save(&mut ada).await.unwrap();
    ada.name = "Ada Lovelace".to_owned();
    bus.objects().save(&mut ada).await.unwrap();
    assert_eq!(*door.0.lock().unwrap(), ["ada false", "ada true"]);
}

/// Not what a user is.
#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.user", view)]
struct Numbered {
    #[object(id)]
    id: i64,
    login: u64,
}

struct Counter;

impl ListenerOf<Numbered> for Counter {}

async fn what_a_listener_cannot_be_shown_is_refused(bus: TestBus) {
    let bus = bus.connector::<EventLog>("event-log").object::<User>().provide(FakePeer::new("log"));
    let bus = bus.listen_to::<Numbered>(Counter).start().await;
    let refused = bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap_err();
    assert_eq!(refused.kind(), BusErrorKind::Malformed);
    assert!(refused.to_string().contains("cannot be shown to a listener"), "{refused}");
    assert_eq!(bus.objects().count::<User>().await.unwrap(), 0);
}

async fn whoever_would_never_hear_anything_is_refused_at_the_start(bus: TestBus) {
    let Err(refused) = bus.object::<User>().listen_to::<Good>(Grocer).try_start().await else {
        panic!("it starts");
    };
    assert_eq!(refused.kind(), BusErrorKind::Config);
    let said = refused.to_string();
    assert!(said.contains("nobody can listen to shop.good"), "{said}");
    assert!(said.contains("derive `BusObject` for it"), "{said}");
}

/// Reads what is published, and lets nobody write of the weather.
#[derive(Clone, Default)]
struct Proofreader(Arc<Mutex<Vec<String>>>);

impl ListenerOf<Article> for Proofreader {
    fn before(&self, event: &Event<Article>) -> Result<(), Veto> {
        match event.after() {
            Some(article) if article.title == "weather" => Err(Veto::because("not again")),
            _ => Ok(()),
        }
    }

    fn after(&self, event: &Event<Article>, _: TaskId) {
        let [before, after] = [event.before(), event.after()].map(|page| {
            page.map_or("nothing".to_owned(), |page| format!("{} {}", page.title, page.node.state()))
        });
        self.0.lock().unwrap().push(format!("{} {before} -> {after}", event.change().operation));
    }
}

async fn pages_are_listened_to_by_class(bus: TestBus) {
    let (heard, gates) = (Proofreader::default(), Gates::new());
    let bus = with_sites(bus).connector::<Reader>("reader").provide(gates.clone());
    let bus = bus.listen_to_pages::<Article>(heard.clone()).start().await;
    let mut launch = article("en-US", "Launch", "1");
    bus.pages().save(&mut launch).await.unwrap();
    launch.title = "2".to_owned();
    bus.pages().save(&mut launch).await.unwrap();
    bus.pages().publish(launch.node.guid, "en-US").await.unwrap();
    launch.title = "weather".to_owned();
    let vetoed = bus.pages().save(&mut launch).await.unwrap_err();
    assert_eq!(vetoed.kind(), BusErrorKind::Vetoed);
    assert!(vetoed.to_string().contains("not again"), "{vetoed}");
    bus.pages().delete(launch.node.guid, "en-US").await.unwrap();
    assert_eq!(
        *heard.0.lock().unwrap(),
        [
            "create nothing -> 1 draft",
            "update 1 draft -> 2 draft",
            "publish 2 draft -> 2 published",
            "delete 2 published -> nothing"
        ]
    );
    bus.until_idle().await;
    assert_eq!(gates.calls().len(), 4);
}
