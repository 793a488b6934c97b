//! Pages that travel both ways: what a system was told of them comes back from it.

use std::time::Duration;

use bus_core::{
    Change, Connector, Cx, DeliveryState, Direction, ExternalTask, Failure, Incoming, NoSettings, Outgoing,
    PageNode, PageOperation, Prepared, Received, connector,
};
use bus_runtime::Operator;
use bus_testkit::{RunningTestBus, TestBus};
use serde::{Deserialize, Serialize};

use crate::gates::Gates;
use crate::pages::{Article, Reader, article, with_sites};

stories!(
    what_a_system_was_told_of_a_page_comes_back_and_stops,
    an_older_version_that_comes_back_late_undoes_nothing,
    what_is_new_is_taken,
    systems_that_answer_each_other_are_parked,
);

/// A page as the other site has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Copy {
    id: String,
    name: String,
    title: String,
}

/// Another site with the same articles.
#[connector(name = "other-site", create_once = repeatable)]
#[outgoing(Article)]
#[incoming(Copy, key = id)]
struct OtherSite;

impl Connector for OtherSite {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Outgoing<Article> for OtherSite {
    async fn deliver(&self, change: Change<Article>, _: &Cx) -> Result<(), Failure> {
        change.bind(change.object.node.alias.clone());
        Ok(())
    }
}

impl Incoming<Copy> for OtherSite {
    type Object = Article;

    async fn prepare_internal_object(
        &self,
        received: Received<Copy, Article>,
        _: &Cx,
    ) -> Result<Prepared<Article>, Failure> {
        let Copy { id, name, title } = received.object;
        let there = received.existing.map(|article| article.node);
        let node = there.unwrap_or_else(|| PageNode::new("corp", "en-US", id)).named(name);
        Ok(Article { node, title, author: None }.into())
    }
}

/// The launch, told to the other site, and a reader who hears of all changes.
async fn start(bus: TestBus) -> (RunningTestBus, Gates, Article) {
    let gates = Gates::new();
    let bus = with_sites(bus).connector::<OtherSite>("other-site").connector::<Reader>("reader");
    let bus = bus.provide(gates.clone()).start().await;
    let mut launch = article("en-US", "Launch", "1");
    bus.pages().save(&mut launch).await.unwrap();
    bus.until_idle().await;
    (bus, gates, launch)
}

async fn says(bus: &RunningTestBus, operation: PageOperation, title: &str) {
    let [id, name, title] = ["Launch", "Launch", title].map(str::to_owned);
    let task = ExternalTask::update::<OtherSite, _>("other-site", &Copy { id, name, title });
    bus.process_external_task(task.operation(operation)).await.unwrap();
    bus.until_idle().await;
}

async fn title(bus: &RunningTestBus) -> String {
    let there = bus.pages().find_at::<Article>("corp", "/Launch", "en-US").await.unwrap();
    there.expect("it is there").title
}

async fn what_a_system_was_told_of_a_page_comes_back_and_stops(bus: TestBus) {
    let (bus, gates, launch) = start(bus).await;
    says(&bus, PageOperation::Update, "1").await;
    bus.pages().publish(launch.node.guid, "en-US").await.unwrap();
    bus.until_idle().await;
    says(&bus, PageOperation::Publish, "1").await;
    assert_eq!(gates.calls(), ["create /Launch en-US draft 1", "publish /Launch en-US published 1"]);
    assert_eq!(bus.counters("other-site", Direction::Outgoing).await.logged, 2);
    assert_eq!(bus.open("other-site", Direction::Incoming).await, []);
}

async fn an_older_version_that_comes_back_late_undoes_nothing(bus: TestBus) {
    let (bus, gates, mut launch) = start(bus).await;
    launch.title = "2".to_owned();
    bus.pages().save(&mut launch).await.unwrap();
    bus.until_idle().await;
    says(&bus, PageOperation::Update, "1").await;
    assert_eq!(title(&bus).await, "2");
    says(&bus, PageOperation::Update, "2").await;
    assert_eq!(title(&bus).await, "2");
    assert_eq!(gates.calls(), ["create /Launch en-US draft 1", "update /Launch en-US draft 2"]);
}

async fn what_is_new_is_taken(bus: TestBus) {
    let (bus, gates, _) = start(bus).await;
    says(&bus, PageOperation::Update, "1").await;
    says(&bus, PageOperation::Update, "theirs").await;
    assert_eq!(title(&bus).await, "theirs");
    bus.clock().advance(Duration::from_mins(11));
    says(&bus, PageOperation::Update, "1").await;
    assert_eq!(title(&bus).await, "1", "what was told long ago is news by then");
    assert_eq!(gates.calls()[1..], ["update /Launch en-US draft theirs", "update /Launch en-US draft 1"]);
    assert_eq!(
        bus.counters("other-site", Direction::Outgoing).await.logged,
        1,
        "it is told nothing of its own"
    );
}

async fn systems_that_answer_each_other_are_parked(bus: TestBus) {
    let (bus, _, mut launch) = start(bus).await;
    let mut turn = 0;
    while bus.open("other-site", Direction::Incoming).await.is_empty() && turn < 20 {
        turn += 1;
        says(&bus, PageOperation::Update, &format!("theirs {turn}")).await;
        launch.title = format!("ours {turn}");
        bus.pages().save(&mut launch).await.unwrap();
        bus.until_idle().await;
    }
    let open = bus.open("other-site", Direction::Incoming).await;
    assert_eq!(open[0].state, DeliveryState::Parked, "after {turn} turns");
    let reason = open[0].reason.clone().unwrap();
    assert!(reason.contains("loop: page "), "{reason}");
    bus.skip(open[0].delivery, &Operator::named("jane")).await.unwrap();
}
