//! The application's own tables, and its repositories of users and companies, which misbehave where they are told to.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use bus_core::{Children, Failure, Ref};
use bus_runtime::{
    Deleting, FoundBy, Lookup, Repository, Saving, Settlement, Statement, StoreConfig, Synchronous,
};
use bus_store_sqlite::capture::{OWN_CHANGES_BEGIN, OWN_CHANGES_END};
use bus_testkit::TestBus;
use bus_tests::{Company, User};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior};
use tempfile::TempDir;
use uuid::Uuid;

const TABLES: &str = "PRAGMA journal_mode = WAL;
    CREATE TABLE users (id INTEGER PRIMARY KEY, guid TEXT NOT NULL, login TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
        note TEXT, site TEXT, company INTEGER, manager INTEGER);
    CREATE TABLE companies (id INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE, name TEXT NOT NULL);
    INSERT INTO users VALUES (40, '00000000-0000-0000-0000-000000000028', 'root', 'Root', NULL, NULL, NULL, NULL);
    INSERT INTO companies VALUES (70, 'initech', 'Initech');";

/// The application's file, and what its repository of users does in its next calls.
#[derive(Clone)]
pub(super) struct Host {
    folder: Arc<TempDir>,
    manners: Arc<Mutex<VecDeque<Manner>>>,
    saves: Arc<AtomicUsize>,
    refusals: Arc<Mutex<Vec<String>>>,
}

/// What the repository of users does instead of what it should.
pub(super) enum Manner {
    /// Answers that it is done, and rolls back.
    RollsBack,
    /// Commits, without the statement.
    ForgetsTheStatement,
    /// Writes the row, then fails.
    FailsHalfWay(Failure),
    /// Commits, then fails.
    CommitsAndFails,
    /// Executes the statement twice.
    SettlesTwice,
    /// Settles with this id.
    SettlesAs(i64),
    /// Somebody else does this before it begins.
    After(&'static str),
    /// Goes on in a thread of its own when nobody waits for it any more; says how the statement ended.
    Late(Receiver<()>, Sender<Result<(), String>>),
    /// Waits before it begins, until it is told to go on.
    WaitsBefore(Go),
    /// Commits, and then waits until it is told to go on.
    WaitsAfter(Go),
    /// Answers this user, whoever is asked for.
    Answers(User),
    /// Fails to load or find.
    CannotLook,
}

/// What a save waits for.
type Go = tokio::sync::oneshot::Receiver<()>;

impl Host {
    pub(super) fn new() -> Self {
        let host = Self {
            folder: Arc::new(TempDir::new().unwrap()),
            manners: Arc::default(),
            saves: Arc::default(),
            refusals: Arc::default(),
        };
        host.connect().execute_batch(TABLES).unwrap();
        host
    }

    /// The application in another process, on the same file.
    pub(super) fn beside(&self) -> Self {
        Self { manners: Arc::default(), saves: Arc::default(), refusals: Arc::default(), ..self.clone() }
    }

    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("app.db")
    }

    pub(super) fn connect(&self) -> Connection {
        Connection::open(self.file()).unwrap()
    }

    /// A bus in the application's file, which knows of the users there.
    pub(super) fn bus(&self) -> TestBus {
        self.plain_bus().repository::<User>(self.clone())
    }

    /// A bus in the application's file.
    pub(super) fn plain_bus(&self) -> TestBus {
        let path = self.file();
        TestBus::new().configure(move |config| {
            config.store = StoreConfig::Sqlite { path, synchronous: Synchronous::Normal };
        })
    }

    /// What the next calls that look, or write, do.
    pub(super) fn misbehave<const N: usize>(&self, manners: [Manner; N]) {
        self.manners.lock().unwrap().extend(manners);
    }

    /// Whether it has misbehaved as often as it was told to.
    pub(super) fn is_done(&self) -> bool {
        self.manners.lock().unwrap().is_empty()
    }

    fn next(&self, is_wanted: impl Fn(&Manner) -> bool) -> Option<Manner> {
        let mut manners = self.manners.lock().unwrap();
        manners.pop_front_if(|manner| is_wanted(manner))
    }

    pub(super) fn user(&self, login: &str) -> Option<User> {
        let sql = "SELECT * FROM users WHERE login = ?1";
        self.connect().query_row(sql, [login], read_user).optional().unwrap()
    }

    /// How often it was asked to save a user.
    pub(super) fn saves(&self) -> usize {
        self.saves.load(Ordering::SeqCst)
    }

    /// Why its saves failed.
    pub(super) fn refusals(&self) -> Vec<String> {
        self.refusals.lock().unwrap().clone()
    }

    /// How many users there are, besides the one that was there before.
    pub(super) fn users(&self) -> i64 {
        self.connect().query_row("SELECT count(*) - 1 FROM users", [], |row| row.get(0)).unwrap()
    }
}

fn read_user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: row.get(0)?,
        guid: row.get::<_, String>(1)?.parse::<Uuid>().unwrap(),
        login: row.get(2)?,
        name: row.get(3)?,
        note: row.get(4)?,
        site: row.get(5)?,
        company: row.get::<_, Option<i64>>(6)?.map(Ref::host),
        manager: row.get::<_, Option<i64>>(7)?.map(Ref::host),
        addresses: Children::NotLoaded,
    })
}

fn read_company(row: &Row<'_>) -> rusqlite::Result<Company> {
    Ok(Company { id: row.get(0)?, code: row.get(1)?, name: row.get(2)? })
}

fn begin(db: &mut Connection) -> Result<Transaction<'_>, Failure> {
    Ok(db.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

fn execute(db: &Connection, statement: &Statement) -> rusqlite::Result<usize> {
    db.execute(statement.sql(), [statement.json()])
}

/// Writes the row, and answers its id. Whoever captures the table does not tell of it once more.
fn write(db: &Connection, user: &User, before: Option<&User>) -> Result<i64, Failure> {
    db.execute(OWN_CHANGES_BEGIN, [])?;
    let id = write_row(db, user, before)?;
    db.execute(OWN_CHANGES_END, [])?;
    Ok(id)
}

fn write_row(db: &Connection, user: &User, before: Option<&User>) -> Result<i64, Failure> {
    let company = user.company.as_ref().and_then(|company| company.host_id().copied());
    let manager = user.manager.as_ref().and_then(|manager| manager.host_id().copied());
    let fields = (user.guid.to_string(), &user.login, &user.name, &user.note, &user.site, company, manager);
    let Some(before) = before else {
        let sql = "INSERT INTO users (guid, login, name, note, site, company, manager) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                   RETURNING id";
        return Ok(db.query_row(sql, fields, |row| row.get(0))?);
    };
    let there = db.query_row("SELECT * FROM users WHERE id = ?1", [before.id], read_user).optional()?;
    if there.as_ref() != Some(before) {
        return Err(Failure::conflict("somebody else has changed the user"));
    }
    let sql =
        "UPDATE users SET guid = ?1, login = ?2, name = ?3, note = ?4, site = ?5, company = ?6, manager = ?7
               WHERE id = ?8";
    let (guid, login, name, note, site, company, manager) = fields;
    db.execute(sql, (guid, login, name, note, site, company, manager, before.id))?;
    Ok(before.id)
}

impl Repository<User> for Host {
    async fn load(&self, id: &i64) -> Result<Option<User>, Failure> {
        match self.next(|manner| matches!(manner, Manner::Answers(_) | Manner::CannotLook)) {
            Some(Manner::Answers(user)) => return Ok(Some(user)),
            Some(_) => return Err(Failure::disconnected("the table is locked")),
            None => {}
        }
        let sql = "SELECT * FROM users WHERE id = ?1";
        Ok(self.connect().query_row(sql, [id], read_user).optional()?)
    }

    async fn find(&self, lookup: &Lookup) -> Result<Option<User>, Failure> {
        match self.next(|manner| matches!(manner, Manner::Answers(_) | Manner::CannotLook)) {
            Some(Manner::Answers(user)) => return Ok(Some(user)),
            Some(_) => return Err(Failure::disconnected("the table is locked")),
            None => {}
        }
        let (sql, name) = match &lookup.by {
            FoundBy::Guid(guid) => ("SELECT * FROM users WHERE guid = ?1", guid.to_string()),
            FoundBy::CodeName(login) => ("SELECT * FROM users WHERE login = ?1", login.clone()),
        };
        Ok(self.connect().query_row(sql, [name], read_user).optional()?)
    }

    async fn save(&self, saving: Saving<User>) -> Result<(), Failure> {
        self.saves.fetch_add(1, Ordering::SeqCst);
        let manner = self.next(|manner| !matches!(manner, Manner::Answers(_) | Manner::CannotLook));
        if let Some(Manner::After(sql)) = manner {
            self.connect().execute_batch(sql).unwrap();
        }
        let (manner, go_on) = match manner {
            Some(Manner::Late(go, told)) => return self.late(saving, go, told).await,
            Some(Manner::WaitsBefore(go)) => {
                go.await.unwrap();
                (None, None)
            }
            Some(Manner::WaitsAfter(go)) => (None, Some(go)),
            manner => (manner, None),
        };
        let saved = self.save_as(&saving, manner);
        if let Err(failure) = &saved {
            self.refusals.lock().unwrap().push(failure.to_string());
        }
        if let Some(go) = go_on {
            go.await.unwrap();
        }
        saved
    }

    async fn delete(&self, deleting: Deleting<User>) -> Result<(), Failure> {
        let mut db = self.connect();
        let transaction = begin(&mut db)?;
        let id = deleting.object.id;
        transaction.execute(OWN_CHANGES_BEGIN, [])?;
        transaction.execute("DELETE FROM users WHERE id = ?1", [id])?;
        transaction.execute(OWN_CHANGES_END, [])?;
        execute(&transaction, &deleting.settlement.statement(&id)?)?;
        Ok(transaction.commit()?)
    }
}

impl Host {
    fn save_as(&self, saving: &Saving<User>, manner: Option<Manner>) -> Result<(), Failure> {
        let mut db = self.connect();
        let transaction = begin(&mut db)?;
        let id = write(&transaction, &saving.object, saving.before.as_ref())?;
        match manner {
            Some(Manner::RollsBack) => {
                execute(&transaction, &saving.settlement.statement(&id)?)?;
                return Ok(transaction.rollback()?);
            }
            Some(Manner::ForgetsTheStatement) => return Ok(transaction.commit()?),
            Some(Manner::FailsHalfWay(failure)) => return Err(failure),
            Some(Manner::SettlesAs(id)) => {
                execute(&transaction, &saving.settlement.statement(&id)?)?;
            }
            Some(Manner::SettlesTwice) => {
                execute(&transaction, &saving.settlement.statement(&id)?)?;
                execute(&transaction, &saving.settlement.statement(&id)?)?;
            }
            Some(Manner::CommitsAndFails) => {
                execute(&transaction, &saving.settlement.statement(&id)?)?;
                transaction.commit()?;
                return Err(Failure::reject("the connection broke after the commit"));
            }
            _ => {
                execute(&transaction, &saving.settlement.statement(&id)?)?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// Saves once it is told to, long after anybody has waited for it.
    async fn late(
        &self,
        saving: Saving<User>,
        go: Receiver<()>,
        told: Sender<Result<(), String>>,
    ) -> Result<(), Failure> {
        let host = self.clone();
        thread::spawn(move || {
            go.recv().unwrap();
            let mut db = host.connect();
            let transaction = begin(&mut db).unwrap();
            let id = write(&transaction, &saving.object, saving.before.as_ref()).unwrap();
            let statement = saving.settlement.statement(&id).unwrap();
            let executed = execute(&transaction, &statement).map_err(|error| error.to_string());
            // As `?` does it: the transaction is rolled back.
            told.send(executed.map(|_| transaction.commit().unwrap())).unwrap();
        });
        std::future::pending().await
    }
}

/// What a late save waits for, and where it says how it ended.
pub(super) fn late() -> (Manner, Sender<()>, Receiver<Result<(), String>>) {
    let ((go, wait), (tell, told)) = (channel(), channel());
    (Manner::Late(wait, tell), go, told)
}

/// The repository of companies.
pub(super) struct Companies(pub(super) Host);

impl Repository<Company> for Companies {
    async fn load(&self, id: &i64) -> Result<Option<Company>, Failure> {
        let sql = "SELECT * FROM companies WHERE id = ?1";
        Ok(self.0.connect().query_row(sql, [id], read_company).optional()?)
    }

    async fn find(&self, lookup: &Lookup) -> Result<Option<Company>, Failure> {
        let FoundBy::CodeName(code) = &lookup.by else { return Ok(None) };
        let sql = "SELECT * FROM companies WHERE code = ?1";
        Ok(self.0.connect().query_row(sql, [code], read_company).optional()?)
    }

    async fn save(&self, saving: Saving<Company>) -> Result<(), Failure> {
        let Company { code, name, .. } = &saving.object;
        let mut db = self.0.connect();
        let transaction = begin(&mut db)?;
        let sql = "INSERT INTO companies (code, name) VALUES (?1, ?2)
                   ON CONFLICT (code) DO UPDATE SET name = excluded.name RETURNING id";
        let id = transaction.query_row(sql, (code, name), |row| row.get(0))?;
        settle(&transaction, &saving.settlement, id)?;
        Ok(transaction.commit()?)
    }

    async fn delete(&self, deleting: Deleting<Company>) -> Result<(), Failure> {
        let mut db = self.0.connect();
        let transaction = begin(&mut db)?;
        transaction.execute("DELETE FROM companies WHERE id = ?1", [deleting.object.id])?;
        settle(&transaction, &deleting.settlement, deleting.object.id)?;
        Ok(transaction.commit()?)
    }
}

fn settle(db: &Connection, settlement: &Settlement<Company>, id: i64) -> Result<(), Failure> {
    execute(db, &settlement.statement(&id)?)?;
    Ok(())
}
