//! What `#[derive(BusObject)]` comes to at run time: fields with a part to play, and references that are seen wherever
//! they stand.

use std::collections::BTreeMap;

use bus_core::__private::{LinkedObject, inventory};
use bus_core::descriptor::DescribedObject;
use bus_core::parts::ObjectParts;
use bus_core::payload::Payload;
use bus_core::reference::{ReferenceField, ReferenceRole};
use bus_core::{AnyObject, BusObject, Children, DataType, ObjectId, ObjectType, Ref, ReferenceTarget};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "app.company")]
struct Company {
    #[object(id)]
    id: Uuid,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "app.country")]
struct Country {
    #[object(id)]
    code: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "cms.category", display = "Category of goods")]
#[serde(rename_all = "camelCase")]
struct Category {
    #[object(id)]
    id: i64,
    #[object(guid)]
    guid: Option<Uuid>,
    #[object(code_name)]
    code_name: Option<String>,
    #[object(display_name)]
    display_name: String,
    #[object(site)]
    site: Option<String>,
    #[object(parent)]
    lies_beneath: Option<Ref<Category>>,
    #[object(group)]
    #[serde(rename = "owner")]
    group: Option<Ref<Company>>,
    see_also: Vec<Ref<Category>>,
    by_language: BTreeMap<String, Ref<Category>>,
    #[serde(flatten)]
    origin: Origin,
    #[object(children)]
    labels: Children<Label>,
    /// Whatever an author keeps.
    notes: Value,
    #[serde(skip)]
    cache: Option<Ref<Company>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Origin {
    made_in: Option<Ref<Country>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Label {
    text: String,
    country: Ref<Country>,
    #[serde(default)]
    parts: Children<Label>,
}

#[derive(Debug, Default, Serialize, Deserialize, BusObject)]
#[object(type = "app.order_line")]
struct OrderLine {
    #[object(id)]
    number: i64,
    #[object(guid)]
    guid: Uuid,
    #[object(code_name)]
    code: String,
    #[object(parent)]
    category: Option<Ref<Category>>,
}

fn full() -> Category {
    let label =
        |text: &str, parts| Label { text: text.to_owned(), country: Ref::host("DE".to_owned()), parts };
    Category {
        id: 7,
        guid: Some(Uuid::from_u128(7)),
        code_name: Some("tools".to_owned()),
        display_name: "Tools".to_owned(),
        site: Some("corp".to_owned()),
        lies_beneath: Some(Ref::host(1)),
        group: Some(Ref::external("A/1")),
        see_also: vec![Ref::host(2), Ref::external("three")],
        by_language: BTreeMap::from([("de/AT~1".to_owned(), Ref::host(4))]),
        origin: Origin { made_in: Some(Ref::host("FR".to_owned())) },
        labels: vec![label("Werkzeug", vec![label("Hammer", Children::NotLoaded)].into())].into(),
        notes: json!({ "since": 1999 }),
        cache: None,
    }
}

#[test]
fn fields_play_the_parts_that_they_are_given() {
    let mut category = full();
    assert_eq!(Category::TYPE, "cms.category");
    assert_eq!(Category::DISPLAY, "Category of goods");
    assert_eq!(*category.id(), 7);
    assert_eq!(category.guid(), Some(Uuid::from_u128(7)));
    assert_eq!(category.code_name().as_deref(), Some("tools"));
    assert_eq!(category.display_name().as_deref(), Some("Tools"));
    assert_eq!(category.site().as_deref(), Some("corp"));
    assert_eq!(category.parent(), Some(ReferenceTarget::Host(ObjectId::Number(1))));
    assert_eq!(category.group(), Some(ReferenceTarget::External("A/1".to_owned())));

    category.set_id(8);
    category.guid = None;
    assert_eq!(category.guid(), None);
    category.set_guid(Uuid::from_u128(8));
    assert_eq!((category.id, category.guid), (8, Some(Uuid::from_u128(8))));
}

#[test]
fn what_has_no_field_has_its_default() {
    assert_eq!(OrderLine::DISPLAY, "Order line");
    let mut line = OrderLine { code: "a".to_owned(), ..OrderLine::default() };
    assert_eq!(line.display_name().as_deref(), Some("a"), "the code name stands in");
    assert_eq!((line.site(), line.parent(), line.group()), (None, None, None));
    line.set_guid(Uuid::from_u128(1));
    assert_eq!(line.guid(), Some(Uuid::from_u128(1)));

    let company = Company { id: Uuid::nil() };
    assert_eq!((company.guid(), company.code_name(), company.display_name()), (None, None, None));
}

#[test]
fn an_object_before_its_first_save_has_no_id_and_no_guid() {
    let parts = ObjectParts::of(&OrderLine::default()).unwrap();
    assert_eq!((parts.id, parts.guid), (None, None));
    let parts = ObjectParts::of(&full()).unwrap();
    assert_eq!((parts.id, parts.guid), (Some(ObjectId::Number(7)), Some(Uuid::from_u128(7))));
}

#[test]
fn references_are_declared_under_their_names_in_json() {
    let declared = |field, object_type, role| ReferenceField { field, object_type, role, is_late: false };
    assert_eq!(
        Category::REFERENCES,
        [
            declared("liesBeneath", "cms.category", ReferenceRole::Parent),
            declared("owner", "app.company", ReferenceRole::Group),
            declared("seeAlso", "cms.category", ReferenceRole::Plain),
        ]
    );
    assert_eq!(OrderLine::REFERENCES, [declared("category", "cms.category", ReferenceRole::Parent)]);
    assert_eq!(Company::REFERENCES, []);
}

#[test]
fn the_linker_finds_each_type_once() {
    for object_type in [Company::TYPE, Country::TYPE, OrderLine::TYPE, Category::TYPE] {
        let found = inventory::iter::<LinkedObject>().filter(|linked| linked.0.object_type == object_type);
        assert_eq!(found.count(), 1, "{object_type}");
    }
    assert_eq!(Category::DESCRIPTOR.display, "Category of goods");
    assert_eq!(Category::DESCRIPTOR.references, Category::REFERENCES);
    assert_eq!(Category::DESCRIPTOR.place.file, file!());
}

#[test]
fn references_are_seen_wherever_they_stand() {
    let payload = Payload::of(&full()).unwrap();
    assert_eq!(
        Value::Object(payload.object.clone()),
        json!({
            "id": 7,
            "guid": Uuid::from_u128(7),
            "codeName": "tools",
            "displayName": "Tools",
            "site": "corp",
            "liesBeneath": 1,
            "owner": "A/1",
            "seeAlso": [2, "three"],
            "byLanguage": { "de/AT~1": 4 },
            "made_in": "FR",
            "labels": [{ "text": "Werkzeug", "country": "DE", "parts": [{ "text": "Hammer", "country": "DE" }] }],
            "notes": { "since": 1999 },
        }),
        "the JSON is clean: references are bare ids, children that were not loaded are absent"
    );
    let mut seen: Vec<_> = payload
        .references
        .iter()
        .map(|reference| (reference.at.as_str(), reference.object_type.as_str()))
        .collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        [
            ("/byLanguage/de~1AT~01", "cms.category"),
            ("/labels/0/country", "app.country"),
            ("/labels/0/parts/0/country", "app.country"),
            ("/liesBeneath", "cms.category"),
            ("/made_in", "app.country"),
            ("/owner", "app.company"),
            ("/seeAlso/0", "cms.category"),
            ("/seeAlso/1", "cms.category"),
        ]
    );
    assert_eq!(payload.children, ["/labels", "/labels/0/parts"]);
}

#[test]
fn an_object_survives_the_round_trip() {
    let payload = Payload::of(&full()).unwrap();
    assert_eq!(payload.clone().read::<Category>().unwrap(), full());
    let text = serde_json::to_string(&payload).unwrap();
    let payload: Payload = serde_json::from_str(&text).unwrap();
    assert_eq!(payload.read::<Category>().unwrap(), full());
}

#[test]
fn references_come_out_as_what_they_point_at_now() {
    let mut payload = Payload::of(&full()).unwrap();
    for reference in &mut payload.references {
        reference.target = ReferenceTarget::External(format!("ext{}", reference.at));
    }
    let category: Category = payload.clone().read().unwrap();
    assert_eq!(category.lies_beneath, Some(Ref::external("ext/liesBeneath")));
    assert_eq!(category.see_also[1], Ref::external("ext/seeAlso/1"));
    assert_eq!(category.by_language["de/AT~1"], Ref::external("ext/byLanguage/de~1AT~01"));
    assert_eq!(category.origin.made_in, Some(Ref::external("ext/made_in")));
    let label = &category.labels.as_slice()[0];
    assert_eq!(label.parts.as_slice()[0].country, Ref::external("ext/labels/0/parts/0/country"));

    let any: AnyObject = payload.into_any(ObjectType::parse("cms.category").unwrap(), ObjectId::Number(7));
    assert_eq!(any.get("made_in"), Some(&json!("ext/made_in")));
    assert_eq!(any.fields["labels"][0]["parts"][0]["country"], json!("ext/labels/0/parts/0/country"));
}

#[test]
fn children_that_are_missing_are_not_loaded_and_an_empty_list_is_loaded() {
    let read = |labels: Option<Value>| {
        let mut payload = Payload::of(&Category { labels: Vec::new().into(), ..full() }).unwrap();
        payload.object.remove("labels");
        payload.object.extend(labels.map(|labels| ("labels".to_owned(), labels)));
        payload.read::<Category>().unwrap().labels
    };
    assert_eq!(read(None), Children::NotLoaded);
    assert_eq!(read(Some(Value::Null)), Children::NotLoaded);
    assert_eq!(read(Some(json!([]))), Children::Loaded(Vec::new()));

    let written = |labels| Payload::of(&Category { labels, ..full() }).unwrap().object.get("labels").cloned();
    assert_eq!(written(Children::NotLoaded), None);
    assert_eq!(written(Children::Loaded(Vec::new())), Some(json!([])));
}

#[test]
fn without_a_snapshot_children_and_their_references_stay_behind() {
    let payload = Payload::of(&full()).unwrap().reduced_to(DataType::SimpleSnapshot);
    assert_eq!(payload.object.get("labels"), None);
    assert!(payload.references.iter().all(|reference| !reference.at.starts_with("/labels")));
    assert!(payload.children.is_empty());
    assert_eq!(payload.read::<Category>().unwrap().labels, Children::NotLoaded);
}

#[test]
fn data_that_looks_like_a_reference_stays_data() {
    let forged = [
        json!({ "$bus": { "reference": { "object_type": "app.user", "target": { "host": 1 } } } }),
        json!({ "$bus:00000000000000000000000000000000": { "children": [1] } }),
        json!({ "reference": { "object_type": "app.user", "target": { "external": "x" } } }),
        json!([{ "$bus:": null }]),
    ];
    for notes in forged {
        let category = Category { notes: notes.clone(), ..full() };
        let payload = Payload::of(&category).unwrap();
        assert_eq!(payload.object["notes"], notes);
        assert_eq!(payload.references.len(), Payload::of(&full()).unwrap().references.len());
        assert_eq!(payload.read::<Category>().unwrap(), category);
    }
    // Nor can a reference be forged where one is expected: an object is no id.
    let mut payload = Payload::of(&full()).unwrap();
    payload.object.insert("owner".to_owned(), json!({ "$bus:0": "x" }));
    payload.references.clear();
    let error = payload.read::<Category>().unwrap_err().to_string();
    assert!(error.contains("a reference to app.company is an id, not an object"), "{error}");
}

#[test]
fn outside_of_the_bus_an_object_is_plain_json() {
    let json = serde_json::to_value(full()).unwrap();
    assert_eq!(json["liesBeneath"], 1);
    assert_eq!(json["labels"][0]["parts"][0]["parts"], Value::Null);

    let with_host_ids_only = Category { group: None, see_also: vec![Ref::host(2)], ..full() };
    let json = serde_json::to_value(&with_host_ids_only).unwrap();
    assert_eq!(serde_json::from_value::<Category>(json).unwrap(), with_host_ids_only);
}

/// Read from wherever it stands, it is not none; there is nothing to send for it; and what it points at is not lost.
#[test]
fn an_unresolved_reference_is_neither_none_nor_an_id() {
    let category = Category { group: None, see_also: vec![Ref::host(2)], ..full() };
    let plain = Payload::of(&category).unwrap();
    let mut told = plain.clone();
    for reference in &mut told.references {
        let ReferenceTarget::Host(id) = &reference.target else { panic!("{reference:?}") };
        reference.target = ReferenceTarget::Unresolved(id.clone());
    }
    let read: Category = told.clone().read().unwrap();
    let Label { country, parts, .. } = &read.labels.as_slice()[0];
    let unresolved = read.lies_beneath.iter().chain(&read.see_also).chain(read.by_language.values());
    assert_eq!(unresolved.filter(|reference| reference.is_unresolved()).count(), 3);
    assert!(country.is_unresolved() && parts.as_slice()[0].country.is_unresolved());
    assert!(read.origin.made_in.as_ref().unwrap().is_unresolved());
    assert_eq!((read.see_also[0].host_id(), read.see_also[0].external_id()), (Some(&2), None));
    assert_ne!(read, category);
    let json = serde_json::to_value(&read).unwrap();
    assert_eq!((&json["liesBeneath"], &json["seeAlso"]), (&Value::Null, &json!([null])));
    assert_eq!(Payload::of(&read).unwrap(), plain, "taken apart, it points at what it pointed at");
    let any = told.into_any(ObjectType::parse("cms.category").unwrap(), ObjectId::Number(7));
    assert_eq!((&any.fields["liesBeneath"], &any.fields["seeAlso"]), (&Value::Null, &json!([null])));
    assert_eq!(Payload::of_any(&any).object, plain.object);
    // An object of the user's data is none.
    let mut forged = plain;
    forged.object.insert("liesBeneath".to_owned(), json!({ "$bus:0?": 1 }));
    forged.references.clear();
    forged.read::<Category>().unwrap_err();
}

/// References on ways that serde takes by itself or an author chooses.
#[derive(Debug, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "app.detour")]
struct Detour {
    #[object(id)]
    id: i64,
    #[serde(serialize_with = "as_tree")]
    tree: Ref<Category>,
    tagged: Tagged,
    #[serde(flatten)]
    rest: BTreeMap<String, Vec<Ref<Country>>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Owned { by: Ref<Company> },
}

fn as_tree<S: serde::Serializer>(reference: &Ref<Category>, serializer: S) -> Result<S::Ok, S::Error> {
    // An object that is taken apart meanwhile has marks of its own.
    Payload::of(&full()).map_err(serde::ser::Error::custom)?;
    serde_json::to_value(reference).map_err(serde::ser::Error::custom)?.serialize(serializer)
}

#[test]
fn references_are_seen_through_buffers_and_trees() {
    let detour = |target: fn(&str) -> String| Detour {
        id: 1,
        tree: Ref::external(target("/tree")),
        tagged: Tagged::Owned { by: Ref::external(target("/tagged/by")) },
        rest: [("a/b".to_owned(), vec![Ref::external(target("/a~1b/0"))])].into(),
    };
    let mut payload = Payload::of(&detour(|_| "x".to_owned())).unwrap();
    let expected = json!({ "id": 1, "tree": "x", "tagged": { "kind": "Owned", "by": "x" }, "a/b": ["x"] });
    assert_eq!(Value::Object(payload.object.clone()), expected);
    for reference in &mut payload.references {
        reference.target = ReferenceTarget::External(reference.at.clone());
    }
    assert_eq!(payload.read::<Detour>().unwrap(), detour(str::to_owned));
}

/// Writes its reference into a text, or as the name of a field.
#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.sentence")]
struct Sentence {
    #[object(id)]
    id: i64,
    #[serde(serialize_with = "as_sentence")]
    text: Ref<Country>,
}

fn as_sentence<S: serde::Serializer>(reference: &Ref<Country>, serializer: S) -> Result<S::Ok, S::Error> {
    let id = serde_json::to_value(reference).map_err(serde::ser::Error::custom)?;
    let id = id.as_str().unwrap_or_default();
    match reference.external_id() {
        Some("name") => BTreeMap::from([(id, 1)]).serialize(serializer),
        _ => format!("made in {id}").serialize(serializer),
    }
}

#[test]
fn a_reference_that_became_part_of_a_text_or_a_name_is_refused() {
    for id in ["name", "text"] {
        let error = Payload::of(&Sentence { id: 1, text: Ref::external(id) }).unwrap_err().to_string();
        assert!(error.starts_with("/text holds a `Ref` or `Children`"), "{error}");
        assert!(!error.contains("$bus:"), "{error}");
    }
}

/// Renames that differ only in how they are written.
#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.renames")]
#[serde(rename_all(serialize = "SCREAMING-KEBAB-CASE", deserialize = "SCREAMING-KEBAB-CASE"))]
struct Renames {
    #[object(id)]
    id: i64,
    first_one: Ref<Company>,
    #[serde(rename(serialize = "2nd", deserialize = "2nd"), default)]
    second: Option<Ref<Company>>,
    #[serde(alias = "third", skip_serializing_if = "Option::is_none")]
    r#type: Option<Box<Ref<Company>>>,
}

#[test]
fn serde_and_the_derive_agree_on_names() {
    let company = || Ref::host(Uuid::from_u128(1));
    let renames =
        Renames { id: 1, first_one: company(), second: Some(company()), r#type: Some(Box::new(company())) };
    let seen = Payload::of(&renames).unwrap().references;
    let mut seen: Vec<_> = seen.iter().map(|reference| reference.at.trim_start_matches('/')).collect();
    let mut declared: Vec<_> = Renames::REFERENCES.iter().map(|reference| reference.field).collect();
    seen.sort_unstable();
    declared.sort_unstable();
    assert_eq!(declared, seen);
    assert_eq!(declared, ["2nd", "FIRST-ONE", "TYPE"]);
}

macro_rules! declare {
    ($object:ident, $id:ty, $reference:ty) => {
        /// Written by a macro of the author: types arrive in invisible groups.
        #[derive(Serialize, Deserialize, BusObject)]
        #[object(type = "app.person")]
        struct $object {
            #[object(id)]
            id: $id,
            #[object(parent)]
            boss: $reference,
        }
    };
}
declare!(Person, i64, Option<Ref<Person>>);

#[test]
fn a_type_that_came_through_a_macro_is_understood() {
    assert_eq!(Person::REFERENCES.len(), 1);
    let person = Person { id: 1, boss: Some(Ref::host(2)) };
    assert_eq!(person.parent(), Some(ReferenceTarget::Host(ObjectId::Number(2))));
}

macro_rules! agree {
    ($($module:ident: $rule:literal, $object_type:literal;)*) => {
        $(mod $module {
            use bus_core::payload::Payload;
            use bus_core::settings::SettingType;
            use bus_core::{BusObject, Ref, Settings};
            use serde::{Deserialize, Serialize};

            #[derive(Serialize, Deserialize, BusObject)]
            #[object(type = $object_type)]
            #[serde(rename_all = $rule)]
            struct Named {
                #[object(id)]
                id: i64,
                plain: Ref<Named>,
                two_words: Ref<Named>,
                r#type: Ref<Named>,
                with_2_digits3: Ref<Named>,
                _leading: Ref<Named>,
            }

            #[derive(Serialize, Deserialize, Settings)]
            #[serde(rename_all = $rule)]
            enum Chosen {
                Plain,
                TwoWords,
                HTTPError,
                With2Digits3,
            }

            pub(super) fn check() {
                let to = Ref::host(1);
                let named = Named {
                    id: 1,
                    plain: to.clone(),
                    two_words: to.clone(),
                    r#type: to.clone(),
                    with_2_digits3: to.clone(),
                    _leading: to,
                };
                let mut written: Vec<_> = Payload::of(&named).unwrap().object.into_iter().map(|(name, _)| name).collect();
                written.retain(|name| !name.eq_ignore_ascii_case("id"));
                let mut declared: Vec<_> = Named::REFERENCES.iter().map(|reference| reference.field).collect();
                written.sort_unstable();
                declared.sort_unstable();
                assert_eq!(declared, written, "{}", $rule);

                let words = [Chosen::Plain, Chosen::TwoWords, Chosen::HTTPError, Chosen::With2Digits3];
                assert_eq!(Chosen::setting_schema()["enum"], serde_json::to_value(words).unwrap(), "{}", $rule);
            }
        })*

        #[test]
        fn serde_and_the_derives_agree_on_every_rule_of_renaming() {
            $($module::check();)*
        }
    };
}
agree! {
    lower: "lowercase", "agree.lower";
    upper: "UPPERCASE", "agree.upper";
    pascal: "PascalCase", "agree.pascal";
    camel: "camelCase", "agree.camel";
    snake: "snake_case", "agree.snake";
    screaming_snake: "SCREAMING_SNAKE_CASE", "agree.screaming_snake";
    kebab: "kebab-case", "agree.kebab";
    screaming_kebab: "SCREAMING-KEBAB-CASE", "agree.screaming_kebab";
}
