//! The rules, one function each, with the reason above it. Each gives back what it understood, so that what was
//! refused once is not complained of again.

use syn::{Data, DataEnum, Field, Fields, FieldsNamed};

use super::model::{Setting, Settings};
use super::parse::Read;
use crate::docs;
use crate::errors::Errors;
use crate::serde_names::{SerdeNames, field_read, variant_read};

const SETTINGS_KEYS: &[&str] = &["crate"];

/// Applies every rule. `None` where there is nothing to ask the operator.
pub(super) fn check<'i>(read: &Read<'i>, errors: &mut Errors) -> Option<Settings<'i>> {
    read.settings.refuse_repeats(errors);
    read.settings.refuse_unknown(SETTINGS_KEYS, |_| None, errors);
    it_is_not_generic(read, errors);
    match &read.input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => Some(form(read, fields, errors)),
            Fields::Unnamed(_) => {
                fields_have_names(read, "a tuple struct", "make it a struct with named fields", errors);
                None
            }
            Fields::Unit => {
                fields_have_names(read, "a struct without fields", "use `bus_core::NoSettings`", errors);
                None
            }
        },
        Data::Enum(data) => choice(read, data, errors),
        Data::Union(_) => {
            fields_have_names(read, "a union", "make it a struct with named fields", errors);
            None
        }
    }
}

/// Each setting is one line of the operator's form, and a line has a name.
fn fields_have_names(read: &Read<'_>, what: &str, remedy: &str, errors: &mut Errors) {
    errors.refuse(
        &read.input.ident,
        format!(
            "`#[derive(Settings)]` stands on {what}, which has no names for the operator's form: {remedy}"
        ),
    );
}

/// The operator's form is one and the same for every use.
fn it_is_not_generic(read: &Read<'_>, errors: &mut Errors) {
    if read.input.generics.params.is_empty() {
        return;
    }
    errors.refuse(
        &read.input.generics,
        format!(
            "`#[derive(Settings)]` makes one form of `{}`, but a generic struct is many: take the parameters away",
            read.input.ident
        ),
    );
}

fn form<'i>(read: &Read<'i>, fields: &'i FieldsNamed, errors: &mut Errors) -> Settings<'i> {
    let settings = fields.named.iter().filter_map(|field| setting(read, field, errors));
    Settings::Form(settings.collect())
}

fn setting<'i>(read: &Read<'_>, field: &'i Field, errors: &mut Errors) -> Option<Setting<'i>> {
    let serde = SerdeNames::of(&field.attrs);
    if serde.not_read {
        return None;
    }
    let name = field.ident.as_ref()?;
    it_is_not_flattened(field, &serde, errors);
    Some(Setting {
        name: field_read(name, &serde, &read.serde),
        description: it_has_a_help_text(field, errors),
        ty: &field.ty,
        has_default: serde.default || read.serde.default,
    })
}

/// What a setting is for is known to its author, and asked by the operator.
fn it_has_a_help_text(field: &Field, errors: &mut Errors) -> String {
    let text = docs::text(&field.attrs);
    if text.is_empty()
        && let Some(name) = &field.ident
    {
        errors.refuse(
            name,
            format!("the setting `{name}` has no help text for the operator: write a doc comment above it"),
        );
    }
    text
}

/// Flattened settings stand in the form of another struct, which is not known here.
fn it_is_not_flattened(field: &Field, serde: &SerdeNames, errors: &mut Errors) {
    if let (Some(word), Some(name)) = (&serde.flatten, &field.ident) {
        errors.refuse(
            word,
            format!("`#[serde(flatten)]` on `{name}` hides its settings from the operator's form: nest the struct instead"),
        );
    }
}

fn choice<'i>(read: &Read<'_>, data: &DataEnum, errors: &mut Errors) -> Option<Settings<'i>> {
    it_is_a_plain_choice(read, data, errors).then(|| {
        let variants = data.variants.iter().map(|variant| (variant, SerdeNames::of(&variant.attrs)));
        let offered = variants.filter(|(_, serde)| !serde.not_read);
        Settings::Choice(
            offered.map(|(variant, serde)| variant_read(&variant.ident, &serde, &read.serde)).collect(),
        )
    })
}

/// A choice in a form is a list of words; what depends on the choice is a setting of its own.
fn it_is_a_plain_choice(read: &Read<'_>, data: &DataEnum, errors: &mut Errors) -> bool {
    if data.variants.is_empty() {
        errors.refuse(
            &read.input.ident,
            format!("`{}` has nothing to choose from: add a variant", read.input.ident),
        );
        return false;
    }
    let mut plain = true;
    if let Some(word) = &read.serde.tagging {
        errors.refuse(
            word,
            format!(
                "`#[serde({word})]` makes `{}` more than a choice of words: take it away",
                read.input.ident
            ),
        );
        plain = false;
    }
    let with_data = data.variants.iter().find(|variant| !matches!(variant.fields, Fields::Unit));
    if let Some(variant) = with_data {
        errors.refuse(
            &variant.ident,
            format!(
                "`{}::{}` holds data, but a choice in the operator's form is a word: move the data to a setting of its own",
                read.input.ident, variant.ident
            ),
        );
        plain = false;
    }
    plain
}
