//! Pages that are moved, with whatever stands beneath them.

use bus_core::{
    AnyPage, Change, Connector, Cx, Direction, Failure, NoSettings, Outgoing, PageNode, connector,
};
use bus_runtime::BusErrorKind;
use bus_testkit::{FakePeer, RunningTestBus, TestBus};
use uuid::Uuid;

use crate::pages::{Article, article, with_sites};

stories!(
    a_move_is_one_task_for_all_that_goes_along,
    a_path_line_is_told_of_what_enters_and_leaves_it,
    a_line_about_what_stands_beneath_is_told_of_the_move,
    what_stands_there_already_is_not_moved,
    bad_moves_are_refused_and_leave_everything_where_it_was
);

/// Is told of all articles.
#[connector(name = "mover", create_once = repeatable, needs(FakePeer))]
#[outgoing(Article, on(move))]
struct Mover;

/// Is told of what stands beneath some paths.
#[connector(name = "keeper", create_once = repeatable, needs(FakePeer))]
#[outgoing(AnyPage, on(move), path = "/News/%")]
struct Keeper;

/// Is told of one page in German.
#[connector(name = "german", create_once = repeatable, needs(FakePeer))]
#[outgoing(AnyPage, on(move), path = "/News/Launch", culture = "de-DE")]
struct German;

fn say(change: &str, node: &PageNode, cx: &Cx) -> Result<(), Failure> {
    let from = node.moved_from().unwrap_or("nowhere");
    cx.handle::<FakePeer>()?.say(format!("{change} {from} -> {} {}", node.path(), node.culture))
}

macro_rules! tells {
    ($connector:ty, $page:ty) => {
        impl Connector for $connector {
            type Settings = NoSettings;
            async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
                Ok(Self)
            }
        }

        impl Outgoing<$page> for $connector {
            async fn deliver(&self, change: Change<$page>, cx: &Cx) -> Result<(), Failure> {
                say(change.operation().as_str(), &change.object.node, cx)
            }
        }
    };
}

tells!(Mover, Article);
tells!(Keeper, AnyPage);
tells!(German, AnyPage);

/// `/News`, `/News/Launch` in two cultures, `/News/Launch/Day` and `/Archive`.
struct Tree {
    news: Uuid,
    launch: Uuid,
    day: Uuid,
    archive: Uuid,
}

async fn planted(bus: &RunningTestBus) -> Tree {
    let pages = bus.pages();
    let plant = async |alias: &str, beneath: Option<Uuid>| {
        let mut page = article("en-US", alias, alias);
        page.node.parent = beneath;
        pages.save(&mut page).await.unwrap();
        page.node
    };
    let news = plant("News", None).await.guid;
    let launch = plant("Launch", Some(news)).await;
    let mut german = Article { node: launch.clone().in_culture("de-DE"), ..article("", "", "Start") };
    pages.save(&mut german).await.unwrap();
    let day = plant("Day", Some(launch.guid)).await.guid;
    let archive = plant("Archive", None).await.guid;
    Tree { news, launch: launch.guid, day, archive }
}

async fn paths(bus: &RunningTestBus) -> Vec<String> {
    let nodes = bus.pages().list("corp", None, None, 100).await.unwrap();
    nodes.into_iter().map(|node| node.path).collect()
}

async fn a_move_is_one_task_for_all_that_goes_along(bus: TestBus) {
    let peer = FakePeer::new("peer");
    let bus = with_sites(bus).connector::<Mover>("mover").provide(peer.clone()).start().await;
    let Tree { news, launch, day, archive } = planted(&bus).await;
    bus.pages().move_to(news, Some(archive), "Old").await.unwrap().unwrap();
    assert_eq!(
        paths(&bus).await,
        ["/Archive", "/Archive/Old", "/Archive/Old/Launch", "/Archive/Old/Launch/Day"]
    );
    bus.pages().move_to(launch, None, "Launch").await.unwrap().unwrap();
    bus.pages().move_to(day, Some(launch), "Tag").await.unwrap().unwrap();
    assert_eq!(paths(&bus).await, ["/Archive", "/Archive/Old", "/Launch", "/Launch/Tag"]);
    bus.until_idle().await;
    assert_eq!(
        peer.calls(),
        [
            "move /News -> /Archive/Old en-US",
            "move /Archive/Old/Launch -> /Launch de-DE",
            "move /Launch/Day -> /Launch/Tag en-US",
        ]
    );
    let counters = bus.counters("mover", Direction::Outgoing).await;
    assert_eq!((counters.logged, counters.completed), (3, 3));
}

async fn a_path_line_is_told_of_what_enters_and_leaves_it(bus: TestBus) {
    let peer = FakePeer::new("peer");
    let bus = with_sites(bus).connector::<Keeper>("keeper").provide(peer.clone()).start().await;
    let Tree { news, launch, archive, .. } = planted(&bus).await;
    bus.pages().move_to(launch, Some(archive), "Launch").await.unwrap().unwrap();
    bus.pages().move_to(launch, Some(archive), "Start").await.unwrap().unwrap(); // elsewhere, before and after
    bus.pages().move_to(launch, Some(news), "Start").await.unwrap().unwrap();
    bus.until_idle().await;
    assert_eq!(
        peer.calls(),
        ["move /News/Launch -> /Archive/Launch de-DE", "move /Archive/Start -> /News/Start de-DE"]
    );
}

async fn a_line_about_what_stands_beneath_is_told_of_the_move(bus: TestBus) {
    let peer = FakePeer::new("peer");
    let bus = with_sites(bus).connector::<German>("german").provide(peer.clone()).start().await;
    let Tree { news, day, archive, .. } = planted(&bus).await;
    bus.pages().move_to(day, Some(archive), "Day").await.unwrap().unwrap(); // another page
    bus.pages().move_to(news, Some(archive), "News").await.unwrap().unwrap();
    bus.until_idle().await;
    assert_eq!(
        peer.calls(),
        ["move /News -> /Archive/News en-US"],
        "what is moved, though it is not in German"
    );
}

async fn what_stands_there_already_is_not_moved(bus: TestBus) {
    let peer = FakePeer::new("peer");
    let bus = with_sites(bus).connector::<Mover>("mover").provide(peer.clone()).start().await;
    let Tree { news, launch, .. } = planted(&bus).await;
    assert!(bus.pages().move_to(launch, Some(news), "Launch").await.unwrap().is_none());
    bus.pages().move_to(launch, Some(news), "LAUNCH").await.unwrap().unwrap();
    bus.until_idle().await;
    assert_eq!(peer.calls(), ["move /News/Launch -> /News/LAUNCH de-DE"], "only its case is another");
}

async fn bad_moves_are_refused_and_leave_everything_where_it_was(bus: TestBus) {
    let peer = FakePeer::new("peer");
    let bus = with_sites(bus).connector::<Mover>("mover").provide(peer.clone()).start().await;
    let Tree { news, launch, day, archive } = planted(&bus).await;
    let mut branch = article("en-US", "Branch", "");
    branch.node.site = "branch".to_owned();
    bus.pages().save(&mut branch).await.unwrap();
    let before = paths(&bus).await;
    let long = "x".repeat(100);
    for (node, parent, alias, kind, said) in [
        (news, Some(news), "News", BusErrorKind::Malformed, "beneath itself"),
        (news, Some(day), "News", BusErrorKind::Malformed, "beneath itself"),
        (news, None, "aRCHIVE", BusErrorKind::Conflict, "cannot stand at /aRCHIVE"),
        (day, Some(news), "launch", BusErrorKind::Conflict, &*launch.to_string()),
        (day, Some(branch.node.guid), "Day", BusErrorKind::Conflict, "branch"),
        (day, Some(Uuid::max()), "Day", BusErrorKind::NotFound, "to stand beneath"),
        (Uuid::max(), None, "Day", BusErrorKind::NotFound, "is not there; mend the GUID"),
        (day, None, "a/b", BusErrorKind::BadName, "`a/b` is not an alias"),
        (day, None, "", BusErrorKind::BadName, "use 1 to 100"),
    ] {
        let error = bus.pages().move_to(node, parent, alias).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
    // What goes along may be what makes a path too long.
    let mut deep = Some(archive);
    for _ in 0..9 {
        let mut page = article("en-US", &long, "");
        page.node.parent = deep;
        bus.pages().save(&mut page).await.unwrap();
        deep = Some(page.node.guid);
    }
    let error = bus.pages().move_to(news, deep, &long[..80]).await.unwrap_err();
    assert_eq!(error.kind(), BusErrorKind::TooLarge, "{error}");
    assert!(error.to_string().contains("characters"), "{error}");
    bus.until_idle().await;
    assert_eq!(peer.calls(), [""; 0]);
    assert_eq!(paths(&bus).await.iter().filter(|path| before.contains(path)).count(), before.len());
}
