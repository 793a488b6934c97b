//! Pages that come in and have to do with others: those that are waited for, that are gone, or that they are themselves.

use bus_core::{
    Change, Connector, Cx, DeliveryState, Direction, DocumentParams, ExternalTask, Failure, Incoming,
    NoSettings, Operation, Outgoing, Page, PageNode, PageOperation, PageRef, Prepared, Received, connector,
};
use bus_testkit::{FakePeer, RunningTestBus, TestBus};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

stories!(
    a_page_that_is_saved_wakes_what_is_to_stand_beneath_it,
    a_page_that_the_connector_means_wakes_who_waits_for_it,
    a_page_that_comes_in_published_is_told_as_a_new_one_and_as_a_published_one,
    a_page_may_refer_to_itself,
    what_was_bound_to_a_page_that_is_gone_is_free,
    a_path_that_is_too_long_parks_its_page_alone,
);

/// A page of the host's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Page)]
#[page(class = "app.leaf", display = "Leaf")]
struct Leaf {
    #[page(node)]
    node: PageNode,
    next: Option<PageRef>,
}

/// What the press calls it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Sheet {
    uid: String,
    alias: String,
    culture: Option<String>,
    /// The GUID of what it stands beneath, or what the press calls that.
    beneath: Option<Uuid>,
    above: Option<String>,
    next: Option<String>,
}

/// Brings sheets; of pages called `known-GUID` it knows that they are the host's.
#[connector(name = "press")]
#[incoming(Sheet, key = uid)]
struct Press;

impl Connector for Press {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }

    async fn internal_document_params(
        &self,
        external_id: &str,
        _: &Cx,
    ) -> Result<Option<DocumentParams>, Failure> {
        let Some(guid) = external_id.strip_prefix("known-") else { return Ok(None) };
        Ok(Some(DocumentParams { node: guid.parse()?, culture: "en-US".to_owned(), site: "corp".to_owned() }))
    }
}

impl Incoming<Sheet> for Press {
    type Object = Leaf;
    async fn prepare_internal_object(
        &self,
        received: Received<Sheet, Leaf>,
        _: &Cx,
    ) -> Result<Prepared<Leaf>, Failure> {
        let Sheet { alias, culture, beneath, above, next, .. } = received.object;
        let mut node = PageNode::new("corp", culture.as_deref().unwrap_or("en-US"), alias);
        node.parent = beneath;
        if let Some(above) = above {
            node = node.beneath_external(above);
        }
        Ok(Leaf { node, next: next.map(PageRef::external) }.into())
    }
}

/// Says what it is told.
#[connector(name = "bookworm", needs(FakePeer))]
#[outgoing(Leaf)]
struct Reader;

impl Connector for Reader {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Outgoing<Leaf> for Reader {
    async fn deliver(&self, change: Change<Leaf>, cx: &Cx) -> Result<(), Failure> {
        let node = &change.object.node;
        cx.handle::<FakePeer>()?.say(format!("{} {} {}", change.operation(), node.culture, node.state()))
    }
}

fn sheet(uid: &str, alias: &str) -> Sheet {
    Sheet { uid: uid.to_owned(), alias: alias.to_owned(), ..Sheet::default() }
}

fn leaf(alias: &str) -> Leaf {
    Leaf { node: PageNode::new("corp", "en-US", alias), next: None }
}

async fn start(bus: TestBus) -> (RunningTestBus, FakePeer) {
    let log = FakePeer::new("log");
    let bus = bus.site_with("corp", ["en-US", "de-DE"]).page::<Leaf>();
    let bus = bus.connector::<Press>("press").connector::<Reader>("bookworm").provide(log.clone());
    (bus.start().await, log)
}

async fn send(bus: &RunningTestBus, operation: impl Into<Operation>, sheet: &Sheet) {
    let task = ExternalTask::update::<Press, _>("press", sheet).operation(operation);
    bus.process_external_task(task).await.unwrap();
    bus.until_idle().await;
}

async fn at(bus: &RunningTestBus, path: &str) -> Option<Leaf> {
    bus.pages().find_at::<Leaf>("corp", path, "en-US").await.unwrap()
}

async fn open(bus: &RunningTestBus) -> Vec<(DeliveryState, String)> {
    let open = bus.open("press", Direction::Incoming).await;
    open.into_iter().map(|open| (open.state, open.reason.unwrap_or_default())).collect()
}

async fn a_page_that_is_saved_wakes_what_is_to_stand_beneath_it(bus: TestBus) {
    let (bus, _) = start(bus).await;
    let mut news = leaf("News");
    news.node.guid = Uuid::from_u128(7);
    let beneath = Some(news.node.guid);
    send(&bus, PageOperation::Create, &Sheet { beneath, ..sheet("1", "Launch") }).await;
    let waits = format!("waits for the page {}, beneath which it is to stand", news.node.guid);
    assert_eq!(open(&bus).await, [(DeliveryState::Waiting, waits)]);
    bus.pages().save(&mut leaf("Other")).await.unwrap();
    bus.until_idle().await;
    assert_eq!(open(&bus).await.len(), 1, "another page");
    bus.pages().save(&mut news).await.unwrap();
    bus.until_idle().await;
    assert_eq!(open(&bus).await, [], "at once: the clock stands still");
    assert!(at(&bus, "/News/Launch").await.is_some());
}

async fn a_page_that_the_connector_means_wakes_who_waits_for_it(bus: TestBus) {
    let (bus, _) = start(bus).await;
    let mut news = leaf("News");
    news.node.guid = Uuid::from_u128(7);
    let known = Some(format!("known-{}", news.node.guid));
    send(&bus, PageOperation::Create, &Sheet { above: known.clone(), ..sheet("1", "Launch") }).await;
    send(&bus, PageOperation::Create, &Sheet { next: known, ..sheet("2", "Second") }).await;
    let states: Vec<_> = open(&bus).await.into_iter().map(|(state, _)| state).collect();
    assert_eq!(states, [DeliveryState::Waiting; 2]);
    bus.pages().save(&mut news).await.unwrap();
    bus.until_idle().await;
    assert_eq!(open(&bus).await, []);
    assert!(at(&bus, "/News/Launch").await.is_some());
    assert_eq!(at(&bus, "/Second").await.unwrap().next, Some(PageRef::to(&news.node)));
}

async fn a_page_that_comes_in_published_is_told_as_a_new_one_and_as_a_published_one(bus: TestBus) {
    let (bus, log) = start(bus).await;
    send(&bus, PageOperation::Publish, &sheet("1", "Launch")).await;
    send(&bus, PageOperation::Publish, &sheet("1", "Launch")).await;
    let german = Sheet { culture: Some("de-DE".to_owned()), ..sheet("2", "Launch") };
    send(&bus, PageOperation::Archive, &german).await;
    assert_eq!(
        log.calls(),
        ["create en-US draft", "publish en-US published", "create de-DE draft", "archive de-DE archived"]
    );
    let launch = at(&bus, "/Launch").await.unwrap();
    assert_eq!(launch.node.state(), bus_core::PageState::Published);
    assert_eq!(launch.node.cultures().len(), 2);
}

async fn a_page_may_refer_to_itself(bus: TestBus) {
    let (bus, _) = start(bus).await;
    send(&bus, PageOperation::Create, &Sheet { next: Some("1".to_owned()), ..sheet("1", "Launch") }).await;
    let launch = at(&bus, "/Launch").await.unwrap();
    assert_eq!(launch.next, Some(PageRef::to(&launch.node)));
}

async fn what_was_bound_to_a_page_that_is_gone_is_free(bus: TestBus) {
    let (bus, _) = start(bus).await;
    send(&bus, PageOperation::Create, &sheet("1", "Launch")).await;
    let first = at(&bus, "/Launch").await.unwrap();
    bus.pages().delete_all(first.node.guid).await.unwrap();
    bus.until_idle().await;
    send(&bus, PageOperation::Create, &sheet("1", "Again")).await;
    assert_eq!(open(&bus).await, []);
    let again = at(&bus, "/Again").await.unwrap();
    assert_ne!(again.node.guid, first.node.guid);
    send(&bus, PageOperation::Delete, &sheet("1", "Again")).await;
    assert_eq!(at(&bus, "/Again").await, None, "it is bound to that one now");
}

async fn a_path_that_is_too_long_parks_its_page_alone(bus: TestBus) {
    let (bus, _) = start(bus).await;
    let alias = "x".repeat(99);
    let mut beneath = None;
    for _ in 0..10 {
        let mut page = leaf(&alias);
        page.node.parent = beneath;
        bus.pages().save(&mut page).await.unwrap();
        beneath = Some(page.node.guid);
    }
    send(&bus, PageOperation::Create, &Sheet { beneath, ..sheet("1", "Launch") }).await;
    let parked = open(&bus).await;
    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0].0, DeliveryState::Parked);
    assert!(parked[0].1.contains("1007 characters and 11 levels"), "{}", parked[0].1);
    send(&bus, PageOperation::Create, &sheet("2", "Launch")).await;
    assert!(at(&bus, "/Launch").await.is_some(), "others go on");
}
