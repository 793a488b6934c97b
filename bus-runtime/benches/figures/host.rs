//! The application of the benchmark: one type of object, and a connector that does nothing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bus_core::{
    BusObject, Change, Connector, ConnectorName, Cx, DataType, Direction, ErrorPolicy, Failure, Incoming,
    NoSettings, ObjectOperation, Outgoing, Prepared, Received, Timestamp, connector,
};
use bus_runtime::{Bus, Config, ConnectorConfig, StoreConfig, Synchronous};
use bus_store::{Commit, ConnectorState, Durability, NewDelivery, NewTask, QueueId, Store, Travel};
use iso3166_connector::{Country, Subdivision};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::measure::now;

/// When everything is logged that the benchmark logs by itself.
pub(crate) const AT: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// How many tasks one commit fills the queue with.
const FILL: usize = 1_000;

/// Makes the JSON of an item about 200 bytes long.
const NOTE: &str = "a note that is long enough for the whole to be of about two hundred bytes, as a small object is \
                    when it travels; it says nothing";

#[derive(Debug, Clone, Serialize, Deserialize, BusObject)]
#[object(type = "bench.item", display = "Item")]
pub(crate) struct Item {
    #[object(id)]
    pub(crate) id: i64,
    #[object(display_name)]
    pub(crate) name: String,
    pub(crate) note: String,
}

impl Item {
    pub(crate) fn new(id: i64) -> Self {
        Self { id, name: "an item".to_owned(), note: NOTE.to_owned() }
    }
}

/// An item as another system sends it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Article {
    pub(crate) number: u64,
    pub(crate) name: String,
    pub(crate) note: String,
}

/// What the connectors that do nothing were given.
pub(crate) struct Arrivals {
    count: AtomicUsize,
    wanted: AtomicUsize,
    reached: watch::Sender<()>,
    /// When each came, where somebody wants to know.
    times: Option<mpsc::UnboundedSender<Instant>>,
}

impl Arrivals {
    pub(crate) fn new(times: Option<mpsc::UnboundedSender<Instant>>) -> Arc<Self> {
        Arc::new(Self {
            count: AtomicUsize::new(0),
            wanted: AtomicUsize::new(usize::MAX),
            reached: watch::Sender::new(()),
            times,
        })
    }

    fn note(&self) {
        if let Some(times) = &self.times {
            let _ = times.send(now());
        }
        if self.count.fetch_add(1, Ordering::Relaxed) + 1 == self.wanted.load(Ordering::Relaxed) {
            self.reached.send_replace(());
        }
    }

    /// How many came so far.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Returns when one has come.
    pub(crate) async fn first(&self) {
        let mut reached = self.reached.subscribe();
        self.wanted.store(1, Ordering::Relaxed);
        while self.count() == 0 {
            let _ = tokio::time::timeout(Duration::from_millis(5), reached.changed()).await;
        }
    }
}

/// The handle by which the connectors find their arrivals.
pub(crate) struct Sinks(pub(crate) Arc<Arrivals>);

/// Does nothing.
#[connector(name = "sink")]
#[outgoing(Item)]
#[incoming(Article, key = number)]
pub(crate) struct Sink;

impl Connector for Sink {
    type Settings = NoSettings;

    async fn connect(_settings: NoSettings, _cx: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Outgoing<Item> for Sink {
    async fn deliver(&self, change: Change<Item>, cx: &Cx) -> Result<(), Failure> {
        std::hint::black_box(&change.object);
        cx.handle::<Sinks>()?.0.note();
        Ok(())
    }
}

impl Incoming<Article> for Sink {
    type Object = Item;

    async fn prepare_internal_object(
        &self,
        received: Received<Article, Item>,
        _cx: &Cx,
    ) -> Result<Prepared<Item>, Failure> {
        let Article { name, note, .. } = received.object;
        Ok(Item { id: 0, name, note }.into())
    }
}

/// How long a peer takes to answer, about: the timer's ticks are of a millisecond, too.
pub(crate) const PEER_ANSWERS_AFTER: Duration = Duration::from_millis(1);

/// Takes as long as a peer in the same building.
#[connector(name = "peer")]
#[outgoing(Item)]
pub(crate) struct Peer;

impl Connector for Peer {
    type Settings = NoSettings;

    async fn connect(_settings: NoSettings, _cx: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Outgoing<Item> for Peer {
    async fn deliver(&self, change: Change<Item>, cx: &Cx) -> Result<(), Failure> {
        std::hint::black_box(&change.object);
        pause(PEER_ANSWERS_AFTER).await;
        cx.handle::<Sinks>()?.0.note();
        Ok(())
    }
}

/// Paces what is measured, or leaves the bus alone: a load, not a synchronisation.
#[expect(clippy::disallowed_methods, reason = "see there")]
pub(crate) async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Does nothing with countries and their subdivisions.
#[connector(name = "mirror")]
#[outgoing(Country)]
#[outgoing(Subdivision)]
pub(crate) struct Mirror;

impl Connector for Mirror {
    type Settings = NoSettings;

    async fn connect(_settings: NoSettings, _cx: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }

    async fn external_object_id(
        &self,
        object: &bus_core::ReferencedObject,
        _cx: &Cx,
    ) -> Result<Option<String>, Failure> {
        Ok(Some(object.key.id.to_string()))
    }
}

impl Outgoing<Country> for Mirror {
    async fn deliver(&self, change: Change<Country>, cx: &Cx) -> Result<(), Failure> {
        change.bind(change.object.id.to_string());
        cx.handle::<Sinks>()?.0.note();
        Ok(())
    }
}

impl Outgoing<Subdivision> for Mirror {
    async fn deliver(&self, change: Change<Subdivision>, cx: &Cx) -> Result<(), Failure> {
        std::hint::black_box(&change.object);
        cx.handle::<Sinks>()?.0.note();
        Ok(())
    }
}

pub(crate) fn connector(name: &str) -> ConnectorName {
    name.parse().expect("a name")
}

pub(crate) fn outgoing(name: &str) -> QueueId {
    QueueId::new(connector(name), Direction::Outgoing)
}

/// A bus on this file, as durable as can be, with these connectors in this state.
pub(crate) async fn start(
    path: &Path,
    connectors: &[&str],
    state: ConnectorState,
    arrivals: Arc<Arrivals>,
) -> Bus {
    let connectors = connectors.iter().map(|name| ConnectorConfig::new(connector(name)).state(state));
    start_with(path, connectors.collect(), arrivals).await
}

/// The same with connectors of any kind.
pub(crate) async fn start_with(
    path: &Path,
    connectors: Vec<ConnectorConfig>,
    arrivals: Arc<Arrivals>,
) -> Bus {
    let mut config =
        Config::new(StoreConfig::Sqlite { path: path.to_owned(), synchronous: Synchronous::Full });
    config.strict = true;
    for connector in connectors {
        config = config.connector(connector);
    }
    let bus = Bus::builder(config).provide(Sinks(arrivals)).start().await.expect("the bus starts");
    // The store has read its pragmas back when it was opened.
    assert_eq!(bus.store().capabilities().durability, Durability::PowerLoss);
    bus
}

/// The payload that the bus keeps of an item.
pub(crate) fn payload(id: i64) -> Vec<u8> {
    let object = serde_json::json!({ "object": Item::new(id) });
    serde_json::to_vec(&object).expect("an item is JSON")
}

/// The task of one change, as the bus writes it.
pub(crate) fn task(id: i64) -> NewTask {
    task_for("sink", id)
}

/// The same for the connector of this name.
pub(crate) fn task_for(name: &str, id: i64) -> NewTask {
    NewTask {
        direction: Direction::Outgoing,
        subject: Item::TYPE.to_owned(),
        key: format!("{}={id}", Item::TYPE),
        operation: ObjectOperation::Create,
        title: "Create Item an item".to_owned(),
        data: payload(id),
        content_type: "application/json".to_owned(),
        site: None,
        origin: None,
        logged_at: AT,
        redelivers: None,
        idempotency: None,
        travel: Travel::default(),
        deliveries: vec![NewDelivery {
            connector: connector(name),
            data_type: DataType::SimpleSnapshot,
            policy: ErrorPolicy::Default,
            idempotency_key: Uuid::from_u128(u128::from(id.unsigned_abs())),
        }],
    }
}

/// Logs so many changes for the connector that does nothing.
pub(crate) async fn fill(bus: &Bus, from: i64, count: usize) {
    fill_store(bus.store().as_ref(), "sink", (from..).take(count)).await;
}

/// Logs a change of each of these for the connector of this name.
pub(crate) async fn fill_store(store: &dyn Store, name: &str, ids: impl Iterator<Item = i64>) {
    let mut ids = ids.peekable();
    while ids.peek().is_some() {
        let mut commit = Commit::at(AT);
        commit.tasks = ids.by_ref().take(FILL).map(|id| task_for(name, id)).collect();
        store.commit(commit).await.expect("the store takes them");
    }
}
