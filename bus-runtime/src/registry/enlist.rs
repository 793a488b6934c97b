//! Brings a registered connector and the linked one it uses together, or says exactly why that cannot be.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use bus_core::descriptor::{ConnectorDescriptor, ParsedSettings};
use bus_core::{ChangeSummary, Handles, Operation, Subscription, Timestamp};
use bus_store::operate::shorten_error;
use bus_store::{ConnectorRecord, ConnectorState};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Registry, published, settings};
use crate::config::{Processing, resolve_secrets};
use crate::flow::create_once::creates;
use crate::flow::poll::Polling;
use crate::suggest::nearest;

/// A registered connector, as far as it could be brought to life.
pub(crate) struct Enlisted {
    pub(crate) record: ConnectorRecord,
    pub(crate) processing: Processing,
    pub(crate) linked: Option<&'static ConnectorDescriptor>,
    /// What keeps it from working, found when it was enlisted.
    pub(crate) problem: Option<Problem>,
    /// What it subscribed to where it was linked last; only where it is not linked here.
    pub(crate) published: Vec<Subscription>,
    /// Its settings with the secrets in their places; only where there is no problem.
    pub(crate) settings: Value,
    /// Whether the record says how it is processed in words that are understood here; else the defaults stand in.
    pub(crate) is_processing_read: bool,
    /// How many calls that block their thread have not returned.
    pub(crate) calls_on_threads: Arc<AtomicUsize>,
    /// Cancelled when it stops and what it runs has had time enough to end; another one when it starts again.
    aborting: Mutex<CancellationToken>,
    /// Grows when somebody asks for its tasks to be processed, whatever its schedule says.
    pub(crate) asked: watch::Sender<u64>,
    /// What its poller shares.
    pub(crate) polling: Polling,
    filter_settings: Option<ParsedSettings>,
    /// Whether it logs and processes, changeable while it works.
    pub(crate) state: watch::Sender<ConnectorState>,
    trouble: Mutex<Option<Trouble>>,
}

/// Why a connector that is registered correctly cannot work at the moment.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) error: String,
    pub(crate) since: Timestamp,
    pub(crate) failures: u32,
}

/// Why a registered connector does not work, with the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// No linked connector has the name that it uses.
    NotLinked {
        /// The name it uses.
        uses: String,
        /// The linked name that is nearest to it.
        nearest: Option<String>,
        /// What is linked, as a list.
        linked: String,
    },
    /// Its settings do not fit.
    Settings {
        /// Each fault, naming the setting.
        faults: Vec<String>,
    },
    /// It says how its deliveries are processed in a way that cannot be.
    Processing {
        /// Each fault, naming the key.
        faults: Vec<String>,
    },
    /// The application does not provide a handle that it needs.
    MissingHandle {
        /// The handle's type.
        type_name: &'static str,
    },
    /// The linked connector has no lines: it is told of nothing and accepts nothing.
    NoDirection,
    /// It cannot connect.
    Connect {
        /// What it said.
        error: String,
    },
}

impl Problem {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::NotLinked { nearest: Some(nearest), .. } => {
                format!("name the connector `{nearest}`, or say `uses = \"{nearest}\"`")
            }
            Self::NotLinked { uses, nearest: None, .. } => format!(
                "if a crate of Cargo.toml holds it, link that crate with `use {}_connector as _;` (the crate's own name) \
                 in main.rs; a crate that no code mentions is not linked",
                uses.replace('-', "_")
            ),
            Self::Settings { .. } => "set what is named here under [connectors.<name>.settings]".to_owned(),
            Self::Processing { .. } => {
                "set what is named here under [connectors.<name>.processing]".to_owned()
            }
            Self::MissingHandle { type_name } => {
                format!("add `.provide(...)` with a `{type_name}` to `Bus::builder`")
            }
            Self::NoDirection => {
                "add `#[outgoing(T)]` or `#[incoming(E, key = ...)]` lines to the struct".to_owned()
            }
            Self::Connect { .. } => {
                "see that the external system answers; the bus goes on trying, nothing is lost".to_owned()
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLinked { uses, linked, .. } => {
                write!(f, "no linked connector is called `{uses}`; linked are: {linked}")
            }
            Self::Settings { faults } => write!(f, "its settings do not fit: {}", faults.join("; ")),
            Self::Processing { faults } => write!(f, "its processing does not fit: {}", faults.join("; ")),
            Self::MissingHandle { type_name } => {
                write!(f, "it needs a `{type_name}`, which the application does not provide")
            }
            Self::NoDirection => f.write_str("it is told of nothing and accepts nothing"),
            Self::Connect { error } => write!(f, "it cannot connect: {error}"),
        }
    }
}

/// Brings a registered connector to life.
pub(crate) fn enlist(
    registry: &Registry,
    handles: &Handles,
    folder: &Path,
    record: ConnectorRecord,
) -> Enlisted {
    let linked = registry.connector(&record.uses);
    let (processing, faults) = read_processing(&record.processing);
    let is_processing_read = faults.is_empty();
    let settings = match linked {
        None => Err(not_linked(registry, &record.uses)),
        Some(_) if !faults.is_empty() => Err(Problem::Processing { faults }),
        Some(linked) => check(linked, handles, folder, &record.settings),
    };
    let filter_settings = match (&settings, linked) {
        (Ok(settings), Some(linked)) => (linked.read_settings)(settings.clone()),
        _ => Err(String::new()),
    };
    let (settings, problem, filter_settings) = match (settings, filter_settings) {
        (Err(problem), _) => (Value::Null, Some(problem), None),
        // The schema let it pass, the type does not: its own words, without the settings' texts, are all there is to say.
        (Ok(_), Err(fault)) => (Value::Null, Some(Problem::Settings { faults: vec![fault] }), None),
        (Ok(settings), Ok(parsed)) => (settings, None, Some(parsed)),
    };
    Enlisted {
        state: watch::Sender::new(record.state),
        record,
        processing,
        linked,
        problem,
        published: Vec::new(),
        settings,
        is_processing_read,
        calls_on_threads: Arc::default(),
        aborting: Mutex::default(),
        asked: watch::Sender::new(0),
        polling: Polling::default(),
        filter_settings,
        trouble: Mutex::new(None),
    }
}

fn read_processing(value: &Value) -> (Processing, Vec<String>) {
    if value.is_null() {
        return (Processing::default(), Vec::new());
    }
    match serde_json::from_value::<Processing>(value.clone()) {
        Err(error) => (Processing::default(), vec![error.to_string()]),
        Ok(processing) => match processing.check() {
            Err(faults) => (Processing::default(), faults),
            Ok(()) => (processing, Vec::new()),
        },
    }
}

fn not_linked(registry: &Registry, uses: &str) -> Problem {
    let nearest = nearest(uses, registry.connectors().iter().map(|linked| linked.name)).map(str::to_owned);
    Problem::NotLinked { uses: uses.to_owned(), nearest, linked: registry.connectors().to_string() }
}

fn check(
    linked: &ConnectorDescriptor,
    handles: &Handles,
    folder: &Path,
    given: &Value,
) -> Result<Value, Problem> {
    if linked.routes.is_empty() {
        return Err(Problem::NoDirection);
    }
    if let Some(need) = linked.needs.iter().find(|need| !handles.contains((need.type_id)())) {
        return Err(Problem::MissingHandle { type_name: (need.type_name)() });
    }
    let given = if given.is_null() { Value::Object(serde_json::Map::new()) } else { given.clone() };
    let settings = resolve_secrets(&given, folder, &|name| std::env::var(name).ok())
        .map_err(|faults| Problem::Settings { faults })?;
    settings::check(&(linked.settings_schema)(), &settings).map_err(|faults| Problem::Settings { faults })?;
    Ok(settings)
}

impl Enlisted {
    /// Cancelled when nobody waits for its calls any longer.
    pub(crate) fn aborting(&self) -> CancellationToken {
        self.aborting.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// It starts again: its calls are waited for.
    pub(crate) fn start_anew(&self) {
        *self.aborting.lock().unwrap_or_else(PoisonError::into_inner) = CancellationToken::new();
    }

    /// Whether what it subscribes to, or is sent, is written down for it.
    pub(crate) fn logs(&self) -> bool {
        (self.linked.is_some() || !self.published.is_empty())
            && *self.state.borrow() != ConnectorState::Disabled
    }

    /// With what another program that contains it has published.
    pub(crate) fn subscribed(mut self, published: Option<&Value>) -> Self {
        if self.linked.is_none() {
            self.published = published.map(published::read).unwrap_or_default();
        }
        self
    }

    /// Whether its code blocks the thread that it runs on.
    pub(crate) fn blocks(&self) -> bool {
        self.linked.is_some_and(ConnectorDescriptor::blocks)
    }

    /// What its author has left open: what becomes of its creates when their answers are lost.
    pub(crate) fn advice(&self) -> Option<String> {
        let linked = self.linked.filter(|linked| linked.create_once.is_none())?;
        let creates_any = linked.outgoing().any(|route| {
            let Subscription { operations, page_operations, .. } = route.subscription;
            let of_objects = operations.iter().copied().map(Operation::from);
            let mut told = of_objects.chain(page_operations.iter().copied().map(Operation::from)).peekable();
            told.peek().is_none() || told.any(|operation| creates(operation, None))
        });
        creates_any.then(|| {
            format!(
                "connector {} does not say what becomes of a create whose answer is lost, so that it is created again; \
                 implement `find_external` and write `create_once = find`, or write `repeatable` or `in_doubt`",
                self.record.name
            )
        })
    }

    /// Whether it can be asked to work at all.
    pub(crate) fn works(&self) -> bool {
        self.problem.is_none()
    }

    /// What the connector's own filter says to a change; yes where it cannot be asked, so that nothing is lost.
    pub(crate) fn wants(&self, route: usize, change: &ChangeSummary) -> bool {
        let filter =
            self.linked.and_then(|linked| linked.outgoing().nth(route)).and_then(|route| route.filter);
        let (Some(filter), Some(settings)) = (filter, &self.filter_settings) else { return true };
        // The connector's code runs here on the path of whoever changed the object: its panic is not theirs.
        let wants = std::panic::catch_unwind(AssertUnwindSafe(|| filter(change, &**settings)));
        wants.unwrap_or_else(|_| {
            tracing::error!(connector = %self.record.name, "the filter panicked; the change is delivered");
            true
        })
    }

    /// Notes that it could not connect, and answers how often in a row.
    pub(crate) fn failed_to_connect(&self, error: String, now: Timestamp) -> u32 {
        let error = shorten_error(error);
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, failures) = trouble.as_ref().map_or((now, 0), |old| (old.since, old.failures));
        *trouble = Some(Trouble { error, since, failures: failures.saturating_add(1) });
        failures.saturating_add(1)
    }

    /// Notes that it works.
    pub(crate) fn connected(&self) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Enlisted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the settings: they hold secrets.
        f.debug_struct("Enlisted")
            .field("name", &self.record.name)
            .field("problem", &self.problem)
            .finish_non_exhaustive()
    }
}
