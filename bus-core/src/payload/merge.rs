//! What comes of an object that is written while another version of it is stored.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::map::Entry;
use serde_json::{Map, Value};

use super::Payload;
use super::place::{is_beneath, unescape};

impl Payload {
    /// What is stored, with these fields of this object, under their names in JSON; whatever stands in a field comes
    /// with it: references and lists of children. A field that this object does not have is gone.
    #[must_use]
    pub fn owned_over(self, stored: Self, owned: &[&str]) -> Self {
        let is_owned = |at: &str| owned.contains(&&*field_of(at));
        let mut object = stored.object;
        object.retain(|field, _| !owned.contains(&field.as_str()));
        object.extend(self.object.into_iter().filter(|(field, _)| owned.contains(&field.as_str())));
        let mut references = stored.references;
        references.retain(|one| !is_owned(&one.at));
        references.extend(self.references.into_iter().filter(|one| is_owned(&one.at)));
        let mut children = stored.children;
        children.retain(|at| !is_owned(at));
        children.extend(self.children.into_iter().filter(|at| is_owned(at)));
        Self { object, references, children, page: self.page, version: self.version }.sorted()
    }

    /// Lays this over what is stored: the fields are this object's, all of them, for it was written from a whole
    /// struct. Only lists of children that it does not have stay as they are stored, with the references and the
    /// lists in them, as long as that which holds the list is still there.
    ///
    /// A list that stands inside an array (within another object's children, or an element of a `Vec`) is not looked
    /// for, because an element's place does not say which one it was; it comes back only with the whole of a list that
    /// was not loaded.
    pub fn laid_over(self, mut stored: Self) -> Self {
        stored.children.sort_unstable();
        let mut value = Value::Object(self.object);
        let mut before = Value::Object(stored.object);
        let mut kept: Vec<&str> = Vec::new();
        for at in &stored.children {
            let Some((parent, name)) = at.rsplit_once('/') else {
                continue;
            };
            if let Some(parent) = map_at(&mut value, parent)
                && let Entry::Vacant(place) = parent.entry(unescape(name))
                && let Some(list) = before.pointer_mut(at)
            {
                place.insert(list.take());
                kept.push(at);
            }
        }
        let is_kept = |at: &str| kept.iter().any(|list| at == *list || is_beneath(at, list));
        let mut references = self.references;
        references.extend(stored.references.into_iter().filter(|one| is_kept(&one.at)));
        let mut children = self.children;
        children.extend(stored.children.iter().filter(|at| is_kept(at)).cloned());
        let object = match value {
            Value::Object(object) => object,
            _ => Map::new(),
        };
        Self { object, references, children, page: self.page, version: self.version }.sorted()
    }
}

/// The fields of an object that have changed since two sides had the same, by their names in JSON, sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ThreeWay {
    /// Those that only the host has changed.
    pub host_only: Vec<String>,
    /// Those that only the external system has changed.
    pub external_only: Vec<String>,
    /// Those that both have changed, each in its way.
    pub both: Vec<String>,
}

/// Compares what both sides had with what each has now. What both have changed in the same way is no difference; a field that
/// one side does not have any more was changed by it.
pub fn three_way(
    agreed: &Map<String, Value>,
    host: &Map<String, Value>,
    external: &Map<String, Value>,
) -> ThreeWay {
    let fields: BTreeSet<&String> = host.keys().chain(external.keys()).collect();
    let mut changed = ThreeWay::default();
    for field in fields {
        let (agreed, host, external) = (agreed.get(field), host.get(field), external.get(field));
        let list = match (host == agreed, external == agreed) {
            _ if host == external => continue,
            (false, true) => &mut changed.host_only,
            (true, _) => &mut changed.external_only,
            (false, false) => &mut changed.both,
        };
        list.push(field.clone());
    }
    changed
}

/// The name of the object's field in which a place lies.
fn field_of(at: &str) -> Cow<'_, str> {
    unescape(at.split('/').nth(1).unwrap_or_default())
}

/// The map at this place, if only maps lead to it.
fn map_at<'v>(value: &'v mut Value, at: &str) -> Option<&'v mut Map<String, Value>> {
    let names = at.split('/').skip(1);
    names.fold(value.as_object_mut(), |map, name| map?.get_mut(&*unescape(name))?.as_object_mut())
}

#[cfg(test)]
mod tests;
