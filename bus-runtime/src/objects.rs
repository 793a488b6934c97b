//! The application's way to the built-in object store: saving logs in the same transaction.

mod assigned;

use std::sync::Arc;

use bus_core::parts::{Identified, ObjectParts, set_identity};
use bus_core::{BusObject, ConnectorName, HostId, ObjectId, ObjectKey, ObjectType};
use bus_store::{Commit, Expected, FoundBy, ObjectQuery, ObjectRecord, ObjectWrite};

use crate::Result;
use crate::error::{BusError, BusErrorKind};
use crate::flow::change::{ChangeSet, HostChange, Stored, has_external_reference};
use crate::flow::children;
use crate::flow::express::SyncEnd;
use crate::flow::numbers::new_number;
use crate::flow::saving;
use crate::flow::versions;
use crate::shared::Shared;

/// How often a save starts over when somebody else changed the same object in between.
const CONFLICTS_MAX: usize = 10;

/// The most objects that one page lists.
const PAGE_MAX: usize = 1_000;

/// What came of saving or deleting an object.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Saved {
    /// The object's type and id.
    pub key: ObjectKey,
    /// How it ended with each connector that is told before this call returns.
    pub synchronous: Vec<(ConnectorName, SyncEnd)>,
}

/// The built-in object store: objects that live in the bus's own tables. Made by `Bus::objects`.
#[derive(Clone)]
pub struct ObjectStore {
    shared: Arc<Shared>,
}

impl ObjectStore {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Saves an object, and logs the change for whoever subscribed, in one transaction; durable when it returns.
    ///
    /// An object whose id is unset (zero, nil) is new: it is given an id, and a GUID if it has such a field and none
    /// in it. Connectors with a `sync` line are told before this returns, where they can be; [`Saved::synchronous`] says how
    /// that ended, and the change is saved whatever it says. An object that has an id is what the object with this id is from now on; lists of children that are not
    /// loaded stay as they are, except within a `Vec` or within other children that are loaded: whoever writes those
    /// writes the lists in them too. If nothing about it changed, nothing is written or logged.
    ///
    /// Child objects that come with it in a list are saved in the same transaction, by the list's rule, and given their ids:
    /// `incremental` adds and changes, `complete` deletes the others, too. One that is not known by its id is known by its
    /// GUID, else by its code name beneath this parent. Whatever is saved beneath an object is told to those who take
    /// snapshots of that. At most 8 levels and 10,000 objects stand beneath one.
    ///
    /// # Errors
    ///
    /// `Conflict` when its GUID, or its code name within site and parent, belongs to another object; `Vetoed` when a
    /// listener says no; `UnknownSite` when its site is not registered; `TooLarge`; `Malformed` when a list names a child of another
    /// object, or has the rule `none`; `Malformed` when it cannot be written as JSON, or refers to an external id;
    /// `UnknownKind` when the program does not declare its type; `WrongState` when its type has a repository; `Store`.
    pub async fn save<T: BusObject>(&self, object: &mut T) -> Result<Saved> {
        let object_type = self.object_type::<T>()?;
        self.shared.host().check_built_in(&object_type, "save it")?;
        if object.id().is_unset() {
            let number = new_number(&self.shared.store).await;
            let number =
                number.map_err(|error| BusError::store(&format!("give a new {object_type} an id"), error))?;
            set_identity(object, Identified::New { number, guid: self.shared.new_uuid() })
                .map_err(|error| malformed(&object_type, &error.to_string()))?;
        }
        let mut conflict = None;
        for _ in 0..self.conflicts_max(&object_type) {
            match self.try_save(object, &object_type).await {
                Err(error) if error.kind() == BusErrorKind::Conflict => conflict = Some(error),
                Err(error) => return Err(error),
                Ok((saved, children)) => {
                    let mut children = children.into_iter();
                    object
                        .identify_children(&mut || children.next())
                        .map_err(|error| malformed(&object_type, &error.to_string()))?;
                    return Ok(saved);
                }
            }
        }
        Err(conflict.unwrap_or_else(|| malformed(&object_type, "it could not be saved")))
    }

    /// Saves it unless somebody else was faster; answers who its children are, too.
    async fn try_save<T: BusObject>(
        &self,
        object: &T,
        object_type: &ObjectType,
    ) -> Result<(Saved, Vec<Identified>)> {
        let parts = ObjectParts::of(object).map_err(|error| malformed(object_type, &error.to_string()))?;
        if let Some(at) = has_external_reference(&parts.payload) {
            return Err(malformed(
                object_type,
                &format!(
                    "the reference at {at} holds an external id; the host's objects refer to each other by `Ref::host`"
                ),
            ));
        }
        let key = ObjectKey { object_type: object_type.clone(), id: object.id().to_id() };
        let before = self.stored(&key).await?;
        let mut parts = parts;
        let lists = children::take_lists(&self.shared.registry, object_type.as_str(), &mut parts.payload);
        if let Some(before) = &before {
            parts.payload = parts.payload.laid_over(before.payload.clone());
        }
        let after = Stored::of(&self.shared.registry, parts)?;
        let mut set = ChangeSet::default();
        let is_new = before.is_none();
        if let Some(change) = HostChange::saved(before.as_ref(), &after, None) {
            let expected = before.map_or(Expected::Absent, |before| Expected::Version(before.record.version));
            set = ChangeSet::of(ObjectWrite::Save { record: after.record, expected }, change);
        }
        let beneath = children::beneath(&self.shared, &key, is_new, lists, None).await?;
        let set = set.and(beneath.set);
        if set.is_empty() {
            return Ok((Saved { key, synchronous: Vec::new() }, beneath.identities));
        }
        Ok((self.write(key, set).await?, beneath.identities))
    }

    /// Deletes an object with the child objects beneath it, and logs that for whoever subscribed, in one transaction.
    /// `None` when it was not there.
    ///
    /// # Errors
    ///
    /// `TooLarge` when more than 10,000 objects stand beneath it; else as for [`ObjectStore::save`].
    pub async fn delete<T: BusObject>(&self, id: &T::Id) -> Result<Option<Saved>> {
        let key = ObjectKey { object_type: self.object_type::<T>()?, id: id.to_id() };
        self.shared.host().check_built_in(&key.object_type, "delete it")?;
        let mut conflict = None;
        for _ in 0..self.conflicts_max(&key.object_type) {
            let Some(before) = self.stored(&key).await? else {
                return Ok(None);
            };
            let expected = Expected::Version(before.record.version);
            let change = HostChange::deleted(&before, None);
            let write = ObjectWrite::Delete { key: key.clone(), expected };
            match self.write(key.clone(), ChangeSet::of(write, change)).await {
                Ok(saved) => return Ok(Some(saved)),
                Err(error) if error.kind() == BusErrorKind::Conflict => conflict = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(conflict.unwrap_or_else(|| malformed(&key.object_type, "it could not be deleted")))
    }

    /// The object with this id.
    pub async fn load<T: BusObject>(&self, id: &T::Id) -> Result<Option<T>> {
        let key = ObjectKey { object_type: self.object_type::<T>()?, id: id.to_id() };
        self.stored(&key).await?.map(read).transpose()
    }

    /// The global object with this code name that has no parent.
    pub async fn find<T: BusObject>(&self, code_name: &str) -> Result<Option<T>> {
        let object_type = self.object_type::<T>()?;
        let by = FoundBy::CodeName(code_name.to_owned());
        let query = ObjectQuery { object_type, by, site: None, parent: None, group: None };
        let found = self.shared.host().find(&query).await;
        let found =
            found.map_err(|error| BusError::host(&format!("find {} `{code_name}`", T::TYPE), error))?;
        found.map(|found| self.read(found).and_then(read)).transpose()
    }

    /// The objects of a type, first saved first, beginning after the given id; at most `limit`, and at most 1,000.
    pub async fn list<T: BusObject>(&self, after: Option<&T::Id>, limit: usize) -> Result<Vec<T>> {
        let object_type = self.object_type::<T>()?;
        self.shared.host().check_built_in(&object_type, "list it")?;
        let after: Option<ObjectId> = after.map(HostId::to_id);
        let listed = self.shared.store.list_objects(&object_type, after, limit.min(PAGE_MAX)).await;
        let listed = listed.map_err(|error| BusError::store(&format!("list {object_type}"), error))?;
        listed.into_iter().map(|record| self.read(record).and_then(read)).collect()
    }

    /// The child objects of a type beneath an object, first saved first, beginning after the given id; at most `limit`,
    /// and at most 1,000.
    ///
    /// # Errors
    ///
    /// `UnknownKind` when `P` holds no list of `C`; `NotFound` when the child to begin after is gone, or has another
    /// parent by now; `Store`.
    pub async fn list_children<P: BusObject, C: BusObject>(
        &self,
        parent: &P::Id,
        after: Option<&C::Id>,
        limit: usize,
    ) -> Result<Vec<C>> {
        let (parent_type, child_type) = (self.object_type::<P>()?, self.object_type::<C>()?);
        if self.shared.registry.owner_field(C::TYPE).is_none_or(|field| field.object_type != P::TYPE) {
            let message = format!(
                "{parent_type} holds no list of {child_type}; give it a field `#[object(children, rule = incremental)]`, or \
                 list the objects by their type"
            );
            return Err(BusError::new(BusErrorKind::UnknownKind, message));
        }
        let (parent, after) = (parent.to_id(), after.map(HostId::to_id));
        let listed = self.shared.store.list_children(&child_type, &parent, after, limit.min(PAGE_MAX)).await;
        let what = format!("list the {child_type} of {parent_type} {parent}");
        listed
            .map_err(|error| BusError::store(&what, error))?
            .into_iter()
            .map(|record| self.read(record).and_then(read))
            .collect()
    }

    /// How many objects of a type there are.
    pub async fn count<T: BusObject>(&self) -> Result<u64> {
        let object_type = self.object_type::<T>()?;
        self.shared.host().check_built_in(&object_type, "count it")?;
        let count = self.shared.store.count_objects(&object_type).await;
        count.map_err(|error| BusError::store(&format!("count {object_type}"), error))
    }

    fn object_type<T: BusObject>(&self) -> Result<ObjectType> {
        let object_type = declared(&self.shared, T::TYPE)?;
        if !T::IS_VIEW {
            versions::check(&self.shared.registry, T::TYPE, T::VERSION).map_err(|error| {
                let message =
                    format!("`{}` is not what {object_type} is: {error}", std::any::type_name::<T>());
                BusError::new(BusErrorKind::Malformed, message)
            })?;
        }
        Ok(object_type)
    }

    /// How often a write starts over when somebody else changed the same in between.
    fn conflicts_max(&self, object_type: &ObjectType) -> usize {
        let is_in_family = self.shared.registry.is_in_family(object_type.as_str());
        if is_in_family { children::CONFLICTS_MAX } else { CONFLICTS_MAX }
    }

    async fn stored(&self, key: &ObjectKey) -> Result<Option<Stored>> {
        let record = self.shared.host().object(key).await;
        let record = record.map_err(|error| BusError::host(&format!("load {key}"), error))?;
        record.map(|record| self.read(record)).transpose()
    }

    fn read(&self, record: ObjectRecord) -> Result<Stored> {
        Stored::read(&self.shared.registry, record)
    }

    /// Writes what is about this object.
    async fn write(&self, key: ObjectKey, set: ChangeSet) -> Result<Saved> {
        let own = set.changes.iter().find(|change| change.summary.id == key.id);
        let operation = own.map_or("save", |change| change.summary.operation.as_str());
        let what = format!("{operation} {key}");
        let set = children::with_family(&self.shared, set, None).await?;
        let site = set.site().cloned();
        let commit = Commit { objects: set.writes, ..Commit::at(self.shared.now()) };
        let synchronous = saving::commit(&self.shared, &what, site.as_ref(), commit, &set.changes).await?;
        Ok(Saved { key, synchronous })
    }
}

fn read<T: BusObject>(stored: Stored) -> Result<T> {
    let key = stored.record.key;
    stored.payload.read().map_err(|error| {
        let message =
            format!("the stored object {key} does not fit `{}`: {error}", std::any::type_name::<T>());
        BusError::new(BusErrorKind::Malformed, message)
    })
}

fn malformed(object_type: &ObjectType, reason: &str) -> BusError {
    BusError::new(
        BusErrorKind::Malformed,
        format!("an object of type {object_type} cannot be saved: {reason}"),
    )
}

/// The object type of this name, if this program declares it: titles, parents and translation need that.
pub(crate) fn declared(shared: &Shared, name: &str) -> Result<ObjectType> {
    if !shared.registry.knows_object_type(name) {
        let message = format!(
            "nobody in this program declares the object type `{name}`; derive `BusObject` for it, or add it to the `Registry`"
        );
        return Err(BusError::new(BusErrorKind::UnknownKind, message));
    }
    ObjectType::parse(name).map_err(|error| BusError::new(BusErrorKind::BadName, error.to_string()))
}
