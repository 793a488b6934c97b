//! The rules, one function each, with the reason above it.

use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Data, Fields, Ident, LitStr, Type};

use crate::errors::Errors;
use crate::names;
use crate::object::late::late_can_be_told;
use crate::object::parse::{Field, Read, Target, children, referenced};
use crate::serde_names::{field_read, field_written};

const PAGE_KEYS: &[&str] = &["class", "display", "crate"];
const FIELD_KEYS: &[&str] = &["node", "reference"];

/// A page as its attributes describe it.
pub(super) struct Page<'i> {
    pub(super) class_name: LitStr,
    pub(super) display: String,
    /// The field of the node, and its name in JSON.
    pub(super) node: (&'i Ident, &'i Type, String),
    /// The names in JSON of the fields that hold references, what they point at, and whether they are late.
    pub(super) references: Vec<(String, Target<'i>, bool)>,
}

/// Applies every rule. `None` where something was refused without which there is no page.
pub(super) fn check<'i>(read: &Read<'i>, errors: &mut Errors) -> Option<Page<'i>> {
    if !it_is_a_struct_with_named_fields(read, errors) {
        return None;
    }
    it_is_not_generic(read, errors);
    read.object.refuse_repeats(errors);
    read.object.refuse_unknown(PAGE_KEYS, foreign_to_pages, errors);
    for field in &read.fields {
        field.object.refuse_repeats(errors);
        field.object.refuse_unknown(FIELD_KEYS, |word| foreign_to_fields(word, field), errors);
        field.object.flag("node", errors);
        a_field_has_one_name_in_json(read, field, errors);
        it_holds_no_children(field, errors);
        late_can_be_told(read, field, errors);
    }
    let class_name = it_has_a_class(read, errors);
    let display = it_has_a_display(read, errors);
    let node = it_has_a_node(read, errors);
    Some(Page { class_name: class_name?, display, node: node?, references: references(read) })
}

/// A page is a record: it has fields, and they have names.
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
            "`#[derive(Page)]` stands on {what}, but a page is a record: make `{}` a struct with named fields",
            read.input.ident
        ),
    );
    false
}

/// A generic struct is many types, and a class can stand for one only.
fn it_is_not_generic(read: &Read<'_>, errors: &mut Errors) {
    if !read.input.generics.params.is_empty() {
        errors.refuse(
            &read.input.generics,
            format!(
                "`#[derive(Page)]` gives `{0}` one class, but a generic struct is many: take the parameters away",
                read.input.ident
            ),
        );
    }
}

/// The class is stored with every page: it is given, never guessed from a Rust name, which may change.
fn it_has_a_class(read: &Read<'_>, errors: &mut Errors) -> Option<LitStr> {
    let suggestion = format!("app.{}", names::words(&read.input.ident.to_string()).join("_"));
    if read.object.lacks("class", PAGE_KEYS) {
        // Whoever calls it `type` is told so there.
        if read.object.get("type").is_none() {
            errors.refuse(
                &read.input.ident,
                format!(
                    "`{}` has no class: write `#[page(class = \"{suggestion}\")]` below the derive",
                    read.input.ident
                ),
            );
        }
        return None;
    }
    let class_name = read.object.text("class", &suggestion, errors)?;
    let text = class_name.value();
    if names::is_object_type(&text) {
        return Some(class_name);
    }
    let mended: Vec<_> = text.split('.').map(|part| names::words(part).join("_")).collect();
    let mended = Some(mended.join(".")).filter(|mended| names::is_object_type(mended));
    errors.refuse(
        &class_name,
        format!(
            "`class = {}` is not a class: write lowercase words joined by `.`, such as `\"{}\"`",
            class_name.to_token_stream(),
            mended.unwrap_or(suggestion)
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

/// Where a page stands is the bus's to keep, in one field of its own.
fn it_has_a_node<'i>(read: &Read<'i>, errors: &mut Errors) -> Option<(&'i Ident, &'i Type, String)> {
    let mut marked = read.fields.iter().filter(|field| field.object.get("node").is_some());
    let Some(node) = marked.next() else {
        if !read.fields.iter().any(|field| !field.object.lacks("node", FIELD_KEYS)) {
            errors.refuse(
                &read.input.ident,
                format!(
                    "`{}` does not say where it stands: give it a field of type `PageNode`, and write `#[page(node)]` above it",
                    read.input.ident
                ),
            );
        }
        return None;
    };
    for other in marked {
        errors.refuse(
            other.name,
            format!(
                "`#[page(node)]` stands on `{}` and on `{}`: keep it on one of them",
                node.name, other.name
            ),
        );
    }
    if !is_page_node(node.ty) {
        errors.refuse(
            node.ty,
            format!(
                "`#[page(node)]` stands on `{}`, which says nothing of a tree: make it `PageNode`",
                node.name
            ),
        );
        return None;
    }
    if node.serde.not_written || node.serde.not_read || node.serde.flatten.is_some() {
        errors.refuse(
            node.name,
            format!(
                "`{}` is skipped or flattened by serde, so the bus cannot find it: take that away, the bus keeps the node \
                 apart from the fields by itself",
                node.name
            ),
        );
        return None;
    }
    Some((node.name, node.ty, field_written(node.name, &node.serde, &read.serde)))
}

fn is_page_node(ty: &Type) -> bool {
    match ty {
        Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == "PageNode"),
        Type::Group(group) => is_page_node(&group.elem),
        Type::Paren(paren) => is_page_node(&paren.elem),
        _ => false,
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

/// What a page owns are the pages beneath it, which travel by themselves.
fn it_holds_no_children(field: &Field<'_>, errors: &mut Errors) {
    if children(field.ty).is_some() {
        errors.refuse(
            field.ty,
            format!(
                "`{}` holds children, and pages have no children but pages: make it a `Vec`, or pages beneath this one",
                field.name
            ),
        );
    }
}

fn references<'i>(read: &Read<'i>) -> Vec<(String, Target<'i>, bool)> {
    let written =
        read.fields.iter().filter(|field| !field.serde.not_written && field.serde.flatten.is_none());
    let references = written.filter_map(|field| {
        let is_late = field.object.get("reference").is_some();
        Some((field_written(field.name, &field.serde, &read.serde), referenced(field.ty)?, is_late))
    });
    references.collect()
}

fn foreign_to_pages(word: &str) -> Option<String> {
    match word {
        "node" => Some(
            "`node` belongs to a field, not to the struct: write `#[page(node)]` above the field".to_owned(),
        ),
        "type" => Some(
            "`#[page(...)]` has no key `type`: pages have a class, write `class = \"app.article\"`"
                .to_owned(),
        ),
        _ => None,
    }
}

fn foreign_to_fields(word: &str, field: &Field<'_>) -> Option<String> {
    let attribute = &field.object.attribute;
    match word {
        "class" | "display" | "crate" => Some(format!(
            "`{word}` in {attribute} belongs to the struct: write `#[page({word} = ...)]` above the struct"
        )),
        "late" => Some(format!("{attribute} has no key `late`: write `#[page(reference = late)]`")),
        "id" | "guid" | "code_name" | "display_name" | "site" | "parent" | "culture" | "path" | "alias"
        | "name" => Some(format!(
            "{attribute} has no key `{word}`: the bus keeps that in the `PageNode`, take it away"
        )),
        _ => None,
    }
}
