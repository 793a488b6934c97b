//! Which external id belongs to which object of the host.

use bus_core::{ConnectorName, ObjectId, ObjectKey, ObjectType};
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
    ) -> StoreFuture<'_, Vec<Option<String>>>;

    /// Which object of the host each of these external ids belongs to; `None` where it is not known, and where the
    /// object is gone from the built-in object store. In the order asked.
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

    /// Forgets what the connector's external system calls this object. Whether there was something to forget.
    fn unlink(&self, connector: &ConnectorName, object: &ObjectKey) -> StoreFuture<'_, bool>;
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
