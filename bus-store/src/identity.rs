//! Which external id belongs to which object of the host.

use bus_core::{ConnectorName, ObjectId, ObjectKey, ObjectType, TaskId};
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

    /// The bindings of a connector, ordered by type and external id, beginning after the given one.
    fn bindings(
        &self,
        connector: &ConnectorName,
        after: Option<(ObjectType, String)>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<Binding>>;
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
