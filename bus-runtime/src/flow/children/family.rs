//! What else is written, and told, when objects are: what stands beneath one that goes, and the parents of each.

use std::collections::{BTreeSet, VecDeque};

use bus_core::{ConnectorName, ObjectId, ObjectKey, ObjectOperation};
use bus_store::{Expected, ObjectRecord, ObjectWrite};

use super::{
    LEVELS_MAX, OBJECTS_MAX, Pending, children_of, parse_type, snapshot, too_deep, too_many, unasked,
};
use crate::error::BusError;
use crate::flow::change::{ChangeSet, HostChange, Stored};
use crate::flow::task_log::subscribers;
use crate::shared::Shared;

/// The set with all that follows from it: what stands beneath an object that is deleted is deleted with it; the parents of
/// what is written are touched, and whoever takes snapshots of them is told; and the snapshots of all of them are taken.
pub(crate) async fn with_family(
    shared: &Shared,
    set: ChangeSet,
    origin: Option<&ConnectorName>,
) -> Result<ChangeSet, BusError> {
    let in_family = |write: &ObjectWrite| shared.registry.is_in_family(key_of(write).object_type.as_str());
    if !set.writes.iter().any(in_family) {
        return Ok(set);
    }
    let mut family = Family { shared, origin, set, gone: Vec::new() };
    family.delete_beneath().await?;
    family.touch_parents().await?;
    family.take_snapshots().await?;
    Ok(family.set)
}

struct Family<'a> {
    shared: &'a Shared,
    origin: Option<&'a ConnectorName>,
    set: ChangeSet,
    /// What goes because its parent does.
    gone: Vec<ObjectRecord>,
}

impl Family<'_> {
    async fn delete_beneath(&mut self) -> Result<(), BusError> {
        let deleted = self.set.writes.iter().filter_map(ObjectWrite::deleted);
        let mut above: VecDeque<_> =
            deleted.filter(|(_, was_gone)| !was_gone).map(|(key, _)| key.clone()).collect();
        let mut is_written: BTreeSet<ObjectKey> = self.set.writes.iter().map(key_of).cloned().collect();
        let mut follows = ChangeSet::default();
        while let Some(parent) = above.pop_front() {
            for list in self.shared.registry.child_lists(parent.object_type.as_str()) {
                let child_type = parse_type(list.object_type)?;
                let children = children_of(self.shared, &child_type, &parent.id).await;
                for child in children.map_err(|error| unasked(&parent, error))? {
                    // One that is saved beneath another parent in the same breath stays.
                    if !is_written.insert(child.key.clone()) {
                        continue;
                    }
                    if self.gone.len() == OBJECTS_MAX {
                        return Err(too_many(&parent));
                    }
                    let child = Stored::read(&self.shared.registry, child)?;
                    let (key, expected) = (child.record.key.clone(), Expected::Version(child.record.version));
                    above.push_back(key.clone());
                    let change = HostChange::deleted(&child, self.origin);
                    self.gone.push(child.record);
                    follows = ChangeSet::of(ObjectWrite::Delete { key, expected }, change).and(follows);
                }
            }
        }
        // What stands lowest goes first.
        let set = std::mem::take(&mut self.set);
        self.set = follows.and(set);
        Ok(())
    }

    async fn touch_parents(&mut self) -> Result<(), BusError> {
        let with_change: BTreeSet<ObjectKey> = self
            .set
            .writes
            .iter()
            .filter(|write| matches!(write, ObjectWrite::Save { .. } | ObjectWrite::Delete { .. }))
            .map(|write| key_of(write).clone())
            .collect();
        let mut parents: VecDeque<(ObjectKey, usize)> = VecDeque::new();
        for write in &self.set.writes {
            for parent in self.parents_of(write).await? {
                parents.push_back((parent, 1));
            }
        }
        let mut seen = BTreeSet::new();
        while let Some((key, level)) = parents.pop_front() {
            if level > LEVELS_MAX {
                return Err(too_deep(&key));
            }
            // Its own write is looked at as well.
            if with_change.contains(&key) || !seen.insert(key.clone()) {
                continue;
            }
            let record = self.shared.store.object(&key).await.map_err(|error| unasked(&key, error))?;
            let Some(parent) =
                record.map(|record| Stored::read(&self.shared.registry, record)).transpose()?
            else {
                continue;
            };
            parents.extend(self.owner(&parent.record).map(|above| (above, level + 1)));
            // It may be assigned to a site in the same breath.
            let earlier = self.set.writes.iter().filter(|write| *key_of(write) == key).count();
            let version = parent.record.version + i64::try_from(earlier).unwrap_or(i64::MAX);
            let change = HostChange::beneath(&parent, self.origin);
            let set = std::mem::take(&mut self.set);
            self.set = set.and(ChangeSet::of(ObjectWrite::Touch { key, version }, change));
        }
        Ok(())
    }

    /// Whose child an object was, and whose it will be.
    async fn parents_of(&self, write: &ObjectWrite) -> Result<Vec<ObjectKey>, BusError> {
        let key = key_of(write);
        let (is, was_there) = match write {
            ObjectWrite::Save { record, expected } => (self.owner(record), *expected != Expected::Absent),
            ObjectWrite::Delete { .. } => (None, true),
            ObjectWrite::Assign { .. }
            | ObjectWrite::Unassign { .. }
            | ObjectWrite::Touch { .. }
            | ObjectWrite::Check { .. } => {
                return Ok(Vec::new());
            }
        };
        let mut was = None;
        if was_there && self.shared.registry.owner_field(key.object_type.as_str()).is_some() {
            let known = self.gone.iter().find(|record| record.key == *key).cloned();
            let record = match known {
                Some(record) => Some(record),
                None => self.shared.store.object(key).await.map_err(|error| unasked(key, error))?,
            };
            was = record.and_then(|record| self.owner(&record)).filter(|was| is.as_ref() != Some(was));
        }
        Ok(was.into_iter().chain(is).collect())
    }

    fn owner(&self, record: &ObjectRecord) -> Option<ObjectKey> {
        let field = self.shared.registry.owner_field(record.key.object_type.as_str())?;
        let id: ObjectId = record.parent.clone()?;
        Some(ObjectKey { object_type: field.object_type.parse().ok()?, id })
    }

    async fn take_snapshots(&mut self) -> Result<(), BusError> {
        let roster = self.shared.roster();
        let mut pending = None;
        for change in &mut self.set.changes {
            let object_type = change.summary.object_type.clone();
            if self.shared.registry.child_lists(object_type.as_str()).is_empty() {
                continue;
            }
            let told = subscribers(&roster, change);
            if !told.values().any(|told| told.data_type.has_children()) {
                continue;
            }
            let key = ObjectKey { object_type, id: change.summary.id.clone() };
            let payload = change.payload.clone();
            // What is gone is told as it was.
            change.payload = if change.summary.operation == ObjectOperation::Delete {
                snapshot(self.shared, &key, payload, &Pending::default()).await?
            } else {
                let pending = pending.get_or_insert_with(|| Pending::of(&self.set.writes));
                snapshot(self.shared, &key, payload, pending).await?
            };
        }
        Ok(())
    }
}

fn key_of(write: &ObjectWrite) -> &ObjectKey {
    match write {
        ObjectWrite::Save { record, .. } => &record.key,
        ObjectWrite::Delete { key, .. }
        | ObjectWrite::Assign { key, .. }
        | ObjectWrite::Unassign { key, .. }
        | ObjectWrite::Touch { key, .. }
        | ObjectWrite::Check { key, .. } => key,
    }
}
