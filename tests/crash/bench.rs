//! A bus on a file with the ledger, whoever runs it; and what is judged at the end.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bus_core::descriptor::{DescribedConnector, DescribedObject};
use bus_core::{Clock, DeliveryState, Direction, Timestamp};
use bus_runtime::{
    Builder, Bus, BusError, BusErrorKind, Config, ConnectorConfig, ConnectorState, DeliveryFilter,
    DeliverySummary, Processing, QueueId, Registry, StoreConfig, Synchronous, SystemClock,
};
use bus_store::{Intervention, Selected, Store, Verb, Verdict};
use bus_tests_crash::{Desk, Item, Ledger, Manners};
use bus_tests_history::{Dice, Entry, Event, FileJournal, Journal, Report, Rules, check, read};

/// How often a delivery is tried where kills are to cost nothing but attempts.
pub(crate) const MANY_ATTEMPTS: u32 = 1_000;

/// A folder with a store, and the journal beside it.
#[derive(Debug, Clone)]
pub(crate) struct Place(pub(crate) PathBuf);

impl Place {
    pub(crate) fn store(&self) -> StoreConfig {
        StoreConfig::Sqlite { path: self.0.join("bus.db"), synchronous: Synchronous::Full }
    }

    pub(crate) fn journal(&self) -> FileJournal {
        FileJournal::open(&self.0.join("journal")).expect("the journal opens")
    }

    /// What everybody did so far, judged.
    pub(crate) fn report(&self, rules: Rules) -> (Vec<Entry>, Report) {
        let entries = read(&self.0.join("journal")).expect("the journal can be read");
        let report = check(&entries, rules);
        (entries, report)
    }

    /// The same; anything wrong ends the test.
    pub(crate) fn judge(&self, rules: Rules, context: &str) -> Report {
        let (entries, report) = self.report(rules);
        report.assert_sound(&entries, context);
        report
    }
}

impl From<&Path> for Place {
    fn from(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

/// The queue of the ledger.
pub(crate) fn queue() -> QueueId {
    QueueId::new("ledger".parse().expect("a name"), Direction::Outgoing)
}

/// Logs these items, twice each, in a bus that delivers nothing: so that whoever comes next finds all of it.
pub(crate) async fn log_only(place: &Place, items: impl Iterator<Item = i64>) {
    let logger = Running::start(place, "logger").await;
    let ledger = queue().connector;
    logger.bus.set_connector_state(&ledger, ConnectorState::Paused).await.expect("paused");
    for id in items {
        for change in [format!("c{id}"), format!("d{id}")] {
            logger.save(id, &change).await.expect("saved");
        }
    }
    logger.bus.shutdown().await;
}

/// Processing that wastes no time.
pub(crate) fn brisk(max_attempts: u32) -> Processing {
    let mut processing = Processing::default();
    processing.max_attempts = max_attempts;
    (processing.retry_initial_ms, processing.retry_max_ms) = (1, 5);
    processing
}

/// A bus that runs.
pub(crate) struct Running {
    pub(crate) bus: Bus,
    pub(crate) who: String,
    pub(crate) journal: Arc<dyn Journal>,
    said: Arc<dyn Fn(&str) + Send + Sync>,
}

/// A bus that is about to start.
pub(crate) struct Start {
    place: Place,
    who: String,
    pub(crate) manners: Manners,
    pub(crate) processing: Processing,
    pub(crate) seed: u64,
    pub(crate) store: StoreConfig,
    /// A store that is open already, in the place of the one above.
    pub(crate) opened: Option<Arc<dyn Store>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) said: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Start {
    /// In this place, as this participant.
    pub(crate) fn new(place: &Place, who: &str) -> Self {
        Self {
            place: place.clone(),
            who: who.to_owned(),
            manners: Manners::default(),
            processing: brisk(MANY_ATTEMPTS),
            seed: 0,
            store: place.store(),
            opened: None,
            clock: Arc::new(SystemClock),
            said: Arc::new(|_| {}),
        }
    }

    pub(crate) async fn run(self) -> bus_runtime::Result<Running> {
        let Self { place, who, manners, processing, seed, store, opened, clock, said } = self;
        let journal: Arc<dyn Journal> = Arc::new(place.journal());
        let heard = Arc::clone(&said);
        let desk = Desk::new(&who, Arc::clone(&journal), manners, seed, move |line| heard(line));
        let ledger = ConnectorConfig::new(queue().connector).processing(processing);
        let registry = Registry::of([Ledger::DESCRIPTOR], [Item::DESCRIPTOR])?;
        let builder = Bus::builder(Config::new(store).connector(ledger)).registry(registry).provide(desk);
        let builder = opened.into_iter().fold(builder, Builder::store);
        let bus = builder.clock(clock).start().await?;
        Ok(Running { bus, who, journal, said })
    }
}

impl Running {
    /// Starts a bus in this place, as this participant, with nothing unusual.
    pub(crate) async fn start(place: &Place, who: &str) -> Self {
        let started = Start::new(place, who).run().await;
        started.unwrap_or_else(|error| panic!("it starts: {error:?}"))
    }

    pub(crate) fn tell(&self, event: Event) {
        self.journal.append(&self.who, event);
    }

    pub(crate) async fn open(&self) -> Vec<DeliverySummary> {
        self.bus.deliveries(&queue(), &DeliveryFilter::default()).await.expect("the open deliveries")
    }

    /// Saves an item, under a new name for the change, and writes down what became of it.
    pub(crate) async fn save(&self, id: i64, change: &str) -> bus_runtime::Result<()> {
        self.save_item(Item { id, change: change.to_owned(), ballast: String::new() }).await
    }

    pub(crate) async fn save_item(&self, mut item: Item) -> bus_runtime::Result<()> {
        self.tell(Event::Invoked { change: item.change.clone(), key: Item::key(item.id) });
        let saved = self.bus.objects().save(&mut item).await;
        self.tell_outcome(&item.change, saved.as_ref().map(|_| true));
        saved.map(|_| ())
    }

    /// Deletes an item, if it is there, and writes down what became of it.
    pub(crate) async fn delete(&self, id: i64) {
        let Some(item) = self.bus.objects().load::<Item>(&id).await.ok().flatten() else { return };
        let change = item.deletion();
        self.tell(Event::Invoked { change: change.clone(), key: Item::key(id) });
        let deleted = self.bus.objects().delete::<Item>(&id).await;
        self.tell_outcome(&change, deleted.as_ref().map(Option::is_some));
    }

    fn tell_outcome(&self, change: &str, outcome: Result<bool, &BusError>) {
        let change = change.to_owned();
        self.tell(match outcome {
            Ok(true) => Event::Acknowledged { change },
            Err(error) if matches!(error.kind(), BusErrorKind::Store | BusErrorKind::Stopped) => {
                Event::Unknown { change }
            }
            Ok(false) | Err(_) => Event::Refused { change },
        });
    }

    /// Does things to items at random, a number of them on end.
    pub(crate) async fn write_at_random(
        &self,
        writer: &str,
        own: &[i64],
        shared: &[i64],
        count: usize,
        dice: &mut Dice,
    ) {
        for number in 0..count {
            let all: Vec<i64> = own.iter().chain(shared).copied().collect();
            let id = *dice.choose(&all).expect("there are items");
            // Who deletes must know what is there, so nobody else may write it.
            if own.contains(&id) && dice.percent(20) {
                self.delete(id).await;
            } else {
                // A writer goes on whatever becomes of it; it is written down.
                let _ = self.save(id, &format!("{}.{writer}.{number}", self.who)).await;
            }
            (self.said)("wrote");
            if number % 8 == 7 {
                self.bus.until_idle().await;
            }
        }
    }

    /// Tries everything again that is parked.
    pub(crate) async fn retry_parked(&self) {
        let parked = self.open().await.into_iter().filter(|open| open.state == DeliveryState::Parked);
        let parked: Vec<_> = parked.map(|open| open.delivery).collect();
        if parked.is_empty() {
            return;
        }
        for delivery in &parked {
            self.tell(Event::Reset { delivery: delivery.0 });
        }
        let items = parked.iter().map(|delivery| Selected { delivery: *delivery, seen: None }).collect();
        let (by, reason) = ("somebody".to_owned(), None);
        let intervention = Intervention { verb: Verb::Retry, items, by, reason, now: SystemClock.now() };
        let verdicts = self.bus.store().intervene(intervention).await.expect("retried");
        // Another process may have been faster.
        let is_fine = |verdict: &Verdict| !matches!(verdict, Verdict::NeverCalled | Verdict::WasCalled);
        assert!(verdicts.iter().all(is_fine), "{verdicts:?}");
    }

    /// Returns once everything has ended, or is held by something that time does not cure.
    pub(crate) async fn until_settled(&self) {
        let mut bell = self.bus.store().doorbell(&queue());
        loop {
            bell.mark_unchanged();
            self.bus.until_idle().await;
            let open = self.open().await;
            let is_held =
                |open: &DeliverySummary| matches!(open.state, DeliveryState::Parked | DeliveryState::Blocked);
            if open.iter().all(is_held) {
                return;
            }
            let due = open.iter().filter_map(|open| open.due).min();
            let due = due
                .unwrap_or(Timestamp::EPOCH)
                .max(SystemClock.now().plus(std::time::Duration::from_millis(5)));
            tokio::select! {
                _ = bell.changed() => {}
                () = SystemClock.sleep_until(due) => {}
            }
        }
    }

    /// Lets everything end, writes down what is left, and stops.
    pub(crate) async fn finish(self) {
        self.until_settled().await;
        for open in self.open().await {
            let detail = self.bus.delivery(open.delivery).await.expect("it is there");
            let payload: serde_json::Value = serde_json::from_slice(&detail.data).expect("JSON");
            let change = find_change(&payload).unwrap_or_else(|| panic!("a change in {payload}"));
            let deleted = if detail.operation == bus_core::ObjectOperation::Delete { "-deleted" } else { "" };
            let id = open.key.rsplit(['=', ' ']).next().unwrap_or_default();
            self.tell(Event::Left {
                delivery: open.delivery.0,
                key: format!("item-{id}"),
                change: format!("{change}{deleted}"),
                held: matches!(open.state, DeliveryState::Parked | DeliveryState::Blocked),
            });
        }
        for queue in self.bus.store().queues().await.expect("the queues") {
            let audit = self.bus.store().audit(&queue).await.expect("an audit");
            assert!(audit.faults().is_empty(), "{queue}: {:?}", audit.faults());
        }
        self.bus.shutdown().await;
    }
}

/// The item's change, wherever in the payload the object stands.
fn find_change(payload: &serde_json::Value) -> Option<&str> {
    let own = payload.get("change").and_then(serde_json::Value::as_str);
    own.or_else(|| payload.as_object()?.values().find_map(find_change))
}
