use serde_json::json;

use super::*;

fn payload(object: Value, references: &[&str], children: &[&str]) -> Payload {
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
    }
}

#[test]
fn lists_that_were_not_loaded_stay_wherever_they_stand() {
    let stored = payload(
        json!({ "name": "old", "details": { "lines": [{ "company": 1, "parts": [2] }], "note": "old" }, "a/b~c": [3] }),
        &["/details/lines/0/company"],
        &["/details/lines", "/details/lines/0/parts", "/a~1b~0c"],
    );
    let new = payload(json!({ "name": "new", "company": 1, "details": {} }), &["/company"], &[]);
    let expected = payload(
        json!({
            "name": "new", "company": 1,
            "details": { "lines": [{ "company": 1, "parts": [2] }] }, "a/b~c": [3],
        }),
        &["/company", "/details/lines/0/company"],
        &["/a~1b~0c", "/details/lines", "/details/lines/0/parts"],
    );
    assert_eq!(new.laid_over(stored), expected, "`note` was cleared, the lists were not");
}

#[test]
fn a_list_goes_with_what_held_it_and_a_loaded_one_is_the_new_one() {
    let stored = || {
        payload(
            json!({ "details": { "lines": [{ "company": 1 }] }, "labels": [{ "parts": [1] }, { "parts": [2] }] }),
            &["/details/lines/0/company"],
            &["/details/lines", "/labels", "/labels/0/parts", "/labels/1/parts"],
        )
    };
    for gone in [json!({ "labels": [{}] }), json!({ "details": null, "labels": [{}] })] {
        let new = payload(gone, &[], &["/labels"]);
        assert_eq!(new.clone().laid_over(stored()), new);
    }
}

#[test]
fn an_unchanged_object_is_equal_whichever_way_its_children_came() {
    let stored = payload(
        json!({ "lines": [{ "company": 1 }], "area": 1 }),
        &["/area", "/lines/0/company"],
        &["/lines"],
    );
    let new = payload(json!({ "area": 1 }), &["/area"], &[]);
    assert_eq!(new.laid_over(stored.clone()), stored);
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
    assert!(error.contains("Children::as_slice") && !error.contains(MARK_PREFIX), "{error}");
    let lines = Children::Loaded(vec![1]);
    let error = Payload::of(&Flat { name: "x", lines }).unwrap_err().to_string();
    assert!(error.starts_with("the object itself holds"), "{error}");
}
