//! Lists of whole objects within an object: taken out of it, and put into it, with all that belongs to them.

use serde_json::{Map, Value};

use super::place::{is_beneath, push_name};
use super::{FIRST_VERSION, Payload};
use crate::name::ObjectType;
use crate::reference::{Reference, ReferenceTarget};

impl Payload {
    /// Takes the children in this field out, each an object of its own. `None` where they are not loaded.
    pub fn take_list(&mut self, field: &str) -> Option<Vec<Self>> {
        let at = place_of(field);
        if !self.children.contains(&at) {
            return None;
        }
        let Some(Value::Array(values)) = self.object.remove(field) else { return None };
        let empty = |object| Self {
            object,
            references: Vec::new(),
            children: Vec::new(),
            page: None,
            version: FIRST_VERSION,
        };
        let mut objects: Vec<Self> = values
            .into_iter()
            .map(|value| match value {
                Value::Object(object) => empty(object),
                _ => empty(Map::new()),
            })
            .collect();
        for mut reference in std::mem::take(&mut self.references) {
            match split(&reference.at, &at) {
                Some((index, within)) => {
                    let within = within.to_owned();
                    if let Some(object) = objects.get_mut(index) {
                        reference.at = within;
                        object.references.push(reference);
                    }
                }
                None => self.references.push(reference),
            }
        }
        for list in std::mem::take(&mut self.children) {
            match split(&list, &at) {
                Some((index, within)) => {
                    let within = within.to_owned();
                    objects
                        .get_mut(index)
                        .into_iter()
                        .for_each(|object| object.children.push(within.clone()));
                }
                None if list == at => {}
                None => self.children.push(list),
            }
        }
        Some(objects)
    }

    /// With these objects as the children in this field; whatever it held is gone.
    #[must_use]
    pub fn with_list(mut self, field: &str, objects: Vec<Self>) -> Self {
        let at = place_of(field);
        self.drop_list(field);
        let mut values = Vec::with_capacity(objects.len());
        for (index, object) in objects.into_iter().enumerate() {
            values.push(Value::Object(object.object));
            self.references.extend(object.references.into_iter().map(|mut reference| {
                reference.at = format!("{at}/{index}{}", reference.at);
                reference
            }));
            self.children.extend(object.children.into_iter().map(|list| format!("{at}/{index}{list}")));
        }
        self.object.insert(field.to_owned(), Value::Array(values));
        self.children.push(at);
        self.sorted()
    }

    /// Takes the list in this field away, as if it had not been loaded.
    pub fn drop_list(&mut self, field: &str) {
        let at = place_of(field);
        let stays = |place: &str| place != at && !is_beneath(place, &at);
        self.object.remove(field);
        self.references.retain(|reference| stays(&reference.at));
        self.children.retain(|list| stays(list));
    }

    /// With what the list of references in this field holds there besides: each target once, those of `stored` first.
    /// Where one of the two is not loaded, there is nothing to unite.
    #[must_use]
    pub fn united_with(self, stored: &Self, field: &str) -> Self {
        let at = place_of(field);
        if !self.children.contains(&at) || !stored.children.contains(&at) {
            return self;
        }
        let mut united: Vec<Reference> = Vec::new();
        for reference in in_order(stored, &at).into_iter().chain(in_order(&self, &at)) {
            let is_new = |known: &Reference| {
                (&known.object_type, &known.target) != (&reference.object_type, &reference.target)
            };
            if united.iter().all(is_new) {
                united.push(reference.clone());
            }
        }
        let mut payload = self;
        payload.drop_list(field);
        let values = united.iter().map(|reference| reference.target.to_json()).collect();
        payload.object.insert(field.to_owned(), Value::Array(values));
        for (index, mut reference) in united.into_iter().enumerate() {
            reference.at = format!("{at}/{index}");
            payload.references.push(reference);
        }
        payload.children.push(at);
        payload.sorted()
    }

    /// What the reference in this field points at.
    pub fn reference_in(&self, field: &str) -> Option<&ReferenceTarget> {
        let at = place_of(field);
        self.references.iter().find(|reference| reference.at == at).map(|reference| &reference.target)
    }

    /// With the reference in this field pointing there.
    #[must_use]
    pub fn with_reference_in(
        mut self,
        field: &str,
        object_type: ObjectType,
        target: ReferenceTarget,
    ) -> Self {
        let at = place_of(field);
        self.object.insert(field.to_owned(), target.to_json());
        self.references.retain(|reference| reference.at != at);
        self.references.push(Reference { at, object_type, target, record: None });
        self.sorted()
    }
}

/// The references in a list, in the order in which they stand there.
fn in_order<'p>(payload: &'p Payload, at: &str) -> Vec<&'p Reference> {
    let place = |reference: &'p Reference| Some((split(&reference.at, at)?.0, reference));
    let mut references: Vec<_> = payload.references.iter().filter_map(place).collect();
    references.sort_by_key(|(index, _)| *index);
    references.into_iter().map(|(_, reference)| reference).collect()
}

fn place_of(field: &str) -> String {
    let mut at = String::new();
    push_name(&mut at, field);
    at
}

/// Which element of a list a place lies in, and where in that.
fn split<'p>(place: &'p str, list: &str) -> Option<(usize, &'p str)> {
    let rest = place.strip_prefix(list)?.strip_prefix('/')?;
    let (index, within) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    Some((index.parse().ok()?, within))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::ObjectId;
    use crate::payload::tests::payload;

    #[test]
    fn a_list_that_is_taken_out_and_put_back_is_the_same() {
        let whole = payload(
            json!({ "name": "x", "a/b": [{ "up": 1, "parts": [{ "of": 1 }] }, { "up": 1 }], "boss": 1 }),
            &["/a~1b/0/parts/0/of", "/a~1b/0/up", "/a~1b/1/up", "/boss"],
            &["/a~1b", "/a~1b/0/parts"],
        );
        let mut rest = whole.clone();
        let objects = rest.take_list("a/b").unwrap();
        assert_eq!(rest, payload(json!({ "name": "x", "boss": 1 }), &["/boss"], &[]));
        let first = payload(json!({ "up": 1, "parts": [{ "of": 1 }] }), &["/parts/0/of", "/up"], &["/parts"]);
        assert_eq!(objects, [first, payload(json!({ "up": 1 }), &["/up"], &[])]);
        assert_eq!(rest.with_list("a/b", objects), whole);
    }

    #[test]
    fn what_is_not_loaded_is_not_taken() {
        let mut payload = payload(json!({ "list": [1], "other": [] }), &[], &["/other"]);
        let before = payload.clone();
        assert_eq!(payload.take_list("list"), None);
        assert_eq!(payload.take_list("gone"), None);
        assert_eq!(payload, before);
        assert_eq!(payload.take_list("other"), Some(Vec::new()));
    }

    #[test]
    fn more_than_ten_stay_in_their_order() {
        let numbered = |number: usize| payload(json!({ "number": number, "up": 1 }), &["/up"], &[]);
        let objects: Vec<Payload> = (0..12).map(numbered).collect();
        let mut whole = payload(json!({}), &[], &[]).with_list("list", objects.clone());
        assert_eq!(whole.take_list("list"), Some(objects));
    }

    #[test]
    fn united_lists_hold_each_target_once() {
        let list = |ids: &[i64]| {
            let mut one = payload(json!({ "name": "x", "roles": ids }), &[], &["/roles"]);
            for (index, id) in ids.iter().enumerate() {
                one.references.push(Reference {
                    at: format!("/roles/{index}"),
                    object_type: "app.role".parse().unwrap(),
                    target: ReferenceTarget::Host(ObjectId::Number(*id)),
                    record: None,
                });
            }
            one.sorted()
        };
        assert_eq!(list(&[3, 4]).united_with(&list(&[1, 3]), "roles"), list(&[1, 3, 4]));
        assert_eq!(list(&[]).united_with(&list(&[1]), "roles"), list(&[1]));
        let many: Vec<i64> = (0..12).collect();
        assert_eq!(list(&many).united_with(&list(&many), "roles"), list(&many), "also the eleventh");
        let not_loaded = payload(json!({ "name": "y" }), &[], &[]);
        assert_eq!(list(&[3]).united_with(&not_loaded, "roles"), list(&[3]));
        assert_eq!(not_loaded.clone().united_with(&list(&[3]), "roles"), not_loaded);
    }

    #[test]
    fn a_reference_is_set_whether_it_was_there_or_not() {
        let of = |number| ReferenceTarget::Host(ObjectId::Number(number));
        let object_type: ObjectType = "app.company".parse().unwrap();
        let before = payload(json!({ "up": 1 }), &["/up"], &[]);
        let after = before.with_reference_in("up", object_type.clone(), of(5));
        assert_eq!((after.reference_in("up"), &after.object["up"]), (Some(&of(5)), &json!(5)));
        assert_eq!(after.references.len(), 1);
        let new = payload(json!({}), &[], &[]).with_reference_in("up", object_type, of(5));
        assert_eq!(new, after);
    }
}
