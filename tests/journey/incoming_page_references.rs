//! References to pages that come in: those of objects, and what a page stands beneath.

use bus_core::{
    BusObject, Connector, Cx, DeliveryState, Direction, DocumentParams, ExternalTask, Failure, Incoming,
    NoSettings, PageRef, Prepared, Received, connector,
};
use bus_testkit::{RunningTestBus, TestBus};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::pages::{Article, article, with_sites};

stories!(
    a_reference_waits_for_a_page_that_comes_in,
    which_page_is_meant_is_said_by_the_connector,
    a_page_of_another_site_than_said_is_named,
    a_page_stands_beneath_the_one_that_the_connector_says,
);

/// What a reader wants to find again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "app.clippings", display = "Clippings")]
struct Clippings {
    #[object(id)]
    id: i64,
    #[object(code_name)]
    name: String,
    pages: Vec<PageRef>,
}

/// Clippings as others know them.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Clipping {
    name: String,
    pages: Vec<String>,
}

/// An article as others know it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Sheet {
    uid: String,
    title: String,
    above: Option<String>,
}

/// Calls pages by its own ids.
#[connector(name = "desk")]
#[incoming(Sheet, key = uid)]
#[incoming(Clipping, key = name)]
struct Desk;

/// Calls the host's pages by their sites, GUIDs and cultures.
#[connector(name = "bookrack")]
#[incoming(Sheet, key = uid)]
#[incoming(Clipping, key = name)]
struct Bookrack;

impl Connector for Desk {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Connector for Bookrack {
    type Settings = NoSettings;

    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }

    async fn internal_document_params(
        &self,
        external_id: &str,
        _: &Cx,
    ) -> Result<Option<DocumentParams>, Failure> {
        let mut parts = external_id.split(':');
        let mut part = || parts.next().unwrap_or_default();
        let (site, node, culture) = (part(), part(), part());
        let node = Uuid::parse_str(node).map_err(|error| Failure::reject(error.to_string()))?;
        Ok(Some(DocumentParams::new(node, culture, site)))
    }
}

macro_rules! reads_clippings_and_sheets {
    ($($Connector:ident),+) => {$(
        impl Incoming<Clipping> for $Connector {
            type Object = Clippings;

            async fn prepare_internal_object(
                &self,
                received: Received<Clipping, Clippings>,
                _: &Cx,
            ) -> Result<Prepared<Clippings>, Failure> {
                let Clipping { name, pages } = received.object;
                let pages = pages.into_iter().map(PageRef::external).collect();
                Ok(Clippings { name, pages, ..received.existing.unwrap_or_default() }.into())
            }
        }

        impl Incoming<Sheet> for $Connector {
            type Object = Article;

            async fn prepare_internal_object(
                &self,
                received: Received<Sheet, Article>,
                _: &Cx,
            ) -> Result<Prepared<Article>, Failure> {
                let Sheet { uid, title, above } = received.object;
                let mut sheet = article("en-US", &uid, &title);
                if let Some(above) = above {
                    sheet.node = sheet.node.beneath_external(above);
                }
                Ok(sheet.into())
            }
        }
    )+};
}

reads_clippings_and_sheets!(Desk, Bookrack);

async fn start<C: bus_core::descriptor::DescribedConnector>(bus: TestBus, name: &str) -> RunningTestBus {
    with_sites(bus).object::<Clippings>().connector::<C>(name).start().await
}

async fn an_article(bus: &RunningTestBus) -> Uuid {
    let mut launch = article("en-US", "Launch", "1");
    bus.pages().save(&mut launch).await.unwrap();
    launch.node.guid
}

async fn clip(bus: &RunningTestBus, connector: &str, page: &str) {
    let clipping = Clipping { name: "later".to_owned(), pages: vec![page.to_owned()] };
    let body = serde_json::to_vec(&clipping).unwrap();
    bus.process_external_task(ExternalTask::received(connector, "clipping", body)).await.unwrap();
    bus.until_idle().await;
}

async fn bring(bus: &RunningTestBus, connector: &str, uid: &str, above: Option<&str>) {
    let sheet = Sheet { uid: uid.to_owned(), title: "1".to_owned(), above: above.map(str::to_owned) };
    let body = serde_json::to_vec(&sheet).unwrap();
    bus.process_external_task(ExternalTask::received(connector, "sheet", body)).await.unwrap();
    bus.until_idle().await;
}

async fn clipped(bus: &RunningTestBus) -> Vec<PageRef> {
    bus.objects().find::<Clippings>("later").await.unwrap().expect("it is there").pages
}

async fn a_reference_waits_for_a_page_that_comes_in(bus: TestBus) {
    let bus = start::<Desk>(bus, "desk").await;
    clip(&bus, "desk", "Launch").await;
    let open = bus.open("desk", Direction::Incoming).await;
    assert_eq!(open[0].state, DeliveryState::Waiting, "{open:?}");
    bring(&bus, "desk", "Launch", None).await;
    let launch = bus.pages().find_at::<Article>("corp", "/Launch", "en-US").await.unwrap().unwrap();
    assert_eq!(clipped(&bus).await, [PageRef::to(&launch.node)]);
}

async fn which_page_is_meant_is_said_by_the_connector(bus: TestBus) {
    let bus = start::<Bookrack>(bus, "bookrack").await;
    let node = an_article(&bus).await;
    clip(&bus, "bookrack", &format!("corp:{node}:en-US")).await;
    assert_eq!(clipped(&bus).await, [PageRef::host(node, "en-US")]);
}

async fn a_page_of_another_site_than_said_is_named(bus: TestBus) {
    let bus = start::<Bookrack>(bus, "bookrack").await;
    let node = an_article(&bus).await;
    for (page, said) in [
        (format!("branch:{node}:en-US"), "stands on site branch, and page"),
        (format!("corp:{node}:no culture"), "a bad culture"),
    ] {
        clip(&bus, "bookrack", &page).await;
        let open = bus.open("bookrack", Direction::Incoming).await;
        assert_eq!(open[0].state, DeliveryState::Parked);
        let reason = open[0].reason.clone().unwrap();
        assert!(reason.contains(said), "{reason}");
        let jane = bus_runtime::Operator::named("jane");
        bus.skip(open[0].delivery, &jane).await.unwrap();
    }
}

async fn a_page_stands_beneath_the_one_that_the_connector_says(bus: TestBus) {
    let bus = start::<Bookrack>(bus, "bookrack").await;
    let node = an_article(&bus).await;
    bring(&bus, "bookrack", "Details", Some(&format!("corp:{node}:en-US"))).await;
    let details = bus.pages().find_at::<Article>("corp", "/Launch/Details", "en-US").await.unwrap();
    assert_eq!(details.expect("it is there").node.parent, Some(node));
}
