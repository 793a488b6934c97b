//! An external system is polled page by page, and at last lists all there is: the process is killed between the pages, and
//! ends at every place of the store's transactions. Each change of the external system is logged once and applied once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::Ordering;

use bus_core::descriptor::{DescribedConnector, DescribedObject};
use bus_core::{
    BusObject, Change, Connector, Cx, Direction, ExternalTask, Failure, Incoming, NoSettings, Outgoing, Poll,
    Prepared, Received, connector,
};
use bus_runtime::{Bus, Config, ConnectorConfig, Counters, Registry};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::bench::{MANY_ATTEMPTS, Place, brisk};
use crate::child::{POINTS, STORE_POINTS, count_points};
use crate::processes::{self, Process, folder, say};

/// What has changed there, page by page: which letter, and what it says; nothing where it is gone.
const PAGES: [&[(&str, Option<&str>)]; 4] = [
    &[("a", Some("one")), ("b", Some("two"))],
    &[("a", Some("three")), ("c", Some("four"))],
    &[("b", None), ("d", Some("five"))],
    &[("c", Some("six"))],
];

/// All letters that are there in the end, on two pages. That `d` is gone is said by nothing else.
const LIST: [&str; 2] = ["a", "c"];

/// How many changes there were: those on the pages, and the one that the list tells.
const CHANGES: u64 = 8;

/// How many children run at a time.
const AT_A_TIME: usize = 3;

/// Of the statements, every how many ends a story: each commit does.
const STATEMENTS_STEP: usize = 7;

/// What the external system has.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Letter {
    number: String,
    content: String,
}

/// What the application makes of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "crash.filed", display = "Filed")]
struct Filed {
    #[object(id)]
    id: i64,
    #[object(code_name)]
    number: String,
    content: String,
}

/// How the external system is asked in this process.
#[derive(Clone, Copy)]
struct Desk {
    /// The page that it never answers.
    holds: Option<usize>,
    said: fn(&str),
}

/// Asks for letters.
#[connector(name = "post", needs(Desk))]
#[incoming(Letter, key = number)]
struct Post(Desk);

impl Connector for Post {
    type Settings = NoSettings;

    async fn connect(_: NoSettings, cx: &Cx) -> Result<Self, Failure> {
        Ok(Self(*cx.handle::<Desk>()?))
    }

    async fn poll(&self, since: Option<&str>, _: &Cx) -> Result<Poll, Failure> {
        let page: usize = since.unwrap_or("0").parse()?;
        (self.0.said)(&format!("asked {page}"));
        if self.0.holds == Some(page) {
            std::future::pending::<()>().await;
        }
        let poll = Poll::new((page + 1).to_string());
        let listed = page.checked_sub(PAGES.len());
        Ok(match (PAGES.get(page), listed.and_then(|listed| LIST.get(listed))) {
            (Some(changes), _) => {
                let poll = poll.tasks(changes.iter().map(|(number, content)| changed(number, *content)));
                if page + 1 < PAGES.len() { poll.more() } else { poll }
            }
            (None, Some(number)) => {
                let poll = poll.complete::<Self, Letter>([*number]);
                if *number == LIST[0] { poll.more() } else { poll }
            }
            (None, None) => Poll::new(page.to_string()),
        })
    }
}

fn changed(number: &str, content: Option<&str>) -> ExternalTask {
    match content {
        Some(content) => {
            let letter = Letter { number: number.to_owned(), content: content.to_owned() };
            ExternalTask::update::<Post, _>("post", &letter)
        }
        None => ExternalTask::gone("post", "letter", number),
    }
}

impl Incoming<Letter> for Post {
    type Object = Filed;

    async fn prepare_internal_object(
        &self,
        received: Received<Letter, Filed>,
        _: &Cx,
    ) -> Result<Prepared<Filed>, Failure> {
        let Letter { number, content } = received.object;
        Ok(Filed { number, content, ..received.existing.unwrap_or_default() }.into())
    }
}

/// Is told of what is filed.
#[connector(name = "reader", create_once = repeatable)]
#[outgoing(Filed, data = simple)]
struct Reader;

impl Connector for Reader {
    type Settings = NoSettings;

    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Outgoing<Filed> for Reader {
    async fn deliver(&self, _: Change<Filed>, _: &Cx) -> Result<(), Failure> {
        Ok(())
    }
}

async fn start(place: &Place, desk: Desk) -> Bus {
    let registry = Registry::of([Post::DESCRIPTOR, Reader::DESCRIPTOR], [Filed::DESCRIPTOR]);
    let mut config = Config::new(place.store());
    for name in ["post", "reader"] {
        let mut processing = brisk(MANY_ATTEMPTS);
        // It is polled when the story says so.
        processing.poll_every_ms = 86_400_000;
        config = config.connector(ConnectorConfig::new(name.parse().expect("a name")).processing(processing));
    }
    let builder = Bus::builder(config).registry(registry.expect("a registry")).provide(desk);
    builder.start().await.unwrap_or_else(|error| panic!("it starts: {error:?}"))
}

/// The letters, then the list: a poll is answered page by page, and what it brought is done before the next.
async fn poll_everything(bus: &Bus) {
    until_settled(bus).await;
    for _ in 0..2 {
        bus.poll_now(&"post".parse().expect("a name")).expect("it polls here");
        until_settled(bus).await;
    }
}

/// Lets the bus do all there is to do, retries included.
async fn until_settled(bus: &Bus) {
    loop {
        bus.until_idle().await;
        if counters(bus).await.values().all(|counters| counters.open == 0) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

async fn counters(bus: &Bus) -> BTreeMap<(String, Direction), Counters> {
    let counted = bus.counters().await.expect("counters").into_iter();
    counted.map(|(queue, counters)| ((queue.connector.to_string(), queue.direction), counters)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_polls() {
    let Some(plan) = processes::plan() else { return };
    let plan: Value = serde_json::from_str(&plan).expect("a plan");
    let ends_at = plan["point"].as_str().map(str::to_owned).zip(plan["passing"].as_u64());
    let passed = count_points(ends_at.as_ref());
    let place = Place::from(Path::new(plan["place"].as_str().expect("a place")));
    let holds = plan["holds"].as_u64().and_then(|page| usize::try_from(page).ok());
    let bus = start(&place, Desk { holds, said: say }).await;
    poll_everything(&bus).await;
    bus.shutdown().await;
    for (point, passed) in POINTS.iter().zip(passed) {
        say(&format!("passed {point} {}", passed.load(Ordering::SeqCst)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_between_the_pages_of_a_poll_loses_nothing_and_repeats_nothing() {
    for page in 0..PAGES.len() + LIST.len() {
        let folder = folder();
        let place = Place::from(folder.path());
        let plan = json!({ "place": place.0, "holds": page }).to_string();
        let killed = tokio::task::spawn_blocking(move || {
            let mut child = Process::start("polls::child_that_polls", &plan);
            child.until(&format!("asked {page}"));
            child.kill();
        });
        killed.await.expect("no panic");
        end(&place, &format!("killed while page {page} was asked for")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_at_each_place_of_a_transaction_of_a_poll_costs_nothing() {
    let passed = tell(None).await;
    assert_eq!(passed.len(), POINTS.len(), "the story comes to its end: {passed:?}");
    let step = |point: &str| if point == STORE_POINTS[0] { STATEMENTS_STEP } else { 1 };
    let places = passed.iter().flat_map(|(point, times)| {
        (1..=*times).step_by(step(point)).map(move |passing| (point.clone(), passing))
    });
    let places: BTreeSet<_> = places.collect();
    assert!(places.len() > 50, "{passed:?}");
    let (mut ended, mut running) = (0, JoinSet::new());
    for place in &places {
        if running.len() >= AT_A_TIME {
            ended += usize::from(running.join_next().await.expect("some run").expect("no panic"));
        }
        let place = place.clone();
        running.spawn(async move { tell(Some(place)).await.is_empty() });
    }
    while let Some(one) = running.join_next().await {
        ended += usize::from(one.expect("no panic"));
    }
    println!("{ended} ends at {} places", places.len());
    // How commits are shared differs a little from run to run, and with it the number of the last places.
    assert!(ended >= places.len() * 8 / 10, "{ended} of {}", places.len());
}

/// Tells the story up to there and lets another bus end it. How often each place was passed; nothing unless the child came
/// to its end.
async fn tell(ends_at: Option<(String, u64)>) -> BTreeMap<String, u64> {
    let folder = folder();
    let place = Place::from(folder.path());
    let at = ends_at.as_ref();
    let plan =
        json!({ "place": place.0, "point": at.map(|at| &at.0), "passing": at.map(|at| at.1) }).to_string();
    let child = tokio::task::spawn_blocking(move || {
        let mut child = Process::start("polls::child_that_polls", &plan);
        let mut passed = BTreeMap::new();
        while let Some(line) = child.line() {
            if let Some((point, times)) = line.strip_prefix("passed ").and_then(|line| line.split_once(' ')) {
                passed.insert(point.to_owned(), times.parse().expect("a number"));
            }
        }
        child.finish();
        passed
    });
    let passed = child.await.expect("no panic");
    end(&place, &format!("ended at {ends_at:?}")).await;
    passed
}

/// Lets another bus do the rest, and judges what has become of it.
async fn end(place: &Place, context: &str) {
    let bus = start(place, Desk { holds: None, said: |_| {} }).await;
    poll_everything(&bus).await;
    let filed = bus.objects().list::<Filed>(None, 100).await.expect("a list");
    let filed: BTreeSet<_> = filed.into_iter().map(|filed| (filed.number, filed.content)).collect();
    let letter = |number: &str, content: &str| (number.to_owned(), content.to_owned());
    assert_eq!(filed, BTreeSet::from([letter("a", "three"), letter("c", "six")]), "{context}");
    let counters = counters(&bus).await;
    // Logged once, applied once: the reader is told of each change once.
    for queue in [("post", Direction::Incoming), ("reader", Direction::Outgoing)] {
        let counters = &counters[&(queue.0.to_owned(), queue.1)];
        assert_eq!((counters.logged, counters.completed), (CHANGES, CHANGES), "{queue:?}, {context}");
    }
    let audit = bus.audit().await.expect("an audit");
    assert!(audit.faults().is_empty(), "{:?}, {context}", audit.faults());
    bus.shutdown().await;
}
