//! An object with all that stands beneath it, as its snapshots hold it.

use std::collections::{HashMap, HashSet};

use bus_core::payload::Payload;
use bus_core::{BoxFuture, ObjectId, ObjectKey, ObjectType};
use bus_store::{ObjectRecord, ObjectWrite};

use super::{LEVELS_MAX, OBJECTS_MAX, children_of, parse_type, too_deep, too_many, unasked};
use crate::error::BusError;
use crate::flow::change::Stored;
use crate::shared::Shared;

/// What is about to be written, over what the store has.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// The latest of each; `None` for one that goes.
    written: HashMap<ObjectKey, Option<ObjectRecord>>,
    /// Those that are saved, by type and parent, in the order in which they are written.
    beneath: HashMap<(ObjectType, ObjectId), Vec<ObjectKey>>,
}

impl Pending {
    pub(crate) fn of(writes: &[ObjectWrite]) -> Self {
        let mut pending = Self::default();
        for write in writes {
            match write {
                ObjectWrite::Save { record, .. } => {
                    if let Some(parent) = &record.parent {
                        let of_parent = (record.key.object_type.clone(), parent.clone());
                        pending.beneath.entry(of_parent).or_default().push(record.key.clone());
                    }
                    pending.written.insert(record.key.clone(), Some(record.clone()));
                }
                ObjectWrite::Delete { key, .. } => {
                    pending.written.insert(key.clone(), None);
                }
                ObjectWrite::Assign { .. }
                | ObjectWrite::Unassign { .. }
                | ObjectWrite::Touch { .. }
                | ObjectWrite::Check { .. } => {}
            }
        }
        pending
    }

    /// The children of a type beneath an object, as they will be: those that are stored keep their places, new ones
    /// follow.
    async fn children(
        &self,
        shared: &Shared,
        child_type: &ObjectType,
        parent: &ObjectKey,
    ) -> Result<Vec<ObjectRecord>, BusError> {
        let stored =
            children_of(shared, child_type, &parent.id).await.map_err(|error| unasked(parent, error))?;
        let mut seen: HashSet<ObjectKey> = HashSet::new();
        let mut children = Vec::with_capacity(stored.len());
        let is_beneath = |record: &ObjectRecord| record.parent.as_ref() == Some(&parent.id);
        for record in stored {
            seen.insert(record.key.clone());
            match self.written.get(&record.key) {
                None => children.push(record),
                Some(written) => children.extend(written.clone().filter(is_beneath)),
            }
        }
        let of_parent = (child_type.clone(), parent.id.clone());
        for key in self.beneath.get(&of_parent).into_iter().flatten() {
            if seen.insert(key.clone()) {
                children.extend(self.written.get(key).cloned().flatten().filter(is_beneath));
            }
        }
        Ok(children)
    }
}

/// This object with the objects beneath it in its lists, on all levels. One whose type has no such lists is as it was.
pub(crate) async fn snapshot(
    shared: &Shared,
    key: &ObjectKey,
    payload: Payload,
    pending: &Pending,
) -> Result<Payload, BusError> {
    let mut left = OBJECTS_MAX;
    let beneath = Beneath { shared, pending, top: key };
    beneath.fill(key.clone(), payload, LEVELS_MAX, &mut left).await
}

struct Beneath<'a> {
    shared: &'a Shared,
    pending: &'a Pending,
    top: &'a ObjectKey,
}

impl Beneath<'_> {
    fn fill<'f>(
        &'f self,
        key: ObjectKey,
        mut payload: Payload,
        levels: usize,
        left: &'f mut usize,
    ) -> BoxFuture<'f, Result<Payload, BusError>> {
        Box::pin(async move {
            for list in self.shared.registry.child_lists(key.object_type.as_str()) {
                let child_type = parse_type(list.object_type)?;
                let children = self.pending.children(self.shared, &child_type, &key).await?;
                if levels == 0 && !children.is_empty() {
                    return Err(too_deep(self.top));
                }
                *left = left.checked_sub(children.len()).ok_or_else(|| too_many(self.top))?;
                let mut objects = Vec::with_capacity(children.len());
                for child in children {
                    let child = Stored::read(&self.shared.registry, child)?;
                    objects.push(
                        self.fill(child.record.key, child.payload, levels.saturating_sub(1), left).await?,
                    );
                }
                payload = payload.with_list(list.field, objects);
            }
            Ok(payload)
        })
    }
}
