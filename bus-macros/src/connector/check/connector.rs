//! What `#[connector(...)]` says, and the struct beneath it.

use quote::ToTokens;
use syn::{GenericParam, Generics, LitStr, Type, TypeParam, WherePredicate};

use super::{incoming, outgoing};
use crate::connector::parse::{Read, type_text};
use crate::entries::Entries;
use crate::errors::Errors;
use crate::names;

pub(super) const KEYS: &[&str] = &["name", "needs", "blocking", "crate"];

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
