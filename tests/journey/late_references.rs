//! References that are declared late: an object goes without them, and again once they can be told.

use std::collections::BTreeSet;
use std::time::Duration;

use bus_core::{
    BusObject, Change, Connector, Cx, DeliveryState, Direction, Failure, NoSettings, ObjectId, ObjectKey,
    ObjectOperation, Outgoing, Ref, connector,
};
use bus_runtime::{ConnectorState, StoreConfig, Switches, Synchronous};
use bus_testkit::{FakePeer, RunningTestBus, Script, TestBus};
use bus_tests::Company;
use serde::{Deserialize, Serialize};

use crate::told::ops;

stories!(
    a_late_reference_is_sent_again_when_it_resolves,
    a_late_edge_breaks_a_circle,
    what_refers_to_itself_late_is_sent_again_with_its_own_id,
    several_late_references_are_told_as_they_resolve,
    what_refers_to_something_else_by_then_is_not_sent_again,
    a_change_meanwhile_is_told_as_it_is,
    an_object_that_is_gone_is_not_sent_again,
    a_delete_goes_with_its_late_references,
    a_follow_up_is_for_the_connector_that_missed_it,
    who_is_told_of_creates_only_is_told_the_rest,
    who_disabled_it_is_told_once_it_is_enabled,
    what_failed_is_remembered_once_it_is_delivered,
    what_no_call_can_answer_goes_without_and_an_operator_mends_it
);

/// Somebody in a club.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "app.employee", display = "Member")]
struct Member {
    #[object(id)]
    id: i64,
    #[object(code_name)]
    login: String,
    /// Who brought them.
    #[object(reference = late)]
    sponsor: Option<Ref<Member>>,
    /// Who teaches them: nobody without a teacher.
    teacher: Option<Ref<Member>>,
    /// Where they work, which is none of the club's business.
    #[object(reference = late)]
    employer: Option<Ref<Company>>,
}

impl Member {
    fn new(login: &str) -> Self {
        Self { login: login.to_owned(), ..Self::default() }
    }

    fn key(&self) -> ObjectKey {
        ObjectKey { object_type: Self::TYPE.parse().unwrap(), id: ObjectId::Number(self.id) }
    }
}

macro_rules! clubs {
    ($($club:ident, $name:literal, $($operation:ident),*;)*) => {
        $(
            /// Keeps a list of members.
            #[connector(name = $name, needs(FakePeer))]
            #[outgoing(Member, on($($operation),*))]
            struct $club;

            impl Connector for $club {
                type Settings = NoSettings;
                async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
                    Ok(Self)
                }
            }

            impl Outgoing<Member> for $club {
                async fn deliver(&self, change: Change<Member>, cx: &Cx) -> Result<(), Failure> {
                    keep($name, &change, cx)
                }
            }
        )*
    };
}

clubs! {
    Club, "club", create, update, delete;
    Register, "register", create;
}

/// `club: update ada, sponsor club/bob`.
fn keep(club: &str, change: &Change<Member>, cx: &Cx) -> Result<(), Failure> {
    let Member { login, sponsor, employer, .. } = &change.object;
    let references = [("sponsor", sponsor.as_ref().map(told)), ("employer", employer.as_ref().map(told))];
    let references = references.into_iter().filter_map(|(what, id)| Some(format!(", {what} {}", id?)));
    let references: String = references.collect();
    cx.handle::<FakePeer>()?.say(format!("{club}: {} {login}{references}", change.operation()))?;
    if change.operation() != ObjectOperation::Delete {
        change.bind(format!("{club}/{login}"));
    }
    Ok(())
}

fn told<T: BusObject>(reference: &Ref<T>) -> String {
    if reference.is_unresolved() {
        assert!(reference.host_id().is_some() && reference.external_id().is_none());
        assert_eq!(serde_json::to_value(reference).unwrap(), serde_json::Value::Null);
        return "later".to_owned();
    }
    reference.external_id().unwrap_or("the host's").to_owned()
}

fn with_club(bus: TestBus) -> (TestBus, FakePeer) {
    let peer = FakePeer::new("club");
    let bus = bus.connector::<Club>("club").object::<Member>().object::<Company>().provide(peer.clone());
    (bus, peer)
}

/// A running bus with members of whom nobody was told.
async fn unknown<const N: usize>(bus: TestBus, logins: [&str; N]) -> (RunningTestBus, [Member; N]) {
    let bus = bus.start().await;
    set_logging(&bus, false).await;
    let mut members = logins.map(Member::new);
    for member in &mut members {
        bus.objects().save(member).await.unwrap();
    }
    set_logging(&bus, true).await;
    (bus, members)
}

async fn set_logging(bus: &RunningTestBus, log_outgoing: bool) {
    bus.set_switches(Switches { log_outgoing, ..Switches::default() }).await.unwrap();
}

async fn save(bus: &RunningTestBus, member: &mut Member) {
    bus.objects().save(member).await.unwrap();
    bus.until_idle().await;
}

/// The club learns of somebody whom it was not told of before.
async fn introduce(bus: &RunningTestBus, member: &mut Member) {
    member.login.push('!');
    save(bus, member).await;
}

/// Nothing is open, nobody waited, nothing is left to be told.
async fn assert_all_told(bus: &RunningTestBus, connector: &str) {
    let counters = bus.counters(connector, Direction::Outgoing).await;
    assert_eq!((counters.open, counters.waited), (0, 0));
    assert_eq!(bus.store().resolved(None, 10).await.unwrap(), []);
}

async fn a_late_reference_is_sent_again_when_it_resolves(bus: TestBus) {
    let (bus, peer) = with_club(bus);
    let (bus, [mut bob]) = unknown(bus, ["bob"]).await;
    let mut ada = Member { sponsor: Some(Ref::host(bob.id)), ..Member::new("ada") };
    save(&bus, &mut ada).await;
    assert_eq!(peer.take_calls(), ["club: create ada, sponsor later"]);
    introduce(&bus, &mut bob).await;
    assert_eq!(peer.take_calls(), ["club: update bob!", "club: update ada, sponsor club/bob!"]);
    save(&bus, &mut Member { sponsor: Some(Ref::host(bob.id)), ..Member::new("eve") }).await;
    assert_eq!(peer.take_calls(), ["club: create eve, sponsor club/bob!"], "nothing is left to be told");
    assert_all_told(&bus, "club").await;
}

async fn a_late_edge_breaks_a_circle(bus: TestBus) {
    let (bus, peer) = with_club(bus);
    let (bus, [mut ada, mut bob]) = unknown(bus, ["ada", "bob"]).await;
    ada.teacher = Some(Ref::host(bob.id));
    save(&bus, &mut ada).await;
    let open = bus.open("club", Direction::Outgoing).await;
    assert_eq!(open[0].state, DeliveryState::Waiting);
    bob.sponsor = Some(Ref::host(ada.id));
    save(&bus, &mut bob).await;
    let expected =
        ["club: update bob, sponsor later", "club: update ada", "club: update bob, sponsor club/ada"];
    assert_eq!(peer.calls(), expected);
    assert_eq!(bus.counters("club", Direction::Outgoing).await.open, 0);
}

async fn what_refers_to_itself_late_is_sent_again_with_its_own_id(bus: TestBus) {
    let (bus, peer) = with_club(bus);
    let (bus, [mut ada]) = unknown(bus, ["ada"]).await;
    ada.sponsor = Some(Ref::host(ada.id));
    save(&bus, &mut ada).await;
    assert_eq!(peer.calls(), ["club: update ada, sponsor later", "club: update ada, sponsor club/ada"]);
    assert_all_told(&bus, "club").await;
}

async fn several_late_references_are_told_as_they_resolve(bus: TestBus) {
    let (bus, peer) = with_club(bus);
    let (bus, [mut bob]) = unknown(bus, ["bob"]).await;
    set_logging(&bus, false).await;
    let mut acme = Company::new("acme", "Acme");
    bus.objects().save(&mut acme).await.unwrap();
    set_logging(&bus, true).await;
    let ada =
        Member { sponsor: Some(Ref::host(bob.id)), employer: Some(Ref::host(acme.id)), ..Member::new("ada") };
    save(&bus, &mut ada.clone()).await;
    introduce(&bus, &mut bob).await;
    let company = ObjectKey { object_type: Company::TYPE.parse().unwrap(), id: ObjectId::Number(acme.id) };
    bus.identity(&"club".parse().unwrap()).link(&company, "A-1", &ops()).await.unwrap();
    bus.until_idle().await;
    let expected = [
        "club: create ada, sponsor later, employer later",
        "club: update bob!",
        "club: update ada, sponsor club/bob!, employer later",
        "club: update ada, sponsor club/bob!, employer A-1",
    ];
    assert_eq!(peer.calls(), expected);
    assert_all_told(&bus, "club").await;
}

async fn what_refers_to_something_else_by_then_is_not_sent_again(bus: TestBus) {
    let (bus, peer) = with_club(bus);
    let (bus, [mut bob]) = unknown(bus, ["bob"]).await;
    let mut ada = Member { sponsor: Some(Ref::host(bob.id)), ..Member::new("ada") };
    save(&bus, &mut ada).await;
    ada.sponsor = None;
    save(&bus, &mut ada).await;
    introduce(&bus, &mut bob).await;
    assert_eq!(peer.calls(), ["club: create ada, sponsor later", "club: update ada", "club: update bob!"]);
}

/// What follows carries the object as it is when it is logged, and stands behind whatever was logged before.
async fn a_change_meanwhile_is_told_as_it_is(bus: TestBus) {
    let (bus, peer) = with_club(bus);
    let (bus, [mut bob]) = unknown(bus, ["bob"]).await;
    let mut ada = Member { sponsor: Some(Ref::host(bob.id)), ..Member::new("ada") };
    save(&bus, &mut ada).await;
    let club = "club".parse().unwrap();
    bus.set_connector_state(&club, ConnectorState::Paused).await.unwrap();
    introduce(&bus, &mut bob).await;
    ada.login = "countess".to_owned();
    save(&bus, &mut ada).await;
    bus.set_connector_state(&club, ConnectorState::Enabled).await.unwrap();
    bus.until_idle().await;
    let expected =
        ["club: create ada, sponsor later", "club: update bob!", "club: update countess, sponsor club/bob!"];
    assert_eq!(peer.calls(), expected, "the change was delivered with it, which leaves nothing to follow");
    assert_all_told(&bus, "club").await;
}

async fn an_object_that_is_gone_is_not_sent_again(bus: TestBus) {
    let (bus, peer) = with_club(bus);
    let (bus, [mut bob]) = unknown(bus, ["bob"]).await;
    let mut ada = Member { sponsor: Some(Ref::host(bob.id)), ..Member::new("ada") };
    save(&bus, &mut ada).await;
    let club = "club".parse().unwrap();
    bus.set_connector_state(&club, ConnectorState::Paused).await.unwrap();
    bus.objects().delete::<Member>(&ada.id).await.unwrap();
    bus.identity(&club).link(&bob.key(), "B-1", &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.store().resolved(None, 10).await.unwrap(), [], "there is nothing to tell of it any more");
    bus.set_connector_state(&club, ConnectorState::Enabled).await.unwrap();
    introduce(&bus, &mut bob).await;
    assert_eq!(
        peer.calls(),
        ["club: create ada, sponsor later", "club: delete ada, sponsor B-1", "club: update bob!"]
    );
}

async fn a_delete_goes_with_its_late_references(bus: TestBus) {
    let (bus, peer) = with_club(bus);
    let (bus, [mut bob]) = unknown(bus, ["bob"]).await;
    let mut ada = Member { sponsor: Some(Ref::host(bob.id)), ..Member::new("ada") };
    save(&bus, &mut ada).await;
    bus.objects().delete::<Member>(&ada.id).await.unwrap();
    bus.until_idle().await;
    introduce(&bus, &mut bob).await;
    assert_eq!(
        peer.calls(),
        ["club: create ada, sponsor later", "club: delete ada, sponsor the host's", "club: update bob!"]
    );
    assert_all_told(&bus, "club").await;
}

async fn a_follow_up_is_for_the_connector_that_missed_it(bus: TestBus) {
    let (bus, peer) = with_club(bus);
    let (bus, [mut bob]) = unknown(bus.connector::<Register>("register"), ["bob"]).await;
    bus.identity(&"register".parse().unwrap()).link(&bob.key(), "R-1", &ops()).await.unwrap();
    save(&bus, &mut Member { sponsor: Some(Ref::host(bob.id)), ..Member::new("ada") }).await;
    introduce(&bus, &mut bob).await;
    let calls: BTreeSet<_> = peer.calls().into_iter().collect();
    let expected = [
        "club: create ada, sponsor later",
        "club: update ada, sponsor club/bob!",
        "club: update bob!",
        "register: create ada, sponsor R-1",
    ];
    assert_eq!(calls, expected.map(str::to_owned).into());
    assert_eq!(peer.calls().len(), expected.len());
}

async fn who_is_told_of_creates_only_is_told_the_rest(bus: TestBus) {
    let peer = FakePeer::new("register");
    let bus = bus.connector::<Register>("register").object::<Member>().object::<Company>();
    let (bus, [mut bob]) = unknown(bus.provide(peer.clone()), ["bob"]).await;
    save(&bus, &mut Member { sponsor: Some(Ref::host(bob.id)), ..Member::new("ada") }).await;
    introduce(&bus, &mut bob).await;
    assert_eq!(peer.take_calls(), ["register: create ada, sponsor later"]);
    bus.identity(&"register".parse().unwrap()).link(&bob.key(), "R-1", &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(peer.calls(), ["register: update ada, sponsor R-1"]);
    assert_all_told(&bus, "register").await;
}

async fn who_disabled_it_is_told_once_it_is_enabled(bus: TestBus) {
    let (bus, peer) = with_club(bus);
    let (bus, [bob]) = unknown(bus, ["bob"]).await;
    save(&bus, &mut Member { sponsor: Some(Ref::host(bob.id)), ..Member::new("ada") }).await;
    let club = "club".parse().unwrap();
    bus.set_connector_state(&club, ConnectorState::Disabled).await.unwrap();
    bus.identity(&club).link(&bob.key(), "B-1", &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.counters("club", Direction::Outgoing).await.logged, 1, "it is disabled");
    bus.set_connector_state(&club, ConnectorState::Enabled).await.unwrap();
    bus.until_idle().await;
    assert_eq!(peer.calls(), ["club: create ada, sponsor later", "club: update ada, sponsor B-1"]);
    assert_all_told(&bus, "club").await;
}

/// Of a call that failed nobody knows what the external system has of it: what counts is the one that did not.
async fn what_failed_is_remembered_once_it_is_delivered(bus: TestBus) {
    let (bus, peer) = with_club(bus);
    let (bus, [bob]) = unknown(bus, ["bob"]).await;
    peer.script([Script::Retry("not now".to_owned())]);
    save(&bus, &mut Member { sponsor: Some(Ref::host(bob.id)), ..Member::new("ada") }).await;
    bus.identity(&"club".parse().unwrap()).link(&bob.key(), "B-1", &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.counters("club", Direction::Outgoing).await.logged, 1, "nothing was missed");
    bus.clock().advance(Duration::from_mins(1));
    bus.until_idle().await;
    assert_eq!(peer.calls(), ["club: create ada, sponsor later", "club: create ada, sponsor B-1"]);
}

async fn what_no_call_can_answer_goes_without_and_an_operator_mends_it(bus: TestBus) {
    let (bus, peer) = with_club(bus);
    let bus = bus.start().await;
    let mut acme = Company::new("acme", "Acme");
    bus.objects().save(&mut acme).await.unwrap();
    save(&bus, &mut Member { employer: Some(Ref::host(acme.id)), ..Member::new("ada") }).await;
    assert_eq!(peer.take_calls(), ["club: create ada, employer later"]);
    let company = ObjectKey { object_type: Company::TYPE.parse().unwrap(), id: ObjectId::Number(acme.id) };
    bus.identity(&"club".parse().unwrap()).link(&company, "A-1", &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(peer.calls(), ["club: update ada, employer A-1"]);
}

/// The process ends between the arrival of what was missing and the logging of what follows.
#[tokio::test]
async fn what_is_to_follow_follows_after_a_restart() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("bus.db");
    let on_file = || {
        let path = path.clone();
        with_club(TestBus::new().configure(move |config| {
            config.store = StoreConfig::Sqlite { path, synchronous: Synchronous::Normal }
        }))
    };
    let (bus, peer) = on_file();
    let (bus, [bob]) = unknown(bus, ["bob"]).await;
    save(&bus, &mut Member { sponsor: Some(Ref::host(bob.id)), ..Member::new("ada") }).await;
    set_logging(&bus, false).await;
    bus.identity(&"club".parse().unwrap()).link(&bob.key(), "B-1", &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(peer.calls(), ["club: create ada, sponsor later"]);
    assert_eq!(bus.store().resolved(None, 10).await.unwrap().len(), 1);
    bus.shutdown().await;

    let (bus, peer) = on_file();
    let bus = bus.start().await;
    set_logging(&bus, true).await;
    bus.until_idle().await;
    assert_eq!(peer.calls(), ["club: update ada, sponsor B-1"]);
    assert_all_told(&bus, "club").await;
    bus.shutdown().await;
}
