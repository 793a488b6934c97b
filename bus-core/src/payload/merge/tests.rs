use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::payload::place::push_name;
use crate::payload::tests::payload;

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
fn what_is_owned_is_taken_and_the_rest_stays_as_it_is_stored() {
    let stored = || {
        payload(
            json!({ "name": "old", "note": "ours", "company": 1, "a/b": { "boss": 2 }, "lines": [{ "part": 3 }] }),
            &["/a~1b/boss", "/company", "/lines/0/part"],
            &["/lines"],
        )
    };
    let new = || {
        payload(
            json!({ "name": "new", "note": "theirs", "a/b": { "boss": 9, "deputy": 8 }, "lines": [] , "tags": [7] }),
            &["/a~1b/boss", "/a~1b/deputy"],
            &["/lines"],
        )
    };
    let rows: &[(&[&str], Payload)] = &[
        (&[], stored()),
        (&["missing"], stored()),
        (
            &["name"],
            payload(
                json!({ "name": "new", "note": "ours", "company": 1, "a/b": { "boss": 2 }, "lines": [{ "part": 3 }] }),
                &["/a~1b/boss", "/company", "/lines/0/part"],
                &["/lines"],
            ),
        ),
        (
            &["company", "lines"],
            payload(
                json!({ "name": "old", "note": "ours", "a/b": { "boss": 2 }, "lines": [] }),
                &["/a~1b/boss"],
                &["/lines"],
            ),
        ),
        (
            &["a/b", "tags"],
            payload(
                json!({
                    "name": "old", "note": "ours", "company": 1, "a/b": { "boss": 9, "deputy": 8 },
                    "lines": [{ "part": 3 }], "tags": [7],
                }),
                &["/a~1b/boss", "/a~1b/deputy", "/company", "/lines/0/part"],
                &["/lines"],
            ),
        ),
        (&["name", "note", "company", "a/b", "lines", "tags"], new()),
    ];
    for (owned, expected) in rows {
        assert_eq!(&new().owned_over(stored(), owned), expected, "{owned:?}");
    }
}

#[test]
fn an_owned_list_that_was_not_loaded_stays_when_it_is_laid_over_as_well() {
    let stored =
        payload(json!({ "note": "ours", "lines": [{ "part": 3 }] }), &["/lines/0/part"], &["/lines"]);
    let new = payload(json!({ "note": "theirs" }), &[], &[]);
    let merged = new.owned_over(stored.clone(), &["lines"]).laid_over(stored.clone());
    assert_eq!(merged, stored);
}

/// An object with some of the fields `a` to `d`, each of them plain, a reference, a list of references beneath it, or
/// children.
fn any_payload() -> impl Strategy<Value = Payload> {
    let field = (prop::sample::select(vec!["a", "b", "a/b", "a~"]), 0..4_u8, 0..3_i64);
    prop::collection::vec(field, 0..5).prop_map(|fields| {
        let mut all = payload(json!({}), &[], &[]);
        for (name, kind, number) in fields {
            let mut at = String::new();
            push_name(&mut at, name);
            let (value, references, children): (_, &[String], &[String]) = match kind {
                0 => (json!(number), &[], &[]),
                1 => (json!(number), std::slice::from_ref(&at), &[]),
                2 => (json!([number, 1]), &[format!("{at}/0"), format!("{at}/1")], &[]),
                _ => (json!([{ "x": number }]), &[format!("{at}/0/x")], std::slice::from_ref(&at)),
            };
            let references: Vec<&str> = references.iter().map(String::as_str).collect();
            let children: Vec<&str> = children.iter().map(String::as_str).collect();
            let one = payload(json!({ name: value }), &references, &children);
            all = one.owned_over(all, &[name]);
        }
        all
    })
}

proptest! {
    #[test]
    fn owning_twice_is_owning_once_and_no_reference_is_lost(
        new in any_payload(),
        stored in any_payload(),
        owned in prop::sample::subsequence(vec!["a", "b", "a/b", "a~"], 0..=4),
    ) {
        let merged = new.clone().owned_over(stored.clone(), &owned);
        prop_assert_eq!(&new.clone().owned_over(merged.clone(), &owned), &merged, "twice is once");
        prop_assert_eq!(&merged.clone().owned_over(stored.clone(), &owned), &merged, "also of what came out");
        prop_assert_eq!(&stored.clone().owned_over(stored.clone(), &owned), &stored, "of itself it is itself");
        let value = Value::Object(merged.object.clone());
        for reference in &merged.references {
            prop_assert!(value.pointer(&reference.at).is_some(), "{} is nowhere", reference.at);
        }
        let is_owned = |field: &String| owned.contains(&field.as_str());
        for (from, taken) in [(&new, true), (&stored, false)] {
            let fields = from.object.iter().filter(|(field, _)| is_owned(field) == taken);
            for (field, value) in fields {
                prop_assert_eq!(merged.object.get(field), Some(value));
            }
            let expected = |at: &str| is_owned(&field_of(at).into_owned()) == taken;
            let there: Vec<_> = from.references.iter().filter(|one| expected(&one.at)).collect();
            prop_assert_eq!(merged.references.iter().filter(|one| expected(&one.at)).collect::<Vec<_>>(), there);
            let lists: Vec<_> = from.children.iter().filter(|at| expected(at)).collect();
            prop_assert_eq!(merged.children.iter().filter(|at| expected(at)).collect::<Vec<_>>(), lists);
        }
    }
}

#[test]
fn each_field_is_of_the_side_that_changed_it() {
    let fields = |value: Value| value.as_object().unwrap().clone();
    for (what, agreed, host, external, expected) in [
        ("nothing", json!({"a": 1}), json!({"a": 1}), json!({"a": 1}), [vec![], vec![], vec![]]),
        ("the host", json!({"a": 1}), json!({"a": 2}), json!({"a": 1}), [vec!["a"], vec![], vec![]]),
        ("the other", json!({"a": 1}), json!({"a": 1}), json!({"a": 2}), [vec![], vec!["a"], vec![]]),
        ("both", json!({"a": 1}), json!({"a": 2}), json!({"a": 3}), [vec![], vec![], vec!["a"]]),
        ("both, the same", json!({"a": 1}), json!({"a": 2}), json!({"a": 2}), [vec![], vec![], vec![]]),
        (
            "the host has taken it away",
            json!({"a": 1}),
            json!({}),
            json!({"a": 1}),
            [vec!["a"], vec![], vec![]],
        ),
        (
            "the other has taken it away",
            json!({"a": 1}),
            json!({"a": 1}),
            json!({}),
            [vec![], vec!["a"], vec![]],
        ),
        ("both have taken it away", json!({"a": 1}), json!({}), json!({}), [vec![], vec![], vec![]]),
        ("one has added it", json!({}), json!({}), json!({"a": null}), [vec![], vec!["a"], vec![]]),
        ("taken away and changed", json!({"a": 1}), json!({}), json!({"a": 2}), [vec![], vec![], vec!["a"]]),
        (
            "one each",
            json!({"a": 1, "b": [1], "c": {"d": 1}}),
            json!({"a": 2, "b": [1], "c": {"d": 2}}),
            json!({"a": 1, "b": [1, 2], "c": {"d": 3}}),
            [vec!["a"], vec!["b"], vec!["c"]],
        ),
    ] {
        let ThreeWay { host_only, external_only, both } =
            three_way(&fields(agreed), &fields(host), &fields(external));
        assert_eq!(
            [host_only, external_only, both],
            expected.map(|list| list.into_iter().map(str::to_owned).collect::<Vec<_>>()),
            "{what}"
        );
    }
}
