//! An application on `sqlx`, whose changes and their tasks become true in one transaction.

use std::path::Path;
use std::str::FromStr;

use bus_core::{BusObject, Change, Connector, Cx, Failure, NoSettings, Outgoing, connector};
use bus_runtime::{Bus, Config, ConnectorConfig, Logged, StoreConfig, Synchronous};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteSynchronous};
use tokio::sync::mpsc::UnboundedSender;

/// A row of the application's table `member`.
#[derive(Debug, Clone, Serialize, Deserialize, BusObject)]
#[object(type = "club.member", display = "Member")]
pub struct Member {
    /// Given by the database.
    #[object(id)]
    pub id: i64,
    /// `Ada`.
    #[object(display_name)]
    pub name: String,
}

/// Tells somebody what happens to members.
#[connector(name = "teller", create_once = repeatable, needs(Ear))]
#[outgoing(Member)]
pub struct Teller;

/// Whoever is told.
#[derive(Clone)]
pub struct Ear(pub UnboundedSender<String>);

impl Connector for Teller {
    type Settings = NoSettings;

    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Outgoing<Member> for Teller {
    async fn deliver(&self, change: Change<Member>, cx: &Cx) -> Result<(), Failure> {
        let line = format!("{} {}", change.operation(), change.object.name);
        Ok(cx.handle::<Ear>()?.0.send(line)?)
    }
}

/// What can go wrong in an application.
pub type Failing<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The application.
pub struct Club {
    /// Its connections.
    pub pool: SqlitePool,
    /// Its bus, in the same file.
    pub bus: Bus,
}

impl Club {
    /// Opens the application's file; `sqlx` waits for locks for five seconds, and is as durable as it is told to be.
    pub async fn open(file: &Path, ear: Ear) -> Failing<Self> {
        let store = StoreConfig::Sqlite { path: file.to_owned(), synchronous: Synchronous::Full };
        let config = Config::new(store).connector(ConnectorConfig::new("teller".parse()?));
        let bus = Bus::builder(config).provide(ear).start().await?;
        let options = SqliteConnectOptions::from_str(&format!("sqlite://{}", file.display()))?
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let pool = SqlitePool::connect_with(options).await?;
        let table = "CREATE TABLE IF NOT EXISTS member (id INTEGER PRIMARY KEY, name TEXT NOT NULL)";
        sqlx::query(table).execute(&pool).await?;
        Ok(Self { pool, bus })
    }

    /// A new member; if they do not change their mind.
    pub async fn join(&self, name: &str, stays: bool) -> Failing<()> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let insert = sqlx::query("INSERT INTO member (name) VALUES (?1)").bind(name);
        let id = insert.execute(&mut *transaction).await?.last_insert_rowid();
        let statement = self.bus.log(Logged::created(&Member { id, name: name.to_owned() })).await?;
        sqlx::query(statement.sql()).bind(statement.json()).execute(&mut *transaction).await?;
        if stays {
            transaction.commit().await?
        } else {
            transaction.rollback().await?
        }
        Ok(())
    }
}
