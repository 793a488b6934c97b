//! Pages that come in from external systems.

use bus_core::{
    Connector, Cx, DeliveryState, Direction, ExternalTask, Failure, Incoming, NoSettings, ObjectOperation,
    Operation, PageNode, PageOperation, PageState, Prepared, Received, Ref, connector,
};
use bus_runtime::BusErrorKind;
use bus_testkit::{RunningTestBus, TestBus};
use bus_tests::User;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::gates::Gates;
use crate::pages::{Article, Reader, article, with_sites};

stories!(
    a_page_comes_in_and_others_are_told,
    it_comes_as_far_as_the_external_system_says,
    a_page_waits_for_its_parent,
    a_page_is_matched_by_guid_and_by_path,
    another_page_at_its_path_is_named,
    a_culture_is_added_and_one_that_the_site_lacks_is_parked,
    a_page_is_moved_from_outside,
    a_page_is_deleted_from_outside,
    what_says_nothing_new_changes_nothing,
    references_of_a_page_that_comes_in_are_translated,
    what_happens_to_objects_does_not_happen_to_pages,
);

/// A page as the newsroom knows it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Story {
    uid: String,
    /// The host's GUID, where the newsroom knows it.
    guid: Option<Uuid>,
    site: String,
    culture: String,
    alias: String,
    /// The story above it, as the newsroom calls it.
    above: Option<String>,
    title: String,
    author: Option<String>,
}

/// Writes stories elsewhere.
#[connector(name = "newsroom")]
#[incoming(Story, key = uid)]
struct Newsroom;

impl Connector for Newsroom {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Incoming<Story> for Newsroom {
    type Object = Article;

    async fn prepare_internal_object(
        &self,
        received: Received<Story, Article>,
        _: &Cx,
    ) -> Result<Prepared<Article>, Failure> {
        let Story { guid, site, culture, alias, above, title, author, .. } = received.object;
        let mut node = match received.existing {
            Some(existing) if received.operation != PageOperation::Move => existing.node,
            _ => PageNode::new(site, culture, alias).named(&title),
        };
        if let Some(guid) = guid {
            node.guid = guid;
        }
        if let Some(above) = above {
            node = node.beneath_external(above);
        }
        Ok(Article { node, title, author: author.map(Ref::external) }.into())
    }
}

fn story(uid: &str, culture: &str, alias: &str, title: &str) -> Story {
    let [uid, site, culture, alias, title] = [uid, "corp", culture, alias, title].map(str::to_owned);
    Story { uid, site, culture, alias, title, ..Story::default() }
}

async fn start(bus: TestBus) -> (RunningTestBus, Gates) {
    let gates = Gates::new();
    let bus = with_sites(bus).connector::<Newsroom>("newsroom").connector::<Reader>("reader");
    (bus.provide(gates.clone()).start().await, gates)
}

async fn send(bus: &RunningTestBus, operation: impl Into<Operation>, story: &Story) {
    let task = ExternalTask::update::<Newsroom, _>("newsroom", story).operation(operation);
    bus.process_external_task(task).await.unwrap();
    bus.until_idle().await;
}

async fn at(bus: &RunningTestBus, path: &str, culture: &str) -> Option<Article> {
    bus.pages().find_at::<Article>("corp", path, culture).await.unwrap()
}

async fn only_open(bus: &RunningTestBus) -> (DeliveryState, String) {
    let open = bus.open("newsroom", Direction::Incoming).await;
    let [open] = &open[..] else { panic!("one is open: {open:?}") };
    (open.state, open.reason.clone().unwrap_or_default())
}

async fn a_page_comes_in_and_others_are_told(bus: TestBus) {
    let (bus, gates) = start(bus).await;
    send(&bus, ObjectOperation::Create, &story("s1", "en-US", "Launch", "We launch")).await;
    let launch = at(&bus, "/Launch", "en-US").await.expect("it is there");
    assert_eq!((launch.title.as_str(), launch.node.state()), ("We launch", PageState::Draft));
    assert_eq!(launch.node.name, "We launch");
    send(&bus, PageOperation::Update, &story("s1", "en-US", "Launch", "We have launched")).await;
    assert_eq!(at(&bus, "/Launch", "en-US").await.unwrap().title, "We have launched");
    assert_eq!(
        gates.calls(),
        ["create /Launch en-US draft We launch", "update /Launch en-US draft We have launched"]
    );
    let bound = bus.identity(&"newsroom".parse().unwrap()).list(None, 10).await.unwrap();
    let [bound] = &bound[..] else { panic!("one: {bound:?}") };
    assert_eq!(bound.object.to_string(), format!("page {}/en-us", launch.node.guid));
}

async fn it_comes_as_far_as_the_external_system_says(bus: TestBus) {
    let (bus, gates) = start(bus).await;
    let launch = story("s1", "en-US", "Launch", "1");
    send(&bus, PageOperation::Create, &launch).await;
    for operation in [PageOperation::Publish, PageOperation::Archive, PageOperation::Reject] {
        send(&bus, operation, &launch).await;
        send(&bus, operation, &launch).await;
    }
    send(&bus, PageOperation::Publish, &Story { title: "2".to_owned(), ..launch }).await;
    let told = ["create /Launch en-US draft 1", "publish /Launch en-US published 1"];
    let told =
        told.into_iter().chain(["archive /Launch en-US archived 1", "reject /Launch en-US rejected 1"]);
    let told: Vec<_> = told.chain(["publish /Launch en-US published 2"]).collect();
    assert_eq!(gates.calls(), told, "each once");
}

async fn a_page_waits_for_its_parent(bus: TestBus) {
    let (bus, gates) = start(bus).await;
    let launch = Story { above: Some("news".to_owned()), ..story("s1", "en-US", "Launch", "1") };
    send(&bus, PageOperation::Create, &launch).await;
    let (state, reason) = only_open(&bus).await;
    assert_eq!(state, DeliveryState::Waiting);
    assert_eq!(reason, "waits for the page `news` of newsroom, beneath which it is to stand");
    send(&bus, PageOperation::Create, &story("news", "en-US", "News", "News")).await;
    assert_eq!(gates.calls(), ["create /News en-US draft News", "create /News/Launch en-US draft 1"]);
    assert_eq!(bus.open("newsroom", Direction::Incoming).await, []);
}

async fn a_page_is_matched_by_guid_and_by_path(bus: TestBus) {
    let (bus, gates) = start(bus).await;
    for alias in ["Launch", "Other"] {
        bus.pages().save(&mut article("en-US", alias, "ours")).await.unwrap();
    }
    bus.until_idle().await;
    gates.take_calls();
    let other = at(&bus, "/Other", "en-US").await.unwrap();
    send(&bus, PageOperation::Update, &story("s1", "en-US", "launch", "theirs by path")).await;
    let by_guid = Story { guid: Some(other.node.guid), ..story("s2", "en-US", "Other", "theirs by GUID") };
    send(&bus, PageOperation::Update, &by_guid).await;
    assert_eq!(
        gates.calls(),
        ["update /Launch en-US draft theirs by path", "update /Other en-US draft theirs by GUID"]
    );
    assert_eq!(bus.identity(&"newsroom".parse().unwrap()).list(None, 10).await.unwrap().len(), 2);
}

async fn another_page_at_its_path_is_named(bus: TestBus) {
    let (bus, _) = start(bus).await;
    let mut ours = article("en-US", "Launch", "ours");
    bus.pages().save(&mut ours).await.unwrap();
    let theirs = Uuid::from_u128(7);
    let wrong = Story { guid: Some(theirs), ..story("s1", "en-US", "Launch", "theirs") };
    send(&bus, PageOperation::Create, &wrong).await;
    let (state, reason) = only_open(&bus).await;
    assert_eq!(state, DeliveryState::Parked);
    let said = format!("page {theirs} cannot stand at /Launch on site corp: page {} does", ours.node.guid);
    assert!(reason.contains(&said), "{reason}");
}

async fn a_culture_is_added_and_one_that_the_site_lacks_is_parked(bus: TestBus) {
    let (bus, gates) = start(bus).await;
    send(&bus, PageOperation::Create, &story("s1", "en-US", "Launch", "english")).await;
    let node = at(&bus, "/Launch", "en-US").await.unwrap().node.guid;
    let german = Story { guid: Some(node), ..story("s2", "de-DE", "Launch", "deutsch") };
    send(&bus, PageOperation::Create, &german).await;
    assert_eq!(at(&bus, "/Launch", "de-DE").await.unwrap().node.guid, node);
    assert_eq!(gates.calls(), ["create /Launch en-US draft english", "create /Launch de-DE draft deutsch"]);
    send(&bus, PageOperation::Create, &story("s3", "fr-FR", "Lancement", "francais")).await;
    let (state, reason) = only_open(&bus).await;
    assert_eq!(state, DeliveryState::Parked);
    assert!(
        reason.contains("site corp has no culture `fr-FR`; add it to the site, or write one of"),
        "{reason}"
    );
}

async fn a_page_is_moved_from_outside(bus: TestBus) {
    let (bus, gates) = start(bus).await;
    send(&bus, PageOperation::Create, &story("news", "en-US", "News", "News")).await;
    send(&bus, PageOperation::Create, &story("s1", "en-US", "Launch", "1")).await;
    gates.take_calls();
    let beneath = Story { above: Some("news".to_owned()), ..story("s1", "en-US", "Start", "1") };
    send(&bus, PageOperation::Update, &beneath).await;
    let (state, reason) = only_open(&bus).await;
    assert_eq!(state, DeliveryState::Parked, "an update moves nothing");
    assert!(reason.contains("it stands at /Launch, with another parent or alias"), "{reason}");
    let jane = bus_runtime::Operator::named("jane");
    bus.skip(bus.open("newsroom", Direction::Incoming).await[0].delivery, &jane).await.unwrap();
    send(&bus, PageOperation::Move, &beneath).await;
    assert_eq!(gates.calls(), ["move /News/Start en-US draft 1"]);
    send(&bus, PageOperation::Move, &beneath).await;
    assert_eq!(gates.calls().len(), 1, "it stands there");
    let itself = Story { above: Some("s1".to_owned()), ..story("news", "en-US", "News", "News") };
    send(&bus, PageOperation::Move, &itself).await;
    let (state, reason) = only_open(&bus).await;
    assert_eq!(state, DeliveryState::Parked);
    assert!(reason.contains("cannot be moved beneath itself"), "{reason}");
}

async fn a_page_is_deleted_from_outside(bus: TestBus) {
    let (bus, gates) = start(bus).await;
    let english = story("s1", "en-US", "Launch", "english");
    send(&bus, PageOperation::Create, &english).await;
    let node = at(&bus, "/Launch", "en-US").await.unwrap().node.guid;
    let german = Story { guid: Some(node), ..story("s2", "de-DE", "Launch", "deutsch") };
    send(&bus, PageOperation::Create, &german).await;
    gates.take_calls();
    send(&bus, PageOperation::Delete, &english).await;
    assert_eq!(at(&bus, "/Launch", "en-US").await, None);
    assert_eq!(gates.take_calls(), ["delete /Launch en-US draft english"]);
    send(&bus, PageOperation::Delete, &english).await;
    let gone = ExternalTask::gone("newsroom", "story", "s2");
    bus.process_external_task(gone).await.unwrap();
    bus.until_idle().await;
    assert_eq!(bus.pages().node(node).await.unwrap(), None);
    assert_eq!(gates.take_calls(), ["delete /Launch de-DE draft deutsch"]);
    assert_eq!(bus.identity(&"newsroom".parse().unwrap()).list(None, 10).await.unwrap(), []);

    send(&bus, PageOperation::Create, &english).await;
    send(&bus, PageOperation::Create, &story("s3", "en-US", "Other", "other")).await;
    let beneath = Story { above: Some("s1".to_owned()), ..story("s4", "en-US", "Beneath", "beneath") };
    send(&bus, PageOperation::Create, &beneath).await;
    gates.take_calls();
    send(&bus, PageOperation::DeleteAll, &english).await;
    let (state, reason) = only_open(&bus).await;
    assert_eq!(state, DeliveryState::Parked);
    assert!(reason.contains("page /Launch/Beneath stands beneath it"), "{reason}");
    send(&bus, PageOperation::DeleteAll, &beneath).await;
    let jane = bus_runtime::Operator::named("jane");
    bus.retry(bus.open("newsroom", Direction::Incoming).await[0].delivery, &jane).await.unwrap();
    bus.until_idle().await;
    assert_eq!(
        gates.calls(),
        ["delete_all /Launch/Beneath en-US draft beneath", "delete_all /Launch en-US draft english"]
    );
}

async fn what_says_nothing_new_changes_nothing(bus: TestBus) {
    let (bus, gates) = start(bus).await;
    let launch = story("s1", "en-US", "Launch", "1");
    send(&bus, PageOperation::Create, &launch).await;
    let version = async || {
        let node = at(&bus, "/Launch", "en-US").await.unwrap().node.guid;
        bus.pages().node(node).await.unwrap().unwrap().version
    };
    let before = version().await;
    send(&bus, PageOperation::Create, &launch).await;
    send(&bus, PageOperation::Update, &launch).await;
    assert_eq!((version().await, gates.calls().len()), (before, 1));
    assert_eq!(bus.open("newsroom", Direction::Incoming).await, []);
}

async fn references_of_a_page_that_comes_in_are_translated(bus: TestBus) {
    let (bus, _) = start(bus).await;
    let mut ada = User::new("ada", "Ada");
    let saved = bus.objects().save(&mut ada).await.unwrap();
    let jane = bus_runtime::Operator::named("jane");
    let newsroom = bus.identity(&"newsroom".parse().unwrap());
    newsroom.link(&saved.key, "their ada", &jane).await.unwrap();
    let launch = Story { author: Some("their ada".to_owned()), ..story("s1", "en-US", "Launch", "1") };
    send(&bus, PageOperation::Create, &launch).await;
    let author = at(&bus, "/Launch", "en-US").await.expect("it is there").author;
    assert_eq!(author, Some(Ref::host(ada.id)));
}

async fn what_happens_to_objects_does_not_happen_to_pages(bus: TestBus) {
    let (bus, _) = start(bus).await;
    let launch = story("s1", "en-US", "Launch", "1");
    let added = ExternalTask::add_to_site::<Newsroom, _>("newsroom", &launch, "corp");
    let error = bus.process_external_task(added).await.unwrap_err();
    assert_eq!(error.kind(), BusErrorKind::Malformed, "{error}");
    assert!(error.to_string().contains("becomes a page, which stands on one site"), "{error}");
    for (wrong, said) in [
        (Story { alias: "a/b".to_owned(), ..launch.clone() }, "a/b"),
        (Story { site: "nowhere".to_owned(), ..launch.clone() }, "nowhere"),
    ] {
        send(&bus, PageOperation::Create, &wrong).await;
        let (state, reason) = only_open(&bus).await;
        assert_eq!(state, DeliveryState::Parked, "{reason}");
        assert!(reason.contains(said), "{reason}");
        let jane = bus_runtime::Operator::named("jane");
        bus.skip(bus.open("newsroom", Direction::Incoming).await[0].delivery, &jane).await.unwrap();
    }
}
