//! The built-in object store, in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use bus_core::{ObjectId, ObjectKey, ObjectType, SiteName, Timestamp};
use uuid::Uuid;

use super::MemoryStore;
use crate::objects::{
    Expected, FoundBy, ObjectQuery, ObjectRecord, ObjectWrite, Objects, assigned_already, belongs_already,
};
use crate::sites::SiteUse;
use crate::{StoreError, StoreErrorKind, StoreFuture};

impl Objects for MemoryStore {
    fn object(&self, key: &ObjectKey) -> StoreFuture<'_, Option<ObjectRecord>> {
        let key = key.clone();
        self.with("object", move |state| Ok(state.objects.get(&key).cloned()))
    }

    fn find_object(&self, query: &ObjectQuery) -> StoreFuture<'_, Option<ObjectRecord>> {
        let query = query.clone();
        self.with("find object", move |state| Ok(state.objects.find(&query).cloned()))
    }

    fn list_objects(
        &self,
        object_type: &ObjectType,
        after: Option<ObjectId>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<ObjectRecord>> {
        let object_type = object_type.clone();
        self.with("list objects", move |state| state.objects.list(&object_type, after, limit))
    }

    fn walk_objects(
        &self,
        types: &[ObjectType],
        after: u64,
        limit: usize,
    ) -> StoreFuture<'_, Vec<(u64, ObjectRecord)>> {
        let types: BTreeSet<_> = types.iter().cloned().collect();
        self.with("walk objects", move |state| Ok(state.objects.walk(&types, after, limit)))
    }

    fn list_children(
        &self,
        child_type: &ObjectType,
        parent: &ObjectId,
        after: Option<ObjectId>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<ObjectRecord>> {
        let (child_type, parent) = (child_type.clone(), parent.clone());
        self.with("list children", move |state| {
            state.objects.list_children(&child_type, &parent, after, limit)
        })
    }

    fn count_objects(&self, object_type: &ObjectType) -> StoreFuture<'_, u64> {
        let object_type = object_type.clone();
        self.with("count objects", move |state| {
            let count = state.objects.in_order.get(&object_type).map_or(0, BTreeMap::len);
            Ok(count as u64)
        })
    }

    fn sites_of(&self, object: &ObjectKey) -> StoreFuture<'_, Vec<SiteName>> {
        let object = object.clone();
        self.with("sites of", move |state| {
            let stored = state.objects.by_key.get(&object);
            Ok(stored.map(|stored| stored.assigned.iter().cloned().collect()).unwrap_or_default())
        })
    }

    fn changed_at(&self, key: &ObjectKey) -> StoreFuture<'_, Option<Timestamp>> {
        let key = key.clone();
        self.with("changed at", move |state| Ok(state.saved_at.get(&key).copied()))
    }

    fn live_elsewhere(&self, object_type: &ObjectType) -> StoreFuture<'_, ()> {
        let object_type = object_type.clone();
        self.with("live elsewhere", move |state| {
            state.elsewhere.insert(object_type);
            Ok(())
        })
    }

    fn new_object_numbers(&self, count: usize) -> StoreFuture<'_, Vec<i64>> {
        self.with("new object numbers", move |state| {
            let first = state.objects.number_max;
            let last =
                i64::try_from(count).ok().and_then(|count| first.checked_add(count)).ok_or_else(|| {
                    StoreError::new(
                        StoreErrorKind::Unsupported,
                        "new object numbers",
                        "an object has the largest number there is; give new objects an id yourself",
                    )
                })?;
            state.objects.number_max = last;
            Ok((first + 1..=last).collect())
        })
    }
}

/// The objects, and the three ways to find them.
#[derive(Debug, Default)]
pub(super) struct ObjectTable {
    by_key: HashMap<ObjectKey, Stored>,
    by_guid: HashMap<(ObjectType, Uuid), ObjectKey>,
    by_code_name: HashMap<CodeName, ObjectKey>,
    in_order: HashMap<ObjectType, BTreeMap<u64, ObjectId>>,
    /// By their type and the id of their parent.
    by_parent: HashMap<(ObjectType, ObjectId), BTreeMap<u64, ObjectId>>,
    places: u64,
    number_max: i64,
}

#[derive(Debug, Clone)]
struct Stored {
    record: ObjectRecord,
    /// Its place in the order in which objects were saved first.
    place: u64,
    /// The sites that it is assigned to.
    assigned: BTreeSet<SiteName>,
}

/// Within what a code name is unique.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct CodeName {
    object_type: ObjectType,
    site: Option<SiteName>,
    parent: Option<ObjectId>,
    name: String,
}

impl ObjectTable {
    pub(super) fn get(&self, key: &ObjectKey) -> Option<&ObjectRecord> {
        self.by_key.get(key).map(|stored| &stored.record)
    }

    pub(super) fn find(&self, query: &ObjectQuery) -> Option<&ObjectRecord> {
        let key = match &query.by {
            FoundBy::Guid(guid) => return self.get(self.by_guid.get(&(query.object_type.clone(), *guid))?),
            FoundBy::CodeName(code_name) => self.by_code_name.get(&CodeName {
                object_type: query.object_type.clone(),
                site: query.site.clone(),
                parent: query.parent.clone(),
                name: code_name.clone(),
            })?,
        };
        self.get(key).filter(|record| query.group.is_none() || record.group == query.group)
    }

    fn list(
        &self,
        object_type: &ObjectType,
        after: Option<ObjectId>,
        limit: usize,
    ) -> Result<Vec<ObjectRecord>, StoreError> {
        let beyond = self.beyond("list objects", object_type, after, |_| true)?;
        Ok(self.page(object_type, self.in_order.get(object_type), beyond, limit))
    }

    fn list_children(
        &self,
        child_type: &ObjectType,
        parent: &ObjectId,
        after: Option<ObjectId>,
        limit: usize,
    ) -> Result<Vec<ObjectRecord>, StoreError> {
        let is_beneath = |record: &ObjectRecord| record.parent.as_ref() == Some(parent);
        let beyond = self.beyond("list children", child_type, after, is_beneath)?;
        let places = self.by_parent.get(&(child_type.clone(), parent.clone()));
        Ok(self.page(child_type, places, beyond, limit))
    }

    /// Where a list goes on.
    fn beyond(
        &self,
        operation: &'static str,
        object_type: &ObjectType,
        after: Option<ObjectId>,
        is_listed: impl Fn(&ObjectRecord) -> bool,
    ) -> Result<Bound<u64>, StoreError> {
        let Some(id) = after else { return Ok(Bound::Unbounded) };
        let key = ObjectKey { object_type: object_type.clone(), id };
        let stored = self.by_key.get(&key).filter(|stored| is_listed(&stored.record)).ok_or_else(|| {
            let message = format!("`{key}`, after which to go on, is gone; begin again");
            StoreError::new(StoreErrorKind::NotFound, operation, message)
        })?;
        Ok(Bound::Excluded(stored.place))
    }

    fn page(
        &self,
        object_type: &ObjectType,
        places: Option<&BTreeMap<u64, ObjectId>>,
        beyond: Bound<u64>,
        limit: usize,
    ) -> Vec<ObjectRecord> {
        let ids = places.into_iter().flat_map(|places| places.range((beyond, Bound::Unbounded))).take(limit);
        let records = ids.filter_map(|(_, id)| {
            self.get(&ObjectKey { object_type: object_type.clone(), id: id.clone() }).cloned()
        });
        records.collect()
    }

    fn walk(&self, types: &BTreeSet<ObjectType>, after: u64, limit: usize) -> Vec<(u64, ObjectRecord)> {
        let mut places = Vec::new();
        for object_type in types {
            let known = self.in_order.get(object_type).into_iter();
            let behind = known.flat_map(|known| known.range((Bound::Excluded(after), Bound::Unbounded)));
            places.extend(
                behind.take(limit).map(|(place, id)| {
                    (*place, ObjectKey { object_type: object_type.clone(), id: id.clone() })
                }),
            );
        }
        places.sort_unstable_by_key(|(place, _)| *place);
        places.truncate(limit);
        places.into_iter().filter_map(|(place, key)| Some((place, self.get(&key)?.clone()))).collect()
    }

    /// How much belongs, or is assigned, to a site.
    pub(super) fn use_of(&self, site: &SiteName) -> SiteUse {
        let objects = self.by_key.values().filter(|stored| stored.record.site.as_ref() == Some(site)).count();
        let assignments = self.by_key.values().filter(|stored| stored.assigned.contains(site)).count();
        SiteUse { objects: objects as u64, assignments: assignments as u64, pages: 0 }
    }

    /// Makes all of the writes, or none.
    pub(super) fn write_all(&mut self, writes: Vec<ObjectWrite>) -> Result<Vec<ObjectKey>, StoreError> {
        let mut written: Vec<ObjectKey> = Vec::with_capacity(writes.len());
        let mut undo: Vec<Option<Stored>> = Vec::with_capacity(writes.len());
        for write in writes {
            let key = match &write {
                ObjectWrite::Save { record, .. } => record.key.clone(),
                ObjectWrite::Delete { key, .. }
                | ObjectWrite::Assign { key, .. }
                | ObjectWrite::Unassign { key, .. }
                | ObjectWrite::Check { key, .. }
                | ObjectWrite::Touch { key, .. } => key.clone(),
            };
            let former = self.by_key.get(&key).cloned();
            let new = match self.after(&key, former.as_ref(), write) {
                Ok(new) => new,
                Err(conflict) => {
                    while let (Some(key), Some(former)) = (written.pop(), undo.pop()) {
                        self.put(&key, former);
                    }
                    return Err(conflict);
                }
            };
            self.put(&key, new);
            written.push(key);
            undo.push(former);
        }
        for key in &written {
            // A number is a number also where it came as text: ids are compared by their text.
            if let Ok(number) = key.id.to_text().parse() {
                self.number_max = self.number_max.max(number);
            }
        }
        Ok(written)
    }

    /// What a write makes of what is there.
    fn after(
        &mut self,
        key: &ObjectKey,
        former: Option<&Stored>,
        write: ObjectWrite,
    ) -> Result<Option<Stored>, StoreError> {
        let conflict = |message| Err(StoreError::new(StoreErrorKind::Conflict, "commit", message));
        let (version, assign, site) = match write {
            ObjectWrite::Save { record, expected } => {
                self.check(key, expected, Some(&record))?;
                let assigned = former.and_then(|former| former.assigned.first());
                if let Some(assigned) = assigned.filter(|_| record.site.is_some()) {
                    return conflict(assigned_already(key, assigned));
                }
                return Ok(Some(self.next(record, former)));
            }
            ObjectWrite::Delete { expected, .. } => {
                self.check(key, expected, None)?;
                return Ok(None);
            }
            ObjectWrite::Check { expected, .. } => {
                self.check(key, expected, None)?;
                return Ok(former.cloned());
            }
            ObjectWrite::Assign { site, version, .. } => (version, true, site),
            ObjectWrite::Unassign { site, version, .. } => (version, false, site),
            ObjectWrite::Touch { version, .. } => {
                self.check(key, Expected::Version(version), None)?;
                return Ok(former.cloned().map(|mut stored| {
                    stored.record.version += 1;
                    stored
                }));
            }
        };
        self.check(key, Expected::Version(version), None)?;
        let Some(mut stored) = former.cloned() else { return Ok(None) };
        if assign {
            if let Some(own) = &stored.record.site {
                return conflict(belongs_already(key, own));
            }
            stored.assigned.insert(site);
        } else {
            stored.assigned.remove(&site);
        }
        stored.record.version += 1;
        Ok(Some(stored))
    }

    fn check(
        &self,
        key: &ObjectKey,
        expected: Expected,
        new: Option<&ObjectRecord>,
    ) -> Result<(), StoreError> {
        let conflict = |message| Err(StoreError::new(StoreErrorKind::Conflict, "commit", message));
        match (expected, self.get(key).map(|record| record.version)) {
            (Expected::Absent, None) => {}
            (Expected::Version(expected), Some(there)) if expected == there => {}
            (Expected::Absent, Some(there)) => {
                return conflict(format!("`{key}` is there already, in version {there}; read it again"));
            }
            (Expected::Version(expected), None) => {
                return conflict(format!("`{key}` is gone, not in version {expected}; read it again"));
            }
            (Expected::Version(expected), Some(there)) => {
                return conflict(format!("`{key}` is in version {there}, not {expected}; read it again"));
            }
        }
        let Some(record) = new else { return Ok(()) };
        if let Some(guid) = record.guid
            && let Some(other) = self.by_guid.get(&(key.object_type.clone(), guid))
            && other != key
        {
            return conflict(format!("`{key}` cannot have the GUID {guid}: `{other}` has it"));
        }
        if let Some(code_name) = code_name_of(record)
            && let Some(other) = self.by_code_name.get(&code_name)
            && other != key
        {
            let code_name = code_name.name;
            return conflict(format!(
                "`{key}` cannot have the code name `{code_name}`: `{other}` has it, on the same site, beneath the \
                 same parent"
            ));
        }
        Ok(())
    }

    /// The record as it is stored after `former`.
    fn next(&mut self, mut record: ObjectRecord, former: Option<&Stored>) -> Stored {
        record.version = former.map_or(1, |former| former.record.version + 1);
        let place = former.map_or_else(
            || {
                self.places += 1;
                self.places
            },
            |former| former.place,
        );
        let assigned = former.map(|former| former.assigned.clone()).unwrap_or_default();
        Stored { record, place, assigned }
    }

    /// Puts this in the place of whatever is there under the key.
    fn put(&mut self, key: &ObjectKey, new: Option<Stored>) {
        if let Some(old) = self.by_key.remove(key) {
            if let Some(guid) = old.record.guid {
                self.by_guid.remove(&(key.object_type.clone(), guid));
            }
            if let Some(code_name) = code_name_of(&old.record) {
                self.by_code_name.remove(&code_name);
            }
            if let Some(places) = self.in_order.get_mut(&key.object_type) {
                places.remove(&old.place);
            }
            let of_parent = old.record.parent.map(|parent| (key.object_type.clone(), parent));
            if let Some(of_parent) = of_parent
                && let Some(places) = self.by_parent.get_mut(&of_parent)
            {
                places.remove(&old.place);
                if places.is_empty() {
                    self.by_parent.remove(&of_parent);
                }
            }
        }
        let Some(new) = new else { return };
        if let Some(guid) = new.record.guid {
            self.by_guid.insert((key.object_type.clone(), guid), key.clone());
        }
        if let Some(code_name) = code_name_of(&new.record) {
            self.by_code_name.insert(code_name, key.clone());
        }
        self.in_order.entry(key.object_type.clone()).or_default().insert(new.place, key.id.clone());
        if let Some(parent) = new.record.parent.clone() {
            let of_parent = (key.object_type.clone(), parent);
            self.by_parent.entry(of_parent).or_default().insert(new.place, key.id.clone());
        }
        self.by_key.insert(key.clone(), new);
    }
}

fn code_name_of(record: &ObjectRecord) -> Option<CodeName> {
    Some(CodeName {
        object_type: record.key.object_type.clone(),
        site: record.site.clone(),
        parent: record.parent.clone(),
        name: record.code_name.clone()?,
    })
}
