//! Capture: triggers on tables of the application, so that what programs change there that know nothing of the bus is told,
//! too. The triggers leave the columns of each changed row in the outbox, in the transaction that changed it; a bus that
//! declares the object type reads them as that, in the order of the commits.
//!
//! ```no_run
//! # async fn f(store: bus_store_sqlite::SqliteStore) -> Result<(), Box<dyn std::error::Error>> {
//! use bus_core::ObjectType;
//! use bus_store_sqlite::capture::{self, Capture, Reading};
//!
//! let users = Capture::new(ObjectType::parse("app.user")?, "users", "id")
//!     .named("full_name", "name")             // this column is that field
//!     .reading("active", Reading::Boolean)
//!     .without("password_hash");
//! println!("{}", capture::ddl(&store, &users).await?); // to be read first
//! capture::apply(&store, users).await?;
//! assert!(capture::check(&store).await?.is_empty());
//! # Ok(()) }
//! ```

mod check;
mod triggers;

use std::collections::{BTreeMap, BTreeSet};

use bus_core::ObjectType;
use bus_store::{Drift, Outbox as _, StoreError, StoreErrorKind};
use rusqlite::params;

use crate::SqliteStore;
use crate::error::{Fault, refusal};
use crate::session::Session;
use crate::writer::{Progress, Write};

pub(crate) use check::{Depth, drift};
use triggers::{Plan, plan};

/// The most columns of a table that are told of: more arguments an old `SQLite` does not hand to a function.
pub const COLUMNS_MAX: usize = 60;

/// Executed in a transaction that tells of its changes itself (by [`bus.log`], or a repository): until
/// [`OWN_CHANGES_END`], what it changes is not captured.
///
/// [`bus.log`]: https://docs.rs/bus-runtime
pub const OWN_CHANGES_BEGIN: &str = "INSERT INTO bus_origin (id) VALUES (1)";

/// Executed in the same transaction, after its changes. One that has begun and not ended them fails when it is committed,
/// where `PRAGMA foreign_keys` is on (as with `rusqlite`'s `bundled` `SQLite`, and `sqlx`); otherwise nothing is captured
/// any more, which [`check`] and each bus say.
pub const OWN_CHANGES_END: &str = "DELETE FROM bus_origin";

/// How a table is read: which of its columns are which fields of an object type. A column that is not mentioned is the field of
/// its own name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "hand it to `apply`"]
pub struct Capture {
    object_type: ObjectType,
    table: String,
    key: String,
    fields: BTreeMap<String, String>,
    readings: BTreeMap<String, Reading>,
    without: BTreeSet<String>,
    tells_all: bool,
}

/// What stands in a column, where that is not plain: numbers, texts and `NULL` are told as what they are, BLOBs as
/// hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reading {
    /// 0 and 1 are `false` and `true`.
    Boolean,
    /// A text that is JSON: a list, say.
    Json,
}

impl Capture {
    /// The rows of this table are objects of this type; `key` is the column of their ids.
    pub fn new(object_type: ObjectType, table: impl Into<String>, key: impl Into<String>) -> Self {
        let (table, key) = (table.into(), key.into());
        let (fields, readings, without) = Default::default();
        Self { object_type, table, key, fields, readings, without, tells_all: false }
    }

    /// This column is the field of that name in JSON.
    pub fn named(mut self, column: impl Into<String>, field: impl Into<String>) -> Self {
        self.fields.insert(column.into(), field.into());
        self
    }

    /// This column is read in this way.
    pub fn reading(mut self, column: impl Into<String>, reading: Reading) -> Self {
        self.readings.insert(column.into(), reading);
        self
    }

    /// This column is not told of, and a change of it alone is none.
    pub fn without(mut self, column: impl Into<String>) -> Self {
        self.without.insert(column.into());
        self
    }

    /// [`apply`] tells of all rows that are there, too, in the same transaction: of those that were told of before as updates, of
    /// the others as creates.
    pub fn telling_all(mut self) -> Self {
        self.tells_all = true;
        self
    }

    fn field<'a>(&'a self, column: &'a str) -> &'a str {
        self.fields.get(column).map_or(column, String::as_str)
    }
}

/// The triggers that [`apply`] would make, as SQL; nothing is written.
///
/// # Errors
///
/// `NotFound` when the table, or a column that is mentioned, is not there; `Unsupported` when the table cannot be captured:
/// each says why, and what to do.
pub async fn ddl(store: &SqliteStore, capture: &Capture) -> Result<String, StoreError> {
    let capture = capture.clone();
    let plan = store.read("capture ddl", move |db| plan(db, &capture)).await?;
    let each: Vec<_> = plan.triggers.into_iter().map(|(_, sql)| sql + ";\n").collect();
    Ok(each.concat())
}

/// Makes the triggers, in one transaction; those that were there for the type are replaced. What is in the table already is
/// told of only [where that is asked for](Capture::telling_all).
///
/// # Errors
///
/// As [`ddl`]; `Unavailable` when another connection keeps the file locked for 5 s.
pub async fn apply(store: &SqliteStore, capture: Capture) -> Result<(), StoreError> {
    store.write(Apply(capture)).await?;
    store.ring_outbox();
    Ok(())
}

/// What differs from what was applied: triggers that were dropped or changed, columns that came or went, and rows that came
/// or went without a word. Reads all keys of each captured table; nothing is mended.
pub async fn check(store: &SqliteStore) -> Result<Vec<Drift>, StoreError> {
    store.read("check capture", |db| drift(db, Depth::Rows)).await
}

/// Drops the triggers of this type; whether it was captured. What they have left is still relayed.
pub async fn remove(store: &SqliteStore, object_type: &ObjectType) -> Result<bool, StoreError> {
    store.write(Remove(object_type.clone())).await
}

struct Apply(Capture);

impl Write for Apply {
    type Answer = ();
    const OPERATION: &'static str = "apply capture";

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<()>, Fault> {
        let Capture { object_type, table, key, .. } = &self.0;
        let Plan { columns, triggers, tell, seed } = plan(session.db, &self.0)?;
        if self.0.tells_all {
            session.db.execute(&tell, [])?;
        }
        forget(session, object_type)?;
        for (_, sql) in &triggers {
            session.db.execute_batch(sql)?;
        }
        session.db.execute(&seed, [object_type.as_str()])?;
        let columns = serde_json::Value::from(columns).to_string();
        let triggers: serde_json::Map<_, _> =
            triggers.into_iter().map(|(name, sql)| (name, sql.into())).collect();
        let triggers = serde_json::Value::from(triggers).to_string();
        let sql = "INSERT INTO bus_capture (object_type, table_name, key_column, columns, triggers)
                   VALUES (?1, ?2, ?3, ?4, ?5)";
        session.prepare(sql)?.execute(params![object_type.as_str(), table, key, columns, triggers])?;
        Ok(Progress::Done(()))
    }
}

struct Remove(ObjectType);

impl Write for Remove {
    type Answer = bool;
    const OPERATION: &'static str = "remove capture";

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<bool>, Fault> {
        Ok(Progress::Done(forget(session, &self.0)?))
    }
}

/// Drops the triggers of this type, and all that is known of them; whether there were any.
fn forget(session: &Session<'_>, object_type: &ObjectType) -> Result<bool, Fault> {
    for name in triggers::names(object_type) {
        session.db.execute_batch(&format!("DROP TRIGGER IF EXISTS {}", triggers::quoted(&name)))?;
    }
    session.prepare("DELETE FROM bus_capture_key WHERE object_type = ?1")?.execute([object_type.as_str()])?;
    let sql = "DELETE FROM bus_capture WHERE object_type = ?1";
    Ok(session.prepare(sql)?.execute([object_type.as_str()])? > 0)
}

/// A table cannot be captured, or not like this.
fn unfit(message: String) -> Fault {
    refusal(StoreErrorKind::Unsupported, message)
}
