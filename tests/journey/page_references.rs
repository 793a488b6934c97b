//! References to pages: of pages and of objects, translated as those to objects are.

use bus_core::{
    BusObject, Change, Connector, Cx, DeliveryState, Direction, Failure, NoSettings, Outgoing, Page,
    PageNode, PageRef, ReferencedPage, connector,
};
use bus_runtime::{BusErrorKind, Question};
use bus_testkit::{FakePeer, RunningTestBus, Script, TestBus};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

stories!(
    references_to_pages_are_the_external_systems_ids_when_the_connector_sees_them,
    a_page_waits_for_a_page_that_is_not_there_yet,
    a_page_never_waits_for_itself,
    a_connector_is_asked_for_a_page_that_it_was_never_told_of,
    a_reference_to_a_page_that_can_never_be_answered_is_parked_at_once,
    what_went_without_a_late_reference_is_told_again,
    bad_references_to_pages_are_refused,
);

/// A page that refers to others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Page)]
#[page(class = "app.chapter", display = "Chapter")]
struct Chapter {
    #[page(node)]
    node: PageNode,
    next: Option<PageRef>,
    see_also: Vec<PageRef>,
    #[page(reference = late)]
    answer: Option<PageRef>,
}

/// An object that refers to a page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "app.bookmark")]
struct Bookmark {
    #[object(id)]
    id: i64,
    page: Option<PageRef>,
}

fn chapter(alias: &str) -> Chapter {
    Chapter { node: PageNode::new("corp", "en-US", alias), next: None, see_also: Vec::new(), answer: None }
}

fn said(reference: Option<&PageRef>) -> String {
    match reference {
        None => "nothing".to_owned(),
        Some(reference) if reference.is_unresolved() => "unresolved".to_owned(),
        Some(reference) => reference.external_id().unwrap_or("a page of the host").to_owned(),
    }
}

/// Calls chapters by their aliases.
#[connector(name = "library", needs(FakePeer))]
#[outgoing(Chapter)]
#[outgoing(Bookmark)]
struct Library;

impl Connector for Library {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Outgoing<Chapter> for Library {
    async fn deliver(&self, change: Change<Chapter>, cx: &Cx) -> Result<(), Failure> {
        let Chapter { node, next, see_also, answer } = &change.object;
        let see_also: Vec<_> = see_also.iter().map(|page| said(Some(page))).collect();
        let (next, answer) = (said(next.as_ref()), said(answer.as_ref()));
        cx.handle::<FakePeer>()?
            .say(format!("{} next {next} see {see_also:?} answer {answer}", node.alias))?;
        change.bind(format!("{} {}", node.alias, node.culture));
        Ok(())
    }
}

impl Outgoing<Bookmark> for Library {
    async fn deliver(&self, change: Change<Bookmark>, cx: &Cx) -> Result<(), Failure> {
        cx.handle::<FakePeer>()?.say(format!("bookmark at {}", said(change.object.page.as_ref())))
    }
}

/// Is told of bookmarks alone, and asked for pages.
#[connector(name = "shelf", needs(FakePeer))]
#[outgoing(Bookmark)]
struct Shelf;

impl Connector for Shelf {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }

    async fn external_document_id(&self, page: &ReferencedPage, cx: &Cx) -> Result<Option<String>, Failure> {
        let site = page.site.as_ref().map_or("no site", |site| site.as_str());
        cx.handle::<FakePeer>()?.say(format!("asked for {} on {site}", page.culture))?;
        Ok(Some(format!("shelf of {}", page.culture)))
    }
}

impl Outgoing<Bookmark> for Shelf {
    async fn deliver(&self, change: Change<Bookmark>, cx: &Cx) -> Result<(), Failure> {
        cx.handle::<FakePeer>()?.say(format!("bookmark at {}", said(change.object.page.as_ref())))
    }
}

/// Is told of bookmarks alone, and knows no pages.
#[connector(name = "pile", needs(FakePeer))]
#[outgoing(Bookmark)]
struct Pile;

impl Connector for Pile {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Outgoing<Bookmark> for Pile {
    async fn deliver(&self, _: Change<Bookmark>, cx: &Cx) -> Result<(), Failure> {
        cx.handle::<FakePeer>()?.say("bookmark")
    }
}

fn with_chapters(bus: TestBus) -> (TestBus, FakePeer) {
    let peer = FakePeer::new("library");
    let bus = bus.site_with("corp", ["en-US", "de-DE"]).page::<Chapter>().object::<Bookmark>();
    (bus.provide(peer.clone()), peer)
}

async fn with_library(bus: TestBus) -> (RunningTestBus, FakePeer) {
    let (bus, peer) = with_chapters(bus);
    (bus.connector::<Library>("library").start().await, peer)
}

async fn references_to_pages_are_the_external_systems_ids_when_the_connector_sees_them(bus: TestBus) {
    let (bus, peer) = with_library(bus).await;
    let mut last = chapter("Last");
    bus.pages().save(&mut last).await.unwrap();
    let mut german = Chapter { node: last.node.clone().in_culture("de-DE"), ..last.clone() };
    bus.pages().save(&mut german).await.unwrap();
    let mut first = chapter("First");
    first.next = Some(PageRef::to(&last.node));
    first.see_also = vec![PageRef::host(last.node.guid, "DE-de"), PageRef::to(&last.node)];
    bus.pages().save(&mut first).await.unwrap();
    bus.objects().save(&mut Bookmark { id: 0, page: Some(PageRef::to(&german.node)) }).await.unwrap();
    bus.until_idle().await;
    assert_eq!(
        peer.calls(),
        [
            "Last next nothing see [] answer nothing",
            "Last next nothing see [] answer nothing",
            "First next Last en-US see [\"Last de-DE\", \"Last en-US\"] answer nothing",
            "bookmark at Last de-DE",
        ]
    );
    let loaded: Chapter = bus.pages().load(first.node.guid, "en-US").await.unwrap().unwrap();
    assert_eq!(loaded, first, "the host's page refers to the host's pages");
}

async fn a_page_waits_for_a_page_that_is_not_there_yet(bus: TestBus) {
    let (bus, peer) = with_library(bus).await;
    peer.script([Script::Retry("not now".to_owned())]);
    let mut last = chapter("Last");
    bus.pages().save(&mut last).await.unwrap();
    bus.until_idle().await;
    let mut first = chapter("First");
    first.next = Some(PageRef::to(&last.node));
    bus.pages().save(&mut first).await.unwrap();
    bus.until_idle().await;
    let open = bus.open("library", Direction::Outgoing).await;
    assert_eq!((open[0].state, open[1].state), (DeliveryState::Retryable, DeliveryState::Waiting));
    assert_eq!(
        open[1].reason.as_deref(),
        Some(&*format!(
            "waits for page {}/en-us (/next), which connector library does not know yet",
            last.node.guid
        ))
    );
    let explained = bus.explain(Question::Delivery(open[1].delivery)).await.unwrap().to_string();
    assert!(explained.contains(&format!("to be brought by delivery {}", open[0].delivery)), "{explained}");
    bus.clock().advance(std::time::Duration::from_secs(10));
    bus.until_idle().await;
    assert_eq!(
        peer.calls()[1..],
        ["Last next nothing see [] answer nothing", "First next Last en-US see [] answer nothing"]
    );
}

async fn a_page_never_waits_for_itself(bus: TestBus) {
    let (bus, peer) = with_library(bus).await;
    let mut first = chapter("First");
    first.node.guid = Uuid::from_u128(7);
    first.next = Some(PageRef::to(&first.node));
    first.see_also = vec![PageRef::host(first.node.guid, "de-DE")];
    bus.pages().save(&mut first).await.unwrap();
    bus.until_idle().await;
    assert_eq!(
        peer.calls(),
        ["First next a page of the host see [\"a page of the host\"] answer nothing"],
        "what it is called there is only known once it was told"
    );
}

async fn a_connector_is_asked_for_a_page_that_it_was_never_told_of(bus: TestBus) {
    let (bus, peer) = with_chapters(bus);
    let bus = bus.connector::<Shelf>("shelf").start().await;
    let mut first = chapter("First");
    bus.pages().save(&mut first).await.unwrap();
    for _ in 0..2 {
        bus.objects().save(&mut Bookmark { id: 0, page: Some(PageRef::to(&first.node)) }).await.unwrap();
        bus.until_idle().await;
    }
    let told = "bookmark at shelf of en-us";
    assert_eq!(peer.calls(), ["asked for en-us on corp", told, told], "the answer is kept");
}

async fn a_reference_to_a_page_that_can_never_be_answered_is_parked_at_once(bus: TestBus) {
    let (bus, peer) = with_chapters(bus);
    let bus = bus.connector::<Pile>("pile").start().await;
    let mut first = chapter("First");
    bus.pages().save(&mut first).await.unwrap();
    bus.objects().save(&mut Bookmark { id: 0, page: Some(PageRef::to(&first.node)) }).await.unwrap();
    bus.until_idle().await;
    let open = bus.open("pile", Direction::Outgoing).await;
    assert_eq!(open[0].state, DeliveryState::Parked);
    let reason = open[0].reason.as_deref().unwrap();
    let said = "neither subscribes to pages nor accepts them, and has no `external_document_id`";
    assert!(reason.contains(said), "{reason}");
    assert_eq!(peer.calls(), [""; 0]);
}

async fn what_went_without_a_late_reference_is_told_again(bus: TestBus) {
    let (bus, peer) = with_library(bus).await;
    peer.script([Script::Retry("not now".to_owned())]);
    let mut last = chapter("Last");
    bus.pages().save(&mut last).await.unwrap();
    bus.until_idle().await;
    let mut first = chapter("First");
    first.answer = Some(PageRef::to(&last.node));
    bus.pages().save(&mut first).await.unwrap();
    bus.until_idle().await;
    assert_eq!(peer.calls()[1..], ["First next nothing see [] answer unresolved"]);
    bus.clock().advance(std::time::Duration::from_secs(10));
    bus.until_idle().await;
    assert_eq!(
        peer.calls()[2..],
        ["Last next nothing see [] answer nothing", "First next nothing see [] answer Last en-US"]
    );
}

async fn bad_references_to_pages_are_refused(bus: TestBus) {
    let (bus, peer) = with_library(bus).await;
    for (next, said) in [
        (PageRef::to(&chapter("New").node), "was not saved yet"),
        (PageRef::host(Uuid::max(), "not a culture"), "in no culture"),
        (PageRef::external("Last en-US"), "/next"),
    ] {
        let mut first = Chapter { next: Some(next.clone()), ..chapter("First") };
        let error = bus.pages().save(&mut first).await.unwrap_err();
        assert_eq!(error.kind(), BusErrorKind::Malformed, "{error}");
        assert!(error.to_string().contains(said), "{error}");
        let error = bus.objects().save(&mut Bookmark { id: 0, page: Some(next) }).await.unwrap_err();
        assert_eq!(error.kind(), BusErrorKind::Malformed, "{error}");
    }
    for text in ["7", "\"7\"", "\"00000000-0000-0000-0000-000000000007\"", "{\"$bus:1\": \"x\"}"] {
        let error = serde_json::from_str::<PageRef>(text).unwrap_err().to_string();
        assert!(error.contains("page"), "{text}: {error}");
    }
    bus.until_idle().await;
    assert_eq!(peer.calls(), [""; 0]);
}
