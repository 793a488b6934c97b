//! Takes the marks out of an object's JSON, in place, and notes where they stood.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::mark::{KEY_PREFIX, Marked};
use super::place::push_name;
use super::{FIRST_VERSION, JSON_DEPTH_MAX, Payload, PayloadError};
use crate::name::ObjectType;
use crate::reference::{Reference, ReferenceTarget};

/// The payload of an object that was written with these marks.
pub(super) fn payload(mut object: Map<String, Value>, marked: Marked) -> Result<Payload, PayloadError> {
    let Marked { key, references } = marked;
    let mut walk = Walk { key: &key, marked: references, references: Vec::new(), children: Vec::new() };
    walk.clean_map(&mut object, &mut String::new(), 0)?;
    let Walk { references, children, .. } = walk;
    Ok(Payload { object, references, children, version: FIRST_VERSION }.sorted())
}

struct Walk<'k> {
    key: &'k str,
    marked: Vec<(&'static str, ReferenceTarget)>,
    references: Vec<Reference>,
    children: Vec<String>,
}

/// What is left of a value without its marks.
#[derive(PartialEq)]
enum Left {
    Value,
    /// It was a list of children that was not loaded.
    Nothing,
}

impl Walk<'_> {
    fn clean(&mut self, value: &mut Value, at: &mut String, depth: usize) -> Result<Left, PayloadError> {
        if depth > JSON_DEPTH_MAX {
            return Err(PayloadError::new(format!(
                "{at} lies deeper than {JSON_DEPTH_MAX} levels; flatten the object"
            )));
        }
        match value {
            Value::Object(map) => {
                if map.len() == 1
                    && let Some(list) = map.remove(self.key)
                {
                    if list.is_null() {
                        return Ok(Left::Nothing);
                    }
                    self.children.push(at.clone());
                    *value = list;
                    return self.clean(value, at, depth);
                }
                self.clean_map(map, at, depth)?;
            }
            Value::Array(values) => {
                for (index, value) in values.iter_mut().enumerate() {
                    let length = at.len();
                    // Writing to a `String` does not fail.
                    let _ = write!(at, "/{index}");
                    if self.clean(value, at, depth + 1)? == Left::Nothing {
                        *value = Value::Null;
                    }
                    at.truncate(length);
                }
            }
            Value::String(text) => {
                if let Some(index) = self.reference_index(text) {
                    *value = self.unmark(index, at)?;
                } else {
                    self.without_key(text, at)?;
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        Ok(Left::Value)
    }

    fn clean_map(
        &mut self,
        map: &mut Map<String, Value>,
        at: &mut String,
        depth: usize,
    ) -> Result<(), PayloadError> {
        let mut gone = Vec::new();
        for (name, value) in map.iter_mut() {
            self.without_key(name, at)?;
            let length = at.len();
            push_name(at, name);
            if self.clean(value, at, depth + 1)? == Left::Nothing {
                gone.push(name.clone());
            }
            at.truncate(length);
        }
        for name in gone {
            map.remove(&name);
        }
        Ok(())
    }

    /// Which reference this text marks, if it is a mark and nothing else.
    fn reference_index(&self, text: &str) -> Option<usize> {
        text.strip_prefix(self.key)?.strip_prefix(':')?.parse().ok()
    }

    /// Notes a reference; answers what stands in its place.
    fn unmark(&mut self, index: usize, at: &str) -> Result<Value, PayloadError> {
        let Some((object_type, target)) = self.marked.get(index) else {
            return Err(PayloadError::new(format!(
                "{at} holds the mark of a reference that was not written"
            )));
        };
        let object_type =
            ObjectType::parse(*object_type).map_err(|error| PayloadError::new(error.to_string()))?;
        let bare = target.to_json();
        let target = target.clone();
        self.references.push(Reference { at: at.to_owned(), object_type, target, record: None });
        Ok(bare)
    }

    /// Refuses a text or a name that holds the key: something was written to text inside this write.
    fn without_key(&self, text: &str, at: &str) -> Result<(), PayloadError> {
        // The random part alone, since a writer of URLs would change the rest.
        let random = self.key.strip_prefix(KEY_PREFIX).unwrap_or(self.key);
        if text.len() < random.len() || !text.contains(random) {
            return Ok(());
        }
        let place = if at.is_empty() { "the object itself" } else { at };
        Err(PayloadError::new(format!(
            "{place} holds a `Ref` or `Children` that was written as a text or merged into a map (by a \
             `serialize_with` that calls `serde_json::to_string`, or `flatten`), where it cannot be told from other \
             data; make it a field of its own, or write its id (`Ref::host_id`) or its items (`Children::as_slice`)"
        )))
    }
}
