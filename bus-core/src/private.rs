//! What the macros write refers to. Not for people: it changes without notice.

pub use inventory;
pub use serde;
pub use serde_json;
pub use uuid::Uuid;

use std::any::Any;
use std::fmt::Display;

use serde::de::DeserializeOwned;

use crate::change::ChangeSummary;
use crate::connector::{Applicable, Connector};
use crate::descriptor::{ConnectorDescriptor, DescribedConnector, ObjectDescriptor, Place};
use crate::failure::Failure;
use crate::object::BusObject;
use crate::reference::{Ref, ReferenceTarget};

/// A connector that the linker found.
pub struct LinkedConnector(pub &'static ConnectorDescriptor);
inventory::collect!(LinkedConnector);

/// An object type that the linker found.
pub struct LinkedObject(pub &'static ObjectDescriptor);
inventory::collect!(LinkedObject);

/// The descriptor of a connector that the application registers, standing where it does so.
#[track_caller]
pub const fn registered<C: DescribedConnector>(place: Place) -> ConnectorDescriptor {
    if let Some(refusal) = C::REGISTERED {
        panic!("{}", refusal);
    }
    C::DESCRIPTOR.place(place)
}

/// What can be a key: whatever has a text.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of an external object",
    label = "has no text",
    note = "name a field that implements `Display`: text, a number, a GUID"
)]
pub trait KeyField {
    fn key(&self) -> String;
}

#[diagnostic::do_not_recommend]
impl<T: Display + ?Sized> KeyField for T {
    fn key(&self) -> String {
        self.to_string()
    }
}

/// The text of a key field.
pub fn key_text(key: &impl KeyField) -> Option<String> {
    Some(key.key())
}

/// What `#[object(guid)]` can stand on.
#[diagnostic::on_unimplemented(
    message = "`#[object(guid)]` stands on a `{Self}`, which holds no GUID",
    label = "not a GUID",
    note = "make it `Uuid` or `Option<Uuid>`"
)]
pub trait GuidField {
    fn get(&self) -> Option<Uuid>;
    fn set(&mut self, guid: Uuid);
}

impl GuidField for Uuid {
    fn get(&self) -> Option<Uuid> {
        Some(*self)
    }
    fn set(&mut self, guid: Uuid) {
        *self = guid;
    }
}

impl GuidField for Option<Uuid> {
    fn get(&self) -> Option<Uuid> {
        *self
    }
    fn set(&mut self, guid: Uuid) {
        *self = Some(guid);
    }
}

/// How a GUID field is read and written. One function for both, so that what is no GUID is refused once.
pub fn guid<F: GuidField>() -> GuidAccess<F> {
    GuidAccess { get: F::get, set: F::set }
}

/// How a GUID field is read and written.
pub struct GuidAccess<F> {
    pub get: fn(&F) -> Option<Uuid>,
    pub set: fn(&mut F, Uuid),
}

/// What `#[object(code_name)]`, `#[object(display_name)]` and `#[object(site)]` can stand on.
#[diagnostic::on_unimplemented(
    message = "a name of an object is text, and `{Self}` is not",
    label = "not text",
    note = "make it `String` or `Option<String>`"
)]
pub trait TextField {
    fn get(&self) -> Option<String>;
}

impl TextField for String {
    fn get(&self) -> Option<String> {
        Some(self.clone())
    }
}

impl TextField for Option<String> {
    fn get(&self) -> Option<String> {
        self.clone()
    }
}

/// Reads a text field.
pub fn text<F: TextField>(field: &F) -> Option<String> {
    field.get()
}

/// What `#[object(parent)]` and `#[object(group)]` can stand on.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a reference to one object",
    label = "not a reference",
    note = "make it `Ref<T>` or `Option<Ref<T>>`"
)]
pub trait ReferenceSlot {
    fn get(&self) -> Option<ReferenceTarget>;
}

impl<T: BusObject> ReferenceSlot for Ref<T> {
    fn get(&self) -> Option<ReferenceTarget> {
        Some(self.to_target())
    }
}

impl<T: BusObject> ReferenceSlot for Option<Ref<T>> {
    fn get(&self) -> Option<ReferenceTarget> {
        self.as_ref().map(Ref::to_target)
    }
}

/// What a reference field points at.
pub fn target<F: ReferenceSlot>(field: &F) -> Option<ReferenceTarget> {
    field.get()
}

/// The name in JSON of a field that `owns(...)` names as the Rust struct does. That the field is there is checked where
/// `_look` reads it; what is left to be checked is that it can be owned.
#[track_caller]
pub const fn owned_field<O: Applicable>(field: &'static str, _look: fn(&O)) -> &'static str {
    let mut fields = O::FIELDS_APPLIED;
    if fields.is_empty() {
        return field;
    }
    while let [(in_rust, in_json), rest @ ..] = fields {
        if is_same(in_rust, field) {
            return in_json;
        }
        fields = rest;
    }
    panic!(
        "`owns(...)` names a field that nobody but the host owns: its id, its GUID, or one that serde skips or flattens; \
         take it away"
    )
}

/// The same for a name as it stands in JSON.
#[track_caller]
pub const fn owned_name<O: Applicable>(name: &'static str) -> &'static str {
    let mut fields = O::FIELDS_APPLIED;
    let is_any = fields.is_empty();
    while let [(_, in_json), rest @ ..] = fields {
        if is_same(in_json, name) {
            return name;
        }
        fields = rest;
    }
    assert!(
        is_any,
        "`owns(...)` names no field that the struct has in JSON: name the struct's field without quotation marks"
    );
    name
}

pub(crate) const fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut index = 0;
    while index < one.len() {
        if one[index] != other[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// The default of `decode`: the bytes are JSON.
pub fn decode_json<E: DeserializeOwned>(bytes: &[u8]) -> Result<E, Failure> {
    serde_json::from_slice(bytes)
        .map_err(|error| Failure::reject(format!("the external object cannot be read: {error}")))
}

/// Calls a connector's own `decode`.
pub fn run_decode<E>(bytes: &[u8], decode: fn(&[u8]) -> Result<E, Failure>) -> Result<E, Failure> {
    decode(bytes)
}

/// Calls a connector's own filter with its settings.
pub fn run_filter<C: Connector>(
    change: &ChangeSummary,
    settings: &(dyn Any + Send + Sync),
    filter: fn(&ChangeSummary, &C::Settings) -> bool,
) -> bool {
    settings.downcast_ref().is_none_or(|settings| filter(change, settings))
}
