//! What an earlier struct of a type has written, and what becomes of it.

use bus_core::descriptor::DescribedObject;
use bus_core::parts::ObjectParts;
use bus_core::payload::Payload;
use bus_core::{BusObject, HostId, Ref, ReferenceTarget, TranslationRecord};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.author")]
struct AuthorV1 {
    #[object(id)]
    id: i64,
    name: String,
}

#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.author", version = 2, from = AuthorV1)]
struct AuthorV2 {
    #[object(id)]
    id: i64,
    names: Vec<String>,
    editor: Option<Ref<AuthorV2>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "app.author", version = 5, from = AuthorV2)]
struct Author {
    #[object(id)]
    id: i64,
    names: Vec<String>,
    editors: Vec<Ref<Author>>,
}

impl From<AuthorV1> for AuthorV2 {
    fn from(was: AuthorV1) -> Self {
        Self { id: was.id, names: vec![was.name], editor: None }
    }
}

impl From<AuthorV2> for Author {
    fn from(was: AuthorV2) -> Self {
        let editors = was.editor.iter().filter_map(Ref::host_id).copied().map(Ref::host).collect();
        // As somebody would do who numbers anew.
        let id = if was.names.is_empty() { was.id + 1 } else { was.id };
        Self { id, names: was.names, editors }
    }
}

fn written<T: BusObject>(object: &T) -> Payload {
    ObjectParts::of(object).unwrap().payload
}

fn upgraded(payload: Payload) -> Result<Payload, String> {
    Author::DESCRIPTOR.upgraded(payload).map_err(|error| error.to_string())
}

#[test]
fn the_version_is_written_from_the_second_on() {
    let first = serde_json::to_value(written(&AuthorV1 { id: 7, name: "Ada".to_owned() })).unwrap();
    assert_eq!(first, json!({ "object": { "id": 7, "name": "Ada" } }));
    let fifth = Author { id: 7, names: Vec::new(), editors: Vec::new() };
    let fifth = serde_json::to_value(written(&fifth)).unwrap();
    assert_eq!(fifth["version"], 5);
    assert_eq!(serde_json::from_value::<Payload>(first).unwrap().version, 1);
    assert_eq!(serde_json::from_value::<Payload>(fifth).unwrap().version, 5);
}

#[test]
fn each_earlier_version_becomes_the_present_one() {
    let ada = |editors| Author { id: 7, names: vec!["Ada".to_owned()], editors };
    let first = written(&AuthorV1 { id: 7, name: "Ada".to_owned() });
    assert_eq!(upgraded(first), Ok(written(&ada(Vec::new()))));
    let second = AuthorV2 { id: 7, names: vec!["Ada".to_owned()], editor: Some(Ref::host(8)) };
    assert_eq!(upgraded(written(&second)), Ok(written(&ada(vec![Ref::host(8)]))));
    let present = written(&ada(vec![Ref::host(8)]));
    assert_eq!(upgraded(present.clone()), Ok(present));
}

#[test]
fn what_is_known_of_a_referenced_object_goes_with_it_to_its_new_place() {
    let mut second = written(&AuthorV2 { id: 7, names: vec!["Ada".to_owned()], editor: Some(Ref::host(8)) });
    let record = TranslationRecord { code_name: Some("eve".to_owned()), ..TranslationRecord::default() };
    second.references[0].record = Some(record.clone());
    let [editor] = &upgraded(second).unwrap().references[..] else { panic!() };
    assert_eq!((editor.at.as_str(), &editor.target), ("/editors/0", &ReferenceTarget::Host(8.to_id())));
    assert_eq!(editor.record.as_ref(), Some(&record));
}

#[test]
fn what_cannot_become_the_present_version_says_why() {
    let second = |names| written(&AuthorV2 { id: 7, names, editor: None });
    let of_version = |version| Payload { version, ..second(Vec::new()) };
    for (payload, reason) in [
        (
            of_version(6),
            "it was written by version 6 of app.author, and this program knows up to 5; update it",
        ),
        (of_version(u32::MAX), "version 4294967295 of app.author"),
        (
            of_version(3),
            "version 3 of app.author, which this program does not know any more; let the `from` of",
        ),
        (of_version(0), "version 0 of app.author, which this program does not know any more"),
        (of_version(1), "it is not what version 1 of app.author writes: missing field `name`"),
        (second(Vec::new()), "version 5 of app.author gives 7 the id 8, and an id never changes"),
    ] {
        let said = upgraded(payload).unwrap_err();
        assert!(said.contains(reason), "{said}");
    }
}
