//! From a configuration to a running bus.

mod beside;
mod listening;

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bus_core::{BusObject, Clock, Dice, Handles, ObjectType};
use bus_store::{ConnectorRecord, ConnectorState, MemoryStore, RecordOwner, Store, StoreError};
use serde_json::Value;

use crate::Result;
use crate::bus::{Bus, record_of};
use crate::clock::{SystemClock, SystemDice};
use crate::config::{Config, ConnectorConfig, StoreConfig};
use crate::error::{BusError, BusErrorKind};
use crate::late;
use crate::listeners::Listeners;
use crate::observe::ConnectorStatus;
use crate::registry::{Enlisted, Registry, Roster, enlist, published};
use crate::relay;
use crate::repository::{AnyRepository, Repositories, Repository, erased};
use crate::shared::{Shared, SharedParts};
use crate::{resync, sites, upkeep};

/// Starts the bus with every connector that is linked and registered: the short form of `Bus::builder(...).start()`.
///
/// Takes the path of a `bus.toml`, or a [`Config`] made by hand. A connector that is not registered correctly does not
/// keep the others from working (unless `strict`): [`Bus::connectors`] names its problem and the remedy.
pub async fn start(config: impl Into<Configured>) -> Result<Bus> {
    Bus::builder(config).start().await
}

/// Where a configuration comes from.
#[derive(Debug, Clone)]
pub enum Configured {
    /// A file.
    File(PathBuf),
    /// Made by hand.
    Made(Box<Config>),
}

impl From<&str> for Configured {
    fn from(path: &str) -> Self {
        Self::File(path.into())
    }
}

impl From<&Path> for Configured {
    fn from(path: &Path) -> Self {
        Self::File(path.into())
    }
}

impl From<PathBuf> for Configured {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl From<Config> for Configured {
    fn from(config: Config) -> Self {
        Self::Made(Box::new(config))
    }
}

/// A bus that is about to start.
#[must_use = "call `start`"]
pub struct Builder {
    configured: Configured,
    registry: Option<Registry>,
    handles: Handles,
    listeners: Listeners,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
    store: Option<Arc<dyn Store>>,
    repositories: Vec<(&'static str, bool, Arc<dyn AnyRepository>)>,
}

impl Bus {
    /// A bus with this configuration (a path, or a [`Config`]), about to start.
    pub fn builder(config: impl Into<Configured>) -> Builder {
        Builder {
            configured: config.into(),
            registry: None,
            handles: Handles::default(),
            listeners: Listeners::default(),
            clock: Arc::new(SystemClock),
            dice: Arc::new(SystemDice::new()),
            store: None,
            repositories: Vec::new(),
        }
    }
}

impl Builder {
    /// Provides a handle (a pool, a client, a cache) that connectors ask for by its type: `cx.handle::<H>()`.
    pub fn provide<H: Any + Send + Sync>(mut self, handle: H) -> Self {
        self.handles.insert(handle);
        self
    }

    /// Objects of type `T` live in the application's own tables, in the file that the bus uses, not in the built-in object
    /// store. That is for good: a store that has heard of it does not forget it.
    pub fn repository<T: BusObject>(mut self, repository: impl Repository<T>) -> Self {
        self.repositories.push((T::TYPE, T::IS_VIEW, erased(repository)));
        self
    }

    /// Uses these connectors and object types instead of everything that is linked: for tests.
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = Some(registry);
        self
    }

    /// Uses this clock instead of the system's: for tests.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Uses these dice instead of the system's randomness: for tests.
    pub fn dice(mut self, dice: Arc<dyn Dice>) -> Self {
        self.dice = dice;
        self
    }

    /// Uses this store instead of the one that the configuration names.
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Starts.
    ///
    /// # Errors
    ///
    /// `Config`, also for a repository that cannot work or a listener that would never hear anything; `StoreOpen`, `Discovery`; `Strict` when the configuration is strict and a connector does not work.
    pub async fn start(self) -> Result<Bus> {
        let config = match self.configured {
            Configured::File(path) => Config::from_file(path)?,
            Configured::Made(config) => *config,
        };
        let registry = match self.registry {
            Some(registry) => registry,
            None => Registry::discover()?,
        };
        self.listeners.check(&registry)?;
        let store = match self.store {
            Some(store) => store,
            None => open(&config.store, config.limits.store_bytes_max, false).await?,
        };
        let repositories = repositories_of(self.repositories, &registry, &*store).await?;
        let folder = config.file.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
        let failed = |error| BusError::store("read the switches", error);
        let switches = if let Some(switches) = store.switches().await.map_err(failed)? {
            switches
        } else {
            let set = store.set_switches(config.switches).await;
            set.map_err(|error| BusError::store("set the switches for the first time", error))?;
            config.switches
        };
        let shared = Arc::new(Shared::new(SharedParts {
            store,
            clock: self.clock,
            dice: self.dice,
            registry,
            handles: self.handles,
            listeners: self.listeners,
            repositories,
            limits: config.limits,
            folder,
            file: config.file,
            switches,
        }));
        if cfg!(panic = "abort") {
            tracing::warn!(
                "this program is built with panic = \"abort\": a panic of a connector ends the process instead of its own \
                 delivery; set panic = \"unwind\" in the profile of Cargo.toml"
            );
        }
        let capabilities = shared.store.capabilities();
        tracing::info!(store = capabilities.name, durability = %capabilities.durability, "the bus starts");
        for site in config.sites {
            sites::save_where_new(&shared, site).await?;
        }
        register_file(&shared, config.connectors).await?;
        enlist_all(&shared).await?;
        let bus = Bus::new(Arc::clone(&shared));
        if config.strict
            && let Some(warning) = bus.connectors().iter().find_map(ConnectorStatus::warning)
        {
            shared.store.close().await;
            return Err(BusError::new(BusErrorKind::Strict, format!("the start is strict, and {warning}")));
        }
        for enlisted in shared.roster().iter() {
            bus.start_crew(enlisted).await;
        }
        if config.strict
            && let Err(error) = bus.connect_all().await
        {
            bus.shutdown().await;
            return Err(error);
        }
        upkeep::start(&bus);
        relay::start(&bus);
        resync::start(&bus);
        late::start(&bus);
        Ok(bus)
    }
}

/// The repositories by their types, which the store is told of; refuses those that could never work.
async fn repositories_of(
    given: Vec<(&'static str, bool, Arc<dyn AnyRepository>)>,
    registry: &Registry,
    store: &dyn Store,
) -> Result<Repositories> {
    let mut repositories = Repositories::new();
    for (name, is_view, repository) in given {
        let refuse = |reason: &str| {
            let message = format!("there can be no repository of {name}: {reason}");
            Err(BusError::new(BusErrorKind::Config, message))
        };
        let capabilities = store.capabilities();
        if !capabilities.settles_by_entry {
            return refuse(&format!(
                "the {} store has no table that its transactions could write; use SQLite, in the application's own file: \
                 store = \"app.db\"",
                capabilities.name
            ));
        }
        if is_view {
            return refuse(
                "this is a view, which shows a part of it; hand over one of the struct that declares it",
            );
        }
        let Ok(object_type) = ObjectType::parse(name) else { return refuse("that is no name of a type") };
        if !registry.knows_object_type(name) {
            return refuse(
                "nobody in this program declares it; derive `BusObject` for it, or add it to the `Registry`",
            );
        }
        if registry.is_in_family(name) {
            return refuse(
                "it has lists of child objects, or stands in one, which are written in one commit with it; take their \
                 `rule` away, so that the list is a part of it, or keep all of them in the built-in store",
            );
        }
        if repositories.insert(name, repository).is_some() {
            return refuse("there are two; hand over one of them");
        }
        let told = store.live_elsewhere(&object_type).await;
        told.map_err(|error| BusError::store(&format!("note that {name} lives elsewhere"), error))?;
    }
    Ok(repositories)
}

/// Writes the file's connectors into the store. The file owns what it names; what it named before and does not name
/// any more is disabled, its deliveries are kept, and it is the operator's from then on: to enable, or to delete.
async fn register_file(shared: &Shared, connectors: Vec<ConnectorConfig>) -> Result<()> {
    let failed = |error| BusError::store("register the connectors of the configuration file", error);
    let named: BTreeSet<_> = connectors.iter().map(|connector| connector.name.clone()).collect();
    for known in shared.store.connectors().await.map_err(failed)? {
        if known.owner == RecordOwner::File && !named.contains(&known.name) {
            tracing::warn!(connector = %known.name, "no longer in the configuration file: disabled, its deliveries are kept");
            let (state, owner) = (ConnectorState::Disabled, RecordOwner::Operator);
            shared.store.save_connector(ConnectorRecord { state, owner, ..known }).await.map_err(failed)?;
        }
    }
    for connector in connectors {
        let record = record_of(connector, RecordOwner::File)?;
        shared.store.save_connector(record).await.map_err(failed)?;
    }
    Ok(())
}

async fn enlist_all(shared: &Shared) -> Result<()> {
    let records = shared.store.connectors().await;
    let records = records.map_err(|error| BusError::store("read the registered connectors", error))?;
    let failed = |error| BusError::store("read and publish what connectors subscribe to", error);
    let published: BTreeMap<_, _> =
        shared.store.published_subscriptions().await.map_err(failed)?.into_iter().collect();
    let enlisted: Vec<_> = records
        .into_iter()
        .map(|record| {
            let published = published.get(&record.name);
            let enlisted = enlist(&shared.registry, &shared.handles, &shared.folder, record);
            Arc::new(enlisted.subscribed(published))
        })
        .collect();
    for connector in &enlisted {
        let name = &connector.record.name;
        publish(shared, connector, published.get(name)).await.map_err(failed)?;
        if !connector.published.is_empty() {
            tracing::info!(connector = %name, "not linked here: changes are logged for it by what it published elsewhere");
        }
    }
    for connector in &enlisted {
        if let Some(warning) = ConnectorStatus::of(connector).warning() {
            tracing::warn!("{warning}");
        }
        if let Some(advice) = connector.advice() {
            tracing::info!("{advice}");
        }
    }
    for linked in shared.registry.connectors().iter() {
        if !enlisted.iter().any(|connector| connector.record.uses == linked.name) {
            tracing::info!(connector = linked.name, place = %linked.place, "linked, but not registered: it does nothing");
        }
    }
    shared.set_roster(Roster::of(enlisted));
    Ok(())
}

/// Tells programs that do not contain this connector what it subscribes to, where that has changed.
pub(crate) async fn publish(
    shared: &Shared,
    enlisted: &Enlisted,
    known: Option<&Value>,
) -> Result<(), StoreError> {
    let Some(linked) = enlisted.linked else { return Ok(()) };
    let subscriptions = published::write(linked);
    if known == Some(&subscriptions) {
        return Ok(());
    }
    shared.store.publish_subscriptions(&enlisted.record.name, subscriptions).await
}

#[cfg_attr(not(feature = "sqlite"), expect(unused_variables, reason = "the store in memory has no quota"))]
async fn open(store: &StoreConfig, bytes_max: Option<u64>, as_it_is: bool) -> Result<Arc<dyn Store>> {
    match store {
        StoreConfig::Memory => Ok(Arc::new(MemoryStore::new())),
        #[cfg(feature = "sqlite")]
        StoreConfig::Sqlite { path, synchronous } => {
            sqlite::open(path, *synchronous, bytes_max, as_it_is).await
        }
        #[cfg(not(feature = "sqlite"))]
        StoreConfig::Sqlite { path, .. } => Err(BusError::new(
            BusErrorKind::StoreOpen,
            format!(
                "the store {} needs SQLite, which this program is built without; add the feature `sqlite` to bus-runtime in Cargo.toml",
                path.display()
            ),
        )),
    }
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::path::Path;
    use std::sync::Arc;

    use bus_store::Store;
    use bus_store_sqlite::{SqliteOptions, SqliteStore};

    use crate::Result;
    use crate::config::Synchronous;
    use crate::error::{BusError, BusErrorKind};

    /// What `SQLite` counts the size of a file in, unless the file was made otherwise.
    const PAGE_BYTES: u64 = 4_096;

    pub(super) async fn open(
        path: &Path,
        synchronous: Synchronous,
        bytes_max: Option<u64>,
        as_it_is: bool,
    ) -> Result<Arc<dyn Store>> {
        let mut options = SqliteOptions::default();
        options.as_it_is = as_it_is;
        options.synchronous = match synchronous {
            Synchronous::Full => bus_store_sqlite::Synchronous::Full,
            Synchronous::Normal => bus_store_sqlite::Synchronous::Normal,
        };
        options.pages_max = bytes_max.map(|bytes| u32::try_from(bytes / PAGE_BYTES).unwrap_or(u32::MAX));
        let file = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || SqliteStore::open(file, options)).await;
        let failed = || {
            BusError::new(BusErrorKind::StoreOpen, format!("the store {} cannot be opened", path.display()))
        };
        let opened = opened.map_err(|error| failed().with_source(error))?;
        Ok(Arc::new(opened.map_err(|error| failed().with_source(error))?))
    }
}
