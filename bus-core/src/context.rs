//! What a connector is given with every call.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::clock::{BoxFuture, Clock, Timestamp};
use crate::failure::Failure;
use crate::name::ConnectorName;

/// What a connector is given with every call: who it is, the host's handles, the clock, and the sign to stop.
#[derive(Clone)]
pub struct Cx {
    connector: ConnectorName,
    handles: Handles,
    clock: Arc<dyn Clock>,
    cancellation: Arc<dyn Cancellation>,
}

impl Cx {
    /// A context by hand, as tests of a connector use it.
    pub fn new(
        connector: ConnectorName,
        handles: Handles,
        clock: Arc<dyn Clock>,
        cancellation: Arc<dyn Cancellation>,
    ) -> Self {
        Self { connector, handles, clock, cancellation }
    }

    /// The registered connector that this call is for.
    pub fn connector(&self) -> &ConnectorName {
        &self.connector
    }

    /// A handle that the application provided at start. Missing ones are a failure that names type and remedy;
    /// `#[connector(needs(H))]` reports them at start already.
    pub fn handle<H: Any + Send + Sync>(&self) -> Result<Arc<H>, Failure> {
        self.handles.get::<H>().ok_or_else(|| {
            Failure::reject(format!(
                "the application provides no `{0}`: add `.provide(...)` with a `{0}` to `Bus::builder`",
                type_name::<H>()
            ))
        })
    }

    /// The time now, by the bus's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns when the bus shuts down: stop soon, the call is dropped after the grace.
    pub async fn cancelled(&self) {
        self.cancellation.cancelled().await;
    }

    /// Whether the bus shuts down, for code that cannot await `cancelled`: a blocking call asks between its steps and
    /// ends soon when it is so.
    pub fn is_cancelled(&self) -> bool {
        self.cancellation.is_cancelled()
    }
}

impl fmt::Debug for Cx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cx").field("connector", &self.connector).finish_non_exhaustive()
    }
}

/// The sign to stop: a parameter, like the clock.
pub trait Cancellation: Send + Sync + 'static {
    /// Whether it was given.
    fn is_cancelled(&self) -> bool;

    /// Returns when it was given.
    fn cancelled(&self) -> BoxFuture<'_, ()>;
}

/// The application's handles (pools, clients, caches), by type.
#[derive(Clone, Default)]
pub struct Handles(HashMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl Handles {
    /// Adds one; a second of the same type takes the first one's place.
    pub fn insert<H: Any + Send + Sync>(&mut self, handle: H) {
        self.0.insert(TypeId::of::<H>(), Arc::new(handle));
    }

    /// The one of this type.
    pub fn get<H: Any + Send + Sync>(&self) -> Option<Arc<H>> {
        self.0.get(&TypeId::of::<H>()).cloned()?.downcast().ok()
    }

    /// Whether there is one of this type.
    pub fn contains(&self, id: TypeId) -> bool {
        self.0.contains_key(&id)
    }
}

impl fmt::Debug for Handles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handles({})", self.0.len())
    }
}
