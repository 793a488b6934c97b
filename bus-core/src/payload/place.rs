//! Places in an object's JSON: JSON pointers, read without a copy of their parts where nothing in them is escaped.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// What stands at this place.
pub(super) fn place_in<'v>(object: &'v mut Map<String, Value>, at: &str) -> Option<&'v mut Value> {
    let mut parts = at.strip_prefix('/')?.split('/');
    let first = object.get_mut(&*unescape(parts.next()?))?;
    parts.try_fold(first, |value, part| match value {
        Value::Object(map) => map.get_mut(&*unescape(part)),
        Value::Array(values) => values.get_mut(part.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Adds a name to a place.
pub(super) fn push_name(at: &mut String, name: &str) {
    at.push('/');
    if name.contains(['~', '/']) {
        at.push_str(&name.replace('~', "~0").replace('/', "~1"));
    } else {
        at.push_str(name);
    }
}

/// The name that stands in a place.
pub(crate) fn unescape(part: &str) -> Cow<'_, str> {
    if part.contains('~') {
        Cow::Owned(part.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(part)
    }
}

/// Whether a place lies in a list.
pub(super) fn is_beneath(at: &str, list: &str) -> bool {
    at.strip_prefix(list).is_some_and(|rest| rest.starts_with('/'))
}

/// Takes a list out: out of its map, or, where it is an element of an array, by `null` in its place.
pub(super) fn remove_at(object: &mut Map<String, Value>, at: &str) {
    let Some((parent, name)) = at.rsplit_once('/') else {
        return;
    };
    if parent.is_empty() {
        object.remove(&*unescape(name));
        return;
    }
    match place_in(object, parent) {
        Some(Value::Object(map)) => {
            map.remove(&*unescape(name));
        }
        Some(Value::Array(values)) => {
            if let Some(list) = name.parse::<usize>().ok().and_then(|index| values.get_mut(index)) {
                *list = Value::Null;
            }
        }
        _ => {}
    }
}
