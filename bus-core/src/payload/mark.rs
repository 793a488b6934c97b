//! How a `Ref` and a `Children` make themselves known while an object is written, and how a `Ref` learns of an external
//! id while one is read.

mod page;

use std::cell::{Cell, RefCell};
use std::collections::hash_map::RandomState;
use std::fmt::{self, Write};
use std::hash::BuildHasher;
use std::marker::PhantomData;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::children::Children;
use crate::object::{BusObject, HostId, ObjectId};
use crate::reference::{Ref, ReferenceTarget};

thread_local! {
    /// The object that is being written or read on this thread.
    static MARKED: RefCell<Option<Marked>> = const { RefCell::new(None) };
    /// Which keys this thread has used.
    static KEYS: (RandomState, Cell<u64>) = (RandomState::new(), Cell::new(0));
}

/// What a key begins with; the rest is random.
pub(super) const KEY_PREFIX: &str = "$bus:";

/// What a key ends with where it marks an unresolved reference.
const UNRESOLVED: &str = "?";

/// What was marked while an object was written.
#[derive(Default)]
pub(super) struct Marked {
    /// What only this object's marks contain.
    pub(super) key: String,
    /// What the references point at, in the order in which they were written: a mark holds the key and the index.
    pub(super) references: Vec<(&'static str, ReferenceTarget)>,
}

/// The outer object's marks, for after a nested use; put back also where that panics.
struct Outer(Option<Marked>);

impl Drop for Outer {
    fn drop(&mut self) {
        MARKED.set(self.0.take());
    }
}

/// What is written or read meanwhile is one object; answers what was marked in it, too.
pub(super) fn marking<R>(run: impl FnOnce() -> R) -> (R, Marked) {
    let _outer = Outer(MARKED.replace(Some(Marked { key: fresh_key(), references: Vec::new() })));
    let answer = run();
    (answer, MARKED.take().unwrap_or_default())
}

/// What a `Ref` of the object that is being read takes for a reference by this external id, and nothing else does.
pub(super) fn external(id: String) -> Value {
    Value::Object(key().map(|key| (key, Value::String(id))).into_iter().collect())
}

/// What a `Ref` of the object that is being read takes for an unresolved reference to this object of the host.
pub(super) fn unresolved(id: &ObjectId) -> Value {
    Value::Object(key().map(|key| (key + UNRESOLVED, id.to_json())).into_iter().collect())
}

/// The key of the object that is being written or read.
fn key() -> Option<String> {
    MARKED.with_borrow(|marked| marked.as_ref().map(|marked| marked.key.clone()))
}

/// A key that nobody can know before, so that data cannot contain it: hashed with keys that only this thread has.
fn fresh_key() -> String {
    KEYS.with(|(keys, used)| {
        let number = used.get();
        used.set(number.wrapping_add(1));
        let mut key = String::with_capacity(KEY_PREFIX.len() + 32);
        key.push_str(KEY_PREFIX);
        for half in [(number, 0), (number, 1)] {
            let mut hash = keys.hash_one(half);
            for _ in 0..16 {
                key.push(char::from(b"0123456789abcdef"[(hash & 15) as usize]));
                hash >>= 4;
            }
        }
        key
    })
}

/// Whether this is the key of the object that is being read.
fn is_key(text: &str) -> bool {
    MARKED.with_borrow(|marked| marked.as_ref().is_some_and(|marked| marked.key == text))
}

impl<T: BusObject> Serialize for Ref<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_reference(T::TYPE, self.to_target(), serializer)
    }
}

/// Marks a reference to something of this type; what is not written as a part of an object is its bare id.
fn write_reference<S: Serializer>(
    object_type: &'static str,
    target: ReferenceTarget,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mark = MARKED.with_borrow_mut(|marked| {
        let Some(Marked { key, references }) = marked else { return Err(target) };
        // Taken apart again, it is a reference like any other: what is known of it depends on who is told.
        let target = match target {
            ReferenceTarget::Unresolved(id) => ReferenceTarget::Host(id),
            known => known,
        };
        references.push((object_type, target));
        let mut mark = String::with_capacity(key.len() + 4);
        mark.push_str(key);
        let _ = write!(mark, ":{}", references.len() - 1);
        Ok(mark)
    });
    match mark {
        Ok(mark) => serializer.serialize_str(&mark),
        Err(ReferenceTarget::Host(id)) => id.serialize(serializer),
        Err(ReferenceTarget::External(id)) => id.serialize(serializer),
        Err(ReferenceTarget::Unresolved(_)) => serializer.serialize_none(),
    }
}

/// What stands in the place of a reference while it is read, unless that is the host's id.
enum Mark {
    External(String),
    Unresolved(ObjectId),
}

fn read_mark<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Mark>, A::Error> {
    let key: String = map.next_key()?.unwrap_or_default();
    if is_key(&key) {
        return map.next_value().map(|id| Some(Mark::External(id)));
    }
    if key.strip_suffix(UNRESOLVED).is_some_and(is_key) {
        return map.next_value().map(|id| Some(Mark::Unresolved(id)));
    }
    Ok(None)
}

impl<T: Serialize> Serialize for Children<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let list = match self {
            Self::NotLoaded => None,
            Self::Loaded(children) => Some(children),
        };
        let Some(key) = key() else {
            return list.serialize(serializer);
        };
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(&key, &list)?;
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
        T::Id::from_id(id).map(Ref::host).ok_or_else(|| Self::other_kind(id))
    }

    fn other_kind<E: de::Error>(id: &ObjectId) -> E {
        E::custom(format!("`{id}` is not an id of {}: its ids are of another kind", T::TYPE))
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
        match read_mark(&mut map)? {
            Some(Mark::External(id)) => Ok(Ref::external(id)),
            Some(Mark::Unresolved(id)) => {
                let id = T::Id::from_id(&id).ok_or_else(|| Self::other_kind(&id))?;
                Ok(Ref::unresolved(id))
            }
            None => Err(de::Error::custom(format!("a reference to {} is an id, not an object", T::TYPE))),
        }
    }
}
