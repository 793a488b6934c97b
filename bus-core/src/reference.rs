//! References between objects, as translation sees them.

use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::name::{Culture, ObjectType, SiteName};
use crate::object::{BusObject, HostId, ObjectId};
use crate::payload::unescape;

/// A typed foreign key that translation can see. It points at a `T` of the host (`Ref::host`), or, on the way
/// to and from an external system, at that system's id for it (`Ref::external`).
///
/// One that is declared late (`#[object(reference = late)]`) may reach a connector unresolved: it points at something that
/// the external system does not know yet. The bus sends the object again, as an update, once it does.
///
/// In JSON it is the bare id; `null` where it is unresolved.
pub struct Ref<T: BusObject> {
    target: Target<T::Id>,
    of: PhantomData<fn() -> T>,
}

enum Target<Id> {
    Host(Id),
    External(String),
    Unresolved(Id),
}

impl<T: BusObject> Ref<T> {
    /// A reference to one of the host's objects.
    pub fn host(id: T::Id) -> Self {
        Self { target: Target::Host(id), of: PhantomData }
    }

    /// A reference by the external system's id.
    pub fn external(id: impl Into<String>) -> Self {
        Self { target: Target::External(id.into()), of: PhantomData }
    }

    /// A late reference to one of the host's objects that the external system does not know yet.
    pub(crate) fn unresolved(id: T::Id) -> Self {
        Self { target: Target::Unresolved(id), of: PhantomData }
    }

    /// The host's id, unless it is an external one.
    pub fn host_id(&self) -> Option<&T::Id> {
        match &self.target {
            Target::Host(id) | Target::Unresolved(id) => Some(id),
            Target::External(_) => None,
        }
    }

    /// The external system's id, unless it is the host's.
    pub fn external_id(&self) -> Option<&str> {
        match &self.target {
            Target::Host(_) | Target::Unresolved(_) => None,
            Target::External(id) => Some(id),
        }
    }

    /// Whether it is a late one that the external system does not know yet: it is not none, but there is nothing that could
    /// be sent for it. An update follows once there is.
    pub fn is_unresolved(&self) -> bool {
        matches!(self.target, Target::Unresolved(_))
    }

    /// What it points at, whatever the type.
    pub fn to_target(&self) -> ReferenceTarget {
        match &self.target {
            Target::Host(id) => ReferenceTarget::Host(id.to_id()),
            Target::External(id) => ReferenceTarget::External(id.clone()),
            Target::Unresolved(id) => ReferenceTarget::Unresolved(id.to_id()),
        }
    }
}

impl<T: BusObject> Clone for Ref<T> {
    fn clone(&self) -> Self {
        match &self.target {
            Target::Host(id) => Self::host(id.clone()),
            Target::External(id) => Self::external(id.clone()),
            Target::Unresolved(id) => Self::unresolved(id.clone()),
        }
    }
}

impl<T: BusObject> PartialEq for Ref<T> {
    fn eq(&self, other: &Self) -> bool {
        self.to_target() == other.to_target()
    }
}

impl<T: BusObject> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Host(id) => write!(f, "Ref::host({id:?})"),
            Target::External(id) => write!(f, "Ref::external({id:?})"),
            Target::Unresolved(id) => write!(f, "Ref::unresolved({id:?})"),
        }
    }
}

/// What a reference points at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceTarget {
    /// An object of the host.
    Host(ObjectId),
    /// An object by the external system's id.
    External(String),
    /// An object of the host that the external system does not know yet, referred to by a late reference.
    Unresolved(ObjectId),
}

impl ReferenceTarget {
    /// As it stands in JSON: the bare id, where there is one to send.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Host(id) => id.to_json(),
            Self::External(id) => Value::from(id.as_str()),
            // The host's id means nothing to whoever is sent this.
            Self::Unresolved(_) => Value::Null,
        }
    }
}

/// One reference in an object: where it stands and what it points at. The side table beside clean JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// Where it stands in the object's JSON, as a JSON pointer: `/addresses/0/country`.
    pub at: String,
    /// The type of what it points at.
    #[serde(rename = "type")]
    pub object_type: ObjectType,
    /// What it points at.
    pub target: ReferenceTarget,
    /// What identifies the target apart from its id, taken when the task was logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<TranslationRecord>,
}

/// What identifies an object apart from its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct TranslationRecord {
    /// Its GUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guid: Option<Uuid>,
    /// Its code name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_name: Option<String>,
    /// Its site; none for a global object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteName>,
    /// The culture of a page, whose GUID is that of its node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub culture: Option<Culture>,
    /// The host's id of its parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ObjectId>,
    /// The host's id of its group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<ObjectId>,
}

/// A reference as a type declares it, for whoever has rows and no struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReferenceField {
    /// The field's name in JSON.
    pub field: &'static str,
    /// The type it points at.
    pub object_type: &'static str,
    /// What it is to the object that holds it.
    pub role: ReferenceRole,
    /// Whether a delivery goes without it where the external system does not know what it points at, instead of waiting
    /// (`#[object(reference = late)]`).
    pub is_late: bool,
}

impl ReferenceField {
    /// Whether a reference in an object's JSON is this field, by its place there: not one that lies within the field.
    pub fn is_at(&self, at: &str) -> bool {
        at.strip_prefix('/').is_some_and(|name| !name.contains('/') && unescape(name) == self.field)
    }
}

/// What a reference is to the object that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceRole {
    /// Any other object.
    Plain,
    /// Its parent: code names are unique beneath it.
    Parent,
    /// Its group.
    Group,
}
