//! What the macros write refers to. Not for people: it changes without notice.

pub use inventory;
pub use serde_json;
pub use uuid::Uuid;

use std::any::Any;
use std::fmt::Display;

use serde::de::DeserializeOwned;

use crate::change::ChangeSummary;
use crate::connector::Connector;
use crate::descriptor::{ConnectorDescriptor, ObjectDescriptor};
use crate::failure::Failure;

/// A connector that the linker found.
pub struct LinkedConnector(pub &'static ConnectorDescriptor);
inventory::collect!(LinkedConnector);

/// An object type that the linker found.
pub struct LinkedObject(pub &'static ObjectDescriptor);
inventory::collect!(LinkedObject);

/// The text of a key field.
pub fn key_text(key: &impl Display) -> Option<String> {
    Some(key.to_string())
}

/// The default of `decode`: the bytes are JSON.
pub fn decode_json<E: DeserializeOwned>(bytes: &[u8]) -> Result<E, Failure> {
    serde_json::from_slice(bytes)
        .map_err(|error| Failure::reject(format!("the external object cannot be read: {error}")))
}

/// Calls a connector's own filter with its settings.
pub fn run_filter<C: Connector>(
    change: &ChangeSummary,
    settings: &(dyn Any + Send + Sync),
    filter: fn(&ChangeSummary, &C::Settings) -> bool,
) -> bool {
    settings
        .downcast_ref()
        .is_none_or(|settings| filter(change, settings))
}
