//! The built-in object store.

use bus_core::{ObjectId, ObjectKey, ObjectType, SiteName, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::StoreFuture;

/// Where the bus itself keeps objects. Written by [`TaskLog::commit`](crate::TaskLog::commit).
pub trait Objects {
    /// The object with this type and id.
    fn object(&self, key: &ObjectKey) -> StoreFuture<'_, Option<ObjectRecord>>;

    /// The object that this describes.
    fn find_object(&self, query: &ObjectQuery) -> StoreFuture<'_, Option<ObjectRecord>>;

    /// The objects of a type in the order of their numbers as stored (first saved, first listed; an update keeps
    /// the place), beginning after the given id.
    ///
    /// # Errors
    ///
    /// `NotFound` when the object to begin after is gone: begin again.
    fn list_objects(
        &self,
        object_type: &ObjectType,
        after: Option<ObjectId>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<ObjectRecord>>;

    /// The objects of these types in the order of their places (as above, across types), beginning behind the given
    /// place; each with its own. The first place is behind 0. An object keeps its place for as long as it is there, so
    /// whoever goes on behind the last one sees every object that is there all the time, once.
    fn walk_objects(
        &self,
        types: &[ObjectType],
        after: u64,
        limit: usize,
    ) -> StoreFuture<'_, Vec<(u64, ObjectRecord)>>;

    /// The objects of a type whose parent has this id, as [`Objects::list_objects`] lists all of a type.
    ///
    /// # Errors
    ///
    /// `NotFound` when the object to begin after is gone, or has another parent by now: begin again.
    fn list_children(
        &self,
        child_type: &ObjectType,
        parent: &ObjectId,
        after: Option<ObjectId>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<ObjectRecord>>;

    /// How many objects of this type there are.
    fn count_objects(&self, object_type: &ObjectType) -> StoreFuture<'_, u64>;

    /// The sites that an object is assigned to, by name; none where there is no such object.
    fn sites_of(&self, object: &ObjectKey) -> StoreFuture<'_, Vec<SiteName>>;

    /// So many numbers that no object of this store, of whatever type, has or ever had: the ids of new objects, in
    /// ascending order. Larger than every number ever saved or answered.
    fn new_object_numbers(&self, count: usize) -> StoreFuture<'_, Vec<i64>>;

    /// When an object was saved last, by the clock of whoever did it; `None` where that is not known, or it is not there.
    fn changed_at(&self, key: &ObjectKey) -> StoreFuture<'_, Option<Timestamp>>;

    /// From now on, and for good, the objects of this type live in tables of the application's own: that this store has
    /// none of them does not say that they are gone, so that their bindings count.
    fn live_elsewhere(&self, object_type: &ObjectType) -> StoreFuture<'_, ()>;
}

/// An object as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectRecord {
    /// Its type and id.
    pub key: ObjectKey,
    /// Its GUID; unique within the type.
    pub guid: Option<Uuid>,
    /// Its code name; unique within type, site and parent.
    pub code_name: Option<String>,
    /// What people call it.
    pub display_name: Option<String>,
    /// Its site; none for a global object.
    pub site: Option<SiteName>,
    /// The host's id of its parent.
    pub parent: Option<ObjectId>,
    /// The host's id of its group.
    pub group: Option<ObjectId>,
    /// Its payload, in JSON.
    pub data: Vec<u8>,
    /// Grows by one with every write; 1 for a new object, also for one whose id was there before. Ignored when
    /// writing.
    pub version: i64,
}

/// A write to the built-in object store, with what the writer believes to be true.
#[derive(Debug, Clone, PartialEq)]
pub enum ObjectWrite {
    /// This is the object now.
    Save {
        /// The object.
        record: ObjectRecord,
        /// What was there before.
        expected: Expected,
    },
    /// The object is gone, and its assignments with it. Its bindings stay until the delete has been delivered.
    Delete {
        /// The object.
        key: ObjectKey,
        /// What was there before.
        expected: Expected,
    },
    /// The object, which must be global, is assigned to the site, if it was not already. A write of the object: its
    /// version grows, its place and its data stay.
    Assign {
        /// The object.
        key: ObjectKey,
        /// The site, which must be registered.
        site: SiteName,
        /// The version in which the object is.
        version: i64,
    },
    /// The object is not assigned to the site any more. A write of the object, as above.
    Unassign {
        /// The object.
        key: ObjectKey,
        /// The site.
        site: SiteName,
        /// The version in which the object is.
        version: i64,
    },
    /// Nothing is written: what is there must be what the writer believes.
    Check {
        /// The object.
        key: ObjectKey,
        /// What is there.
        expected: Expected,
    },
    /// Something beneath the object is different: its version grows, everything else stays. So whoever saw it together
    /// with what is beneath it, as that was, is noticed.
    Touch {
        /// The object.
        key: ObjectKey,
        /// The version in which the object is.
        version: i64,
    },
}

impl ObjectWrite {
    /// The object that is written whole.
    pub fn saved(&self) -> Option<&ObjectKey> {
        match self {
            Self::Save { record, .. } => Some(&record.key),
            Self::Delete { .. }
            | Self::Assign { .. }
            | Self::Unassign { .. }
            | Self::Check { .. }
            | Self::Touch { .. } => None,
        }
    }

    /// The object that is gone by it, and whether it was before.
    pub fn deleted(&self) -> Option<(&ObjectKey, bool)> {
        match self {
            Self::Delete { key, expected } => Some((key, *expected == Expected::Absent)),
            Self::Save { .. }
            | Self::Assign { .. }
            | Self::Unassign { .. }
            | Self::Check { .. }
            | Self::Touch { .. } => None,
        }
    }
}

/// Why an object that belongs to a site is not assigned to any: it is one or the other.
pub fn belongs_already(object: &ObjectKey, site: &SiteName) -> String {
    format!(
        "`{object}` belongs to site {site}, and only global objects are assigned to sites; make it a global one"
    )
}

/// Why an object that is assigned to a site cannot belong to one.
pub fn assigned_already(object: &ObjectKey, assigned: &SiteName) -> String {
    format!(
        "`{object}` cannot belong to a site: it is assigned to site {assigned}; remove it from there first"
    )
}

/// What a writer believes to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// No object with this id.
    Absent,
    /// The object in this version.
    Version(i64),
}

/// Describes an object of the host by what does not depend on its id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ObjectQuery {
    /// Its type.
    pub object_type: ObjectType,
    /// How it is known; an object found by GUID need not match site, parent or group.
    pub by: FoundBy,
    /// Its site; `None` for a global object.
    pub site: Option<SiteName>,
    /// The host's id of its parent; `None` for an object without one.
    pub parent: Option<ObjectId>,
    /// The host's id of its group; `None` asks for any.
    pub group: Option<ObjectId>,
}

/// By what an object is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundBy {
    /// By its GUID, wherever it belongs.
    Guid(Uuid),
    /// By its code name, within site, parent and group.
    CodeName(String),
}
