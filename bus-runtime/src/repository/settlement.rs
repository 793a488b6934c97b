//! What a repository executes in its transaction: the outcome of the delivery, and what follows from it.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use bus_core::payload::Payload;
use bus_core::{BusObject, ChangeSummary, Failure, HostId, ObjectKey};
use bus_store::{Binding, ExchangeWrite, NewTask, Said, SettledEntry, Settles};
use uuid::Uuid;

use crate::flow::entry;
use crate::flow::keys::key_with_id;
use crate::flow::task_log::title;
use crate::logged::Statement;

/// What settles a delivery in the transaction that does what it brought.
///
/// The statement fails, and the transaction with it, when the delivery is not in the hands of this bus any more: its call
/// took too long, or another process has taken its queue over. So nobody's late write can come after somebody else's.
pub struct Settlement<T> {
    pending: Arc<Pending>,
    object: PhantomData<fn() -> T>,
}

/// All that a settlement says but for the id of an object that is new.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) sql: &'static str,
    /// What the entry is called.
    pub(crate) key: Uuid,
    pub(crate) settles: Settles,
    pub(crate) change: ChangeSummary,
    /// Whether the application gives it its id.
    pub(crate) is_new: bool,
    /// What the external system calls it, where that is to be bound.
    pub(crate) external_id: Option<String>,
    /// What else has been learned.
    pub(crate) bindings: Vec<Binding>,
    pub(crate) unbound: Vec<Binding>,
    pub(crate) exchanged: Vec<ExchangeWrite>,
    pub(crate) tasks: Vec<NewTask>,
}

impl<T: BusObject> Settlement<T> {
    pub(super) fn new(pending: Arc<Pending>) -> Self {
        Self { pending, object: PhantomData }
    }

    /// The statement, for the object with this id: that of the row that was just inserted, where it is new. To be
    /// executed once.
    ///
    /// # Errors
    ///
    /// A rejection when the id is unset, or another one than that of the object.
    pub fn statement(&self, id: &T::Id) -> Result<Statement, Failure> {
        let Pending { sql, key, settles, is_new, external_id, unbound, .. } = &*self.pending;
        if id.is_unset() {
            let reason = format!(
                "{} has no id yet; insert its row first, then settle with the id that it got",
                T::TYPE
            );
            return Err(Failure::reject(reason));
        }
        let id = id.to_id();
        let mut change = self.pending.change.clone();
        let mut tasks = self.pending.tasks.clone();
        let mut exchanged = self.pending.exchanged.clone();
        if *is_new {
            change.id = id;
            Self::identify(&mut tasks, &change)?;
            Self::identify_taken(&mut exchanged, &change)?;
        } else if change.id != id {
            let reason =
                format!("{} {} is settled with the id {id}; settle it with its own", T::TYPE, change.id);
            return Err(Failure::reject(reason));
        }
        let object = ObjectKey { object_type: change.object_type.clone(), id: change.id.clone() };
        let own = external_id.iter().map(|external_id| Binding {
            connector: settles.queue.connector.clone(),
            object: object.clone(),
            external_id: external_id.clone(),
        });
        let bindings = self.pending.bindings.iter().cloned().chain(own).collect();
        let settled = SettledEntry { unbound: unbound.clone(), bindings, tasks, exchanged, deleted: None };
        let json = entry::write_settled(&change, settles, settled, *key);
        Ok(Statement::new(sql, json.map_err(|error| Failure::reject(error.to_string()))?))
    }

    /// Gives the tasks of a new object its id.
    fn identify(tasks: &mut [NewTask], change: &ChangeSummary) -> Result<(), Failure> {
        let Some(first) = tasks.first() else { return Ok(()) };
        let told = serde_json::from_slice(&first.data).map_err(|error| unfit::<T>(change, &error))?;
        let told = Self::with_id(told, change)?;
        let data = serde_json::to_vec(&told).map_err(|error| unfit::<T>(change, &error))?;
        let title = title(T::DISPLAY, change);
        for task in tasks {
            task.key = key_with_id(&task.key, &change.id);
            task.title.clone_from(&title);
            task.data.clone_from(&data);
        }
        Ok(())
    }

    /// Gives what both sides have of a new object its id.
    fn identify_taken(exchanged: &mut [ExchangeWrite], change: &ChangeSummary) -> Result<(), Failure> {
        for write in exchanged {
            let Said::Taken { data, .. } = &mut write.said else { continue };
            let object = serde_json::from_slice(data).map_err(|error| unfit::<T>(change, &error))?;
            let taken = Payload {
                object,
                references: Vec::new(),
                children: Vec::new(),
                page: None,
                version: T::VERSION,
            };
            let taken = Self::with_id(taken, change)?.object;
            *data = serde_json::to_vec(&taken).map_err(|error| unfit::<T>(change, &error))?;
        }
        Ok(())
    }

    /// The same object with its id; what tells the referenced objects apart was looked up already.
    fn with_id(payload: Payload, change: &ChangeSummary) -> Result<Payload, Failure> {
        let id = T::Id::from_id(&change.id).ok_or_else(|| unfit::<T>(change, &"it is of another kind"))?;
        let (references, version) = (payload.references.clone(), payload.version);
        let mut object: T = payload.read().map_err(|error| unfit::<T>(change, &error))?;
        object.set_id(id);
        let payload = Payload::of(&object).map_err(|error| unfit::<T>(change, &error))?;
        Ok(Payload { references, version, ..payload })
    }
}

fn unfit<T: BusObject>(change: &ChangeSummary, error: &dyn fmt::Display) -> Failure {
    Failure::reject(format!("{} cannot be given the id {}: {error}", T::TYPE, change.id))
}

impl<T> fmt::Debug for Settlement<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settlement").field("settles", &self.pending.settles).finish_non_exhaustive()
    }
}
