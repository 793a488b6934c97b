//! The rules, one function each, with the reason above it. Each gives back what it understood, so that what was
//! refused once is not complained of again.

mod lists;

use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Data, Fields, LitInt, LitStr, Type};

use super::late::late_can_be_told;
use super::model::{DeclaredReference, Marked, Object};
use super::parse::{self, Field, Read};
use crate::errors::Errors;
use crate::names;
use crate::serde_names::{field_read, field_written};

const OBJECT_KEYS: &[&str] = &["type", "display", "view", "version", "from", "crate"];
const FIELD_KEYS: &[&str] = &[
    "id",
    "guid",
    "code_name",
    "display_name",
    "site",
    "parent",
    "group",
    "children",
    "bindings",
    "rule",
    "reference",
];
/// Those that stand alone.
const FIELD_FLAGS: &[&str] =
    &["id", "guid", "code_name", "display_name", "site", "parent", "group", "children", "bindings"];

/// Applies every rule. `None` where something was refused without which there is no object.
pub(super) fn check<'i>(read: &Read<'i>, errors: &mut Errors) -> Option<Object<'i>> {
    if !it_is_a_struct_with_named_fields(read, errors) {
        return None;
    }
    it_is_not_generic(read, errors);
    read.object.refuse_repeats(errors);
    read.object.refuse_unknown(OBJECT_KEYS, foreign_to_objects, errors);
    for field in &read.fields {
        keys_of_a_field(field, errors);
        a_field_has_one_name_in_json(read, field, errors);
        lists::lists_are_marked(field, errors);
        late_can_be_told(read, field, errors);
    }
    let object_type = it_has_a_type(read, errors);
    let display = it_has_a_display(read, errors);
    let is_view = read.object.flag("view", errors).is_some();
    let version = it_has_a_version(read, errors);
    let from = it_was_another_before(read, version, is_view, errors);
    a_view_has_no_version(read, is_view, errors);
    let id = it_has_an_id(read, errors);
    let guid = at_most_one(read, "guid", errors);
    let code_name = at_most_one(read, "code_name", errors);
    let display_name = at_most_one(read, "display_name", errors);
    let site = at_most_one(read, "site", errors);
    let parent = it_is_a_reference(read, "parent", errors);
    let group = it_is_a_reference(read, "group", errors);
    let references = references(read);
    let lists = lists::lists(read, errors);
    let ownable = ownable(read);
    Some(Object {
        type_name: object_type?,
        display,
        is_view,
        version,
        from,
        id: id?,
        guid,
        code_name,
        display_name,
        site,
        parent,
        group,
        references,
        lists,
        ownable,
    })
}

/// An object is a record: it has fields, and they have names.
fn it_is_a_struct_with_named_fields(read: &Read<'_>, errors: &mut Errors) -> bool {
    let what = match &read.input.data {
        Data::Enum(_) => "an enum",
        Data::Union(_) => "a union",
        Data::Struct(data) => match &data.fields {
            Fields::Named(_) => return true,
            Fields::Unnamed(_) => "a tuple struct",
            Fields::Unit => "a struct without fields",
        },
    };
    errors.refuse(
        &read.input.ident,
        format!(
            "`#[derive(BusObject)]` stands on {what}, but an object is a record: make `{}` a struct with named fields",
            read.input.ident
        ),
    );
    false
}

/// A generic struct is many types, and an object type can stand for one only.
fn it_is_not_generic(read: &Read<'_>, errors: &mut Errors) {
    if read.input.generics.params.is_empty() {
        return;
    }
    errors.refuse(
        &read.input.generics,
        format!(
            "`#[derive(BusObject)]` gives `{0}` one object type, but a generic struct is many: take the parameters away",
            read.input.ident
        ),
    );
}

/// The object type is stored with every task: it is given, never guessed from a Rust name, which may change.
fn it_has_a_type(read: &Read<'_>, errors: &mut Errors) -> Option<LitStr> {
    let words = names::words(&read.input.ident.to_string()).join("_");
    let suggestion = format!("app.{words}");
    if read.object.lacks("type", OBJECT_KEYS) {
        errors.refuse(
            &read.input.ident,
            format!(
                "`{}` has no object type: write `#[object(type = \"{suggestion}\")]` below the derive",
                read.input.ident
            ),
        );
        return None;
    }
    let object_type = read.object.text("type", &suggestion, errors)?;
    if names::is_object_type(&object_type.value()) {
        return Some(object_type);
    }
    let parts = object_type.value();
    let mended: Vec<_> = parts.split('.').map(|part| names::words(part).join("_")).collect();
    let mended = mended.join(".");
    let suggestion = if names::is_object_type(&mended) { mended } else { suggestion };
    errors.refuse(
        &object_type,
        format!(
            "`type = {}` is not an object type: write lowercase words joined by `.`, such as `\"{suggestion}\"`",
            object_type.to_token_stream()
        ),
    );
    None
}

/// People read it in titles: an empty one would leave a hole there.
fn it_has_a_display(read: &Read<'_>, errors: &mut Errors) -> String {
    let default = names::in_words(&read.input.ident.unraw().to_string());
    let Some(display) = read.object.text("display", &default, errors) else {
        return default;
    };
    if display.value().trim().is_empty() {
        errors.refuse(
            &display,
            format!("`display = {}` is empty: write `display = \"{default}\"`", display.to_token_stream()),
        );
    }
    display.value()
}

/// Stored with each object; what names none is the first.
fn it_has_a_version(read: &Read<'_>, errors: &mut Errors) -> Option<u32> {
    let entry = read.object.get("version")?;
    let number: LitInt = entry.equals("takes a whole number: write `version = 2`", errors)?;
    match number.base10_parse() {
        Ok(version) if version > 0 => Some(version),
        _ => {
            errors.refuse(
                &number,
                format!("`version = {number}` is no version: write a whole number from 1 to {}", u32::MAX),
            );
            None
        }
    }
}

/// What an earlier version has written is still there: somebody has to say how it is read.
fn it_was_another_before(
    read: &Read<'_>,
    version: Option<u32>,
    is_view: bool,
    errors: &mut Errors,
) -> Option<Type> {
    if is_view {
        return None;
    }
    let is_first = version.is_none_or(|version| version == 1);
    let Some(entry) = read.object.get("from") else {
        if let (Some(version), Some(entry), false) = (version, read.object.get("version"), is_first)
            && read.object.lacks("from", OBJECT_KEYS)
        {
            errors.refuse(
                &entry.word,
                format!(
                    "`{0}` is version {version} of its type, and does not say what it was before: keep that struct, write \
                     `from = {0}V{1}` for it, and `impl From<{0}V{1}> for {0}`",
                    read.input.ident,
                    version - 1
                ),
            );
        }
        return None;
    };
    let example = format!("{}V1", read.input.ident);
    let from =
        entry.equals(&format!("takes the struct of the version before: write `from = {example}`"), errors)?;
    if is_first && (read.object.lacks("version", OBJECT_KEYS) || version.is_some()) {
        errors.refuse(
            &entry.word,
            "`from` says what the struct was before, and the first version was nothing: write `version = 2` beside it",
        );
    }
    Some(from)
}

/// A view shows what is stored, and that is always as the struct has it that declares the type.
fn a_view_has_no_version(read: &Read<'_>, is_view: bool, errors: &mut Errors) {
    for key in ["version", "from"] {
        if let Some(entry) = read.object.get(key).filter(|_| is_view) {
            errors.refuse(
                &entry.word,
                format!(
                    "`{key}` belongs to the struct that declares the type, not to a view of it: take it away"
                ),
            );
        }
    }
}

/// Order is kept by the id, references hold it, and the store fills it in: an object has exactly one.
fn it_has_an_id<'i>(read: &Read<'i>, errors: &mut Errors) -> Option<Marked<'i>> {
    let id = at_most_one(read, "id", errors);
    let means_an_id = |field: &Field<'_>| {
        let other_words = ["key", "primary_key"];
        !field.object.lacks("id", FIELD_KEYS)
            || other_words.iter().any(|word| field.object.get(word).is_some())
    };
    if id.is_none() && !read.fields.iter().any(means_an_id) {
        errors.refuse(
            &read.input.ident,
            format!("`{}` has no id: write `#[object(id)]` above the field that holds it", read.input.ident),
        );
    }
    id
}

/// Two fields for one part, and the bus would have to choose.
fn at_most_one<'i>(read: &Read<'i>, key: &str, errors: &mut Errors) -> Option<Marked<'i>> {
    let mut marked = read.fields.iter().filter_map(|field| Some((field, field.object.get(key)?)));
    let (first, _) = marked.next()?;
    for (field, entry) in marked {
        errors.refuse(
            &entry.word,
            format!(
                "`#[object({key})]` stands on `{}` and on `{}`: keep it on one of them",
                first.name, field.name
            ),
        );
    }
    Some(Marked { name: first.name, ty: first.ty })
}

/// Parent and group are other objects: translation must see them.
fn it_is_a_reference<'i>(read: &Read<'i>, key: &str, errors: &mut Errors) -> Option<Marked<'i>> {
    let marked = at_most_one(read, key, errors)?;
    if parse::single_reference(marked.ty).is_some() {
        return Some(marked);
    }
    errors.refuse(
        marked.ty,
        format!(
            "`#[object({key})]` stands on `{}`, which is no reference: make it `Ref<T>` or `Option<Ref<T>>`",
            marked.name
        ),
    );
    None
}

/// A key that nobody reads would be a wish that nobody hears.
fn keys_of_a_field(field: &Field<'_>, errors: &mut Errors) {
    field.object.refuse_repeats(errors);
    let foreign = |word: &str| foreign_to_fields(word, field);
    field.object.refuse_unknown(FIELD_KEYS, foreign, errors);
    for key in FIELD_FLAGS {
        field.object.flag(key, errors);
    }
}

/// The bus reads what it wrote: a field with two names would be lost on the way.
fn a_field_has_one_name_in_json(read: &Read<'_>, field: &Field<'_>, errors: &mut Errors) {
    let written = field_written(field.name, &field.serde, &read.serde);
    let read = field_read(field.name, &field.serde, &read.serde);
    if written != read {
        errors.refuse(
            field.name,
            format!(
                "`{}` is written as `{written}` and read as `{read}`, so the bus would lose it: give serde one name for both",
                field.name
            ),
        );
    }
}

fn references<'i>(read: &Read<'i>) -> Vec<DeclaredReference<'i>> {
    let mut references = Vec::new();
    for field in &read.fields {
        if field.serde.not_written || field.serde.flatten.is_some() {
            continue;
        }
        let Some(target) = parse::referenced(field.ty) else {
            continue;
        };
        references.push(DeclaredReference {
            field: field_written(field.name, &field.serde, &read.serde),
            target,
            role: if field.object.get("parent").is_some() {
                "Parent"
            } else if field.object.get("group").is_some() {
                "Group"
            } else {
                "Plain"
            },
            is_late: field.object.get("reference").is_some(),
        });
    }
    references
}

/// Not the id and the GUID, which are the host's, nor what has no name of its own in JSON.
fn ownable(read: &Read<'_>) -> Vec<(String, String)> {
    let is_ownable = |field: &&Field<'_>| {
        let is_the_hosts = ["id", "guid"].into_iter().any(|key| field.object.get(key).is_some());
        !is_the_hosts && !field.serde.not_written && field.serde.flatten.is_none()
    };
    let names = |field: &Field<'_>| {
        (field.name.unraw().to_string(), field_written(field.name, &field.serde, &read.serde))
    };
    read.fields.iter().filter(is_ownable).map(names).collect()
}

fn foreign_to_objects(word: &str) -> Option<String> {
    match word {
        _ if FIELD_KEYS.contains(&word) => Some(format!(
            "`{word}` belongs to a field, not to the struct: write `#[object({word})]` above the field"
        )),
        _ => None,
    }
}

fn foreign_to_fields(word: &str, field: &Field<'_>) -> Option<String> {
    let attribute = &field.object.attribute;
    match word {
        "late" => Some(format!("{attribute} has no key `late`: write `#[object(reference = late)]`")),
        "key" | "primary_key" => Some(format!("{attribute} has no key `{word}`: write `#[object(id)]`")),
        "display" => Some(format!(
            "{attribute} has no key `display`, which belongs to the struct: did you mean `display_name`?"
        )),
        "view" => Some(format!(
            "`view` in {attribute} belongs to the struct: write `#[object(type = ..., view)]` above the struct"
        )),
        "type" | "version" | "from" | "crate" => Some(format!(
            "`{word}` in {attribute} belongs to the struct: write `#[object({word} = ...)]` above the struct"
        )),
        _ => None,
    }
}
