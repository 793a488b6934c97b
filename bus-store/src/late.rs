//! What connectors were told of without all that it refers to.

use bus_core::{ConnectorName, ObjectKey};
use tokio::sync::watch;

use crate::StoreFuture;

/// Late references that were delivered unresolved, until the external system knows what they point at. Written by
/// [`TaskLog::commit`](crate::TaskLog::commit).
pub trait Late {
    /// Objects that a connector was told of without something that it has a binding for by now (or had, since then), in the
    /// order of connector, type and id, beginning after the given one. Each of them once.
    fn resolved(
        &self,
        after: Option<(ConnectorName, ObjectKey)>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<(ConnectorName, ObjectKey)>>;

    /// Rings when there may be more of them. It has rung before the commit that caused it returns to its caller; what
    /// another process commits is noticed after a second at most.
    fn late_bell(&self) -> watch::Receiver<u64>;

    /// Rings it by hand: for whoever could do nothing about them before, and can now.
    fn ring_late(&self);
}

/// What an object refers to that a connector could not be told of when it was told of the object last. It takes the place
/// of what was remembered of the object and the connector before; nothing, where nothing is left to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateReferences {
    /// The registered connector.
    pub connector: ConnectorName,
    /// The object that refers.
    pub object: ObjectKey,
    /// What it refers to.
    pub unresolved: Vec<ObjectKey>,
}
