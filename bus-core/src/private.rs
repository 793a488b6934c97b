//! What the macros write refers to. Not for people: it changes without notice.

pub use inventory;
pub use serde;
pub use serde_json;
pub use uuid::Uuid;

pub use crate::parts::Identified;
pub use crate::payload::PayloadError;

use std::any::Any;
use std::fmt::Display;

use serde::de::DeserializeOwned;

use crate::change::ChangeSummary;
use crate::children::{Children, ListField, ListRule};
use crate::connector::{Applicable, Connector};
use crate::descriptor::{ConnectorDescriptor, DescribedConnector, ObjectDescriptor, PageDescriptor, Place};
use crate::failure::Failure;
use crate::object::{BusObject, HostId, ObjectId};
use crate::parts::set_identity;
use crate::reference::{Ref, ReferenceRole, ReferenceTarget};

/// A connector that the linker found.
pub struct LinkedConnector(pub &'static ConnectorDescriptor);
inventory::collect!(LinkedConnector);

/// An object type that the linker found.
pub struct LinkedObject(pub &'static ObjectDescriptor);
inventory::collect!(LinkedObject);

/// A class of pages that the linker found.
pub struct LinkedPage(pub &'static PageDescriptor);
inventory::collect!(LinkedPage);

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
    /// Points at the host's object of this id; as it was, where that is no id of its kind.
    fn set(&mut self, id: &ObjectId);
}

impl<T: BusObject> ReferenceSlot for Ref<T> {
    fn get(&self) -> Option<ReferenceTarget> {
        Some(self.to_target())
    }
    fn set(&mut self, id: &ObjectId) {
        if let Some(id) = T::Id::from_id(id) {
            *self = Self::host(id);
        }
    }
}

impl<T: BusObject> ReferenceSlot for Option<Ref<T>> {
    fn get(&self) -> Option<ReferenceTarget> {
        self.as_ref().map(Ref::to_target)
    }
    fn set(&mut self, id: &ObjectId) {
        *self = T::Id::from_id(id).map(Ref::host).or(self.take());
    }
}

/// How a reference field is read and written. One function for both, so that what is no reference is refused once.
pub fn target<F: ReferenceSlot>() -> TargetAccess<F> {
    TargetAccess { get: F::get, set: F::set }
}

/// How a reference field is read and written.
pub struct TargetAccess<F> {
    pub get: fn(&F) -> Option<ReferenceTarget>,
    pub set: fn(&mut F, &ObjectId),
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
        "`owns(...)` or `conflicts(...)` names a field that nobody but the host owns: its id, its GUID, or one that serde skips or flattens; \
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
        "`owns(...)` or `conflicts(...)` names no field that the struct has in JSON: name the struct's field without quotation marks"
    );
    name
}

/// A list of child objects: what is said of it, and how they are given their identities. One function for both, so that
/// what is no object is refused once.
pub struct ChildList<C> {
    pub list: ListField,
    pub identify: IdentifyChildren<C>,
}

type IdentifyChildren<C> =
    fn(&mut Children<C>, &ObjectId, &mut dyn FnMut() -> Option<Identified>) -> Result<(), PayloadError>;

/// A list of child objects, which must call their owner their parent.
#[track_caller]
pub const fn child_list<C: BusObject, P: BusObject>(field: &'static str, rule: ListRule) -> ChildList<C> {
    let mut references = C::REFERENCES;
    while let [reference, rest @ ..] = references {
        if matches!(reference.role, ReferenceRole::Parent) && is_same(reference.object_type, P::TYPE) {
            let list = ListField { field, object_type: C::TYPE, rule };
            return ChildList { list, identify: identify_children::<C> };
        }
        references = rest;
    }
    panic!(
        "the objects in this list do not say whose children they are: give their struct a field \
         `#[object(parent)] owner: Ref<...>` that refers to this one"
    )
}

/// A list of bindings.
pub const fn binding_list<T: BusObject>(field: &'static str, rule: ListRule) -> ListField {
    ListField { field, object_type: T::TYPE, rule }
}

/// Gives child objects their identities and their parent, and then those beneath them.
fn identify_children<T: BusObject>(
    list: &mut Children<T>,
    parent: &ObjectId,
    next: &mut dyn FnMut() -> Option<Identified>,
) -> Result<(), PayloadError> {
    let Children::Loaded(children) = list else { return Ok(()) };
    for child in children {
        if let Some(identity) = next() {
            set_identity(child, identity)?;
            child.set_parent(parent);
        }
        child.identify_children(next)?;
    }
    Ok(())
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
