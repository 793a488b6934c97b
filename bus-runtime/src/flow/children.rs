//! Child objects: objects of their own that travel with their parent. A list that comes with an object becomes writes
//! (`given`, by the rule in `plan`); whatever is written of a child is told of its parents, too (`family`), whose
//! snapshots hold it (`snapshot`).
//!
//! Snapshots are read before they are written down. So whoever writes beneath an object touches it, up to the topmost
//! parent: of two who saw the same, one starts over, and the last snapshot that is logged is the newest.

mod family;
mod given;
mod plan;
mod snapshot;

use bus_core::payload::Payload;
use bus_core::reference::ReferenceRole;
use bus_core::{ListField, ObjectId, ObjectKey, ObjectType};
use bus_store::{ObjectRecord, StoreError, StoreErrorKind};

use crate::error::{BusError, BusErrorKind};
use crate::registry::Registry;
use crate::shared::Shared;

pub(crate) use family::with_family;
pub(crate) use given::beneath;
pub(crate) use snapshot::{Pending, snapshot};

/// How many levels of children may stand beneath an object.
pub(crate) const LEVELS_MAX: usize = 8;

/// How many objects may stand beneath one, on all levels together.
pub(crate) const OBJECTS_MAX: usize = 10_000;

/// How many are asked of the store at once.
const PAGE: usize = 1_000;

/// How often reading them begins again.
const MOVED_MAX: usize = 100;

/// How often a write starts over where objects stand above or beneath it: all that is written beneath one object goes
/// one after the other, and of those who come together only one wins.
pub(crate) const CONFLICTS_MAX: usize = 100;

/// A list of child objects, as it came with an object.
#[derive(Debug)]
pub(crate) struct GivenList {
    pub(crate) list: &'static ListField,
    pub(crate) objects: Vec<Payload>,
}

/// Takes the lists of child objects out of an object: they are not stored in it.
pub(crate) fn take_lists(registry: &Registry, object_type: &str, payload: &mut Payload) -> Vec<GivenList> {
    let lists = registry.child_lists(object_type).iter();
    let taken =
        lists.filter_map(|list| payload.take_list(list.field).map(|objects| GivenList { list, objects }));
    taken.collect()
}

/// Whether a reference in an object's snapshot, by its place, is that of a child to the object in whose list it stands:
/// whoever has the one has the other.
pub(crate) fn is_to_owner(registry: &Registry, object_type: &ObjectType, at: &str) -> bool {
    let mut object_type = object_type.as_str();
    let mut is_beneath = false;
    let mut names = at.split('/').skip(1).map(|name| name.replace("~1", "/").replace("~0", "~"));
    while let Some(name) = names.next() {
        if let Some(list) = registry.child_lists(object_type).iter().find(|list| list.field == name) {
            object_type = list.object_type;
            is_beneath = true;
            // Which of its objects.
            names.next();
            continue;
        }
        let Some(object) = registry.object_type(object_type) else { return false };
        let is_parent = |field: &bus_core::reference::ReferenceField| {
            field.field == name && field.role == ReferenceRole::Parent
        };
        return is_beneath && names.next().is_none() && object.references.iter().any(is_parent);
    }
    false
}

/// All children of a type beneath an object, in the order in which they were saved first. It begins again where the last
/// one of a page has gone meanwhile.
async fn children_of(
    shared: &Shared,
    child_type: &ObjectType,
    parent: &ObjectId,
) -> Result<Vec<ObjectRecord>, StoreError> {
    let mut all: Vec<ObjectRecord> = Vec::new();
    let mut moved = 0;
    loop {
        let after = all.last().map(|last| last.key.id.clone());
        match shared.store.list_children(child_type, parent, after, PAGE).await {
            Ok(page) => {
                let is_last = page.len() < PAGE;
                all.extend(page);
                if is_last || all.len() > OBJECTS_MAX {
                    return Ok(all);
                }
            }
            Err(error) if error.kind() == StoreErrorKind::NotFound => {
                moved += 1;
                all.clear();
                if moved == MOVED_MAX {
                    let message = "the children change faster than they are read";
                    return Err(StoreError::new(StoreErrorKind::Unavailable, "list children", message));
                }
            }
            Err(error) => return Err(error),
        }
    }
}

fn parse_type(object_type: &str) -> Result<ObjectType, BusError> {
    ObjectType::parse(object_type).map_err(|error| BusError::new(BusErrorKind::BadName, error.to_string()))
}

/// The store could not be asked what stands around an object.
fn unasked(key: &ObjectKey, error: StoreError) -> BusError {
    BusError::store(&format!("read what stands around {key}"), error)
}

/// So many stand beneath one object that nobody could be sent all of them.
fn too_many(key: &ObjectKey) -> BusError {
    let message = format!(
        "more than {OBJECTS_MAX} objects stand beneath {key}; let some of them be no children, or be children of others"
    );
    BusError::new(BusErrorKind::TooLarge, message)
}

/// Objects stand beneath each other on too many levels, or in a circle.
fn too_deep(key: &ObjectKey) -> BusError {
    let message = format!(
        "children stand around {key} on more than {LEVELS_MAX} levels; is one of them its own parent? Mend that, or use \
         plain references"
    );
    BusError::new(BusErrorKind::TooLarge, message)
}
