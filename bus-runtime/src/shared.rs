//! What all parts of a running bus share.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use bus_core::{BoxFuture, Cancellation, Clock, ConnectorName, Cx, Dice, Handles, Timestamp};
use bus_store::{Store, Switches};
use tokio::sync::{Mutex, Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::config::Limits;
use crate::flow::begun::Unbegun;
use crate::flow::express::Desks;
use crate::host::Host;
use crate::listeners::Listeners;
use crate::registry::{Registry, Roster};
use crate::repository::Repositories;

/// What all parts of a running bus share.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) dice: Arc<dyn Dice>,
    pub(crate) registry: Registry,
    pub(crate) handles: Handles,
    pub(crate) listeners: Listeners,
    pub(crate) repositories: Repositories,
    pub(crate) limits: Limits,
    /// Where relative paths in settings begin.
    pub(crate) folder: PathBuf,
    /// The configuration file, for messages.
    pub(crate) file: Option<PathBuf>,
    pub(crate) switches: watch::Sender<Switches>,
    /// Where the workers of this process take what was claimed for them.
    pub(crate) desks: Desks,
    /// The workers that have not ended.
    pub(crate) workers: TaskTracker,
    /// What they have claimed and not begun.
    pub(crate) unbegun: Unbegun,
    /// Why the store stopped by itself, if it did.
    pub(crate) store_stopped: watch::Sender<Option<String>>,
    /// Rung when a resync may get on.
    pub(crate) resync_soon: Notify,
    /// One chunk of a resync at a time.
    pub(crate) resyncing: Mutex<()>,
    roster: RwLock<Arc<Roster>>,
    /// Cancelled when the bus stops: take nothing new, end what runs.
    pub(crate) stopping: CancellationToken,
    /// Cancelled when the grace is over: drop what still runs.
    pub(crate) aborting: CancellationToken,
}

/// The parts that somebody else has chosen.
pub(crate) struct SharedParts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) dice: Arc<dyn Dice>,
    pub(crate) registry: Registry,
    pub(crate) handles: Handles,
    pub(crate) listeners: Listeners,
    pub(crate) repositories: Repositories,
    pub(crate) limits: Limits,
    pub(crate) folder: PathBuf,
    pub(crate) file: Option<PathBuf>,
    pub(crate) switches: Switches,
}

impl Shared {
    pub(crate) fn new(parts: SharedParts) -> Self {
        let SharedParts { store, clock, dice, registry, handles, listeners, .. } = parts;
        let SharedParts { repositories, limits, folder, file, switches, .. } = parts;
        Self {
            store,
            clock,
            dice,
            registry,
            handles,
            listeners,
            repositories,
            limits,
            folder,
            file,
            switches: watch::Sender::new(switches),
            desks: Desks::default(),
            workers: TaskTracker::new(),
            unbegun: Unbegun::default(),
            store_stopped: watch::Sender::new(None),
            resync_soon: Notify::new(),
            resyncing: Mutex::new(()),
            roster: RwLock::new(Arc::new(Roster::default())),
            stopping: CancellationToken::new(),
            aborting: CancellationToken::new(),
        }
    }

    /// Where the host's objects are asked for.
    pub(crate) fn host(&self) -> Host<'_> {
        Host(self)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new UUID v7 from the bus's own clock and dice.
    pub(crate) fn new_uuid(&self) -> Uuid {
        let millis = u64::try_from(self.now().as_micros() / 1_000).unwrap_or(0);
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.dice.roll().to_le_bytes());
        random[8..].copy_from_slice(&self.dice.roll().to_le_bytes()[..2]);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    /// The registered connectors as of now.
    pub(crate) fn roster(&self) -> Arc<Roster> {
        Arc::clone(&self.roster.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_roster(&self, roster: Roster) {
        *self.roster.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(roster);
    }

    /// What a connector is given with every call.
    pub(crate) fn cx(&self, connector: &ConnectorName) -> Cx {
        let stopping = Arc::new(Stopping(self.stopping.clone()));
        Cx::new(connector.clone(), self.handles.clone(), Arc::clone(&self.clock), stopping)
    }
}

/// The sign to stop, as connectors see it.
struct Stopping(CancellationToken);

impl Cancellation for Stopping {
    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    fn cancelled(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.0.cancelled())
    }
}
