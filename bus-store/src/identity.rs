//! Which external id belongs to which object of the host.

use std::collections::BTreeSet;

use bus_core::{ConnectorName, ObjectId, ObjectKey, ObjectType, TaskId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::StoreFuture;

/// The identity map: one-to-one per registered connector and object type. Written by
/// [`TaskLog::commit`](crate::TaskLog::commit).
pub trait Identity {
    /// What the connector's external system calls each of these objects, also when the object is gone (its delete
    /// is still to be delivered); `None` where it is not known. In the order asked.
    fn external_ids(
        &self,
        connector: &ConnectorName,
        objects: &[ObjectKey],
    ) -> StoreFuture<'_, Vec<Option<ExternalId>>>;

    /// Which object of the host each of these external ids belongs to; `None` where it is not known, and where the
    /// object is gone from the built-in object store, also when there is another one of its id by now. In the order asked.
    fn host_ids(
        &self,
        connector: &ConnectorName,
        external: &[(ObjectType, String)],
    ) -> StoreFuture<'_, Vec<Option<ObjectId>>>;

    /// Which object that is gone this external id belonged to, as long as its delete is still to be delivered; `None` where
    /// it belongs to another one by now.
    fn gone_host_id(
        &self,
        connector: &ConnectorName,
        object_type: &ObjectType,
        external_id: &str,
    ) -> StoreFuture<'_, Option<ObjectId>>;

    /// The bindings of a connector, ordered by type and external id, beginning after the given one.
    fn bindings(
        &self,
        connector: &ConnectorName,
        after: Option<(ObjectType, String)>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<Binding>>;

    /// Which of the objects of a type that have been bound since before this time have none of these external ids: of a
    /// list that is known to be whole, those that are missing from it. Objects that are gone do not count, nor do those
    /// that were bound, or bound to something else, at that time or later: they may have been made since the list was.
    fn missing(
        &self,
        connector: &ConnectorName,
        object_type: &ObjectType,
        present: BTreeSet<String>,
        before: Timestamp,
    ) -> StoreFuture<'_, Missing>;
}

/// What a list that is whole lacks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Missing {
    /// How many objects could have been on the list.
    pub bound: u64,
    /// The external ids of those that are not, in ascending order.
    pub missing: Vec<String>,
}

/// What an external system calls an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalId {
    /// What it calls it.
    pub id: String,
    /// Set where the object is gone: the last task that was logged until then. Tasks after that one are about another
    /// object of the same id, to which the external id does not belong.
    pub ended: Option<TaskId>,
    /// Set where there was another object of the same id before: the last task that was logged until that was gone.
    pub since: Option<TaskId>,
}

impl ExternalId {
    /// What it calls the object that there is; `None` where that is gone.
    pub fn of_living(self) -> Option<String> {
        self.ended.is_none().then_some(self.id)
    }

    /// Whether it belongs to the object that this task is about.
    pub fn is_of(&self, task: TaskId) -> bool {
        self.ended.is_none_or(|ended| task <= ended) && self.since.is_none_or(|since| task > since)
    }
}

/// "Our object 17 is their object 003xx."
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The registered connector.
    pub connector: ConnectorName,
    /// Our object.
    pub object: ObjectKey,
    /// What they call it.
    pub external_id: String,
}

impl Binding {
    /// Whether not both can be true: they name one object, or one external id, and not the other.
    pub fn is_against(&self, other: &Self) -> bool {
        self.connector == other.connector
            && self.object.object_type == other.object.object_type
            && (self.object == other.object) != (self.external_id == other.external_id)
    }

    /// Why one that contradicts this one, which is known, is refused.
    pub fn refusal_of(&self, new: &Self) -> String {
        let Self { connector, object, external_id } = self;
        format!(
            "{} cannot be `{}` of {connector}: {object} is `{external_id}` already; unlink that first",
            new.object, new.external_id
        )
    }
}
