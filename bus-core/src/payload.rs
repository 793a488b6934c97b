//! Objects to JSON and back, with their references beside them instead of inside.
//!
//! A reference is a bare value in JSON, so JSON alone cannot tell it from any other field. While an object is
//! written, each `Ref` and each `Children` therefore marks itself with a key that only this call knows (user data
//! cannot forge it), and one walk takes the marks out again and notes where they stood. Reading works the same
//! way round. Marks survive whatever serde does on the way: `Option`, `Vec`, maps, `flatten`, renames.
//!
//! Longer than other files because writing and reading must agree on the same marks.

use std::cell::RefCell;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::marker::PhantomData;

use serde::de::{self, DeserializeOwned, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::name::ObjectType;
use crate::object::{AnyObject, BusObject, Children, HostId, ObjectId};
use crate::operation::DataType;
use crate::reference::{Ref, Reference, ReferenceTarget};

mod merge;

/// The deepest JSON that is written, read or accepted: levels of arrays and objects within each other.
pub const JSON_DEPTH_MAX: usize = 64;

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
}

impl Payload {
    /// Takes an object apart.
    pub fn of<T: Serialize>(object: &T) -> Result<Self, PayloadError> {
        let marks = Marks::begin();
        let value = serde_json::to_value(object).map_err(PayloadError::json)?;
        let key = marks.key.clone();
        drop(marks);
        let mut walk = Walk { key: &key, references: Vec::new(), children: Vec::new() };
        let Some(Value::Object(object)) = walk.clean(value, &mut String::new(), 0)? else {
            return Err(PayloadError::new(
                "an object is written as a JSON object; use a struct with named fields",
            ));
        };
        Ok(Self { object, references: walk.references, children: walk.children }.sorted())
    }

    /// Puts an object together again; references come out as what they point at now.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        let marks = Marks::begin();
        let key = marks.key.clone();
        let mut value = Value::Object(self.object.clone());
        for reference in &self.references {
            let ReferenceTarget::External(id) = &reference.target else {
                continue;
            };
            if let Some(place) = value.pointer_mut(&reference.at) {
                *place = Value::Object(Map::from_iter([(key.clone(), Value::from(id.as_str()))]));
            }
        }
        serde_json::from_value(value).map_err(PayloadError::json)
    }

    /// The same as an object without a Rust type; references that were translated stand in the fields as text.
    pub fn into_any(self, object_type: ObjectType, id: ObjectId) -> AnyObject {
        let payload = self.with_targets_written();
        AnyObject { object_type, id, fields: payload.object, references: payload.references }
    }

    /// Takes an object without a Rust type apart.
    pub fn of_any(object: &AnyObject) -> Self {
        Self { object: object.fields.clone(), references: object.references.clone(), children: Vec::new() }
            .with_targets_written()
    }

    /// As much of it as this data type carries: without children unless it is a snapshot.
    pub fn reduced_to(mut self, data_type: DataType) -> Self {
        if data_type.has_children() || self.children.is_empty() {
            return self;
        }
        let mut value = Value::Object(std::mem::take(&mut self.object));
        for at in &self.children {
            remove_at(&mut value, at);
        }
        let children = std::mem::take(&mut self.children);
        self.references.retain(|reference| !children.iter().any(|list| is_beneath(&reference.at, list)));
        if let Value::Object(object) = value {
            self.object = object;
        }
        self
    }

    /// Each reference's target written into its place in the fields.
    pub fn with_targets_written(mut self) -> Self {
        let mut value = Value::Object(std::mem::take(&mut self.object));
        for reference in &self.references {
            if let Some(place) = value.pointer_mut(&reference.at) {
                *place = match &reference.target {
                    ReferenceTarget::Host(id) => id.to_json(),
                    ReferenceTarget::External(id) => Value::from(id.as_str()),
                };
            }
        }
        if let Value::Object(object) = value {
            self.object = object;
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

thread_local! {
    /// The key that marks references and children while an object is written or read on this thread.
    static MARK: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What a mark begins with; the rest is random.
const MARK_PREFIX: &str = "$bus:";

/// Marks are made while this lives; nested use keeps the outer key for after.
struct Marks {
    key: String,
    outer: Option<String>,
}

impl Marks {
    fn begin() -> Self {
        // A fresh key per call, from the standard library's per-process random keys: data cannot contain it.
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u8(0);
        let high = hasher.finish();
        let low = RandomState::new().hash_one(high);
        let key = format!("{MARK_PREFIX}{high:016x}{low:016x}");
        Self { outer: MARK.replace(Some(key.clone())), key }
    }
}

impl Drop for Marks {
    fn drop(&mut self) {
        MARK.set(self.outer.take());
    }
}

fn mark() -> Option<String> {
    MARK.with_borrow(Clone::clone)
}

/// What stands behind a mark.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Marked<R, C> {
    Reference { object_type: R, target: ReferenceTarget },
    Children(C),
}

impl<T: BusObject> Serialize for Ref<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let target = self.to_target();
        let Some(key) = mark() else {
            return match &target {
                ReferenceTarget::Host(id) => id.serialize(serializer),
                ReferenceTarget::External(id) => id.serialize(serializer),
            };
        };
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(&key, &Marked::<_, ()>::Reference { object_type: T::TYPE, target })?;
        map.end()
    }
}

impl<T: Serialize> Serialize for Children<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let list = match self {
            Self::NotLoaded => None,
            Self::Loaded(children) => Some(children),
        };
        let Some(key) = mark() else {
            return list.serialize(serializer);
        };
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(&key, &Marked::<(), _>::Children(list))?;
        map.end()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Children<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Through `Option`, so that a missing key reads as "not loaded" without an attribute on the field.
        Ok(Option::<Vec<T>>::deserialize(deserializer)?.map_or(Self::NotLoaded, Self::Loaded))
    }
}

impl<'de, T: BusObject> Deserialize<'de> for Ref<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RefVisitor(PhantomData))
    }
}

struct RefVisitor<T>(PhantomData<T>);

impl<T: BusObject> RefVisitor<T> {
    fn host<E: de::Error>(id: &ObjectId) -> Result<Ref<T>, E> {
        T::Id::from_id(id).map(Ref::host).ok_or_else(|| {
            E::custom(format!("`{id}` is not an id of {}: its ids are of another kind", T::TYPE))
        })
    }
}

impl<'de, T: BusObject> Visitor<'de> for RefVisitor<T> {
    type Value = Ref<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an id of {}", T::TYPE)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Ref<T>, E> {
        Self::host(&ObjectId::Number(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Ref<T>, E> {
        let number = i64::try_from(number).map_err(|_| E::custom(format!("the id {number} is too large")))?;
        self.visit_i64(number)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Ref<T>, E> {
        Self::host(&ObjectId::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ref<T>, A::Error> {
        let key: Option<String> = map.next_key()?;
        if key.is_none() || key != mark() {
            return Err(de::Error::custom(format!("a reference to {} is an id, not an object", T::TYPE)));
        }
        let id: String = map.next_value()?;
        Ok(Ref::external(id))
    }
}

struct Walk<'k> {
    key: &'k str,
    references: Vec<Reference>,
    children: Vec<String>,
}

impl Walk<'_> {
    /// The value without its marks; `None` for a list of children that was not loaded.
    fn clean(&mut self, value: Value, at: &mut String, depth: usize) -> Result<Option<Value>, PayloadError> {
        if depth > JSON_DEPTH_MAX {
            return Err(PayloadError::new(format!(
                "{at} lies deeper than {JSON_DEPTH_MAX} levels; flatten the object"
            )));
        }
        match value {
            Value::Object(mut map) => {
                if map.len() == 1
                    && let Some(marked) = map.remove(self.key)
                {
                    return self.unmark(marked, at, depth);
                }
                let mut clean = Map::new();
                for (name, value) in map {
                    self.without_mark(&name, at)?;
                    let length = at.len();
                    at.push('/');
                    at.push_str(&escape(&name));
                    if let Some(value) = self.clean(value, at, depth + 1)? {
                        clean.insert(name, value);
                    }
                    at.truncate(length);
                }
                Ok(Some(Value::Object(clean)))
            }
            Value::Array(values) => {
                let mut clean = Vec::with_capacity(values.len());
                for (index, value) in values.into_iter().enumerate() {
                    let length = at.len();
                    at.push('/');
                    at.push_str(&index.to_string());
                    clean.push(self.clean(value, at, depth + 1)?.unwrap_or(Value::Null));
                    at.truncate(length);
                }
                Ok(Some(Value::Array(clean)))
            }
            Value::String(text) => {
                self.without_mark(&text, at)?;
                Ok(Some(Value::String(text)))
            }
            plain => Ok(Some(plain)),
        }
    }

    /// Refuses a text or a key that holds the mark: something was written to text inside this write.
    fn without_mark(&self, text: &str, at: &str) -> Result<(), PayloadError> {
        // The random part alone, since a writer of URLs would change the rest.
        let mark = self.key.strip_prefix(MARK_PREFIX).unwrap_or(self.key);
        if !text.contains(mark) {
            return Ok(());
        }
        let place = if at.is_empty() { "the object itself" } else { at };
        Err(PayloadError::new(format!(
            "{place} holds a `Ref` or `Children` that was written as a text or merged into a map (by a \
             `serialize_with` that calls `serde_json::to_string`, or `flatten`), where it cannot be told from other \
             data; make it a field of its own, or write its id (`Ref::host_id`) or its items (`Children::as_slice`)"
        )))
    }

    fn unmark(
        &mut self,
        marked: Value,
        at: &mut String,
        depth: usize,
    ) -> Result<Option<Value>, PayloadError> {
        match serde_json::from_value(marked).map_err(PayloadError::json)? {
            Marked::Reference { object_type, target } => {
                let bare = match &target {
                    ReferenceTarget::Host(id) => id.to_json(),
                    ReferenceTarget::External(id) => Value::from(id.as_str()),
                };
                self.references.push(Reference { at: at.clone(), object_type, target, record: None });
                Ok(Some(bare))
            }
            Marked::Children(Value::Null) => Ok(None),
            Marked::Children(list) => {
                self.children.push(at.clone());
                self.clean(list, at, depth)
            }
        }
    }
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn unescape(name: &str) -> String {
    name.replace("~1", "/").replace("~0", "~")
}

fn is_beneath(at: &str, list: &str) -> bool {
    at.strip_prefix(list).is_some_and(|rest| rest.starts_with('/'))
}

/// Takes a list out: out of its map, or, where it is an element of an array, by `null` in its place.
fn remove_at(value: &mut Value, at: &str) {
    let Some((parent, name)) = at.rsplit_once('/') else {
        return;
    };
    match value.pointer_mut(parent) {
        Some(Value::Object(map)) => {
            map.remove(&unescape(name));
        }
        Some(Value::Array(_)) => {
            if let Some(list) = value.pointer_mut(at) {
                *list = Value::Null;
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
