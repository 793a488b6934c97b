//! A connector that writes one line for everything that happens to users, and one that does so for pages, too.

use bus_core::{AnyPage, Change, Connector, Cx, Direction, Failure, NoSettings, Outgoing, connector};
use bus_testkit::{FakePeer, TestBus};
use bus_tests::{Address, EventLog, FieldLog, User};

use crate::pages::{article, with_sites};

stories!(
    three_operations_make_three_lines,
    users_and_pages_make_six_lines_of_one_connector,
    an_update_without_a_change_makes_none
);

/// Writes one line for whatever happens to users, with their children, and to pages.
#[connector(name = "sample", create_once = repeatable, needs(FakePeer))]
#[outgoing(User, data = snapshot)]
#[outgoing(AnyPage, data = simple_snapshot)]
struct Sample;

impl Connector for Sample {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Outgoing<User> for Sample {
    async fn deliver(&self, change: Change<User>, cx: &Cx) -> Result<(), Failure> {
        let line = format!("{} user {} {}", change.operation(), change.object.login, change.data_type());
        cx.handle::<FakePeer>()?.say(line)
    }
}

impl Outgoing<AnyPage> for Sample {
    async fn deliver(&self, change: Change<AnyPage>, cx: &Cx) -> Result<(), Failure> {
        let path = change.object.node.path();
        let line = format!("{} page {path} {}", change.operation(), change.data_type());
        cx.handle::<FakePeer>()?.say(line)
    }
}

fn with_logs(bus: TestBus) -> (TestBus, FakePeer) {
    let log = FakePeer::new("log");
    (bus.object::<User>().provide(log.clone()), log)
}

async fn three_operations_make_three_lines(bus: TestBus) {
    let (bus, log) = with_logs(bus);
    let bus = bus.connector::<EventLog>("event-log").start().await;
    let mut ada = User::new("ada", "Ada Lovelace");
    bus.objects().save(&mut ada).await.unwrap();
    ada.name = "Countess of Lovelace".into();
    bus.objects().save(&mut ada).await.unwrap();
    assert!(bus.objects().delete::<User>(&ada.id).await.unwrap().is_some());
    bus.until_idle().await;

    assert_eq!(log.calls(), ["create ada snapshot", "update ada snapshot", "delete ada snapshot"]);
    let counters = bus.counters("event-log", Direction::Outgoing).await;
    assert_eq!((counters.logged, counters.completed, counters.open), (3, 3, 0));
    assert!(bus.objects().delete::<User>(&ada.id).await.unwrap().is_none(), "it is gone already");
}

async fn users_and_pages_make_six_lines_of_one_connector(bus: TestBus) {
    let log = FakePeer::new("log");
    let bus = with_sites(bus).connector::<Sample>("sample").provide(log.clone()).start().await;
    let (mut ada, mut launch) = (User::new("ada", "Ada"), article("en-US", "Launch", "1"));
    for _ in 0..2 {
        bus.objects().save(&mut ada).await.unwrap();
        bus.until_idle().await;
        bus.pages().save(&mut launch).await.unwrap();
        bus.until_idle().await;
        ada.name.push('!');
        launch.title.push('!');
    }
    bus.objects().delete::<User>(&ada.id).await.unwrap();
    bus.until_idle().await;
    bus.pages().delete(launch.node.guid, "en-US").await.unwrap();
    bus.until_idle().await;
    let lines = [
        "create user ada snapshot",
        "create page /Launch simple_snapshot",
        "update user ada snapshot",
        "update page /Launch simple_snapshot",
        "delete user ada snapshot",
        "delete page /Launch simple_snapshot",
    ];
    assert_eq!(log.calls(), lines);
    let counters = bus.counters("sample", Direction::Outgoing).await;
    assert_eq!((counters.logged, counters.completed, counters.open), (6, 6, 0), "the queue is empty");
}

async fn an_update_without_a_change_makes_none(bus: TestBus) {
    let (bus, log) = with_logs(bus);
    let bus = bus.connector::<EventLog>("event-log").connector::<FieldLog>("field-log").start().await;
    let mut ada = User::new("ada", "Ada");
    ada.addresses = vec![Address { city: "London".to_owned(), paid_by: None }].into();
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    assert_eq!(log.take_calls().len(), 2);

    // Nothing is different: nobody is told.
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    assert_eq!(log.take_calls(), [] as [&str; 0]);

    // Only a child is different: only those who are told of children.
    ada.addresses = vec![Address { city: "Paris".to_owned(), paid_by: None }].into();
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    assert_eq!(log.take_calls(), ["update ada snapshot"]);
    assert_eq!(bus.counters("field-log", Direction::Outgoing).await.logged, 1);

    // Children that were not loaded stay as they are.
    ada.addresses = bus_core::Children::NotLoaded;
    ada.name = "Ada L.".into();
    bus.objects().save(&mut ada).await.unwrap();
    let stored: User = bus.objects().load(&ada.id).await.unwrap().unwrap();
    assert_eq!(stored.addresses.as_slice()[0].city, "Paris");
}
