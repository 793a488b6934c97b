use serde::Serializer;
use serde_json::json;

use super::mark::KEY_PREFIX;
use super::*;
use crate::children::Children;

pub(super) fn payload(object: Value, references: &[&str], children: &[&str]) -> Payload {
    let reference = |at: &&str| Reference {
        at: (*at).to_owned(),
        object_type: "app.company".parse().unwrap(),
        target: ReferenceTarget::Host(ObjectId::Number(1)),
        record: None,
    };
    let Value::Object(object) = object else { panic!("not an object") };
    Payload {
        object,
        references: references.iter().map(reference).collect(),
        children: children.iter().map(|at| (*at).to_owned()).collect(),
        page: None,
        version: 1,
    }
}

#[test]
fn children_in_an_array_stay_behind_too() {
    let payload = payload(
        json!({ "lists": [[{ "company": 1 }], [2]], "own": 3 }),
        &["/lists/0/0/company"],
        &["/lists/0", "/lists/1"],
    );
    let reduced = payload.reduced_to(DataType::SimpleSnapshot);
    assert_eq!(Value::Object(reduced.object), json!({ "lists": [null, null], "own": 3 }));
    assert!(reduced.references.is_empty() && reduced.children.is_empty());
}

#[test]
fn a_mark_never_ends_up_in_stored_data() {
    #[derive(Serialize)]
    struct Holder {
        #[serde(serialize_with = "as_text")]
        summary: Children<i64>,
    }
    #[derive(Serialize)]
    struct Flat {
        name: &'static str,
        #[serde(flatten)]
        lines: Children<i64>,
    }
    fn as_text<S: Serializer>(children: &Children<i64>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&serde_json::to_string(children).unwrap())
    }
    let summary = Children::Loaded(vec![1]);
    let error = Payload::of(&Holder { summary }).unwrap_err().to_string();
    assert!(error.starts_with("/summary holds a `Ref` or `Children`"), "{error}");
    assert!(error.contains("Children::as_slice") && !error.contains(KEY_PREFIX), "{error}");
    let lines = Children::Loaded(vec![1]);
    let error = Payload::of(&Flat { name: "x", lines }).unwrap_err().to_string();
    assert!(error.starts_with("the object itself holds"), "{error}");
}
