//! What `#[connector(...)]` says, and the struct beneath it.

use proc_macro2::Ident;
use quote::ToTokens;
use syn::{GenericParam, Generics, LitStr, Type, TypeParam, WherePredicate};

use super::{incoming, outgoing};
use crate::connector::parse::{Direction, Read, type_text};
use crate::entries::Entries;
use crate::errors::Errors;
use crate::names;
use crate::suggest;

pub(super) const KEYS: &[&str] = &["name", "needs", "blocking", "create_once", "crate"];

/// What people write, what the bus calls it.
const CREATE_ONCE: &[(&str, &str)] =
    &[("find", "Find"), ("repeatable", "Repeatable"), ("in_doubt", "InDoubt")];

/// A connector lives as long as the program. Its impls hold for each of its parameters, so that the struct says what they
/// ask of it: one without a bound can be no part of anything that lives so long.
pub(super) fn its_parameters_can_be_part_of_it(read: &Read, errors: &mut Errors) {
    let Read { item, .. } = read;
    for parameter in &item.generics.params {
        match parameter {
            GenericParam::Lifetime(lifetime) => errors.refuse(
                lifetime,
                format!("`{}` lives as long as the program and borrows nothing: take `{}` away", item.ident, lifetime.lifetime),
            ),
            GenericParam::Type(parameter) if !is_bounded(parameter, &item.generics) => errors.refuse(
                parameter,
                format!(
                    "`{0}` of `{1}` may be anything, and a connector holds only what can be shared for good: write what \
                     its impls ask of it on the struct, too, such as `{0}: Transport` or `{0}: Send + Sync + 'static`",
                    parameter.ident, item.ident
                ),
            ),
            GenericParam::Type(_) | GenericParam::Const(_) => {}
        }
    }
}

fn is_bounded(parameter: &TypeParam, generics: &Generics) -> bool {
    let predicates = generics.where_clause.iter().flat_map(|bounds| &bounds.predicates);
    let is_it = |ty: &Type| matches!(ty, Type::Path(path) if path.path.is_ident(&parameter.ident));
    let mut bounded =
        predicates.filter(|one| matches!(one, WherePredicate::Type(one) if is_it(&one.bounded_ty)));
    !parameter.bounds.is_empty() || bounded.next().is_some()
}

/// A connector without lines is never called.
pub(super) fn it_has_a_line(read: &Read, errors: &mut Errors) {
    if read.has_lines {
        return;
    }
    errors.refuse(
        &read.item.ident,
        format!(
            "`#[connector(...)]` on `{}` has no line, so it would never be called: add `#[outgoing(T)]` or \
             `#[incoming(E, key = ...)]` below it",
            read.item.ident
        ),
    );
}

/// The name is what operators write and what the store keeps: it is given, never guessed from a Rust name, which
/// may change.
pub(super) fn it_has_a_name(read: &Read, errors: &mut Errors) -> Option<LitStr> {
    let suggestion = names::words(&read.item.ident.to_string()).join("-");
    if read.connector.lacks("name", KEYS) {
        errors.refuse(
            &read.item.ident,
            format!(
                "`#[connector(...)]` on `{}` has no name: write `#[connector(name = \"{suggestion}\")]`",
                read.item.ident
            ),
        );
        return None;
    }
    let name = read.connector.text("name", &suggestion, errors)?;
    if names::is_connector_name(&name.value()) {
        return Some(name);
    }
    let mended = names::words(&name.value()).join("-");
    let suggestion = if names::is_connector_name(&mended) { mended } else { suggestion };
    errors.refuse(
        &name,
        format!(
            "`name = {}` is not a connector name: write lowercase words joined by `-`, such as `\"{suggestion}\"`",
            name.to_token_stream()
        ),
    );
    None
}

/// What a connector needs is asked of the application once per type.
pub(super) fn it_needs_handles(entries: &Entries, errors: &mut Errors) -> Vec<Type> {
    let Some(entry) = entries.get("needs") else {
        return Vec::new();
    };
    let remedy = "takes types of handles: write `needs(HostDb)`";
    let Some(types) = entry.types(remedy, errors) else {
        return Vec::new();
    };
    if types.is_empty() {
        errors.refuse(&entry.word, "`needs()` names no handle: name at least one type, or take it away");
    }
    for (index, ty) in types.iter().enumerate() {
        if types[..index].contains(ty) {
            errors.refuse(ty, format!("`needs(...)` names `{}` twice: keep one", type_text(ty)));
        }
    }
    types
}

/// What becomes of a create whose answer is lost has three answers, and only who creates anything can give one.
pub(super) fn it_says_what_a_second_create_is(read: &Read, errors: &mut Errors) -> Option<&'static str> {
    let entry = read.connector.get("create_once")?;
    if read.has_lines && !read.lines.iter().any(|line| line.direction == Direction::Outgoing) {
        errors.refuse(
            &entry.word,
            format!(
                "`create_once` on `{}` says what becomes of its creates, and it has none: add an `#[outgoing(T)]` line, or \
                 take `create_once` away",
                read.item.ident
            ),
        );
        return None;
    }
    let given: Ident = entry.equals("takes a word: write `create_once = find`", errors)?;
    let found = CREATE_ONCE.iter().find(|(word, _)| given == word);
    if found.is_none() {
        let words: Vec<&str> = CREATE_ONCE.iter().map(|(word, _)| *word).collect();
        let text = given.to_string();
        errors.refuse(
            &given,
            format!(
                "`create_once = {text}` in {} is not a way to create once: {}",
                read.connector.attribute,
                suggest::remedy(&text, &words)
            ),
        );
    }
    found.map(|(_, variant)| *variant)
}

pub(super) fn foreign(word: &str) -> Option<String> {
    match word {
        _ if outgoing::KEYS.contains(&word) => Some(format!(
            "`{word}` belongs to a line, not to `#[connector(...)]`: move it to `#[outgoing(...)]`"
        )),
        _ if incoming::KEYS.contains(&word) => Some(format!(
            "`{word}` belongs to a line, not to `#[connector(...)]`: move it to `#[incoming(...)]`"
        )),
        _ => None,
    }
}

pub(super) fn belongs_to_it(word: &str, attribute: &str) -> String {
    format!("`{word}` belongs to the whole connector, not to {attribute}: move it to `#[connector(...)]`")
}
