//! Logging within a transaction of the application's own: the bus writes a statement, the application executes it.

use bus_core::BusObject;
use bus_core::parts::ObjectParts;

use crate::Result;
use crate::bus::Bus;
use crate::error::{BusError, BusErrorKind};
use crate::flow::change::{HostChange, Stored, has_external_reference};
use crate::flow::{entry, task_log};
use crate::objects::declared;
use crate::shared::Shared;

/// A change of an object that lives in the application's own tables, to be logged by [`Bus::log`].
#[derive(Debug, Clone)]
#[must_use = "hand it to `Bus::log`"]
pub struct Logged {
    type_name: &'static str,
    was: Option<Taken>,
    is: Option<Taken>,
}

/// An object taken apart, or why it could not be.
type Taken = std::result::Result<ObjectParts, String>;

/// What the application executes in its transaction, with whichever library it uses: one text of SQL with one
/// parameter, which is a text, too.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "execute it in the transaction that makes the change"]
pub struct Statement {
    sql: &'static str,
    json: String,
}

impl Logged {
    /// This object is new. It has its id: where the database gives it, insert the row first.
    pub fn created<T: BusObject>(object: &T) -> Self {
        Self { type_name: T::TYPE, was: None, is: Some(taken(object)) }
    }

    /// The object was this, and is that from now on.
    pub fn updated<T: BusObject>(before: &T, after: &T) -> Self {
        Self { type_name: T::TYPE, was: Some(taken(before)), is: Some(taken(after)) }
    }

    /// This object is gone.
    pub fn deleted<T: BusObject>(object: &T) -> Self {
        Self { type_name: T::TYPE, was: Some(taken(object)), is: None }
    }

    /// What changed; `None` when nothing did.
    fn change(self, shared: &Shared) -> Result<Option<HostChange>> {
        let object_type = declared(shared, self.type_name)?;
        let refuse = |reason: &str| {
            let message = format!("an object of type {object_type} cannot be logged: {reason}");
            BusError::new(BusErrorKind::Malformed, message)
        };
        let stored = |taken: Taken| {
            let parts = taken.map_err(|reason| refuse(&reason))?;
            if parts.id.is_none() {
                return Err(refuse(
                    "it has no id yet; insert its row first, then log it with the id that it got",
                ));
            }
            if let Some(at) = has_external_reference(&parts.payload) {
                return Err(refuse(&format!(
                    "the reference at {at} holds an external id; the host's objects refer to each other by `Ref::host`"
                )));
            }
            Stored::of(&shared.registry, parts)
        };
        let was = self.was.map(stored).transpose()?;
        let Some(is) = self.is else { return Ok(was.map(|was| HostChange::deleted(&was, None))) };
        // What was not loaded stays as it was.
        let is = match (is, &was) {
            (Ok(mut parts), Some(was)) => {
                parts.payload = parts.payload.laid_over(was.payload.clone());
                Ok(parts)
            }
            (is, _) => is,
        };
        let is = stored(is)?;
        if let Some(was) = &was
            && was.record.key != is.record.key
        {
            let (before, after) = (&was.record.key.id, &is.record.key.id);
            return Err(refuse(&format!(
                "it was {before} and would be {after}; an id does not change: log that {before} was deleted, and {after} \
                 created"
            )));
        }
        Ok(HostChange::saved(was.as_ref(), &is, None))
    }
}

fn taken<T: BusObject>(object: &T) -> Taken {
    ObjectParts::of(object).map_err(|error| error.to_string())
}

impl Statement {
    pub(crate) fn new(sql: &'static str, json: String) -> Self {
        Self { sql, json }
    }

    /// The SQL; always the same, so that it need not be prepared anew.
    pub const fn sql(&self) -> &'static str {
        self.sql
    }

    /// Its only parameter.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Whether nobody wants to know. To execute it writes nothing then.
    pub fn is_empty(&self) -> bool {
        self.json.is_empty()
    }
}

impl Bus {
    /// Writes a change of the application's own tables down as a statement that the application executes in the very
    /// transaction that makes the change: both become true, or neither. Who is to be told, and of what, is decided here,
    /// and so are refusals. The bus takes the entry into its queues within a second of the commit; [`Bus::relay_soon`]
    /// spares the wait. Deliveries of an object keep the order in which the statements were executed.
    ///
    /// ```no_run
    /// # use bus_core::BusObject;
    /// # #[derive(Clone, serde::Serialize, serde::Deserialize, BusObject)]
    /// # #[object(type = "app.user", display = "User")]
    /// # struct User { #[object(id)] id: i64, #[object(code_name)] login: String }
    /// # async fn f(bus: bus_runtime::Bus, mut db: rusqlite::Connection, before: User) -> Result<(), Box<dyn std::error::Error>> {
    /// use bus_runtime::Logged;
    /// use rusqlite::TransactionBehavior;
    ///
    /// let user = User { login: "ada".to_owned(), ..before.clone() };
    /// let statement = bus.log(Logged::updated(&before, &user)).await?;
    /// let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    /// transaction.execute("UPDATE users SET login = ?1 WHERE id = ?2", (&user.login, user.id))?;
    /// transaction.execute(statement.sql(), [statement.json()])?;
    /// transaction.commit()?;
    /// bus.relay_soon();
    /// # Ok(()) }
    /// ```
    ///
    /// It only reads, so it may be called while that transaction is open. Execute each statement once: a second time is
    /// noticed and logs nothing. `sync` lines are delivered by the way of the queue.
    ///
    /// # Errors
    ///
    /// `Store` when the store is not a file that the application's transactions could reach; `Vetoed` when a listener
    /// says no; `TooLarge`; `Malformed` when it has no id, cannot be written as JSON, or refers to an external id;
    /// `UnknownKind` when the program does not declare its type.
    pub async fn log(&self, logged: Logged) -> Result<Statement> {
        let capabilities = self.shared.store.capabilities();
        let Some(sql) = capabilities.log_statement else {
            let message = format!(
                "the {} store has no table that a transaction of the application could write; use SQLite, in the \
                 application's own file: store = \"app.db\"",
                capabilities.name
            );
            return Err(BusError::new(BusErrorKind::Store, message));
        };
        let json = match logged.change(&self.shared)? {
            Some(change) => {
                let recorded = task_log::record(&self.shared, std::slice::from_ref(&change)).await?;
                entry::write(&change.summary, recorded.tasks, self.shared.new_uuid())?
            }
            None => String::new(),
        };
        Ok(Statement::new(sql, json))
    }
}
