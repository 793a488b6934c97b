//! References to pages, from pages and from objects, both ways.

use bus_core::{
    BusObject, Change, Connector, Cx, DeliveryState, Direction, DocumentParams, ExternalTask, Failure,
    Incoming, NoSettings, Outgoing, Page, PageNode, PageRef, Prepared, Received, ReferencedPage, connector,
};
use bus_runtime::BusErrorKind;
use bus_testkit::{RunningTestBus, TestBus};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::gates::Gates;
use crate::pages::{Article, Reader, article, with_sites};

stories!(
    a_page_that_is_referred_to_is_told_first,
    who_takes_no_pages_is_asked_what_they_are_called,
    who_can_never_know_a_page_says_so,
    a_page_that_comes_in_refers_to_another,
    which_page_is_meant_is_said_by_the_connector,
    a_page_of_another_site_than_said_is_named,
    an_external_id_is_no_page_of_the_hosts,
);

/// A few words about a page.
#[derive(Debug, Clone, Serialize, Deserialize, Page)]
#[page(class = "app.teaser")]
struct Teaser {
    #[page(node)]
    node: PageNode,
    about: Option<PageRef>,
}

/// What a reader wants to find again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "app.bookmark", display = "Bookmark")]
struct Bookmark {
    #[object(id)]
    id: i64,
    #[object(code_name)]
    name: String,
    pages: Vec<PageRef>,
}

/// Keeps articles and teasers.
#[connector(name = "kiosk", needs(Gates))]
#[outgoing(Article)]
#[outgoing(Teaser)]
#[outgoing(Bookmark)]
struct Kiosk;

/// Keeps bookmarks, and calls pages by their GUIDs.
#[connector(name = "shelf", needs(Gates))]
#[outgoing(Bookmark)]
#[incoming(Clipping, key = name)]
struct Shelf;

/// Keeps bookmarks, and knows nothing of pages.
#[connector(name = "drawer", needs(Gates))]
#[outgoing(Bookmark)]
struct Drawer;

/// Writes articles, and clips some.
#[connector(name = "desk")]
#[incoming(Sheet, key = uid)]
#[incoming(Clipping, key = name)]
struct Desk;

/// A bookmark as others know it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Clipping {
    name: String,
    pages: Vec<String>,
}

/// An article as the desk knows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Sheet {
    uid: String,
    title: String,
}

macro_rules! connects {
    ($($Connector:ident),+) => {$(
        impl Connector for $Connector {
            type Settings = NoSettings;
            async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
                Ok(Self)
            }
        }
    )+};
}

connects!(Kiosk, Drawer, Desk);

impl Connector for Shelf {
    type Settings = NoSettings;

    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }

    async fn external_document_id(&self, page: &ReferencedPage, _: &Cx) -> Result<Option<String>, Failure> {
        let site = page.record.site.as_ref().map(ToString::to_string).unwrap_or_default();
        Ok(Some(format!("{site}:{}:{}", page.node, page.culture)))
    }

    async fn internal_document_params(
        &self,
        external_id: &str,
        _: &Cx,
    ) -> Result<Option<DocumentParams>, Failure> {
        let mut parts = external_id.split(':');
        let mut part = || parts.next().unwrap_or_default().to_owned();
        let (site, node, culture) = (part(), part(), part());
        let (Ok(site), Ok(node), Ok(culture)) = (site.parse(), node.parse(), culture.parse()) else {
            return Ok(None);
        };
        Ok(Some(DocumentParams { node, culture, site }))
    }
}

impl Outgoing<Article> for Kiosk {
    async fn deliver(&self, change: Change<Article>, cx: &Cx) -> Result<(), Failure> {
        let Article { node, .. } = &change.object;
        let id = format!("{} in {}", node.alias, node.culture);
        cx.handle::<Gates>()?.call(&node.alias, format!("article {id}")).await?;
        change.bind(id);
        Ok(())
    }
}

impl Outgoing<Teaser> for Kiosk {
    async fn deliver(&self, change: Change<Teaser>, cx: &Cx) -> Result<(), Failure> {
        let about = change.object.about.as_ref().and_then(PageRef::external_id).unwrap_or("nothing");
        cx.handle::<Gates>()?.call("teaser", format!("teaser about {about}")).await
    }
}

macro_rules! keeps_bookmarks {
    ($($Connector:ident),+) => {$(
        impl Outgoing<Bookmark> for $Connector {
            async fn deliver(&self, change: Change<Bookmark>, cx: &Cx) -> Result<(), Failure> {
                let pages: Vec<_> = change.object.pages.iter().filter_map(PageRef::external_id).collect();
                cx.handle::<Gates>()?.call("bookmark", format!("bookmark of {}", pages.join(", "))).await
            }
        }
    )+};
}

keeps_bookmarks!(Kiosk, Shelf, Drawer);

macro_rules! clips {
    ($($Connector:ident),+) => {$(
        impl Incoming<Clipping> for $Connector {
            type Object = Bookmark;

            async fn prepare_internal_object(
                &self,
                received: Received<Clipping, Bookmark>,
                _: &Cx,
            ) -> Result<Prepared<Bookmark>, Failure> {
                let Clipping { name, pages } = received.object;
                let pages = pages.into_iter().map(PageRef::external).collect();
                Ok(Bookmark { name, pages, ..received.existing.unwrap_or_default() }.into())
            }
        }
    )+};
}

clips!(Shelf, Desk);

impl Incoming<Sheet> for Desk {
    type Object = Article;

    async fn prepare_internal_object(
        &self,
        received: Received<Sheet, Article>,
        _: &Cx,
    ) -> Result<Prepared<Article>, Failure> {
        let Sheet { uid, title } = received.object;
        Ok(article("en-US", &uid, &title).into())
    }
}

fn with_all(bus: TestBus) -> (TestBus, Gates) {
    let gates = Gates::new();
    (with_sites(bus).page::<Teaser>().object::<Bookmark>().provide(gates.clone()), gates)
}

fn bookmark(pages: impl IntoIterator<Item = PageRef>) -> Bookmark {
    Bookmark { name: "later".to_owned(), pages: pages.into_iter().collect(), ..Bookmark::default() }
}

async fn an_article(bus: &RunningTestBus) -> (Uuid, PageRef) {
    let mut launch = article("en-US", "Launch", "1");
    bus.pages().save(&mut launch).await.unwrap();
    (launch.node.guid, PageRef::host(launch.node.guid, &"en-US".parse().unwrap()))
}

async fn a_page_that_is_referred_to_is_told_first(bus: TestBus) {
    let (bus, gates) = with_all(bus);
    let bus = bus.connector::<Kiosk>("kiosk").start().await;
    let (node, english) = an_article(&bus).await;
    let mut teaser = Teaser { node: PageNode::new("corp", "en-US", "Teaser"), about: Some(english) };
    bus.pages().save(&mut teaser).await.unwrap();
    bus.until_idle().await;
    assert_eq!(gates.take_calls(), ["article Launch in en-US", "teaser about Launch in en-US"]);
    let german = PageRef::host(node, &"de-DE".parse().unwrap());
    bus.objects().save(&mut bookmark([german.clone()])).await.unwrap();
    bus.until_idle().await;
    let open = bus.open("kiosk", Direction::Outgoing).await;
    assert_eq!(open[0].state, DeliveryState::Waiting, "it is no page in that culture yet");
    let mut launch = bus.pages().load::<Article>(node, "en-US").await.unwrap().unwrap();
    launch.node = launch.node.in_culture("de-DE");
    bus.pages().save(&mut launch).await.unwrap();
    bus.until_idle().await;
    assert_eq!(gates.calls(), ["article Launch in de-DE", "bookmark of Launch in de-DE"]);
    let kept = bus.objects().find::<Bookmark>("later").await.unwrap().unwrap();
    assert_eq!(kept.pages, [german]);
}

async fn who_takes_no_pages_is_asked_what_they_are_called(bus: TestBus) {
    let (bus, gates) = with_all(bus);
    let bus = bus.connector::<Shelf>("shelf").start().await;
    let (node, page) = an_article(&bus).await;
    bus.objects().save(&mut bookmark([page])).await.unwrap();
    bus.until_idle().await;
    assert_eq!(gates.calls(), [format!("bookmark of corp:{node}:en-us")]);
}

async fn who_can_never_know_a_page_says_so(bus: TestBus) {
    let (bus, _) = with_all(bus);
    let bus = bus.connector::<Drawer>("drawer").start().await;
    let (_, page) = an_article(&bus).await;
    bus.objects().save(&mut bookmark([page])).await.unwrap();
    bus.until_idle().await;
    let open = bus.open("drawer", Direction::Outgoing).await;
    assert_eq!(open[0].state, DeliveryState::Parked);
    let reason = open[0].reason.clone().unwrap();
    assert!(reason.contains("and has no `external_document_id`; add one of these"), "{reason}");
}

async fn clip<C: Connector + bus_core::Accepts<Clipping>>(
    bus: &RunningTestBus,
    connector: &str,
    pages: &[&str],
) {
    let pages = pages.iter().map(|page| (*page).to_owned()).collect();
    let clipping = Clipping { name: "later".to_owned(), pages };
    bus.process_external_task(ExternalTask::update::<C, _>(connector, &clipping)).await.unwrap();
    bus.until_idle().await;
}

async fn a_page_that_comes_in_refers_to_another(bus: TestBus) {
    let (bus, _) = with_all(bus);
    let bus = bus.connector::<Desk>("desk").start().await;
    clip::<Desk>(&bus, "desk", &["Launch"]).await;
    let open = bus.open("desk", Direction::Incoming).await;
    assert_eq!(open[0].state, DeliveryState::Waiting, "{open:?}");
    let sheet = Sheet { uid: "Launch".to_owned(), title: "1".to_owned() };
    bus.process_external_task(ExternalTask::create::<Desk, _>("desk", &sheet)).await.unwrap();
    bus.until_idle().await;
    let launch = bus.pages().find_at::<Article>("corp", "/Launch", "en-US").await.unwrap().unwrap();
    let kept = bus.objects().find::<Bookmark>("later").await.unwrap().unwrap();
    assert_eq!(kept.pages, [PageRef::host(launch.node.guid, &"en-US".parse().unwrap())]);
}

async fn which_page_is_meant_is_said_by_the_connector(bus: TestBus) {
    let (bus, _) = with_all(bus);
    let bus = bus.connector::<Shelf>("shelf").start().await;
    let (node, page) = an_article(&bus).await;
    clip::<Shelf>(&bus, "shelf", &[&format!("corp:{node}:en-US")]).await;
    let kept = bus.objects().find::<Bookmark>("later").await.unwrap().unwrap();
    assert_eq!(kept.pages, [page]);
}

async fn a_page_of_another_site_than_said_is_named(bus: TestBus) {
    let (bus, _) = with_all(bus);
    let bus = bus.connector::<Shelf>("shelf").connector::<Reader>("reader").start().await;
    let (node, _) = an_article(&bus).await;
    clip::<Shelf>(&bus, "shelf", &[&format!("branch:{node}:en-US")]).await;
    let open = bus.open("shelf", Direction::Incoming).await;
    assert_eq!(open[0].state, DeliveryState::Parked);
    let reason = open[0].reason.clone().unwrap();
    assert!(reason.contains("stands on site branch, and it stands on corp"), "{reason}");
}

async fn an_external_id_is_no_page_of_the_hosts(bus: TestBus) {
    let (bus, _) = with_all(bus);
    let bus = bus.start().await;
    let about = Some(PageRef::external("theirs"));
    let mut teaser = Teaser { node: PageNode::new("corp", "en-US", "Teaser"), about };
    let error = bus.pages().save(&mut teaser).await.unwrap_err();
    assert_eq!(error.kind(), BusErrorKind::Malformed);
    assert!(error.to_string().contains("/about"), "{error}");
}
