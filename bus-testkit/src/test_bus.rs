//! A bus for tests.

use std::any::Any;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bus_core::descriptor::{
    ConnectorDescriptor, DescribedConnector, DescribedObject, DescribedPage, ObjectDescriptor, PageDescriptor,
};
use bus_core::{BusObject, ConnectorName, Direction, Listener, ListenerOf, Page, Site};
use bus_runtime::{
    AuditReport, Builder, Bus, BusError, Config, ConnectorConfig, Processing, Registry, Repository,
    ShutdownReport, StoreConfig, SystemDice,
};
use bus_store::{Counters, DeliveryFilter, DeliverySummary, QueueId, Store};
use tempfile::TempDir;

use crate::clock::ManualClock;

/// The seed of a test bus's dice, unless told otherwise.
const SEED: u64 = 20_260_101;

/// How long the last look at the books may take.
const AUDIT_PATIENCE: Duration = Duration::from_secs(5);

/// A bus for tests, about to start: the connectors and object types that it is given and no others, in memory unless
/// told otherwise, with a manual clock and seeded dice.
#[must_use = "call `start`"]
pub struct TestBus {
    config: Config,
    connectors: Vec<&'static ConnectorDescriptor>,
    objects: Vec<&'static ObjectDescriptor>,
    pages: Vec<&'static PageDescriptor>,
    dress: Vec<Box<dyn FnOnce(Builder) -> Builder>>,
    clock: ManualClock,
    folder: Option<TempDir>,
}

/// A running bus for tests: a [`Bus`], its clock, and short ways to look at it. When it is shut down, or dropped, its books
/// must balance.
pub struct RunningTestBus {
    bus: Bus,
    clock: ManualClock,
    _folder: Option<TempDir>,
}

impl TestBus {
    /// Nothing registered, in memory.
    pub fn new() -> Self {
        Self {
            config: Config::new(StoreConfig::Memory),
            connectors: Vec::new(),
            objects: Vec::new(),
            pages: Vec::new(),
            dress: Vec::new(),
            clock: ManualClock::new(),
            folder: None,
        }
    }

    /// In a SQLite file of its own, as an application has it.
    ///
    /// # Panics
    ///
    /// When no temporary folder can be made.
    pub fn on_sqlite(mut self) -> Self {
        let folder = TempDir::new().unwrap_or_else(|error| panic!("a temporary folder: {error}"));
        let path = folder.path().join("bus.db");
        self.config.store = StoreConfig::Sqlite { path, synchronous: bus_runtime::Synchronous::Normal };
        self.folder = Some(folder);
        self
    }

    /// Links connector `C` and registers it under this name.
    ///
    /// # Panics
    ///
    /// When the name is none.
    pub fn connector<C: DescribedConnector>(self, name: &str) -> Self {
        let config = ConnectorConfig::new(parse(name)).uses(C::DESCRIPTOR.name);
        self.linked::<C>().registered(config)
    }

    /// Links connector `C` without registering it.
    pub fn linked<C: DescribedConnector>(mut self) -> Self {
        if !self.connectors.iter().any(|known| std::ptr::eq(*known, C::DESCRIPTOR)) {
            self.connectors.push(C::DESCRIPTOR);
        }
        self
    }

    /// Registers a connector, linked or not.
    pub fn registered(mut self, connector: ConnectorConfig) -> Self {
        self.config = self.config.connector(connector);
        self
    }

    /// Processes the deliveries of all connectors registered so far like this.
    #[expect(clippy::needless_pass_by_value, reason = "as `ConnectorConfig::processing` takes it")]
    pub fn processing(mut self, processing: Processing) -> Self {
        for connector in &mut self.config.connectors {
            connector.processing = processing.clone();
        }
        self
    }

    /// Registers a site of this name.
    ///
    /// # Panics
    ///
    /// When the name is none.
    pub fn site(mut self, name: &str) -> Self {
        self.config = self.config.site(Site::new(name).unwrap_or_else(|error| panic!("{error}")));
        self
    }

    /// Registers a site of this name, which speaks these cultures.
    ///
    /// # Panics
    ///
    /// When one of them is no name.
    pub fn site_with<const N: usize>(mut self, name: &str, cultures: [&str; N]) -> Self {
        let site = Site::new(name).and_then(|site| site.cultures(cultures));
        self.config = self.config.site(site.unwrap_or_else(|error| panic!("{error}")));
        self
    }

    /// Links the class of pages that `T` stands for.
    pub fn page<T: DescribedPage>(mut self) -> Self {
        self.pages.push(T::DESCRIPTOR);
        self
    }

    /// Links object type `T`.
    pub fn object<T: DescribedObject>(mut self) -> Self {
        self.objects.push(T::DESCRIPTOR);
        self
    }

    /// Provides a handle.
    pub fn provide<H: Any + Send + Sync>(mut self, handle: H) -> Self {
        self.dress.push(Box::new(|builder| builder.provide(handle)));
        self
    }

    /// Lets this listener hear and veto.
    pub fn listen(mut self, listener: impl Listener) -> Self {
        self.dress.push(Box::new(|builder| builder.listen(listener)));
        self
    }

    /// Lets this listener hear of objects of type `T`, and veto.
    pub fn listen_to<T: BusObject>(mut self, listener: impl ListenerOf<T>) -> Self {
        self.dress.push(Box::new(|builder| builder.listen_to::<T>(listener)));
        self
    }

    /// Lets this listener hear of pages of class `T`, and veto.
    pub fn listen_to_pages<T: Page>(mut self, listener: impl ListenerOf<T>) -> Self {
        self.dress.push(Box::new(|builder| builder.listen_to_pages::<T>(listener)));
        self
    }

    /// Keeps objects of type `T` in tables of the test's own.
    pub fn repository<T: BusObject>(mut self, repository: impl Repository<T>) -> Self {
        self.dress.push(Box::new(|builder| builder.repository::<T>(repository)));
        self
    }

    /// Uses this store.
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.dress.push(Box::new(|builder| builder.store(store)));
        self
    }

    /// Uses this clock.
    pub fn clock(mut self, clock: ManualClock) -> Self {
        self.clock = clock;
        self
    }

    /// Changes the configuration as a file would.
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Starts, or says why not.
    pub async fn try_start(self) -> Result<RunningTestBus, BusError> {
        let registry = Registry::of(self.connectors, self.objects)?.with_pages(self.pages)?;
        let builder = Bus::builder(self.config)
            .registry(registry)
            .clock(Arc::new(self.clock.clone()))
            .dice(Arc::new(SystemDice::seeded(SEED)));
        let builder = self.dress.into_iter().fold(builder, |builder, dress| dress(builder));
        Ok(RunningTestBus { bus: builder.start().await?, clock: self.clock, _folder: self.folder })
    }

    /// Starts.
    ///
    /// # Panics
    ///
    /// When it cannot.
    pub async fn start(self) -> RunningTestBus {
        self.try_start().await.unwrap_or_else(|error| panic!("the test bus does not start: {error:?}"))
    }
}

impl Default for TestBus {
    fn default() -> Self {
        Self::new()
    }
}

impl RunningTestBus {
    /// Its clock.
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// Stops, once its books were seen to balance.
    ///
    /// # Panics
    ///
    /// When they do not.
    pub async fn shutdown(&self) -> ShutdownReport {
        assert_balanced(self.bus.audit().await);
        self.bus.shutdown().await
    }

    /// The counters of a queue.
    ///
    /// # Panics
    ///
    /// When the store cannot tell, or the name is none.
    pub async fn counters(&self, connector: &str, direction: Direction) -> Counters {
        let counters = self.bus.store().counters(&QueueId::new(parse(connector), direction)).await;
        counters.unwrap_or_else(|error| panic!("the counters of {connector}: {error}"))
    }

    /// The open deliveries of a queue, oldest first.
    ///
    /// # Panics
    ///
    /// When the store cannot tell, or the name is none.
    pub async fn open(&self, connector: &str, direction: Direction) -> Vec<DeliverySummary> {
        let queue = QueueId::new(parse(connector), direction);
        let open = self.bus.deliveries(&queue, &DeliveryFilter::default()).await;
        open.unwrap_or_else(|error| panic!("the deliveries of {connector}: {error:?}"))
    }
}

/// A test that got to its end must have left the books in order.
impl Drop for RunningTestBus {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let bus = self.bus.clone();
        let (answer, audited) = std::sync::mpsc::channel();
        // Nobody may wait within a runtime; a thread with one of its own may.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let audit = runtime.map(|runtime| runtime.block_on(bus.audit()));
            // Who does not wait for it any more does not want it.
            let _unheard = answer.send(audit);
        });
        // What the test left half-done on this very thread may keep the store busy: then nobody can tell.
        if let Ok(Ok(audit)) = audited.recv_timeout(AUDIT_PATIENCE) {
            assert_balanced(audit);
        }
    }
}

fn assert_balanced(audit: Result<AuditReport, BusError>) {
    // A store that is closed, or that a test broke, tells nothing.
    if let Ok(audit) = audit {
        assert!(audit.faults().is_empty(), "{audit}");
    }
}

impl Deref for RunningTestBus {
    type Target = Bus;

    fn deref(&self) -> &Bus {
        &self.bus
    }
}

fn parse(name: &str) -> ConnectorName {
    name.parse().unwrap_or_else(|error| panic!("{error}"))
}
