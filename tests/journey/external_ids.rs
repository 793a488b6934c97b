//! What external systems call their objects: any text that can be seen, to the letter, and nothing else.

use bus_core::{
    Change, Connector, Cx, DeliveryState, Direction, ExternalTask, Failure, Incoming, NoSettings, ObjectId,
    ObjectKey, Outgoing, Prepared, Received, Ref, ReferencedObject, connector,
};
use bus_runtime::BusErrorKind;
use bus_testkit::{RunningTestBus, TestBus};
use bus_tests::{Contact, User};

use crate::told::{ops, with_crm};

stories!(
    strange_external_ids_go_out_and_come_in_as_they_are,
    what_cannot_be_an_external_id_is_not_bound,
    what_cannot_be_an_external_id_is_no_answer,
    what_cannot_be_an_external_id_is_no_key,
    nothing_that_comes_in_is_bound_to_what_cannot_be_an_external_id,
    a_reference_by_what_cannot_be_an_external_id_is_parked_at_once,
    nobody_links_what_cannot_be_an_external_id
);

/// Strange, and of use to somebody.
fn strange() -> Vec<String> {
    let short = [
        "0",
        "-1",
        "17",
        " ",
        " 003 ",
        "null",
        "a/b~c",
        "a\"b\\c",
        "'; DROP TABLE users; --",
        "%",
        "_",
        "Ünï",
        "U\u{308}ni",
        "日本",
        "👩‍🚀",
        "\u{202e}003",
        "$bus:0123456789abcdef",
    ];
    short.map(str::to_owned).into_iter().chain(["9".repeat(1_024), "é".repeat(512)]).collect()
}

/// What cannot be, and what is said of it.
fn impossible() -> [(String, &'static str); 5] {
    [
        (String::new(), "is empty"),
        ("9".repeat(10_000), "is 10000 bytes, more than 1024"),
        ("é".repeat(513), "is 1026 bytes, more than 1024"),
        ("003\r\n".to_owned(), "contains the control character U+000D"),
        ("0\u{0}3".to_owned(), "contains the control character U+0000"),
    ]
}

/// Calls each user what is in their name, and expects their manager to be called what is in their note. Who comes in is bound
/// to their account, if they have one.
#[connector(name = "binder", create_once = repeatable)]
#[outgoing(User)]
#[incoming(Contact, key = uid)]
struct Binder;

impl Connector for Binder {
    type Settings = NoSettings;

    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }

    async fn external_object_id(&self, object: &ReferencedObject, _: &Cx) -> Result<Option<String>, Failure> {
        let login = object.record.code_name.as_deref().unwrap_or_default();
        // Whoever was not told of is called what their login says.
        Ok(login.strip_prefix("unseen ").map(str::to_owned))
    }
}

impl Outgoing<User> for Binder {
    async fn deliver(&self, change: Change<User>, _: &Cx) -> Result<(), Failure> {
        let user = &change.object;
        if let Some(manager) = &user.manager
            && manager.external_id() != user.note.as_deref()
        {
            return Err(Failure::reject(format!("{manager:?} is not the manager")));
        }
        change.bind(user.name.clone());
        Ok(())
    }
}

impl Incoming<Contact> for Binder {
    type Object = User;

    async fn prepare_internal_object(
        &self,
        received: Received<Contact, User>,
        _: &Cx,
    ) -> Result<Prepared<User>, Failure> {
        let Contact { uid, login, boss, account, .. } = received.object;
        let user = received.existing.unwrap_or_else(|| User::new(&login, &uid));
        let user = User { manager: boss.map(Ref::external), note: Some("came in".to_owned()), ..user };
        let prepared = Prepared::from(user);
        Ok(match account {
            Some(account) => prepared.bound_to(account),
            None => prepared,
        })
    }
}

async fn start(bus: TestBus) -> RunningTestBus {
    bus.connector::<Binder>("binder").object::<User>().start().await
}

/// Why the only open delivery is parked. Ends it.
async fn reason_of_parked(bus: &RunningTestBus, connector: &str, direction: Direction) -> String {
    bus.until_idle().await;
    let open = bus.open(connector, direction).await;
    assert_eq!((open.len(), open[0].state), (1, DeliveryState::Parked), "{open:?}");
    bus.skip(open[0].delivery, &ops()).await.unwrap();
    open[0].reason.clone().unwrap()
}

async fn strange_external_ids_go_out_and_come_in_as_they_are(bus: TestBus) {
    let bus = start(bus).await;
    let mut users = Vec::new();
    for (number, external_id) in strange().into_iter().enumerate() {
        let mut user = User::new(&format!("user{number}"), &external_id);
        bus.objects().save(&mut user).await.unwrap();
        let mut report = User::new(&format!("report{number}"), &format!("report {number}"));
        (report.manager, report.note) = (Some(Ref::host(user.id)), Some(external_id));
        bus.objects().save(&mut report).await.unwrap();
        users.push((user, report));
    }
    bus.until_idle().await;
    assert_eq!(bus.open("binder", Direction::Outgoing).await, []);
    for (user, report) in users {
        let (uid, back) = (user.name, format!("report {}", &report.login["report".len()..]));
        let manager = Contact::new(&uid, "nobody", "");
        let report_of = Contact { boss: Some(uid), ..Contact::new(&back, "nobody", "") };
        for contact in [manager, report_of] {
            let task = ExternalTask::update::<Binder, _>("binder", &contact);
            bus.process_external_task(task).await.unwrap();
        }
        bus.until_idle().await;
        let found: User = bus.objects().load(&user.id).await.unwrap().unwrap();
        assert_eq!(found.note.as_deref(), Some("came in"), "{:?}", found.name);
        let found: User = bus.objects().load(&report.id).await.unwrap().unwrap();
        assert_eq!((found.note.as_deref(), found.manager), (Some("came in"), Some(Ref::host(user.id))));
    }
    let counters = bus.counters("binder", Direction::Incoming).await;
    assert_eq!((counters.open, counters.waited), (0, 0));
    assert_eq!(bus.objects().count::<User>().await.unwrap(), 2 * u64::try_from(strange().len()).unwrap());
}

async fn what_cannot_be_an_external_id_is_not_bound(bus: TestBus) {
    let bus = start(bus).await;
    for (number, (external_id, fault)) in impossible().into_iter().enumerate() {
        let mut user = User::new(&format!("user{number}"), &external_id);
        bus.objects().save(&mut user).await.unwrap();
        let reason = reason_of_parked(&bus, "binder", Direction::Outgoing).await;
        let said = format!(
            "connector binder has told the external system of app.user {}, but the external id {fault}; bind ",
            user.id
        );
        assert!(reason.contains(&said), "{reason}");
    }
    let map = bus.identity(&"binder".parse().unwrap());
    assert_eq!(map.list(None, 10).await.unwrap(), []);
}

async fn what_cannot_be_an_external_id_is_no_answer(bus: TestBus) {
    let bus = start(bus).await;
    for (number, (external_id, fault)) in impossible().into_iter().enumerate() {
        let (mut switches, logs) = (bus.switches(), bus.switches().log_outgoing);
        switches.log_outgoing = false;
        bus.set_switches(switches).await.unwrap();
        let mut boss = User::new(&format!("unseen {external_id}"), "Boss");
        bus.objects().save(&mut boss).await.unwrap();
        switches.log_outgoing = logs;
        bus.set_switches(switches).await.unwrap();
        let mut user = User::new(&format!("user{number}"), "user");
        user.manager = Some(Ref::host(boss.id));
        bus.objects().save(&mut user).await.unwrap();
        let reason = reason_of_parked(&bus, "binder", Direction::Outgoing).await;
        let said = format!(
            "`external_object_id` was asked for app.user {}, but the external id {fault}; bind ",
            boss.id
        );
        assert!(reason.contains(&said), "{reason}");
    }
}

async fn what_cannot_be_an_external_id_is_no_key(bus: TestBus) {
    let bus = start(bus).await;
    for (uid, fault) in impossible() {
        let said = format!("the key of the contact for connector binder {fault}");
        let contact = ExternalTask::create::<Binder, _>("binder", &Contact::new(&uid, "ada", "Ada"));
        let gone = ExternalTask::gone("binder", "contact", &*uid);
        for task in [contact, gone] {
            let refused = bus.process_external_task(task).await.unwrap_err();
            assert!(matches!(refused.kind(), BusErrorKind::Malformed | BusErrorKind::TooLarge), "{refused}");
            assert!(refused.to_string().contains(&said), "{refused} should contain {said}");
        }
    }
    assert_eq!(bus.counters("binder", Direction::Incoming).await.logged, 0);
}

async fn nothing_that_comes_in_is_bound_to_what_cannot_be_an_external_id(bus: TestBus) {
    let bus = start(bus).await;
    for (account, fault) in impossible() {
        let contact = Contact { account: Some(account), ..Contact::new("003", "ada", "Ada") };
        let task = ExternalTask::create::<Binder, _>("binder", &contact);
        bus.process_external_task(task).await.unwrap();
        let reason = reason_of_parked(&bus, "binder", Direction::Incoming).await;
        let said = format!("it cannot be bound: the external id {fault}; bind ");
        assert!(reason.contains(&said), "{reason}");
    }
    assert_eq!(bus.objects().count::<User>().await.unwrap(), 0);
}

async fn a_reference_by_what_cannot_be_an_external_id_is_parked_at_once(bus: TestBus) {
    let bus = start(bus).await;
    for (boss, fault) in impossible() {
        let contact = Contact { boss: Some(boss), ..Contact::new("003", "ada", "Ada") };
        let task = ExternalTask::create::<Binder, _>("binder", &contact);
        bus.process_external_task(task).await.unwrap();
        let reason = reason_of_parked(&bus, "binder", Direction::Incoming).await;
        let said = format!(
            "it refers to an object of type app.user by an external id that {fault}; mend it, or leave the reference out"
        );
        assert!(reason.contains(&said), "{reason}");
    }
    assert_eq!(bus.counters("binder", Direction::Incoming).await.waited, 0);
    assert_eq!(bus.objects().count::<User>().await.unwrap(), 0);
}

async fn nobody_links_what_cannot_be_an_external_id(bus: TestBus) {
    let bus = with_crm(bus).0.start().await;
    let mut ada = User::new("ada", "Ada");
    bus.objects().save(&mut ada).await.unwrap();
    let map = bus.identity(&"crm".parse().unwrap());
    let key = ObjectKey { object_type: "app.user".parse().unwrap(), id: ObjectId::Number(ada.id) };
    for (external_id, fault) in impossible() {
        let refused = map.link(&key, &external_id, &ops()).await.unwrap_err();
        let said = format!("cannot be linked at connector crm: the external id {fault}; bind ");
        assert!(refused.to_string().contains(&said), "{refused} should contain {said}");
    }
}
