//! The words of the command line.

use std::path::PathBuf;

use bus_core::{ConnectorName, ObjectType};
use bus_runtime::{Config, Configured, Operator, StoreConfig, Synchronous};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Looks into the store of an integration bus, beside the processes that work on it.
#[derive(Debug, Parser)]
#[command(name = "bus", version)]
pub(crate) struct Words {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Answer in JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which store.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct Place {
    /// The store's file.
    #[arg(long, value_name = "FILE", global = true)]
    store: Option<PathBuf>,
    /// The application's configuration, which names the store.
    #[arg(long, value_name = "FILE", default_value = "bus.toml", global = true)]
    config: PathBuf,
}

impl Place {
    pub(crate) fn configured(&self) -> Configured {
        match &self.store {
            Some(path) => {
                let (path, synchronous) = (path.clone(), Synchronous::Full);
                Config::new(StoreConfig::Sqlite { path, synchronous }).into()
            }
            None => self.config.clone().into(),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The tables of this version: print their SQL, or make them in the store
    Migrate(Migrate),
    /// Triggers on tables of the application, so that what any program changes there is told
    #[command(subcommand)]
    Capture(CaptureWords),
    #[command(flatten)]
    Beside(Beside),
}

/// What is done to a store as it is.
#[derive(Debug, Subcommand)]
pub(crate) enum Beside {
    /// The registered connectors, and how their queues are
    Connectors,
    /// Deliveries, oldest first
    Tasks(Which),
    /// Everything about one delivery
    Task {
        /// The delivery's number
        id: i64,
    },
    /// What is bound to what at a connector
    Identity(WhichBindings),
    /// Say what the external system calls an object
    Link(Link),
    /// Forget what the external system calls an object
    Unlink(Unlink),
    /// Tell a connector of all objects once more; a process that contains it does so
    Resync(WhichObjects),
    /// The resyncs that run, and the latest that have ended
    Resyncs,
    /// End a resync where it is
    CancelResync {
        /// The resync's number
        id: i64,
        #[command(flatten)]
        by: By,
    },
    /// What the application has logged in transactions of its own and is not in the queues
    Outbox,
}

/// What is done about capture; needs no bus that runs.
#[derive(Debug, Subcommand)]
pub(crate) enum CaptureWords {
    /// Print the triggers as SQL, and write nothing
    Ddl(CapturedTable),
    /// Make the triggers; those that were there for the type are replaced
    Apply {
        #[command(flatten)]
        table: CapturedTable,
        /// Tell of all rows that are there, too
        #[arg(long)]
        tell: bool,
    },
    /// Say what differs from what was applied: triggers, columns, rows that came or went without a word
    Check,
    /// Drop the triggers of a type
    Remove {
        /// The type
        #[arg(value_name = "TYPE")]
        object_type: ObjectType,
    },
}

/// A table, and how its rows are read.
#[derive(Debug, Args)]
pub(crate) struct CapturedTable {
    /// The type of the objects that the rows are
    #[arg(value_name = "TYPE")]
    pub(crate) object_type: ObjectType,
    /// The table
    #[arg(long)]
    pub(crate) table: String,
    /// The column of the id
    #[arg(long, default_value = "id", value_name = "COLUMN")]
    pub(crate) key: String,
    /// This column is that field; without it, the field of its own name
    #[arg(long, value_name = "COLUMN=FIELD", value_parser = named)]
    pub(crate) column: Vec<(String, String)>,
    /// This column holds 0 and 1 for false and true
    #[arg(long, value_name = "COLUMN")]
    pub(crate) boolean: Vec<String>,
    /// This column holds a text that is JSON
    #[arg(long, value_name = "COLUMN")]
    pub(crate) json_text: Vec<String>,
    /// This column is not told of
    #[arg(long, value_name = "COLUMN")]
    pub(crate) without: Vec<String>,
}

fn named(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((column, field)) if !column.is_empty() && !field.is_empty() => {
            Ok((column.to_owned(), field.to_owned()))
        }
        _ => Err("write COLUMN=FIELD, such as full_name=name".to_owned()),
    }
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Migrate {
    /// Print the SQL of all tables; needs no store
    #[arg(long)]
    pub(crate) print: bool,
    /// Make the tables in the store, which must be there; older processes on it stop
    #[arg(long)]
    pub(crate) apply: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Only those of this connector
    pub(crate) connector: Option<ConnectorName>,
    /// Only those that go this way
    #[arg(long, value_enum)]
    pub(crate) direction: Option<Way>,
    /// Only those in this state, such as `parked` or `completed`; without it, all that are open
    #[arg(long)]
    pub(crate) state: Option<String>,
    /// Only those after this delivery: the next page
    #[arg(long, value_name = "ID")]
    pub(crate) after: Option<i64>,
    /// At most this many of each queue
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) limit: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    Outgoing,
    Incoming,
}

#[derive(Debug, Args)]
pub(crate) struct WhichBindings {
    /// The connector
    pub(crate) connector: ConnectorName,
    /// Only behind this object type and external id: the next page
    #[arg(long, num_args = 2, value_names = ["TYPE", "EXTERNAL_ID"])]
    pub(crate) after: Option<Vec<String>>,
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) limit: u16,
}

/// An object, at a connector.
#[derive(Debug, Args)]
pub(crate) struct WhichObject {
    /// The connector
    pub(crate) connector: ConnectorName,
    /// The object's type
    #[arg(value_name = "TYPE")]
    pub(crate) object_type: ObjectType,
    /// The object's id
    pub(crate) id: String,
}

#[derive(Debug, Args)]
pub(crate) struct Link {
    #[command(flatten)]
    pub(crate) object: WhichObject,
    /// What the external system calls it
    pub(crate) external_id: String,
    /// Whatever was said before
    #[arg(long)]
    pub(crate) replace: bool,
    #[command(flatten)]
    pub(crate) by: By,
}

#[derive(Debug, Args)]
pub(crate) struct Unlink {
    #[command(flatten)]
    pub(crate) object: WhichObject,
    #[command(flatten)]
    pub(crate) by: By,
}

#[derive(Debug, Args)]
pub(crate) struct WhichObjects {
    /// The connector
    pub(crate) connector: ConnectorName,
    /// Objects of this type, or of those that match a pattern such as `app.%`
    pub(crate) types: String,
    #[command(flatten)]
    pub(crate) by: By,
}

/// Who asks, and why.
#[derive(Debug, Args)]
pub(crate) struct By {
    /// Who asks for it
    #[arg(long, value_name = "NAME", env = "USER")]
    by: String,
    /// Why
    #[arg(long)]
    reason: Option<String>,
}

impl By {
    pub(crate) fn operator(self) -> Operator {
        let operator = Operator::named(self.by);
        match self.reason {
            Some(reason) => operator.because(reason),
            None => operator,
        }
    }

    pub(crate) fn to_operator(&self) -> Operator {
        Self { by: self.by.clone(), reason: self.reason.clone() }.operator()
    }
}
