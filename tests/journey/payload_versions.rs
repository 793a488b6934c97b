//! An object type whose struct has changed: what the program wrote before it was updated is what the type is now, in the
//! object store and in the queues.

use bus_core::descriptor::{
    ConnectorDescriptor, DescribedConnector, DescribedObject, ObjectDescriptor, Place, Route,
};
use bus_core::{
    AnyObject, BusObject, Change, Connector, Cx, DeliveryState, Direction, Failure, NoSettings, Outgoing,
    Ref, SubscribesTo, Subscription, connector,
};
use bus_runtime::{BusErrorKind, Registry, StoreConfig, Synchronous};
use bus_testkit::{FakePeer, RunningTestBus, TestBus};
use serde::{Deserialize, Serialize};

use crate::told::ops;

/// What members belong to.
#[derive(Debug, Serialize, Deserialize, BusObject)]
#[object(type = "app.team")]
struct Team {
    #[object(id)]
    id: i64,
}

/// A member, as the first release had it.
#[derive(Debug, Clone, Serialize, Deserialize, BusObject)]
#[object(type = "app.member", version = 1)]
struct MemberV1 {
    #[object(id)]
    id: i64,
    name: String,
    team: Ref<Team>,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "app.member", version = 2, from = MemberV1)]
struct Member {
    #[object(id)]
    id: i64,
    first_name: String,
    last_name: String,
    teams: Vec<Ref<Team>>,
}

impl From<MemberV1> for Member {
    fn from(was: MemberV1) -> Self {
        let (first, last) = was.name.split_once(' ').unwrap_or(("", &was.name));
        Self { id: was.id, first_name: first.to_owned(), last_name: last.to_owned(), teams: vec![was.team] }
    }
}

/// Keeps teams, and members as the first release had them. By hand, so that nobody discovers it beside its successor.
struct OldRoster;

impl SubscribesTo<Team> for OldRoster {}
impl SubscribesTo<MemberV1> for OldRoster {}

impl DescribedConnector for OldRoster {
    const DESCRIPTOR: &'static ConnectorDescriptor = &ConnectorDescriptor::new::<Self>("old-roster").routes(
        const {
            &[
                Route::outgoing::<Self, Team>(Subscription::to("app.team"), None),
                Route::outgoing::<Self, MemberV1>(Subscription::to("app.member"), None),
            ]
        },
    );
}

/// Keeps teams and members.
#[connector(name = "new-roster", create_once = repeatable, needs(FakePeer))]
#[outgoing(Team)]
#[outgoing(Member)]
struct Roster;

/// Knows no Rust types.
#[connector(name = "archive", create_once = repeatable, needs(FakePeer))]
#[outgoing(AnyObject, type = "app.member", data = simple)]
struct Archive;

macro_rules! connects {
    ($($connector:ident),*) => {$(
        impl Connector for $connector {
            type Settings = NoSettings;
            async fn connect(_: NoSettings, cx: &Cx) -> Result<Self, Failure> {
                cx.handle::<FakePeer>()?.check_connection()?;
                Ok(Self)
            }
        }
    )*};
}

connects!(OldRoster, Roster, Archive);

macro_rules! keeps_teams {
    ($($connector:ident),*) => {$(
        impl Outgoing<Team> for $connector {
            async fn deliver(&self, change: Change<Team>, _: &Cx) -> Result<(), Failure> {
                change.bind(format!("team-{}", change.object.id));
                Ok(())
            }
        }
    )*};
}

keeps_teams!(OldRoster, Roster);

impl Outgoing<MemberV1> for OldRoster {
    async fn deliver(&self, change: Change<MemberV1>, cx: &Cx) -> Result<(), Failure> {
        cx.handle::<FakePeer>()?.say(format!("{} {}", change.operation(), change.object.name))
    }
}

impl Outgoing<Member> for Roster {
    async fn deliver(&self, change: Change<Member>, cx: &Cx) -> Result<(), Failure> {
        let Member { first_name, last_name, teams, .. } = &change.object;
        let teams: Vec<_> = teams.iter().filter_map(Ref::external_id).collect();
        cx.handle::<FakePeer>()?.say(format!("{} {last_name}, {first_name} of {teams:?}", change.operation()))
    }
}

impl Outgoing<AnyObject> for Archive {
    async fn deliver(&self, change: Change<AnyObject>, cx: &Cx) -> Result<(), Failure> {
        let fields: Vec<_> = change.object.fields.keys().map(String::as_str).collect();
        cx.handle::<FakePeer>()?.say(format!("{} {}", change.operation(), fields.join(" ")))
    }
}

/// The program before and after its update, on one file.
struct Program {
    folder: tempfile::TempDir,
    peer: FakePeer,
}

impl Program {
    fn new() -> Self {
        Self { folder: tempfile::TempDir::new().unwrap(), peer: FakePeer::new("peer") }
    }

    fn bus(&self) -> TestBus {
        let path = self.folder.path().join("bus.db");
        let bus = TestBus::new().object::<Team>().provide(self.peer.clone());
        bus.configure(move |config| {
            config.store = StoreConfig::Sqlite { path, synchronous: Synchronous::Normal }
        })
    }

    async fn before_the_update(&self) -> RunningTestBus {
        let bus = self.bus().object::<MemberV1>().connector::<OldRoster>("roster");
        bus.connector::<Archive>("archive").start().await
    }

    async fn after_the_update(&self) -> RunningTestBus {
        let bus = self.bus().object::<MemberV1>().object::<Member>().connector::<Roster>("roster");
        bus.connector::<Archive>("archive").start().await
    }
}

fn ada() -> MemberV1 {
    MemberV1 { id: 0, name: "Ada Lovelace".to_owned(), team: Ref::host(1) }
}

#[tokio::test]
async fn what_was_queued_before_an_update_is_delivered_as_the_type_is_now() {
    let program = Program::new();
    let bus = program.before_the_update().await;
    bus.objects().save(&mut Team { id: 1 }).await.unwrap();
    bus.until_idle().await;
    program.peer.cut_off();
    bus.objects().save(&mut ada()).await.unwrap();
    bus.objects().save(&mut MemberV1 { id: 7, name: "Bob".to_owned(), ..ada() }).await.unwrap();
    bus.objects().delete::<MemberV1>(&7).await.unwrap();
    bus.until_idle().await;
    bus.shutdown().await;

    program.peer.reconnect();
    let bus = program.after_the_update().await;
    bus.until_idle().await;
    let mut calls = program.peer.take_calls();
    calls.sort();
    assert_eq!(
        calls,
        [
            "create Bob,  of [\"team-1\"]",
            "create Lovelace, Ada of [\"team-1\"]",
            "create first_name id last_name teams",
            "create first_name id last_name teams",
            "delete Bob,  of [\"team-1\"]",
            "delete first_name id last_name teams",
        ]
    );
    bus.shutdown().await;
}

#[tokio::test]
async fn what_was_saved_before_an_update_is_what_the_type_is_now_and_no_change() {
    let program = Program::new();
    let bus = program.before_the_update().await;
    let mut was = ada();
    bus.objects().save(&mut was).await.unwrap();
    bus.shutdown().await;

    let bus = program.after_the_update().await;
    bus.until_idle().await;
    let mut member: Member = bus.objects().load(&was.id).await.unwrap().unwrap();
    assert_eq!((member.first_name.as_str(), member.last_name.as_str()), ("Ada", "Lovelace"));
    assert_eq!(bus.objects().list::<Member>(None, 10).await.unwrap(), [member.clone()]);
    let logged = || async { bus.counters("archive", Direction::Outgoing).await.logged };
    let before = logged().await;
    bus.objects().save(&mut member).await.unwrap();
    assert_eq!(logged().await, before, "it is what it was");
    member.last_name = "King".to_owned();
    bus.objects().save(&mut member).await.unwrap();
    assert_eq!(logged().await, before + 1);
    assert_eq!(bus.objects().load::<Member>(&member.id).await.unwrap(), Some(member));
}

#[tokio::test]
async fn what_a_newer_program_wrote_waits_for_one_and_is_never_guessed_at() {
    let program = Program::new();
    let bus = program.after_the_update().await;
    program.peer.cut_off();
    let mut member = Member { id: 0, first_name: "Ada".into(), last_name: "King".into(), teams: Vec::new() };
    bus.objects().save(&mut member).await.unwrap();
    bus.until_idle().await;
    bus.shutdown().await;

    program.peer.reconnect();
    let bus = program.before_the_update().await;
    bus.until_idle().await;
    for connector in ["roster", "archive"] {
        let [open] = &bus.open(connector, Direction::Outgoing).await[..] else { panic!("{connector}") };
        assert_eq!(open.state, DeliveryState::Parked);
        let error = open.reason.clone().unwrap_or_default();
        assert!(
            error.contains("version 2 of app.member, and this program knows up to 1; update it"),
            "{error}"
        );
        assert!(error.ends_with("its bytes are kept"), "{error}");
    }
    let refused = bus.objects().load::<MemberV1>(&member.id).await.unwrap_err();
    assert_eq!(refused.kind(), BusErrorKind::Malformed);
    assert!(refused.to_string().contains("this program knows up to 1"), "{refused}");
    let mut over = MemberV1 { id: member.id, ..ada() };
    assert_eq!(bus.objects().save(&mut over).await.unwrap_err().kind(), BusErrorKind::Malformed);
    assert_eq!(program.peer.take_calls(), [] as [&str; 0]);
    bus.shutdown().await;

    let bus = program.after_the_update().await;
    for connector in ["roster", "archive"] {
        for open in bus.open(connector, Direction::Outgoing).await {
            bus.retry(open.delivery, &ops()).await.unwrap();
        }
    }
    bus.until_idle().await;
    assert_eq!(program.peer.take_calls().len(), 2);
    assert_eq!(bus.objects().load::<Member>(&member.id).await.unwrap(), Some(member));
}

#[tokio::test]
async fn a_struct_of_an_earlier_version_is_no_struct_of_the_type_any_more() {
    let program = Program::new();
    let bus = program.after_the_update().await;
    let mut was = MemberV1 { id: 7, ..ada() };
    let refused = [
        bus.objects().save(&mut was).await.map(drop),
        bus.objects().load::<MemberV1>(&7).await.map(drop),
        bus.objects().delete::<MemberV1>(&7).await.map(drop),
        bus.log(bus_runtime::Logged::created(&was)).await.map(drop),
    ];
    for refused in refused.map(Result::unwrap_err) {
        assert_eq!(refused.kind(), BusErrorKind::Malformed);
        let reason = "its struct is version 1 of app.member, which is version 2 now (";
        assert!(refused.to_string().contains(reason), "{refused}");
    }
    bus.shutdown().await;

    let taken = program.bus().object::<Member>().connector::<OldRoster>("roster").try_start().await;
    let refused = taken.err().unwrap();
    assert_eq!(refused.kind(), BusErrorKind::Discovery);
    assert!(refused.to_string().contains("as their version 1, and they are version 2 by now"), "{refused}");
}

#[test]
fn a_type_is_what_its_latest_version_says_and_the_others_must_lead_to_it() {
    static ELSEWHERE: ObjectDescriptor = ObjectDescriptor::new::<MemberV1>().place(Place {
        crate_name: "twin",
        crate_version: "1.0.0",
        file: "src/twin.rs",
        line: 7,
    });
    let [was, is] = [MemberV1::DESCRIPTOR, Member::DESCRIPTOR];
    for objects in [[was, is], [is, was]] {
        let registry = Registry::of([Roster::DESCRIPTOR], objects).unwrap();
        assert_eq!(registry.object_type("app.member").map(|object| object.version), Some(2));
        assert_eq!(is.formers().map(|former| former.version).collect::<Vec<_>>(), [1]);
    }
    for objects in [[&ELSEWHERE, is], [is, &ELSEWHERE], [was, &ELSEWHERE]] {
        let error = Registry::of([], objects).unwrap_err();
        assert_eq!(error.kind(), BusErrorKind::Discovery);
        assert!(error.to_string().contains("declared twice"), "{error}");
    }
}
