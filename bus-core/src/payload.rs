//! Objects to JSON and back, with their references beside them instead of inside.
//!
//! A reference is a bare value in JSON, so JSON alone cannot tell it from any other field. While an object is
//! written, each `Ref` and each `Children` therefore marks itself with a key that only this call knows (user data
//! cannot forge it), and one walk takes the marks out again and notes where they stood. Reading works the same
//! way round. Marks survive whatever serde does on the way: `Option`, `Vec`, maps, `flatten`, renames.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::name::ObjectType;
use crate::object::{AnyObject, ObjectId};
use crate::operation::DataType;
use crate::page::PageNode;
use crate::reference::{Reference, ReferenceTarget};

mod clean;
mod lists;
mod mark;
mod merge;
mod place;

pub use merge::{ThreeWay, three_way};
pub(crate) use place::unescape;
use place::{is_beneath, place_in, remove_at};

/// The deepest JSON that is written, read or accepted: levels of arrays and objects within each other.
pub const JSON_DEPTH_MAX: usize = 64;

/// The version of a struct that names none.
pub const FIRST_VERSION: u32 = 1;

/// An object as the bus stores it: clean JSON, its references, and where its children stand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Payload {
    /// The object's fields; references are bare values.
    pub object: Map<String, Value>,
    /// Where the references stand and what they point at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    /// Where lists of children stand, as JSON pointers, sorted: what holds a list comes before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<String>,
    /// Where it stands, if it is a page on its way: the field of the node is not among the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<Box<PageNode>>,
    /// Which version of its type's struct it was written from; left out of the JSON while that is the first.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub version: u32,
}

const fn first() -> u32 {
    FIRST_VERSION
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_first(version: &u32) -> bool {
    *version == FIRST_VERSION
}

impl Payload {
    /// Takes an object apart.
    pub fn of<T: Serialize>(object: &T) -> Result<Self, PayloadError> {
        let (value, marked) = mark::marking(|| serde_json::to_value(object));
        let Value::Object(object) = value.map_err(PayloadError::json)? else {
            return Err(PayloadError::new(
                "an object is written as a JSON object; use a struct with named fields",
            ));
        };
        clean::payload(object, marked)
    }

    /// Puts the object together again; references come out as what they point at now.
    pub fn read<T: DeserializeOwned>(self) -> Result<T, PayloadError> {
        let Self { mut object, references, .. } = self;
        let read = || {
            for Reference { at, target, .. } in references {
                let mark = match target {
                    ReferenceTarget::Host(_) => continue,
                    ReferenceTarget::External(id) => mark::external(id),
                    ReferenceTarget::Unresolved(id) => mark::unresolved(&id),
                };
                if let Some(place) = place_in(&mut object, &at) {
                    *place = mark;
                }
            }
            serde_json::from_value(Value::Object(object))
        };
        mark::marking(read).0.map_err(PayloadError::json)
    }

    /// The same as an object without a Rust type; references that were translated stand in the fields as text.
    pub fn into_any(self, object_type: ObjectType, id: ObjectId) -> AnyObject {
        let payload = self.with_targets_written();
        AnyObject { object_type, id, fields: payload.object, references: payload.references }
    }

    /// Takes an object without a Rust type apart.
    pub fn of_any(object: &AnyObject) -> Self {
        let mut references = object.references.clone();
        for reference in &mut references {
            // As with a struct: what is known of it depends on who is told.
            if let ReferenceTarget::Unresolved(id) = &reference.target {
                reference.target = ReferenceTarget::Host(id.clone());
            }
        }
        let object = object.fields.clone();
        Self { object, references, children: Vec::new(), page: None, version: FIRST_VERSION }
            .with_targets_written()
    }

    /// As much of it as this data type carries: without children unless it is a snapshot.
    pub fn reduced_to(mut self, data_type: DataType) -> Self {
        if data_type.has_children() || self.children.is_empty() {
            return self;
        }
        for at in &self.children {
            remove_at(&mut self.object, at);
        }
        let children = std::mem::take(&mut self.children);
        self.references.retain(|reference| !children.iter().any(|list| is_beneath(&reference.at, list)));
        self
    }

    /// Each reference's target written into its place in the fields.
    pub fn with_targets_written(mut self) -> Self {
        for reference in &self.references {
            if let Some(place) = place_in(&mut self.object, &reference.at) {
                *place = reference.target.to_json();
            }
        }
        self
    }

    /// References and lists of children in the order of their places, so that equal objects are equal payloads.
    fn sorted(mut self) -> Self {
        self.references.sort_by(|one, other| one.at.cmp(&other.at));
        self.children.sort_unstable();
        self
    }
}

/// Why an object could not be taken apart or put together.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PayloadError(String);

impl PayloadError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is passed to map_err")]
    fn json(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for PayloadError {
    fn from(error: serde_json::Error) -> Self {
        Self::json(error)
    }
}

#[cfg(test)]
mod tests;
