//! A page, with references to an object and to another page, as it goes out and comes in.

use bus_core::{
    AnyPage, BusObject, Change, Connector, Cx, DataType, ExternalTask, Failure, Incoming, NoSettings,
    ObjectId, ObjectKey, Outgoing, Page, PageNode, PageOperation, PageRef, Prepared, Received, Ref,
    connector,
};
use bus_runtime::Operator;
use bus_testkit::{RunningTestBus, TestBus};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Seen;

/// Who writes.
#[derive(Debug, Clone, Default, Serialize, Deserialize, BusObject)]
#[object(type = "app.writer")]
struct Writer {
    #[object(id)]
    id: i64,
    #[object(code_name)]
    name: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, Page)]
#[page(class = "app.leaf", display = "Leaf")]
#[serde(rename_all = "camelCase")]
struct Leaf {
    #[page(node)]
    stands_at: PageNode,
    title: String,
    words: u32,
    tags: Vec<String>,
    author: Option<Ref<Writer>>,
    next: Option<PageRef>,
    see_also: Vec<PageRef>,
}

/// Reads pages with their references as they are in the host.
#[connector(name = "simple-reader", needs(Seen))]
#[outgoing(Leaf, data = simple)]
struct SimpleReader;

/// Reads pages with their references translated.
#[connector(name = "snapshot-reader", needs(Seen))]
#[outgoing(Leaf, data = simple_snapshot)]
#[outgoing(Writer)]
struct SnapshotReader;

/// Reads pages without their struct.
#[connector(name = "any-reader", needs(Seen))]
#[outgoing(AnyPage, class = "app.leaf")]
#[outgoing(Writer)]
struct AnyReader;

/// Sends pages.
#[connector(name = "leaf-sender")]
#[incoming(SentLeaf, key = uid)]
struct LeafSender;

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

connects!(SimpleReader, SnapshotReader, AnyReader, LeafSender);

macro_rules! sees_leaves {
    ($($Connector:ident),+) => {$(
        impl Outgoing<Leaf> for $Connector {
            async fn deliver(&self, change: Change<Leaf>, cx: &Cx) -> Result<(), Failure> {
                see(cx, change.operation(), &json!(change.object))?;
                change.bind(called(&change.object.stands_at));
                Ok(())
            }
        }
    )+};
}

sees_leaves!(SimpleReader, SnapshotReader);

macro_rules! knows_writers {
    ($($Connector:ident),+) => {$(
        impl Outgoing<Writer> for $Connector {
            async fn deliver(&self, change: Change<Writer>, _: &Cx) -> Result<(), Failure> {
                change.bind(format!("their {}", change.object.name));
                Ok(())
            }
        }
    )+};
}

knows_writers!(SnapshotReader, AnyReader);

impl Outgoing<AnyPage> for AnyReader {
    async fn deliver(&self, change: Change<AnyPage>, cx: &Cx) -> Result<(), Failure> {
        let AnyPage { class_name, node, fields, references } = &change.object;
        let seen = json!({ "class": class_name, "node": node, "fields": fields, "references": references });
        see(cx, change.operation(), &seen)?;
        change.bind(called(node));
        Ok(())
    }
}

fn see(cx: &Cx, operation: PageOperation, page: &Value) -> Result<(), Failure> {
    let seen = cx.handle::<Seen>()?;
    seen.0.lock().unwrap().push(json!({ "operation": operation.as_str(), "page": page }));
    Ok(())
}

/// What the readers call a page.
fn called(node: &PageNode) -> String {
    format!("{} in {}", node.alias, node.culture)
}

async fn start(bus: TestBus) -> RunningTestBus {
    let bus = bus.site_with("corp", ["en-US", "de-DE"]).page::<Leaf>().object::<Writer>();
    bus.start().await
}

fn leaf(node: Uuid, alias: &str) -> Leaf {
    let mut stands_at = PageNode::new("corp", "en-US", alias).named(format!("The {alias}"));
    stands_at.guid = node;
    let tags = ["news", "Ünï/cödé"].map(str::to_owned).to_vec();
    let title = alias.to_owned();
    Leaf { stands_at, title, words: 7, tags, author: None, next: None, see_also: Vec::new() }
}

/// What a reader is told of a page through its life: it refers to a writer, to the page it stands beneath, and to itself.
async fn told_of_a_page(bus: TestBus) -> Value {
    let seen = Seen::default();
    let bus = start(bus.provide(seen.clone())).await;
    let mut ada = Writer { name: "ada".to_owned(), ..Writer::default() };
    bus.objects().save(&mut ada).await.unwrap();
    let mut news = leaf(Uuid::from_u128(1), "News");
    bus.pages().save(&mut news).await.unwrap();
    let mut launch = leaf(Uuid::from_u128(2), "Launch");
    launch.stands_at = launch.stands_at.beneath(news.stands_at.guid);
    launch.author = Some(Ref::host(ada.id));
    launch.next = Some(PageRef::to(&news.stands_at));
    launch.see_also = vec![PageRef::to(&launch.stands_at), PageRef::to(&news.stands_at)];
    bus.pages().save(&mut launch).await.unwrap();
    bus.until_idle().await;
    let (node, culture) = (launch.stands_at.guid, "en-US");
    bus.pages().publish(node, culture).await.unwrap();
    bus.until_idle().await;
    bus.pages().move_to(node, None, "Start").await.unwrap();
    bus.until_idle().await;
    bus.pages().delete(node, culture).await.unwrap();
    bus.until_idle().await;
    seen.0.lock().unwrap().clone().into()
}

#[tokio::test]
async fn a_page_goes_out_simple() {
    let bus = TestBus::new().connector::<SimpleReader>("simple-reader");
    insta::assert_json_snapshot!(told_of_a_page(bus).await);
}

#[tokio::test]
async fn a_page_goes_out_as_a_simple_snapshot() {
    let bus = TestBus::new().connector::<SnapshotReader>("snapshot-reader");
    insta::assert_json_snapshot!(told_of_a_page(bus).await);
}

#[tokio::test]
async fn a_page_goes_out_without_a_struct() {
    insta::assert_json_snapshot!(told_of_a_page(TestBus::new().connector::<AnyReader>("any-reader")).await);
}

/// A page as its sender knows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct SentLeaf {
    uid: String,
    author: String,
    pages: Vec<String>,
}

impl Incoming<SentLeaf> for LeafSender {
    type Object = Leaf;

    async fn prepare_internal_object(
        &self,
        received: Received<SentLeaf, Leaf>,
        _: &Cx,
    ) -> Result<Prepared<Leaf>, Failure> {
        let SentLeaf { uid, author, pages } = received.object;
        let mut leaf = leaf(Uuid::from_u128(2), &uid);
        leaf.author = Some(Ref::external(author));
        leaf.see_also = pages.into_iter().map(PageRef::external).collect();
        leaf.next = leaf.see_also.first().cloned();
        Ok(leaf.into())
    }
}

/// What becomes in the host of a page that comes in, and what is stored of it: with its references.
async fn applied(data_type: DataType, author: &str, page: &str) -> Value {
    let bus = start(TestBus::new().connector::<LeafSender>("leaf-sender")).await;
    let mut ada = Writer { name: "ada".to_owned(), ..Writer::default() };
    bus.objects().save(&mut ada).await.unwrap();
    let mut news = leaf(Uuid::from_u128(1), "News");
    let saved = bus.pages().save(&mut news).await.unwrap();
    let by = Operator::named("jane");
    let map = bus.identity(&"leaf-sender".parse().unwrap());
    let key = ObjectKey { object_type: Writer::TYPE.parse().unwrap(), id: ObjectId::Number(ada.id) };
    map.link(&key, "their ada", &by).await.unwrap();
    map.link(&saved.key, "their news", &by).await.unwrap();
    let sent = SentLeaf { uid: "Launch".to_owned(), author: author.to_owned(), pages: vec![page.to_owned()] };
    let task = ExternalTask::create::<LeafSender, _>("leaf-sender", &sent).operation(PageOperation::Publish);
    bus.process_external_task(task.data_type(data_type)).await.unwrap();
    bus.until_idle().await;
    let launch = bus.pages().find_at::<Leaf>("corp", "/Launch", "en-US").await.unwrap();
    let culture = "en-US".parse().unwrap();
    let stored = bus.store().page(Uuid::from_u128(2), &culture).await.unwrap().unwrap();
    let stored: Value = serde_json::from_slice(&stored.content.data).unwrap();
    json!({ "page": launch, "references": stored["references"] })
}

#[tokio::test]
async fn a_page_comes_in_simple() {
    let news = format!("{}/en-us", Uuid::from_u128(1));
    insta::assert_json_snapshot!(applied(DataType::Simple, "1", &news).await);
}

#[tokio::test]
async fn a_page_comes_in_as_a_simple_snapshot() {
    insta::assert_json_snapshot!(applied(DataType::SimpleSnapshot, "their ada", "their news").await);
}
