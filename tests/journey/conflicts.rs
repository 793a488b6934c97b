//! Both sides have changed the same object since they were last equal.

use std::time::Duration;

use bus_core::{
    BusObject, Change, Connector, Cx, DeliveryState, Direction, Failure, Incoming, NoSettings, Outgoing,
    Prepared, Received, connector,
};
use bus_testkit::{Mirror, RunningTestBus, Script, TestBus};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::told::until;

stories!(
    what_each_side_has_changed_reaches_the_other,
    where_nothing_is_said_what_comes_in_wins,
    where_the_host_wins_the_other_side_is_told_again,
    both_changed_to_the_same_value_is_no_conflict,
    at_the_first_contact_what_comes_in_wins,
    what_came_in_before_something_newer_was_told_is_decided_and_told_again,
);

/// A member of a club.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "app.clubmate", display = "Clubmate")]
struct Clubmate {
    #[object(id)]
    id: i64,
    #[object(code_name)]
    login: String,
    name: String,
    phone: String,
}

/// A member as the club's other system knows them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    login: String,
    name: String,
    phone: String,
}

/// The club's other system; in telephone numbers the host is right.
#[connector(name = "clubhouse", create_once = repeatable)]
#[outgoing(Clubmate)]
#[incoming(Entry, key = login, conflict = external_wins, conflicts(phone = host_wins))]
struct Club;

impl Connector for Club {
    type Settings = NoSettings;

    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Outgoing<Clubmate> for Club {
    async fn deliver(&self, change: Change<Clubmate>, cx: &Cx) -> Result<(), Failure> {
        let Clubmate { login, name, phone, .. } = change.object.clone();
        let id = change.external_id().unwrap_or(&login).to_owned();
        change.bind(cx.handle::<Mirror>()?.put(Some(&id), &Entry { login, name, phone }).await?);
        Ok(())
    }
}

impl Incoming<Entry> for Club {
    type Object = Clubmate;

    async fn prepare_internal_object(
        &self,
        received: Received<Entry, Clubmate>,
        _: &Cx,
    ) -> Result<Prepared<Clubmate>, Failure> {
        let Entry { login, name, phone } = received.object;
        Ok(Clubmate { login, name, phone, ..received.existing.unwrap_or_default() }.into())
    }
}

/// A club in which Ada is known to both sides, with the telephone number 1.
async fn start(bus: TestBus) -> (RunningTestBus, Mirror, Clubmate) {
    let club = Mirror::new("clubhouse", "entry");
    let bus = bus.connector::<Club>("clubhouse").object::<Clubmate>().provide(club.clone()).start().await;
    club.attach(&bus);
    let mut ada = Clubmate {
        login: "ada".to_owned(),
        name: "Ada".to_owned(),
        phone: "1".to_owned(),
        ..Clubmate::default()
    };
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    (bus, club, ada)
}

/// The host changes something that the other side does not hear of yet, and then that changes something.
async fn both(bus: &RunningTestBus, club: &Mirror, ours: &mut Clubmate, theirs: impl FnOnce(&mut Value)) {
    club.peer().script([Script::Retry("busy".to_owned())]);
    bus.objects().save(ours).await.unwrap();
    until(async || {
        let open = bus.open("clubhouse", Direction::Outgoing).await;
        open.first().is_some_and(|delivery| delivery.state == DeliveryState::Retryable)
    })
    .await;
    let before = bus.counters("clubhouse", Direction::Incoming).await.completed;
    club.edit("ada", theirs).await.unwrap();
    until(async || bus.counters("clubhouse", Direction::Incoming).await.completed > before).await;
    bus.clock().advance(Duration::from_mins(1));
    bus.until_idle().await;
}

/// What both sides have in the end.
async fn agreed(bus: &RunningTestBus, club: &Mirror) -> (String, String) {
    let Clubmate { name, phone, .. } = bus.objects().find::<Clubmate>("ada").await.unwrap().unwrap();
    let there = club.peer().get("ada").unwrap();
    assert_eq!((there["name"].as_str(), there["phone"].as_str()), (Some(&*name), Some(&*phone)), "{there}");
    assert_eq!(bus.open("clubhouse", Direction::Incoming).await, []);
    assert_eq!(bus.open("clubhouse", Direction::Outgoing).await, []);
    (name, phone)
}

fn pair(name: &str, phone: &str) -> (String, String) {
    (name.to_owned(), phone.to_owned())
}

async fn what_each_side_has_changed_reaches_the_other(bus: TestBus) {
    let (bus, club, mut ada) = start(bus).await;
    ada.name = "Ours".to_owned();
    both(&bus, &club, &mut ada, |entry| entry["phone"] = "2".into()).await;
    assert_eq!(agreed(&bus, &club).await, pair("Ours", "2"));
}

async fn where_nothing_is_said_what_comes_in_wins(bus: TestBus) {
    let (bus, club, mut ada) = start(bus).await;
    ada.name = "Ours".to_owned();
    both(&bus, &club, &mut ada, |entry| entry["name"] = "Theirs".into()).await;
    assert_eq!(agreed(&bus, &club).await, pair("Theirs", "1"));
}

async fn where_the_host_wins_the_other_side_is_told_again(bus: TestBus) {
    let (bus, club, mut ada) = start(bus).await;
    (ada.name, ada.phone) = pair("Ours", "2");
    both(&bus, &club, &mut ada, |entry| {
        entry["name"] = "Theirs".into();
        entry["phone"] = "3".into();
    })
    .await;
    assert_eq!(agreed(&bus, &club).await, pair("Theirs", "2"));
}

async fn both_changed_to_the_same_value_is_no_conflict(bus: TestBus) {
    let (bus, club, mut ada) = start(bus).await;
    ada.phone = "2".to_owned();
    both(&bus, &club, &mut ada, |entry| entry["phone"] = "2".into()).await;
    assert_eq!(agreed(&bus, &club).await, pair("Ada", "2"));
    // They are equal since then: what comes next from there is no conflict with what was here before.
    club.edit("ada", |entry| entry["phone"] = "3".into()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(agreed(&bus, &club).await, pair("Ada", "3"));
}

async fn at_the_first_contact_what_comes_in_wins(bus: TestBus) {
    let club = Mirror::new("clubhouse", "entry");
    let bus = bus.connector::<Club>("clubhouse").object::<Clubmate>().provide(club.clone());
    let bus = bus.start().await;
    club.attach(&bus);
    let switches = bus_runtime::Switches { log_outgoing: false, ..bus_runtime::Switches::default() };
    bus.set_switches(switches).await.unwrap();
    let mut ada = Clubmate { login: "ada".to_owned(), phone: "1".to_owned(), ..Clubmate::default() };
    bus.objects().save(&mut ada).await.unwrap();
    bus.set_switches(bus_runtime::Switches::default()).await.unwrap();
    let theirs = serde_json::json!({"login": "ada", "name": "Ada", "phone": "2"});
    club.edit("ada", |entry| *entry = theirs).await.unwrap();
    bus.until_idle().await;
    assert_eq!(agreed(&bus, &club).await, pair("Ada", "2"));
}

/// The other side has written over what it said itself: where that is taken all the same, it is told of it.
async fn what_came_in_before_something_newer_was_told_is_decided_and_told_again(bus: TestBus) {
    let (bus, club, mut ada) = start(bus).await;
    let reading = |process_incoming| bus_runtime::Switches { process_incoming, ..Default::default() };
    bus.set_switches(reading(false)).await.unwrap();
    club.edit("ada", |entry| (entry["name"], entry["phone"]) = ("Theirs".into(), "3".into())).await.unwrap();
    bus.clock().advance(Duration::from_mins(1));
    (ada.name, ada.phone) = pair("Ours", "2");
    bus.objects().save(&mut ada).await.unwrap();
    until(async || club.peer().get("ada").is_some_and(|entry| entry["name"] == "Ours")).await;
    until(async || bus.open("clubhouse", Direction::Outgoing).await.is_empty()).await;
    bus.clock().advance(Duration::from_mins(1));
    bus.set_switches(reading(true)).await.unwrap();
    bus.until_idle().await;
    assert_eq!(agreed(&bus, &club).await, pair("Theirs", "2"));
}
