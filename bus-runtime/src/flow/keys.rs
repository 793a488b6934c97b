//! What order is kept for: a key tells the object, and where a connector keeps no order, each delivery has its own.

pub(crate) use bus_core::page::PAGE;
use bus_core::{ObjectId, ObjectKey};
use uuid::Uuid;

/// The length of a UUID in a key.
const UUID_BYTES: usize = uuid::fmt::Hyphenated::LENGTH;

/// The key of a change: the object, by type and id. With `own`, a key that no other delivery has.
pub(crate) fn outgoing_key(object: &ObjectKey, own: Option<Uuid>) -> String {
    keyed(object.object_type.as_str(), Some(&object.id.to_string()), own)
}

/// The key of a change of a page: its node, whatever the class and the culture.
pub(crate) fn page_key(node: &ObjectId, own: Option<Uuid>) -> String {
    keyed(PAGE, Some(&node.to_string()), own)
}

/// The outgoing key of an object that has been given its id.
pub(crate) fn key_with_id(key: &str, id: &ObjectId) -> String {
    let (subject, _) = key.split_once('=').unwrap_or((key, ""));
    keyed(subject, Some(&id.to_string()), None)
}

/// The object behind an outgoing key.
pub(crate) fn object_of_key(subject: &str, key: &str) -> Option<ObjectKey> {
    let id = id_of_key(subject, key)?;
    Some(ObjectKey { object_type: subject.parse().ok()?, id: ObjectId::from_text(id) })
}

/// The key of an external object: its kind and its own key. With `own`, a key that no other delivery has; so has one
/// without a key of its own.
pub(crate) fn incoming_key(kind: &str, key: Option<&str>, own: Option<Uuid>) -> String {
    keyed(kind, key, own)
}

/// The external id behind an incoming key; `None` where there is none.
pub(crate) fn external_id_of_key<'k>(kind: &str, key: &'k str) -> Option<&'k str> {
    id_of_key(kind, key)
}

fn keyed(subject: &str, id: Option<&str>, own: Option<Uuid>) -> String {
    let own = own.map(|own| format!("#{own}")).unwrap_or_default();
    let id = id.map(|id| format!("={id}")).unwrap_or_default();
    format!("{subject}{own}{id}")
}

fn id_of_key<'k>(subject: &str, key: &'k str) -> Option<&'k str> {
    let rest = key.strip_prefix(subject)?;
    let rest = match rest.strip_prefix('#') {
        Some(own) => own.get(UUID_BYTES..)?,
        None => rest,
    };
    rest.strip_prefix('=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_its_external_id_back() {
        let own = Some(Uuid::max());
        for (key, expected) in [
            (incoming_key("contact", Some("a=b#c"), None), Some("a=b#c")),
            (incoming_key("contact", Some("a=b#c"), own), Some("a=b#c")),
            (incoming_key("contact", None, own), None),
        ] {
            assert_eq!(external_id_of_key("contact", &key), expected, "{key}");
            assert_eq!(external_id_of_key("contac", &key), None, "{key}");
        }
    }

    #[test]
    fn a_key_is_the_same_for_the_id_that_its_object_is_given() {
        let object_type = bus_core::ObjectType::parse("app.user").unwrap();
        let new = ObjectKey { object_type: object_type.clone(), id: ObjectId::Number(0) };
        let saved = ObjectKey { object_type, id: ObjectId::Number(17) };
        for own in [None, Some(Uuid::max())] {
            let key = key_with_id(&outgoing_key(&new, own), &saved.id);
            assert_eq!(key, outgoing_key(&saved, own));
        }
    }

    #[test]
    fn a_key_gives_its_object_back() {
        let object_type = bus_core::ObjectType::parse("app.user").unwrap();
        for id in [ObjectId::Number(17), ObjectId::Guid(Uuid::max()), ObjectId::Text("#a=".to_owned())] {
            let object = ObjectKey { object_type: object_type.clone(), id };
            for own in [None, Some(Uuid::nil())] {
                let key = outgoing_key(&object, own);
                assert_eq!(object_of_key("app.user", &key).as_ref(), Some(&object), "{key}");
            }
        }
        assert_eq!(outgoing_key(&ObjectKey { object_type, id: ObjectId::Number(17) }, None), "app.user=17");
        assert_eq!(object_of_key("app.user", "app.users=17"), None);
    }
}
