//! Objects that live in the application's own tables: how the bus finds, loads, saves and deletes them.

mod erased;
mod settlement;

use std::future::{Future, ready};

use bus_core::{BusObject, Failure, ObjectId, SiteName, Timestamp};
use bus_store::{FoundBy, ObjectQuery};

pub use settlement::Settlement;

pub(crate) use erased::{AnyRepository, Repositories, erased};
pub(crate) use settlement::Pending;

/// Where the objects of a type live, if not in the built-in object store: in tables of the application's own, in the
/// file that the bus uses. Handed over with [`Builder::repository`](crate::Builder::repository).
///
/// With one, external objects are applied to those tables, references find what is there, and translation records tell
/// of it. What the application changes itself it logs with [`Bus::log`](crate::Bus::log), as without.
///
/// ```
/// # use bus_core::{BusObject, Failure, OrFail};
/// # #[derive(Clone, serde::Serialize, serde::Deserialize, BusObject)]
/// # #[object(type = "app.user", display = "User")]
/// # struct User { #[object(id)] id: i64, #[object(code_name)] login: String }
/// use std::path::PathBuf;
///
/// use bus_runtime::{Deleting, FoundBy, Lookup, Repository, Saving};
/// use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior};
///
/// struct Users(PathBuf);
///
/// fn user(row: &Row<'_>) -> rusqlite::Result<User> {
///     Ok(User { id: row.get(0)?, login: row.get(1)? })
/// }
///
/// impl Repository<User> for Users {
///     async fn load(&self, id: &i64) -> Result<Option<User>, Failure> {
///         let sql = "SELECT id, login FROM users WHERE id = ?1";
///         Ok(Connection::open(&self.0)?.query_row(sql, [id], user).optional()?)
///     }
///
///     async fn find(&self, lookup: &Lookup) -> Result<Option<User>, Failure> {
///         let FoundBy::CodeName(login) = &lookup.by else { return Ok(None) };
///         let sql = "SELECT id, login FROM users WHERE login = ?1";
///         Ok(Connection::open(&self.0)?.query_row(sql, [login], user).optional()?)
///     }
///
///     async fn save(&self, saving: Saving<User>) -> Result<(), Failure> {
///         let mut db = Connection::open(&self.0)?;
///         let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
///         let user = &saving.object;
///         let id = match &saving.before {
///             None => transaction.query_row("INSERT INTO users (login) VALUES (?1) RETURNING id", [&user.login], |row| row.get(0))?,
///             Some(before) => {
///                 let sql = "UPDATE users SET login = ?1 WHERE id = ?2 AND login = ?3";
///                 if transaction.execute(sql, (&user.login, user.id, &before.login))? == 0 {
///                     return Err(Failure::conflict("somebody else has changed the user"));
///                 }
///                 user.id
///             }
///         };
///         let statement = saving.settlement.statement(&id)?;
///         transaction.execute(statement.sql(), [statement.json()])?;
///         Ok(transaction.commit()?)
///     }
///
///     async fn delete(&self, deleting: Deleting<User>) -> Result<(), Failure> {
///         let mut db = Connection::open(&self.0)?;
///         let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
///         transaction.execute("DELETE FROM users WHERE id = ?1", [deleting.object.id])?;
///         let statement = deleting.settlement.statement(&deleting.object.id)?;
///         transaction.execute(statement.sql(), [statement.json()])?;
///         Ok(transaction.commit()?)
///     }
/// }
/// ```
///
/// Each call may take as long as a call of the connector that the object comes from (`call_timeout_ms`), or 30 s where
/// there is none. A failure is one of the delivery: `?` and [`Failure::retry`] try it again, [`Failure::reject`] parks
/// it, [`Failure::conflict`] starts over at once, with what is there then. Code that blocks its thread for longer than a
/// query takes belongs into `tokio::task::spawn_blocking`.
pub trait Repository<T: BusObject>: Send + Sync + 'static {
    /// The object with this id.
    fn load(&self, id: &T::Id) -> impl Future<Output = Result<Option<T>, Failure>> + Send;

    /// The object that this describes; at most one may.
    fn find(&self, lookup: &Lookup) -> impl Future<Output = Result<Option<T>, Failure>> + Send;

    /// When the application has changed it last: asked where `conflict = newest_wins` has to compare. `None`, which is what
    /// is answered unless this is written, has a person decide.
    fn changed_at(&self, id: &T::Id) -> impl Future<Output = Result<Option<Timestamp>, Failure>> + Send {
        let _ = id;
        ready(Ok(None))
    }

    /// Inserts or updates it, in a transaction of the repository's own in which it executes
    /// [`saving.settlement`](Settlement): the object and everything that the bus makes of it become true together. It
    /// must not do so when the row is no longer [`saving.before`](Saving::before), and answer
    /// [`Failure::conflict`] instead.
    ///
    /// What counts is the transaction, not the answer: where it was committed, the delivery is done, even if this fails
    /// afterwards or the process ends; where it was not, the delivery is tried again, even if this answers `Ok`.
    fn save(&self, saving: Saving<T>) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Deletes it, in a transaction of the repository's own in which it executes
    /// [`deleting.settlement`](Settlement). What is gone already is no failure.
    fn delete(&self, deleting: Deleting<T>) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// By what an object is to be found. All of it has to fit.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Lookup {
    /// Its GUID, or its code name.
    pub by: FoundBy,
    /// The site that it belongs to; `None` for a global object.
    pub site: Option<SiteName>,
    /// Its parent; `None` for an object without one.
    pub parent: Option<ObjectId>,
    /// Its group; `None` for any.
    pub group: Option<ObjectId>,
}

impl Lookup {
    pub(crate) fn of(query: &ObjectQuery) -> Self {
        let ObjectQuery { object_type: _, by, site, parent, group } = query.clone();
        Self { by, site, parent, group }
    }
}

/// What is to be saved.
#[derive(Debug)]
#[non_exhaustive]
pub struct Saving<T> {
    /// The object as it is to be. A new one has no id yet, unless ids are UUIDs: those are given.
    pub object: T,
    /// The object as it was loaded or found; `None` for a new one.
    pub before: Option<T>,
    /// To be executed in the transaction that saves it.
    pub settlement: Settlement<T>,
}

/// What is to be deleted.
#[derive(Debug)]
#[non_exhaustive]
pub struct Deleting<T> {
    /// The object as it was loaded or found.
    pub object: T,
    /// To be executed in the transaction that deletes it.
    pub settlement: Settlement<T>,
}
