//! What `#[connector]` and its lines come to at run time.

use std::any::Any;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bus_core::__private::{LinkedConnector, inventory};
use bus_core::change::{Bound, ChangeFacts};
use bus_core::connector::ReceivedFacts;
use bus_core::descriptor::{
    ConnectorDescriptor, DescribedConnector, IncomingCall, OutgoingRoute, PreparedObject, PreparedParts,
    Route,
};
use bus_core::instance::Instance;
use bus_core::object::ObjectKey;
use bus_core::payload::Payload;
use bus_core::{
    Accepts, AnyObject, BoxFuture, Cancellation, Change, ChangeSummary, Clock, Connector, ConnectorName, Cx,
    DataType, DeliveryId, ExternalTask, Failure, Handles, Incoming, NoSettings, ObjectId, ObjectOperation,
    ObjectType, Outgoing, Prepared, Received, Settings, SiteCriterion, SiteName, Subscription, TaskId,
    Timestamp, blocking, connector,
};
use bus_tests_macros::{Contact, Lead, User};
use serde::Deserialize;

struct HostDb(Mutex<Vec<String>>);
struct Mailer;

#[derive(Deserialize, Settings)]
struct CrmSettings {
    /// Whose users are told of.
    domain: String,
}

///
/// Keeps the CRM in step.
///
/// And more.
#[connector(name = "crm-eu", needs(HostDb, Mailer))]
#[outgoing(User, on(update, create), data = snapshot, filter = Self::is_of_the_domain)]
#[outgoing(User, on(remove_from_site, delete), data = simple, site = "corp%", code_name = "a%")]
#[outgoing(AnyObject, type = "cms.%", global)]
#[incoming(Contact, key = uid)]
#[incoming(Lead, unordered, kind = "web_lead", decode = read_lead)]
struct Crm {
    db: Arc<HostDb>,
}

impl Crm {
    fn is_of_the_domain(change: &ChangeSummary, settings: &CrmSettings) -> bool {
        change.code_name.as_deref().is_some_and(|login| login.ends_with(&settings.domain))
    }

    fn note(&self, what: String) {
        self.db.0.lock().unwrap().push(what);
    }
}

fn read_lead(bytes: &[u8]) -> Result<Lead, Failure> {
    Ok(Lead { uid: str::from_utf8(bytes)?.trim().to_owned() })
}

impl Connector for Crm {
    type Settings = CrmSettings;
    async fn connect(_: CrmSettings, cx: &Cx) -> Result<Self, Failure> {
        Ok(Self { db: cx.handle()? })
    }
}

impl Outgoing<User> for Crm {
    async fn deliver(&self, change: Change<User>, _: &Cx) -> Result<(), Failure> {
        let site = change.site().map_or("no site", SiteName::as_str);
        self.note(format!("{} {} of {site}", change.operation(), change.object.login));
        change.bind("0031");
        Ok(())
    }
}

impl Outgoing<AnyObject> for Crm {
    async fn deliver(&self, change: Change<AnyObject>, _: &Cx) -> Result<(), Failure> {
        self.note(format!("any {}", change.key()));
        Ok(())
    }
}

impl Incoming<Contact> for Crm {
    type Object = User;
    async fn prepare_internal_object(
        &self,
        received: Received<Contact, User>,
        _: &Cx,
    ) -> Result<Prepared<User>, Failure> {
        let mut user = received.existing.unwrap_or_default();
        user.login = received.object.uid;
        Ok(Prepared::from(user).bound_to("bound"))
    }
}

impl Incoming<Lead> for Crm {
    type Object = User;
    async fn prepare_internal_object(
        &self,
        _: Received<Lead, User>,
        _: &Cx,
    ) -> Result<Prepared<User>, Failure> {
        Ok(Prepared::Ignore)
    }
}

#[test]
fn the_descriptor_says_what_the_attributes_say() {
    let crm: &ConnectorDescriptor = Crm::DESCRIPTOR;
    assert_eq!(crm.name, "crm-eu");
    assert_eq!(crm.summary, "Keeps the CRM in step.");
    assert_eq!(crm.place.crate_name, "bus-tests-macros");
    assert_eq!(crm.place.file, file!());
    let line_of_the_attribute = include_str!("connectors.rs")
        .lines()
        .position(|line| line.starts_with("#[connector(name = \"crm-eu\""))
        .unwrap();
    assert_eq!(crm.place.line as usize, line_of_the_attribute + 1);
    assert_eq!(format!("{:?}", crm.needs), "[connectors::HostDb, connectors::Mailer]");
    assert_eq!((crm.settings_schema)(), CrmSettings::schema());

    let routes: Vec<&OutgoingRoute> = crm.outgoing().collect();
    let [first, second, any] = routes[..] else { panic!("{routes:?}") };
    assert_eq!(
        first.subscription,
        Subscription::to("app.user")
            .on(&[ObjectOperation::Create, ObjectOperation::Update])
            .data(DataType::Snapshot)
    );
    assert_eq!(
        second.subscription,
        Subscription::to("app.user")
            .on(&[ObjectOperation::Delete, ObjectOperation::RemoveFromSite])
            .data(DataType::Simple)
            .site("corp%")
            .code_name("a%")
    );
    assert_eq!(any.subscription, Subscription::to("cms.%").global());
    assert_eq!(any.subscription.site, SiteCriterion::Global);
    assert_eq!(any.subscription.data_type, DataType::SimpleSnapshot);
    assert_eq!(
        [first.exact_type, second.exact_type, any.exact_type],
        [Some("app.user"), Some("app.user"), None]
    );
    assert_eq!([first.filter.is_some(), second.filter.is_some(), any.filter.is_some()], [true, false, false]);
    let kinds: Vec<_> = crm.incoming().map(|route| (route.kind, route.object_type)).collect();
    assert_eq!(kinds, [("contact", Some("app.user")), ("web_lead", Some("app.user"))]);
}

/// Writes into a ledger, page by page.
#[connector(name = "ledger", blocking)]
#[outgoing(User, on(update), sync, code_name = "a%")]
#[outgoing(User, on(delete))]
#[incoming(Contact, key = uid)]
struct Ledger {
    db: Arc<HostDb>,
}

impl Connector for Ledger {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, cx: &Cx) -> Result<Self, Failure> {
        Ok(Self { db: cx.handle()? })
    }
}

impl blocking::Outgoing<User> for Ledger {
    fn deliver(&self, change: Change<User>, _: &Cx) -> Result<(), Failure> {
        self.db.0.lock().unwrap().push(format!("{} {}", change.operation(), change.object.login));
        Ok(())
    }
}

impl blocking::Incoming<Contact> for Ledger {
    type Object = User;
    fn prepare_internal_object(
        &self,
        received: Received<Contact, User>,
        _: &Cx,
    ) -> Result<Prepared<User>, Failure> {
        Ok(User { id: 0, login: received.object.uid }.into())
    }
}

#[test]
fn a_blocking_connector_says_so_on_each_route_and_an_async_one_on_none() {
    assert!(Ledger::DESCRIPTOR.blocks());
    assert!(Ledger::DESCRIPTOR.routes.iter().all(Route::blocks));
    assert!(!Crm::DESCRIPTOR.blocks());
    assert!(!Crm::DESCRIPTOR.routes.iter().any(Route::blocks));

    let (cx, db) = context();
    let ledger = run((Ledger::DESCRIPTOR.connect)(serde_json::json!({}), &cx)).unwrap();
    let payload = Payload::of(&User { id: 7, login: "ada".to_owned() }).unwrap();
    for route in Ledger::DESCRIPTOR.outgoing() {
        run((route.deliver)(&ledger, payload.clone(), facts(Bound::default()), &cx)).unwrap();
    }
    assert_eq!(*db.0.lock().unwrap(), ["update ada", "update ada"]);
    let contact = Ledger::DESCRIPTOR.incoming().next().unwrap();
    let prepared = run((contact.prepare)(&ledger, call(br#"{"uid":"003","tags":[]}"#, None), &cx)).unwrap();
    assert!(matches!(prepared, PreparedObject::Object { .. }), "{prepared:?}");
}

#[test]
fn a_synchronous_line_is_a_snapshot_and_its_neighbours_are_not() {
    let subscriptions: Vec<_> = Ledger::DESCRIPTOR.outgoing().map(|route| route.subscription).collect();
    assert_eq!(
        subscriptions,
        [
            Subscription::to("app.user").on(&[ObjectOperation::Update]).synchronous().code_name("a%"),
            Subscription::to("app.user").on(&[ObjectOperation::Delete]),
        ]
    );
    let carried: Vec<_> = subscriptions.iter().map(|line| (line.sync, line.data_type)).collect();
    assert_eq!(carried, [(true, DataType::Snapshot), (false, DataType::SimpleSnapshot)]);
}

#[test]
fn the_linker_finds_the_descriptor_once() {
    let found: Vec<_> = inventory::iter::<LinkedConnector>()
        .map(|linked| linked.0)
        .filter(|descriptor| descriptor.name == "crm-eu")
        .collect();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].place, Crm::DESCRIPTOR.place);
}

#[test]
fn the_hand_written_form_says_the_same() {
    static BY_HAND: ConnectorDescriptor = ConnectorDescriptor::new::<Crm>("by-hand")
        .routes(const { &[Route::outgoing::<Crm, User>(Subscription::everything(), None)] });
    let route = BY_HAND.outgoing().next().unwrap();
    assert_eq!(route.subscription.object_type, "app.user");
}

#[test]
fn a_filter_is_asked_with_the_settings() {
    let filter = Crm::DESCRIPTOR.outgoing().next().unwrap().filter.unwrap();
    let summary = |login: &str| ChangeSummary {
        object_type: ObjectType::parse("app.user").unwrap(),
        id: ObjectId::Number(1),
        operation: ObjectOperation::Create.into(),
        code_name: Some(login.to_owned()),
        display_name: None,
        site: None,
        page: None,
        origin: None,
    };
    let settings = CrmSettings { domain: "@example.com".to_owned() };
    let settings: &(dyn Any + Send + Sync) = &settings;
    assert!(filter(&summary("ada@example.com"), settings));
    assert!(!filter(&summary("ada@example.org"), settings));
}

#[test]
fn keys_and_kinds_are_those_of_the_lines() {
    let contact = <Crm as Accepts<Contact>>::decode(br#"{"uid":"003","tags":[]}"#).unwrap();
    assert_eq!(<Crm as Accepts<Contact>>::key(&contact).as_deref(), Some("003"));
    assert_eq!(<Crm as Accepts<Contact>>::KIND, "contact");
    let lead = <Crm as Accepts<Lead>>::decode(b" 17\n").unwrap();
    assert_eq!(lead.uid, "17");
    assert_eq!(<Crm as Accepts<Lead>>::key(&lead), None);

    let refused = <Crm as Accepts<Contact>>::decode(b"<xml/>").unwrap_err();
    assert!(refused.message().contains("cannot be read"), "{}", refused.message());

    let routes: Vec<_> = Crm::DESCRIPTOR.incoming().collect();
    assert_eq!((routes[0].key)(br#"{"uid":"003","tags":[]}"#).unwrap().as_deref(), Some("003"));
    assert_eq!((routes[1].key)(b"17").unwrap(), None);
}

#[test]
fn a_task_of_a_site_names_its_operation_and_its_site() {
    let contact = Contact { uid: "003".to_owned(), tags: Vec::new() };
    let added = ExternalTask::add_to_site::<Crm, _>("crm-eu", &contact, "corp");
    let removed = ExternalTask::remove_from_site::<Crm, _>("crm-eu", &contact, "corp");
    for (task, operation) in [(added, "add_to_site"), (removed, "remove_from_site")] {
        assert_eq!((task.operation.as_str(), task.site.as_deref()), (operation, Some("corp")));
        assert_eq!((task.kind.as_str(), task.key.as_deref()), ("contact", Some("003")));
        assert!(task.operation.is_of_site());
    }
}

#[test]
fn each_route_calls_the_impl_of_its_line() {
    let (cx, db) = context();
    let crm = connect(&cx);
    let payload = Payload::of(&User { id: 7, login: "ada".to_owned() }).unwrap();

    let corp = SiteName::parse("corp").unwrap();
    for (route, site) in Crm::DESCRIPTOR.outgoing().zip([None, Some(corp), None]) {
        let bound = Bound::default();
        let facts = ChangeFacts { site, ..facts(bound.clone()) };
        run((route.deliver)(&crm, payload.clone(), facts, &cx)).unwrap();
        let expected = route.exact_type.map(|_| "0031".to_owned());
        assert_eq!(bound.take(), expected);
    }
    assert_eq!(*db.0.lock().unwrap(), ["update ada of no site", "update ada of corp", "any app.user 7"]);

    let [contact, lead] = Crm::DESCRIPTOR.incoming().collect::<Vec<_>>()[..] else { panic!() };
    let prepared =
        run((contact.prepare)(&crm, call(br#"{"uid":"003","tags":[]}"#, Some(payload)), &cx)).unwrap();
    let PreparedObject::Object { object: PreparedParts::Typed(object), external_id, .. } = prepared else {
        panic!("{prepared:?}")
    };
    assert_eq!(external_id.as_deref(), Some("bound"));
    assert_eq!(object.id, Some(ObjectId::Number(7)));
    assert_eq!(object.code_name.as_deref(), Some("003"));
    let prepared = run((lead.prepare)(&crm, call(b"17", None), &cx)).unwrap();
    assert!(matches!(prepared, PreparedObject::Ignore));
}

#[test]
fn settings_that_do_not_fit_are_a_failure_with_the_reason() {
    let (cx, _db) = context();
    let failure = run((Crm::DESCRIPTOR.connect)(serde_json::json!({}), &cx)).unwrap_err();
    assert!(failure.message().contains("missing field `domain`"), "{}", failure.message());
    let Err(message) = (Crm::DESCRIPTOR.read_settings)(serde_json::json!({ "domain": 7 })) else {
        panic!("a number is no text")
    };
    assert!(message.contains("expected a string"), "{message}");
}

/// The names that the expansion could stumble over, if it used any without saying whose they are.
mod with_shadowing_names {
    #![expect(dead_code, reason = "they are here to be in the way")]

    use ::bus_core::{BusObject as Object, Settings as Form, connector as bus_connector};
    use ::serde::{Deserialize, Serialize};

    type String = ();
    struct Option;
    struct Result;
    struct Subscription;
    struct Route;
    struct Failure;
    mod core {}
    mod std {}
    mod bus_core {}
    mod inventory {}

    #[derive(Serialize, Deserialize, Object)]
    #[object(type = "app.shadow")]
    struct Shadow {
        #[object(id)]
        id: i64,
        #[object(code_name)]
        code: ::std::string::String,
    }

    #[derive(Deserialize, Form)]
    struct ShadowSettings {
        /// Anything.
        text: ::std::string::String,
    }

    #[bus_connector(name = "shadow")]
    #[outgoing(Shadow, on(create), data = simple)]
    struct Shadowed;

    ::bus_tests_macros::connects!(Shadowed);
    ::bus_tests_macros::delivers!(Shadowed: Shadow);
}

#[test]
fn names_of_the_authors_module_do_not_come_between() {
    let names: Vec<_> = inventory::iter::<LinkedConnector>().map(|linked| linked.0.name).collect();
    assert!(names.contains(&"shadow"), "{names:?}");
}

#[test]
fn a_connector_can_stand_inside_a_function() {
    #[connector(name = "inner")]
    #[outgoing(User)]
    struct Inner;
    bus_tests_macros::connects!(Inner);
    bus_tests_macros::delivers!(Inner: User);

    assert_eq!(Inner::DESCRIPTOR.name, "inner");
    assert_eq!(Inner::DESCRIPTOR.summary, "");
}

fn context() -> (Cx, Arc<HostDb>) {
    let mut handles = Handles::default();
    handles.insert(HostDb(Mutex::default()));
    let db = handles.get::<HostDb>().unwrap();
    let name = ConnectorName::parse("crm-eu").unwrap();
    (Cx::new(name, handles, Arc::new(Stopped), Arc::new(Never)), db)
}

fn connect(cx: &Cx) -> Instance {
    run((Crm::DESCRIPTOR.connect)(serde_json::json!({ "domain": "@example.com" }), cx)).unwrap()
}

fn facts(bound: Bound) -> ChangeFacts {
    ChangeFacts {
        delivery: DeliveryId(1),
        task: TaskId(1),
        key: user_key(),
        operation: ObjectOperation::Update.into(),
        data_type: DataType::SimpleSnapshot,
        attempt: 1,
        idempotency_key: uuid::Uuid::nil(),
        site: None,
        external_id: None,
        origin: None,
        logged_at: Timestamp::EPOCH,
        bound,
    }
}

fn user_key() -> ObjectKey {
    ObjectKey { object_type: ObjectType::parse("app.user").unwrap(), id: ObjectId::Number(7) }
}

fn call(bytes: &[u8], existing: Option<Payload>) -> IncomingCall {
    IncomingCall {
        bytes: bytes.to_vec(),
        existing: existing.map(|payload| (user_key(), payload)),
        facts: ReceivedFacts {
            operation: ObjectOperation::Update.into(),
            data_type: DataType::SimpleSnapshot,
            site: None,
            key: None,
            attempt: 1,
        },
    }
}

/// A clock that stands still.
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH
    }

    fn sleep_until(&self, _: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
}

/// Nobody says stop.
struct Never;

impl Cancellation for Never {
    fn is_cancelled(&self) -> bool {
        false
    }

    fn cancelled(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
}

/// Nothing here waits for anything, so one poll is enough.
fn run<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}
