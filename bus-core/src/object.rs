//! Objects of the host: what they must tell of themselves.

use std::cmp::Ordering;
use std::fmt;

use serde::de::{self, DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::children::ListField;
use crate::name::ObjectType;
use crate::parts::Identified;
use crate::payload::{FIRST_VERSION, PayloadError};
use crate::reference::{Reference, ReferenceField, ReferenceTarget};

/// The id of a host object: a number, a GUID or a text. Ids are equal when their texts are, so that an id read back
/// from where only text is kept is still the same.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum ObjectId {
    /// A database's number.
    Number(i64),
    /// A GUID.
    Guid(Uuid),
    /// A text.
    Text(String),
}

impl ObjectId {
    /// The id as it stands in JSON.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Number(number) => Value::from(*number),
            Self::Guid(guid) => Value::from(guid.to_string()),
            Self::Text(text) => Value::from(text.as_str()),
        }
    }

    /// Reads a text that somebody else calls an id: a number or a GUID where that is written the very same way, so
    /// that the id's text is always the given one. `0815` and an upper-case GUID are texts.
    pub fn from_text(text: &str) -> Self {
        let number = text.parse().map(Self::Number);
        let number_or_guid = number.or_else(|_| text.parse().map(Self::Guid)).ok();
        let same = number_or_guid.filter(|id: &Self| id.to_text() == text);
        same.unwrap_or_else(|| Self::Text(text.to_owned()))
    }

    /// The id as text: what keys, lanes and the identity map hold.
    pub fn to_text(&self) -> String {
        self.to_string()
    }
}

impl From<Uuid> for ObjectId {
    fn from(guid: Uuid) -> Self {
        Self::Guid(guid)
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdVisitor)
    }
}

struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = ObjectId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id: a whole number or a text")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<ObjectId, E> {
        Ok(ObjectId::Number(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<ObjectId, E> {
        let number = i64::try_from(number).map_err(|_| E::custom(format!("the id {number} is too large")))?;
        Ok(ObjectId::Number(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ObjectId, E> {
        Ok(match ObjectId::from_text(text) {
            // JSON keeps numbers and texts apart: the text "17" goes out again as a text.
            ObjectId::Number(_) => ObjectId::Text(text.to_owned()),
            guid_or_text => guid_or_text,
        })
    }
}

impl PartialEq for ObjectId {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(one), Self::Number(two)) => one == two,
            (Self::Guid(one), Self::Guid(two)) => one == two,
            (Self::Text(one), Self::Text(two)) => one == two,
            _ => self.to_text() == other.to_text(),
        }
    }
}

impl Eq for ObjectId {}

impl std::hash::Hash for ObjectId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.to_text().hash(state);
    }
}

impl PartialOrd for ObjectId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ObjectId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.to_text().cmp(&other.to_text())
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Guid(guid) => guid.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// A Rust type that can be a host object's id: `i64`, `Uuid` or `String`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the id of a host object",
    label = "not an id",
    note = "use `i64`, `uuid::Uuid` or `String`"
)]
pub trait HostId: Clone + fmt::Debug + PartialEq + Send + Sync + 'static {
    /// The id, whatever its Rust type.
    fn to_id(&self) -> ObjectId;
    /// Back from the general form; `None` when it is of another kind.
    fn from_id(id: &ObjectId) -> Option<Self>;
    /// Whether this stands for "not saved yet": zero, the nil GUID, the empty text.
    fn is_unset(&self) -> bool;
    /// From the number that the built-in object store gives a new object, or the GUID made for it.
    /// `None` when the host must choose its ids itself (text).
    fn assigned(number: i64, guid: Uuid) -> Option<Self>;
}

impl HostId for i64 {
    fn to_id(&self) -> ObjectId {
        ObjectId::Number(*self)
    }
    fn from_id(id: &ObjectId) -> Option<Self> {
        match id {
            ObjectId::Number(number) => Some(*number),
            ObjectId::Guid(_) => None,
            ObjectId::Text(text) => text.parse().ok(),
        }
    }
    fn is_unset(&self) -> bool {
        *self == 0
    }
    fn assigned(number: i64, _guid: Uuid) -> Option<Self> {
        Some(number)
    }
}

impl HostId for Uuid {
    fn to_id(&self) -> ObjectId {
        ObjectId::Guid(*self)
    }
    fn from_id(id: &ObjectId) -> Option<Self> {
        match id {
            ObjectId::Number(_) => None,
            ObjectId::Guid(guid) => Some(*guid),
            ObjectId::Text(text) => text.parse().ok(),
        }
    }
    fn is_unset(&self) -> bool {
        self.is_nil()
    }
    fn assigned(_number: i64, guid: Uuid) -> Option<Self> {
        Some(guid)
    }
}

impl HostId for String {
    fn to_id(&self) -> ObjectId {
        ObjectId::Text(self.clone())
    }
    fn from_id(id: &ObjectId) -> Option<Self> {
        Some(id.to_text())
    }
    fn is_unset(&self) -> bool {
        self.is_empty()
    }
    fn assigned(_number: i64, _guid: Uuid) -> Option<Self> {
        None
    }
}

/// Which object: its type and its id. What order is kept for, together with connector and direction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// The object's type.
    pub object_type: ObjectType,
    /// Its immutable id.
    pub id: ObjectId,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.object_type, self.id)
    }
}

/// A typed record of the host application. Written by `#[derive(BusObject)]`:
///
/// ```
/// use bus_core::{BusObject, Ref};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, BusObject)]
/// #[object(type = "app.company", display = "Company")]
/// struct Company {
///     #[object(id)]
///     id: i64,
///     #[object(code_name)]
///     code: String,
///     #[object(display_name)]
///     name: String,
/// }
///
/// #[derive(Serialize, Deserialize, BusObject)]
/// #[object(type = "app.user", display = "User")]
/// struct User {
///     #[object(id)]
///     id: i64,
///     #[object(code_name)]
///     login: String,
///     company: Option<Ref<Company>>,
/// }
/// assert_eq!(User::TYPE, "app.user");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a bus object",
    label = "not a bus object",
    note = "add `#[derive(Serialize, Deserialize, BusObject)]` and `#[object(type = \"...\")]` to it"
)]
pub trait BusObject: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The Rust type of its id.
    type Id: HostId;
    /// Its object type, `app.user`. Stable: it is stored.
    const TYPE: &'static str;
    /// What people call the type.
    const DISPLAY: &'static str;
    /// Its references, as declared: for whoever has rows and no struct.
    const REFERENCES: &'static [ReferenceField];
    /// Whether it shows a part of objects that another struct declares (`#[object(type = "...", view)]`). A view is read,
    /// never written.
    const IS_VIEW: bool = false;
    /// Which version of its type this struct is (`#[object(..., version = 2, from = UserV1)]`). Stored with each object, so
    /// that what an earlier version wrote becomes this one when it is read.
    const VERSION: u32 = FIRST_VERSION;
    /// Its fields that an external system may own (`#[incoming(..., owns(...))]`): their names in Rust and in JSON. All but
    /// the id, the GUID, and what has no name of its own in JSON.
    #[doc(hidden)]
    const FIELDS: &'static [(&'static str, &'static str)] = &[];
    /// Its lists of child objects (`#[object(children, rule = ...)]`).
    const CHILDREN: &'static [ListField] = &[];
    /// Its lists of bindings (`#[object(bindings)]`).
    const BINDINGS: &'static [ListField] = &[];

    /// Its id; unset (zero, nil, empty) before the first save.
    fn id(&self) -> &Self::Id;
    /// Called by the bus when the built-in object store has chosen an id.
    fn set_id(&mut self, id: Self::Id);
    /// Its GUID, if it has such a field.
    fn guid(&self) -> Option<Uuid> {
        None
    }
    /// Called by the bus when a new object has a nil GUID.
    fn set_guid(&mut self, guid: Uuid) {
        let _ = guid;
    }
    /// Its code name, if it has such a field.
    fn code_name(&self) -> Option<String> {
        None
    }
    /// What people call this object: its display name, else its code name.
    fn display_name(&self) -> Option<String> {
        self.code_name()
    }
    /// The site it belongs to; `None` for a global object.
    fn site(&self) -> Option<String> {
        None
    }
    /// Its parent, where a field says so.
    fn parent(&self) -> Option<ReferenceTarget> {
        None
    }
    /// Its group, where a field says so.
    fn group(&self) -> Option<ReferenceTarget> {
        None
    }
    /// Called by the bus when it is saved in a list of its parent's.
    #[doc(hidden)]
    fn set_parent(&mut self, id: &ObjectId) {
        let _ = id;
    }
    /// Called by the bus when the child objects that came with it are saved: gives each its identity and its parent, in
    /// the order of `CHILDREN`, and then those beneath it.
    #[doc(hidden)]
    fn identify_children(
        &mut self,
        next: &mut dyn FnMut() -> Option<Identified>,
    ) -> Result<(), PayloadError> {
        let _ = next;
        Ok(())
    }
}

/// An object whose Rust type is not known here: its fields as JSON, its references beside them.
#[derive(Debug, Clone, PartialEq)]
pub struct AnyObject {
    /// Its type.
    pub object_type: ObjectType,
    /// Its id.
    pub id: ObjectId,
    /// Its fields. References stand here as bare values: host ids, or external ids once translated.
    pub fields: Map<String, Value>,
    /// Where the references stand, and what they point at.
    pub references: Vec<Reference>,
}

impl AnyObject {
    /// An object of this type that is not in the host yet, without fields.
    ///
    /// What the type's struct requires must be among the fields, under the names that it has in JSON: its id, too, as 0
    /// (or the nil GUID).
    pub fn new(object_type: ObjectType) -> Self {
        Self { object_type, id: ObjectId::Number(0), fields: Map::new(), references: Vec::new() }
    }

    /// With this field.
    #[must_use]
    pub fn with(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(field.into(), value.into());
        self
    }

    /// With a field that refers to what the external system calls this.
    #[must_use]
    pub fn with_reference(
        mut self,
        field: impl Into<String>,
        object_type: ObjectType,
        external_id: impl Into<String>,
    ) -> Self {
        let (field, external_id) = (field.into(), external_id.into());
        let at = format!("/{}", field.replace('~', "~0").replace('/', "~1"));
        self.fields.insert(field, Value::from(external_id.as_str()));
        self.references.retain(|reference| reference.at != at);
        let target = ReferenceTarget::External(external_id);
        self.references.push(Reference { at, object_type, target, record: None });
        self
    }

    /// A field, by name.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field)
    }
}

#[cfg(test)]
mod tests;
