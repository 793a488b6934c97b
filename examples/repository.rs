//! What an external system sends becomes rows of the application's own table, each in one transaction with its outcome.
//!
//! ```text
//! cargo run --example repository     forms come in; run it again for the same forms, which change nothing
//! rm -r repository-data              removes everything that it wrote
//! ```
//!
//! A club keeps its members in a table of its own, written with `rusqlite`; the bus keeps its tables in the same file. Its
//! connector `desk` takes forms that people have filled in, and a repository tells the bus how to find, load, save and
//! delete members. One row was there before: its form finds it.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bus_core::{
    BusObject, Connector, Cx, ExternalTask, Failure, Incoming, NoSettings, ObjectOperation, Prepared,
    Received, connector,
};
use bus_runtime::{
    Bus, BusError, Config, ConnectorConfig, Deleting, FoundBy, Lookup, Repository, Saving, StoreConfig,
    Synchronous,
};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior};
use serde::{Deserialize, Serialize};

/// Where everything is kept, in the current folder.
const DATA: &str = "repository-data";

/// A row of the application's table `member`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "club.member", display = "Member")]
struct Member {
    #[object(id)]
    id: i64,
    #[object(code_name)]
    email: String,
    #[object(display_name)]
    name: String,
    /// What only the club knows.
    note: Option<String>,
}

/// What people fill in.
#[derive(Debug, Serialize, Deserialize)]
struct Form {
    number: String,
    email: String,
    name: String,
}

/// Takes forms.
#[connector(name = "desk")]
#[incoming(Form, key = number)]
struct Desk;

impl Connector for Desk {
    type Settings = NoSettings;

    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Incoming<Form> for Desk {
    type Object = Member;

    async fn prepare_internal_object(
        &self,
        received: Received<Form, Member>,
        _: &Cx,
    ) -> Result<Prepared<Member>, Failure> {
        if received.operation == ObjectOperation::Delete {
            return Ok(Prepared::existing());
        }
        // Who is a member already is handed over here: the note stays as it is.
        let Form { email, name, .. } = received.object;
        Ok(Member { email, name, ..received.existing.unwrap_or_default() }.into())
    }
}

/// The members, in the application's file.
struct Members(PathBuf);

impl Members {
    /// What it commits is as durable as it asks for here.
    fn connect(&self) -> rusqlite::Result<Connection> {
        let db = Connection::open(&self.0)?;
        db.execute_batch("PRAGMA synchronous = FULL")?;
        Ok(db)
    }
}

fn member(row: &Row<'_>) -> rusqlite::Result<Member> {
    Ok(Member { id: row.get(0)?, email: row.get(1)?, name: row.get(2)?, note: row.get(3)? })
}

impl Repository<Member> for Members {
    async fn load(&self, id: &i64) -> Result<Option<Member>, Failure> {
        let sql = "SELECT id, email, name, note FROM member WHERE id = ?1";
        Ok(self.connect()?.query_row(sql, [id], member).optional()?)
    }

    async fn find(&self, lookup: &Lookup) -> Result<Option<Member>, Failure> {
        let FoundBy::CodeName(email) = &lookup.by else { return Ok(None) };
        let sql = "SELECT id, email, name, note FROM member WHERE email = ?1";
        Ok(self.connect()?.query_row(sql, [email], member).optional()?)
    }

    async fn save(&self, saving: Saving<Member>) -> Result<(), Failure> {
        let mut db = self.connect()?;
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let Member { id, email, name, note } = &saving.object;
        let id = if let Some(before) = &saving.before {
            // Only what is still as the bus has seen it.
            let sql = "UPDATE member SET email = ?2, name = ?3, note = ?4
                       WHERE id = ?1 AND email = ?5 AND name = ?6 AND note IS ?7";
            let fields = (id, email, name, note, &before.email, &before.name, &before.note);
            if transaction.execute(sql, fields)? == 0 {
                return Err(Failure::conflict(format!("somebody else has changed member {id}")));
            }
            *id
        } else {
            transaction
                .execute("INSERT INTO member (email, name, note) VALUES (?1, ?2, ?3)", (email, name, note))?;
            transaction.last_insert_rowid()
        };
        let statement = saving.settlement.statement(&id)?;
        transaction.execute(statement.sql(), [statement.json()])?;
        Ok(transaction.commit()?)
    }

    async fn delete(&self, deleting: Deleting<Member>) -> Result<(), Failure> {
        let mut db = self.connect()?;
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let id = deleting.object.id;
        transaction.execute("DELETE FROM member WHERE id = ?1", [id])?;
        let statement = deleting.settlement.statement(&id)?;
        transaction.execute(statement.sql(), [statement.json()])?;
        Ok(transaction.commit()?)
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
    fs::create_dir_all(DATA)?;
    let file = Path::new(DATA).join("club.db");
    let db = Connection::open(&file)?;
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE IF NOT EXISTS member (
             id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL UNIQUE, name TEXT NOT NULL, note TEXT
         );
         INSERT INTO member (email, name, note) VALUES ('ada@club', 'Ada', 'founder') ON CONFLICT DO NOTHING",
    )?;
    let store = StoreConfig::Sqlite { path: file.clone(), synchronous: Synchronous::Full };
    let config = Config::new(store).connector(ConnectorConfig::new("desk".parse()?));
    let bus = Bus::builder(config).repository::<Member>(Members(file)).start().await?;

    for (number, email, name) in
        [("1", "ada@club", "Ada Lovelace"), ("2", "ben@club", "Ben"), ("3", "eve@club", "Eve")]
    {
        let form = Form { number: number.to_owned(), email: email.to_owned(), name: name.to_owned() };
        bus.process_external_task(ExternalTask::create::<Desk, _>("desk", &form)).await?;
    }
    let withdrawn = Form { number: "3".to_owned(), email: String::new(), name: String::new() };
    bus.process_external_task(ExternalTask::delete::<Desk, _>("desk", &withdrawn)).await?;

    // A program that goes on need not wait: the bus applies them meanwhile, or after the next start.
    bus.until_idle().await;
    println!("member             note");
    let mut listed = db.prepare("SELECT id, email, name, note FROM member ORDER BY id")?;
    for listed in listed.query_map([], member)? {
        let Member { id, name, note, .. } = listed?;
        println!("{id:>3} {name:<14} {}", note.as_deref().unwrap_or("-"));
    }
    bus.shutdown().await;
    Ok(())
}
