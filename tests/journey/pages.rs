//! Pages: saved, published and deleted by the application, and told by class, path, culture and site.

use bus_core::{
    AnyPage, Change, Connector, Cx, DataType, DeliveryState, Direction, Failure, NoSettings, Outgoing, Page,
    PageNode, PageOperation, PageState, Ref, connector,
};
use bus_runtime::{BusErrorKind, DeliveryFilter, QueueId};
use bus_testkit::{FakePeer, RunningTestBus, TestBus};
use bus_tests::{Company, Crm, Directory, EventLog, User};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::gates::{Answer, Gates};
use crate::told::ops;

stories!(
    each_page_operation_is_told,
    users_and_pages_make_six_lines,
    lines_choose_pages_by_class_path_culture_and_site,
    pages_and_objects_are_never_mistaken_for_each_other,
    cultures_share_a_key_and_keep_order,
    what_is_as_it_was_is_not_told,
    a_page_is_found_where_it_stands,
    references_of_a_page_are_translated,
    a_page_is_known_by_culture_until_it_is_deleted,
    a_page_line_is_told_before_the_call_returns,
    what_was_overtaken_carries_the_page_as_it_is,
    what_is_not_so_any_more_is_not_told,
    a_page_is_delivered_again_as_it_is,
    bad_pages_are_refused_and_leave_nothing_behind
);

/// Something to read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Page)]
#[page(class = "app.article", display = "Article")]
pub(crate) struct Article {
    #[page(node)]
    pub(crate) node: PageNode,
    pub(crate) title: String,
    pub(crate) author: Option<Ref<User>>,
}

/// A page of another class, whose node is called something else in JSON.
#[derive(Debug, Clone, Serialize, Deserialize, Page)]
#[page(class = "shop.product")]
#[serde(rename_all = "camelCase")]
struct Product {
    #[page(node)]
    stands_at: PageNode,
    price: u32,
}

/// No program declares it.
#[derive(Serialize, Deserialize, Page)]
#[page(class = "app.unknown")]
struct Unknown {
    #[page(node)]
    node: PageNode,
}

pub(crate) fn article(culture: &str, alias: &str, title: &str) -> Article {
    Article { node: PageNode::new("corp", culture, alias), title: title.to_owned(), author: None }
}

/// Keeps articles, and says what it was told.
#[connector(name = "reader", create_once = repeatable, needs(Gates))]
#[outgoing(Article)]
pub(crate) struct Reader;

impl Connector for Reader {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Outgoing<Article> for Reader {
    async fn deliver(&self, change: Change<Article>, cx: &Cx) -> Result<(), Failure> {
        let Article { node, title, .. } = &change.object;
        let state = node.state();
        let said = format!("{} {} {} {state} {title}", change.operation(), node.path(), node.culture);
        cx.handle::<Gates>()?.call(&node.culture, said).await?;
        change.bind(format!("{} in {}", node.alias, node.culture));
        Ok(())
    }
}

/// Lines with all criteria of pages.
#[connector(name = "lines", create_once = repeatable, needs(FakePeer))]
#[outgoing(Article, on(publish, archive, reject), path = "/News/%")]
#[outgoing(AnyPage, class = "SHOP.%", data = simple)]
#[outgoing(AnyPage, culture = "de-%", site = "corp", on(create, delete_all))]
struct Lines;

impl Connector for Lines {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Outgoing<Article> for Lines {
    async fn deliver(&self, change: Change<Article>, cx: &Cx) -> Result<(), Failure> {
        let node = &change.object.node;
        cx.handle::<FakePeer>()?.say(format!(
            "{} article {} {}",
            change.operation(),
            node.path(),
            node.culture
        ))
    }
}

impl Outgoing<AnyPage> for Lines {
    async fn deliver(&self, change: Change<AnyPage>, cx: &Cx) -> Result<(), Failure> {
        let AnyPage { class_name, node, .. } = &change.object;
        let said = format!("{} {class_name} {} {}", change.operation(), node.path(), node.culture);
        cx.handle::<FakePeer>()?.say(said)
    }
}

/// Writes one line for whatever happens to any page.
#[connector(name = "page-log", create_once = repeatable, needs(FakePeer))]
#[outgoing(AnyPage)]
struct PageLog;

impl Connector for PageLog {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Outgoing<AnyPage> for PageLog {
    async fn deliver(&self, change: Change<AnyPage>, cx: &Cx) -> Result<(), Failure> {
        let title = change.object.get("title").cloned().unwrap_or_default();
        cx.handle::<FakePeer>()?.say(format!("{} {title} {}", change.operation(), change.data_type()))
    }
}

/// Is told of articles at once.
#[connector(name = "prompt", create_once = repeatable, needs(FakePeer))]
#[outgoing(Article, sync)]
struct Prompt;

impl Connector for Prompt {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Outgoing<Article> for Prompt {
    async fn deliver(&self, change: Change<Article>, cx: &Cx) -> Result<(), Failure> {
        cx.handle::<FakePeer>()?.say(format!("{} {}", change.operation(), change.object.title))
    }
}

pub(crate) fn with_sites(bus: TestBus) -> TestBus {
    let bus = bus.site_with("corp", ["en-US", "de-DE"]).site_with("branch", ["en-US"]).site("silent");
    bus.page::<Article>().page::<Product>().object::<User>().object::<Company>()
}

async fn with_reader(bus: TestBus) -> (RunningTestBus, Gates) {
    let gates = Gates::new();
    let bus = with_sites(bus).connector::<Reader>("reader").provide(gates.clone());
    (bus.start().await, gates)
}

const ASIDE: Answer = || Failure::step_aside("the record is locked");

async fn each_page_operation_is_told(bus: TestBus) {
    let (bus, gates) = with_reader(bus).await;
    let mut launch = article("en-US", "Launch", "We launch");
    let saved = bus.pages().save(&mut launch).await.unwrap();
    let node = launch.node.guid;
    assert_eq!(saved.key.to_string(), format!("page {node}/en-us"));
    assert_eq!((launch.node.path(), launch.node.state()), ("/Launch", PageState::Draft));
    assert_eq!(
        (launch.node.class_name(), launch.node.cultures()),
        ("app.article", &["en-US".to_owned()][..])
    );
    launch.title.push('!');
    bus.pages().save(&mut launch).await.unwrap();
    bus.pages().publish(node, "en-US").await.unwrap().unwrap();
    bus.pages().archive(node, "en-us").await.unwrap().unwrap();
    bus.pages().reject(node, "en-US").await.unwrap().unwrap();
    let mut german = Article { node: launch.node.clone().in_culture("de-DE").named("Start"), ..launch };
    bus.pages().save(&mut german).await.unwrap();
    assert_eq!(german.node.cultures(), ["de-DE", "en-US"]);
    bus.pages().delete(node, "en-US").await.unwrap().unwrap();
    bus.pages().delete_all(node).await.unwrap().unwrap();
    bus.until_idle().await;
    assert_eq!(
        gates.calls(),
        [
            "create /Launch en-US draft We launch",
            "update /Launch en-US draft We launch!",
            "publish /Launch en-US published We launch!",
            "archive /Launch en-US archived We launch!",
            "reject /Launch en-US rejected We launch!",
            "create /Launch de-DE draft We launch!",
            "delete /Launch en-US rejected We launch!",
            "delete_all /Launch de-DE draft We launch!",
        ]
    );
    assert!(bus.pages().node(node).await.unwrap().is_none());
}

async fn users_and_pages_make_six_lines(bus: TestBus) {
    let log = FakePeer::new("log");
    let bus = with_sites(bus).connector::<EventLog>("event-log").connector::<PageLog>("page-log");
    let bus = bus.provide(log.clone()).start().await;
    let (mut ada, mut launch) = (User::new("ada", "Ada"), article("en-US", "Launch", "1"));
    for _ in 0..2 {
        bus.objects().save(&mut ada).await.unwrap();
        bus.pages().save(&mut launch).await.unwrap();
        bus.until_idle().await;
        ada.name.push('!');
        launch.title.push('!');
    }
    bus.objects().delete::<User>(&ada.id).await.unwrap();
    bus.pages().delete(launch.node.guid, "en-US").await.unwrap();
    bus.until_idle().await;
    let mut calls = log.calls();
    calls.sort();
    assert_eq!(
        calls,
        [
            "create \"1\" simple_snapshot",
            "create ada snapshot",
            "delete \"1!\" simple_snapshot",
            "delete ada snapshot",
            "update \"1!\" simple_snapshot",
            "update ada snapshot",
        ]
    );
    for connector in ["event-log", "page-log"] {
        let counters = bus.counters(connector, Direction::Outgoing).await;
        assert_eq!((counters.logged, counters.completed, counters.open), (3, 3, 0), "{connector}");
    }
}

async fn lines_choose_pages_by_class_path_culture_and_site(bus: TestBus) {
    let log = FakePeer::new("log");
    let bus = with_sites(bus).connector::<Lines>("lines").provide(log.clone()).start().await;
    let pages = bus.pages();
    let mut news = article("en-US", "News", "");
    pages.save(&mut news).await.unwrap();
    pages.publish(news.node.guid, "en-US").await.unwrap(); // not beneath /News
    let mut launch = article("en-US", "Launch", "");
    launch.node.parent = Some(news.node.guid);
    pages.save(&mut launch).await.unwrap(); // no line on(create) of an article in English
    pages.publish(launch.node.guid, "en-US").await.unwrap();
    pages.archive(launch.node.guid, "en-US").await.unwrap();
    let mut german = Article { node: launch.node.clone().in_culture("de-DE"), ..launch.clone() };
    pages.save(&mut german).await.unwrap();
    pages.publish(german.node.guid, "de-DE").await.unwrap();
    let mut product = Product { stands_at: PageNode::new("branch", "en-US", "Sock"), price: 7 };
    pages.save(&mut product).await.unwrap();
    product.price = 8;
    pages.save(&mut product).await.unwrap();
    pages.delete_all(launch.node.guid).await.unwrap();
    bus.until_idle().await;
    assert_eq!(
        log.calls(),
        [
            "publish article /News/Launch en-US",
            "archive article /News/Launch en-US",
            "create article /News/Launch de-DE",
            "publish article /News/Launch de-DE",
            "create shop.product /Sock en-US",
            "update shop.product /Sock en-US",
            "delete_all article /News/Launch de-DE",
        ]
    );
}

async fn pages_and_objects_are_never_mistaken_for_each_other(bus: TestBus) {
    let log = FakePeer::new("log");
    let bus = with_sites(bus).connector::<bus_tests::Watcher>("watcher").connector::<PageLog>("page-log");
    let bus = bus.provide(log.clone()).start().await;
    bus.objects().save(&mut Company::new("acme", "Acme")).await.unwrap(); // the watcher is told of any object
    bus.pages().save(&mut article("en-US", "Launch", "x")).await.unwrap();
    bus.until_idle().await;
    let mut calls = log.calls();
    calls.sort();
    assert_eq!(calls, ["create \"x\" simple_snapshot", "create app.company \"acme\""]);
}

async fn cultures_share_a_key_and_keep_order(bus: TestBus) {
    let (bus, gates) = with_reader(bus).await;
    gates.fail("en-US", [|| Failure::retry("not now")]);
    let mut english = article("en-US", "Launch", "1");
    bus.pages().save(&mut english).await.unwrap();
    let mut german = Article { node: english.node.clone().in_culture("de-DE"), ..english.clone() };
    bus.pages().save(&mut german).await.unwrap();
    bus.pages().save(&mut article("de-DE", "Other", "2")).await.unwrap();
    bus.until_idle().await;
    let first = ["create /Launch en-US draft 1", "create /Other de-DE draft 2"];
    assert_eq!(gates.take_calls(), first, "the German one waits for the English one of its node");
    bus.clock().advance(std::time::Duration::from_mins(1));
    bus.until_idle().await;
    assert_eq!(gates.calls(), ["create /Launch en-US draft 1", "create /Launch de-DE draft 1"]);
}

async fn what_is_as_it_was_is_not_told(bus: TestBus) {
    let (bus, gates) = with_reader(bus).await;
    let mut launch = article("en-US", "Launch", "1");
    bus.pages().save(&mut launch).await.unwrap();
    let node = launch.node.guid;
    bus.pages().publish(node, "en-US").await.unwrap();
    let version = bus.pages().node(node).await.unwrap().unwrap().version;
    bus.pages().save(&mut launch).await.unwrap();
    assert_eq!(
        launch.node.state(),
        PageState::Published,
        "a save does not change how far it has come, and says so"
    );
    assert!(bus.pages().publish(node, "en-US").await.unwrap().is_none());
    assert!(bus.pages().delete(node, "de-DE").await.unwrap().is_none());
    assert!(bus.pages().delete_all(Uuid::max()).await.unwrap().is_none());
    assert_eq!(bus.pages().node(node).await.unwrap().unwrap().version, version);
    bus.until_idle().await;
    assert_eq!(gates.calls().len(), 2);
}

async fn a_page_is_found_where_it_stands(bus: TestBus) {
    let (bus, _) = with_reader(bus).await;
    let pages = bus.pages();
    let mut news = article("en-US", "News", "news");
    pages.save(&mut news).await.unwrap();
    let mut launch = article("en-US", "Launch", "launch");
    launch.node = launch.node.beneath(news.node.guid);
    pages.save(&mut launch).await.unwrap();
    let mut sock =
        Product { stands_at: PageNode::new("corp", "en-US", "Sock").beneath(news.node.guid), price: 7 };
    pages.save(&mut sock).await.unwrap();
    assert_eq!(
        pages.find_at::<Article>("corp", "/news/LAUNCH", "EN-us").await.unwrap(),
        Some(launch.clone())
    );
    assert_eq!(pages.find_at::<Article>("corp", "/News/Launch", "de-DE").await.unwrap(), None);
    assert_eq!(pages.find_at::<Article>("branch", "/News/Launch", "en-US").await.unwrap(), None);
    assert_eq!(pages.load::<Article>(launch.node.guid, "en-US").await.unwrap(), Some(launch.clone()));
    let paths = async |beneath, after, limit| {
        let listed = pages.list("corp", beneath, after, limit).await.unwrap();
        listed.into_iter().map(|node| node.path).collect::<Vec<_>>()
    };
    assert_eq!(paths(None, None, 10).await, ["/News", "/News/Launch", "/News/Sock"]);
    assert_eq!(paths(Some("/news"), Some("/News/Launch"), 10).await, ["/News/Sock"]);
    let error = pages.load::<Article>(sock.stands_at.guid, "en-US").await.unwrap_err();
    assert_eq!(error.kind(), BusErrorKind::Malformed);
    assert!(error.to_string().contains("is of class shop.product, not app.article"), "{error}");
}

async fn references_of_a_page_are_translated(bus: TestBus) {
    let (peer, gates) = (FakePeer::new("crm"), Gates::new());
    let bus = with_sites(bus).connector::<Crm>("crm").connector::<Authors>("authors");
    let bus = bus.provide(peer.clone()).provide(gates.clone()).provide(Directory::default()).start().await;
    let mut ada = User::new("ada", "Ada");
    bus.objects().save(&mut ada).await.unwrap();
    let mut launch = article("en-US", "Launch", "x");
    launch.author = Some(Ref::host(ada.id));
    bus.pages().save(&mut launch).await.unwrap();
    bus.until_idle().await;
    assert_eq!(gates.calls(), [format!("user {}", ada.id), format!("by their {}", ada.id)]);

    launch.author = Some(Ref::external("theirs"));
    let error = bus.pages().save(&mut launch).await.unwrap_err();
    assert_eq!(error.kind(), BusErrorKind::Malformed);
    assert!(error.to_string().contains("/author"), "{error}");
}

/// Knows users, and who wrote what.
#[connector(name = "authors", create_once = repeatable, needs(Gates))]
#[outgoing(Article)]
#[outgoing(User)]
struct Authors;

impl Connector for Authors {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Outgoing<User> for Authors {
    async fn deliver(&self, change: Change<User>, cx: &Cx) -> Result<(), Failure> {
        change.bind(format!("their {}", change.object.id));
        cx.handle::<Gates>()?.call("user", format!("user {}", change.object.id)).await
    }
}

impl Outgoing<Article> for Authors {
    async fn deliver(&self, change: Change<Article>, cx: &Cx) -> Result<(), Failure> {
        let author = change.object.author.as_ref().and_then(Ref::external_id).unwrap_or("nobody");
        cx.handle::<Gates>()?.call("article", format!("by {author}")).await
    }
}

async fn a_page_is_known_by_culture_until_it_is_deleted(bus: TestBus) {
    let (bus, _) = with_reader(bus).await;
    let mut english = article("en-US", "Launch", "1");
    bus.pages().save(&mut english).await.unwrap();
    let mut german = Article { node: english.node.clone().in_culture("de-DE"), ..english.clone() };
    bus.pages().save(&mut german).await.unwrap();
    bus.until_idle().await;
    let bound = async || {
        let bound = bus.identity(&"reader".parse().unwrap()).list(None, 10).await.unwrap();
        bound.into_iter().map(|binding| binding.external_id).collect::<Vec<_>>()
    };
    assert_eq!(bound().await, ["Launch in de-DE", "Launch in en-US"]);
    bus.pages().delete_all(english.node.guid).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bound().await, [""; 0], "of all of its cultures");
}

async fn a_page_line_is_told_before_the_call_returns(bus: TestBus) {
    let log = FakePeer::new("log");
    let bus = with_sites(bus).connector::<Prompt>("prompt").provide(log.clone()).start().await;
    bus.until_idle().await;
    let mut launch = article("en-US", "Launch", "1");
    let saved = bus.pages().save(&mut launch).await.unwrap();
    assert_eq!(saved.synchronous.len(), 1);
    let published = bus.pages().publish(launch.node.guid, "en-US").await.unwrap().unwrap();
    assert_eq!(published.synchronous.len(), 1);
    bus.until_idle().await;
    assert_eq!(log.calls(), ["create 1", "publish 1"]);
}

async fn what_was_overtaken_carries_the_page_as_it_is(bus: TestBus) {
    let (bus, gates) = with_reader(bus).await;
    gates.fail("en-US", [ASIDE]);
    let mut launch = article("en-US", "Launch", "1");
    bus.pages().save(&mut launch).await.unwrap();
    bus.until_idle().await;
    let mut german = Article { node: launch.node.clone().in_culture("de-DE"), ..launch.clone() };
    bus.pages().save(&mut german).await.unwrap();
    bus.until_idle().await;
    bus.clock().advance(std::time::Duration::from_mins(1));
    bus.until_idle().await;
    let create = "create /Launch en-US draft 1";
    assert_eq!(
        gates.take_calls(),
        [create, "create /Launch de-DE draft 1", create],
        "another culture is another page"
    );

    // An update that a publish of the same page has overtaken carries the page as it is published.
    gates.fail("en-US", [ASIDE]);
    launch.title = "2".to_owned();
    bus.pages().save(&mut launch).await.unwrap();
    bus.until_idle().await;
    bus.pages().publish(launch.node.guid, "en-US").await.unwrap();
    bus.until_idle().await;
    bus.clock().advance(std::time::Duration::from_mins(1));
    bus.until_idle().await;
    let published = ["publish /Launch en-US published 2", "update /Launch en-US published 2"];
    assert_eq!(gates.calls()[1..], published);
}

async fn what_is_not_so_any_more_is_not_told(bus: TestBus) {
    let (bus, gates) = with_reader(bus).await;
    let mut launch = article("en-US", "Launch", "1");
    bus.pages().save(&mut launch).await.unwrap();
    bus.until_idle().await;
    gates.fail("en-US", [ASIDE]);
    bus.pages().publish(launch.node.guid, "en-US").await.unwrap();
    bus.until_idle().await;
    bus.pages().archive(launch.node.guid, "en-US").await.unwrap();
    bus.until_idle().await;
    bus.clock().advance(std::time::Duration::from_mins(1));
    bus.until_idle().await;
    let archived = "archive /Launch en-US archived 1";
    assert_eq!(gates.calls().last().map(String::as_str), Some(archived), "it is not shown any more");
    assert_eq!(gates.calls().len(), 3);
    assert_eq!(bus.counters("reader", Direction::Outgoing).await.discarded, 1);
}

async fn a_page_is_delivered_again_as_it_is(bus: TestBus) {
    let (bus, gates) = with_reader(bus).await;
    let mut launch = article("en-US", "Launch", "1");
    bus.pages().save(&mut launch).await.unwrap();
    bus.pages().publish(launch.node.guid, "en-US").await.unwrap();
    launch.title = "2".to_owned();
    bus.pages().save(&mut launch).await.unwrap();
    bus.until_idle().await;
    gates.take_calls();
    let ended = async || {
        let queue = QueueId::new("reader".parse().unwrap(), Direction::Outgoing);
        let state = Some(DeliveryState::Completed);
        let filter = DeliveryFilter { state, ..DeliveryFilter::default() };
        let mut ended = bus.deliveries(&queue, &filter).await.unwrap();
        ended.sort_by_key(|row| row.delivery);
        ended.into_iter().map(|row| row.delivery).collect::<Vec<_>>()
    };
    let [create, publish, _] = ended().await[..] else { panic!("three have ended") };
    for old in [create, publish] {
        bus.redeliver(old, &ops()).await.unwrap();
        bus.until_idle().await;
    }
    bus.pages().archive(launch.node.guid, "en-US").await.unwrap();
    bus.redeliver(publish, &ops()).await.unwrap();
    bus.until_idle().await;
    assert_eq!(
        gates.take_calls(),
        [
            "update /Launch en-US published 2",
            "publish /Launch en-US published 2",
            "archive /Launch en-US archived 2",
            "update /Launch en-US archived 2",
        ]
    );
    bus.pages().delete_all(launch.node.guid).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.redeliver(create, &ops()).await.unwrap_err().kind(), BusErrorKind::NotFound);
    let deleted = *ended().await.last().unwrap();
    bus.redeliver(deleted, &ops()).await.unwrap();
    bus.until_idle().await;
    let delete = "delete_all /Launch en-US archived 2";
    assert_eq!(gates.calls(), [delete, delete]);
}

async fn bad_pages_are_refused_and_leave_nothing_behind(bus: TestBus) {
    let (bus, gates) = with_reader(bus).await;
    let pages = bus.pages();
    let mut news = article("en-US", "News", "news");
    pages.save(&mut news).await.unwrap();
    let mut branch = Article { node: PageNode::new("branch", "en-US", "News"), ..article("", "", "") };
    pages.save(&mut branch).await.unwrap();
    let mut launch = article("en-US", "Launch", "launch");
    launch.node.parent = Some(news.node.guid);
    pages.save(&mut launch).await.unwrap();

    let node = |site: &str, culture: &str, alias: &str| PageNode::new(site, culture, alias);
    let there = |change: fn(&mut PageNode)| {
        let mut node = launch.node.clone();
        change(&mut node);
        node
    };
    let refused = [
        (node("crop", "en-US", "x"), BusErrorKind::UnknownSite, "did you mean `corp`?"),
        (node("c/d", "en-US", "x"), BusErrorKind::BadName, "`c/d` is not a site name"),
        (
            node("corp", "fr-FR", "x"),
            BusErrorKind::NoSuchCulture,
            "has no culture `fr-FR`; add it to the site, or write one of en-US, de-DE",
        ),
        (node("silent", "en-US", "x"), BusErrorKind::NoSuchCulture, "it has none yet"),
        (node("corp", "en_US", "x"), BusErrorKind::BadName, "`en_US` is not a culture"),
        (node("corp", "en-US", "a/b"), BusErrorKind::BadName, "`a/b` is not an alias"),
        (node("corp", "en-US", ""), BusErrorKind::BadName, "write 1 to 200"),
        (node("corp", "en-US", "x").named("n".repeat(201)), BusErrorKind::BadName, "201 characters"),
        (node("corp", "en-US", "x").beneath(Uuid::max()), BusErrorKind::NotFound, "to stand beneath"),
        (node("corp", "en-US", "x").beneath(branch.node.guid), BusErrorKind::Conflict, "on site branch"),
        (node("corp", "en-US", "nEWS"), BusErrorKind::Conflict, "cannot stand at /nEWS"),
        (there(|node| node.alias = "Other".to_owned()), BusErrorKind::Malformed, "it stands at /News/Launch"),
        (there(|node| node.parent = None), BusErrorKind::Malformed, "it stands at /News/Launch"),
        (there(|node| node.site = "branch".to_owned()), BusErrorKind::Malformed, "it stands on site corp"),
    ];
    for (node, kind, said) in refused {
        let mut page = Article { node, ..article("", "", "x") };
        let error = pages.save(&mut page).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
    let other_class =
        pages.save(&mut Product { stands_at: launch.node.clone(), price: 1 }).await.unwrap_err();
    assert_eq!(other_class.kind(), BusErrorKind::Malformed);
    assert!(other_class.to_string().contains("is of class app.article, not shop.product"), "{other_class}");
    let unknown = pages.save(&mut Unknown { node: node("corp", "en-US", "x") }).await.unwrap_err();
    assert_eq!(unknown.kind(), BusErrorKind::UnknownKind);

    for operation in [PageOperation::Delete, PageOperation::DeleteAll] {
        let error = match operation {
            PageOperation::Delete => pages.delete(news.node.guid, "en-US").await,
            _ => pages.delete_all(news.node.guid).await,
        };
        let error = error.unwrap_err();
        assert_eq!(error.kind(), BusErrorKind::Conflict);
        assert!(error.to_string().contains("page /News/Launch stands beneath it"), "{error}");
    }
    let error = pages.publish(news.node.guid, "de-DE").await.unwrap_err();
    assert_eq!(error.kind(), BusErrorKind::NotFound);
    assert_eq!(bus.sites().remove("corp").await.unwrap_err().kind(), BusErrorKind::Conflict);
    bus.until_idle().await;
    assert_eq!(gates.calls().len(), 3);
    assert_eq!(pages.list("corp", None, None, 10).await.unwrap().len(), 2);
}

#[test]
fn a_page_line_carries_a_simple_snapshot() {
    use bus_core::descriptor::DescribedConnector;

    let data = |descriptor: &'static bus_core::descriptor::ConnectorDescriptor| {
        descriptor.outgoing().map(|route| route.subscription.data_type).collect::<Vec<_>>()
    };
    assert_eq!(data(Prompt::DESCRIPTOR), [DataType::SimpleSnapshot]);
    assert_eq!(
        data(Lines::DESCRIPTOR),
        [DataType::SimpleSnapshot, DataType::Simple, DataType::SimpleSnapshot]
    );
}
