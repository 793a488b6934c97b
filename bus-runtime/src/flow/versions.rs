//! Objects that another version of their type has written. They are what the type is now wherever the bus reads them: in the
//! object store, and in tasks that were logged before the program was updated.

use bus_core::payload::{Payload, PayloadError};

use crate::registry::Registry;

/// A payload of this type, as the type is now. Of a type that this program does not declare it is left as it is.
pub(crate) fn read(registry: &Registry, object_type: &str, data: &[u8]) -> Result<Payload, PayloadError> {
    let payload = serde_json::from_slice(data)?;
    match registry.object_type(object_type) {
        Some(declared) => declared.upgraded(payload),
        None => Ok(payload),
    }
}

/// Whether a struct of this version is what its type is now; the reason, if not.
pub(crate) fn check(registry: &Registry, object_type: &str, given: u32) -> Result<(), String> {
    let Some(declared) = registry.object_type(object_type) else { return Ok(()) };
    let now = declared.version;
    if given == now {
        return Ok(());
    }
    Err(format!(
        "its struct is version {given} of {}, which is version {now} now ({}); use that one",
        declared.object_type, declared.place
    ))
}
