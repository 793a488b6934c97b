//! An application with tables of its own: what changes there, and what is told of it, become true in one transaction.
//!
//! ```text
//! cargo run --example host_transaction     members join, are renamed, leave; run it again for one more
//! rm -r host-transaction-data              removes everything that it wrote
//! ```
//!
//! The members of a club are rows of the application, written with `rusqlite`; the bus keeps its tables in the same file.
//! Its connector `cards` stands for an external system: it keeps one card in a folder for each member. A transaction that
//! is rolled back leaves neither a row nor a card.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use bus_core::{BusObject, Change, Connector, Cx, Failure, NoSettings, ObjectOperation, Outgoing, connector};
use bus_runtime::{Bus, BusError, Config, ConnectorConfig, Logged, StoreConfig, Synchronous};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use serde::{Deserialize, Serialize};

/// Where everything is kept, in the current folder.
const DATA: &str = "host-transaction-data";

/// A row of the application's table `member`.
#[derive(Debug, Clone, Serialize, Deserialize, BusObject)]
#[object(type = "club.member", display = "Member")]
struct Member {
    #[object(id)]
    id: i64,
    #[object(display_name)]
    name: String,
}

/// Keeps a card for each member.
#[connector(name = "cards", create_once = repeatable, needs(Cards))]
#[outgoing(Member)]
struct CardIndex;

/// The folder with the cards.
#[derive(Clone)]
struct Cards(PathBuf);

impl Connector for CardIndex {
    type Settings = NoSettings;

    async fn connect(_: NoSettings, cx: &Cx) -> Result<Self, Failure> {
        fs::create_dir_all(&cx.handle::<Cards>()?.0)?;
        Ok(Self)
    }
}

impl Outgoing<Member> for CardIndex {
    async fn deliver(&self, change: Change<Member>, cx: &Cx) -> Result<(), Failure> {
        let card = cx.handle::<Cards>()?.0.join(format!("{}.txt", change.object.id));
        if change.operation() != ObjectOperation::Delete {
            return Ok(fs::write(card, &change.object.name)?);
        }
        match fs::remove_file(card) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

type Failing<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            match error.downcast_ref::<BusError>() {
                Some(error) => eprintln!("{error:?}"),
                None => eprintln!("{error}"),
            }
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Failing<()> {
    let (file, cards) = (Path::new(DATA).join("club.db"), Path::new(DATA).join("cards"));
    let store = StoreConfig::Sqlite { path: file.clone(), synchronous: Synchronous::Full };
    let config = Config::new(store).connector(ConnectorConfig::new("cards".parse()?));
    let bus = Bus::builder(config).provide(Cards(cards.clone())).start().await?;
    let mut club = Club { db: open(&file)?, bus };

    let ada = club.join("Ada").await?;
    club.rename(&ada, "Ada Lovelace").await?;
    let ben = club.join("Ben").await?;
    club.leave(&ben).await?;
    club.change_their_mind("Mallory").await?;

    // A program that goes on need not wait: the bus delivers meanwhile, or after the next start.
    club.bus.relay_soon();
    club.bus.until_idle().await;
    let mut listed = club.db.prepare("SELECT id, name FROM member ORDER BY id")?;
    println!("member           card");
    for member in listed.query_map([], |row| Ok(Member { id: row.get(0)?, name: row.get(1)? }))? {
        let Member { id, name } = member?;
        println!("{id:>3} {name:<12} {}", fs::read_to_string(cards.join(format!("{id}.txt")))?);
    }
    println!("{} cards", fs::read_dir(&cards)?.count());
    club.bus.shutdown().await;
    Ok(())
}

/// The application's own connection. What it commits is as durable as it asks for here.
fn open(file: &Path) -> Failing<Connection> {
    let db = Connection::open(file)?;
    db.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
         CREATE TABLE IF NOT EXISTS member (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL)",
    )?;
    Ok(db)
}

/// The application.
struct Club {
    db: Connection,
    bus: Bus,
}

impl Club {
    async fn join(&mut self, name: &str) -> Failing<Member> {
        let transaction = begin(&mut self.db)?;
        let member = insert(&transaction, name)?;
        log(&self.bus, &transaction, Logged::created(&member)).await?;
        transaction.commit()?;
        Ok(member)
    }

    async fn rename(&mut self, member: &Member, name: &str) -> Failing<()> {
        let renamed = Member { name: name.to_owned(), ..member.clone() };
        let transaction = begin(&mut self.db)?;
        transaction.execute("UPDATE member SET name = ?2 WHERE id = ?1", (renamed.id, &renamed.name))?;
        log(&self.bus, &transaction, Logged::updated(member, &renamed)).await?;
        transaction.commit()?;
        Ok(())
    }

    async fn leave(&mut self, member: &Member) -> Failing<()> {
        let transaction = begin(&mut self.db)?;
        transaction.execute("DELETE FROM member WHERE id = ?1", [member.id])?;
        log(&self.bus, &transaction, Logged::deleted(member)).await?;
        transaction.commit()?;
        Ok(())
    }

    /// Joins, and at the last moment does not.
    async fn change_their_mind(&mut self, name: &str) -> Failing<()> {
        let transaction = begin(&mut self.db)?;
        let member = insert(&transaction, name)?;
        log(&self.bus, &transaction, Logged::created(&member)).await?;
        transaction.rollback()?;
        Ok(())
    }
}

/// A transaction that has the write lock from the beginning: one that asks for it later can be refused at once.
fn begin(db: &mut Connection) -> Failing<Transaction<'_>> {
    Ok(db.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

fn insert(transaction: &Transaction<'_>, name: &str) -> Failing<Member> {
    transaction.execute("INSERT INTO member (name) VALUES (?1)", [name])?;
    Ok(Member { id: transaction.last_insert_rowid(), name: name.to_owned() })
}

/// Leaves it to the bus in this very transaction.
async fn log(bus: &Bus, transaction: &Transaction<'_>, logged: Logged) -> Failing<()> {
    let statement = bus.log(logged).await?;
    transaction.execute(statement.sql(), [statement.json()])?;
    Ok(())
}
