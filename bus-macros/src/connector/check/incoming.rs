//! What an `#[incoming(...)]` line says.

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{LitStr, Member};

use super::{conflicts, connector, last_word, outgoing};
use crate::connector::model::{IncomingLine, OwnedField};
use crate::connector::parse::{Line, type_text};
use crate::entries::Entry;
use crate::errors::Errors;
use crate::names;

pub(super) const KEYS: &[&str] = &["key", "unordered", "kind", "decode", "owns", "conflict", "conflicts"];

pub(super) fn incoming(line: &Line, errors: &mut Errors) -> IncomingLine {
    let entries = &line.entries;
    entries.refuse_repeats(errors);
    entries.refuse_unknown(KEYS, |word| foreign(word, line), errors);
    IncomingLine {
        external: line.subject.clone(),
        kind: it_has_a_kind(line, errors),
        key: it_has_a_key_or_no_order(line, errors),
        decode: entries.function("decode", "read_contact", errors),
        owned: it_owns_fields(line, errors),
        conflicts: conflicts::it_says_who_wins(line, errors),
    }
}

/// Tasks of one external object are kept in order by its key. Losing that order must be a decision, not a slip.
fn it_has_a_key_or_no_order(line: &Line, errors: &mut Errors) -> Vec<Member> {
    let entries = &line.entries;
    let unordered = entries.flag("unordered", errors);
    let misspelt = |word: &str| !entries.lacks(word, KEYS);
    match (entries.get("key"), unordered) {
        (Some(key), None) => key_field(key, errors),
        (None, Some(_)) => Vec::new(),
        (Some(_), Some(unordered)) => {
            errors.refuse(
                &unordered.word,
                format!(
                    "{} has a `key` and is `unordered`: keep `key` to keep the order of one external object, or \
                     `unordered` to give it up",
                    entries.attribute
                ),
            );
            Vec::new()
        }
        (None, None) if misspelt("key") || misspelt("unordered") => Vec::new(),
        (None, None) => {
            errors.refuse(
                &line.subject,
                format!(
                    "`#[incoming({})]` does not say what identifies the external object: write `key = field`, or \
                     `unordered` if the order of its tasks does not matter",
                    type_text(&line.subject)
                ),
            );
            Vec::new()
        }
    }
}

fn key_field(entry: &Entry, errors: &mut Errors) -> Vec<Member> {
    entry.field("takes a field: write `key = id` or `key = header.id`", errors).unwrap_or_default()
}

/// The kind is how tasks are called between the systems and in the store: it must be a plain word.
fn it_has_a_kind(line: &Line, errors: &mut Errors) -> LitStr {
    let entries = &line.entries;
    let last = last_word(&line.subject);
    let span = last.as_ref().map_or_else(proc_macro2::Span::call_site, Ident::span);
    let of_the_type = names::words(&last.map(|word| word.unraw().to_string()).unwrap_or_default()).join("_");
    if entries.get("kind").is_none() {
        if !names::is_kind(&of_the_type) {
            errors.refuse(
                &line.subject,
                format!(
                    "`#[incoming({})]` has a type whose name gives no kind: write `kind = \"contact\"`",
                    type_text(&line.subject)
                ),
            );
        }
        return LitStr::new(&of_the_type, span);
    }
    let Some(kind) = entries.text("kind", &of_the_type, errors) else {
        return LitStr::new(&of_the_type, span);
    };
    if !names::is_kind(&kind.value()) {
        let mended = names::words(&kind.value()).join("_");
        let suggestion = if names::is_kind(&mended) { mended } else { of_the_type };
        errors.refuse(
            &kind,
            format!(
                "`kind = {}` in {} is not a kind: write lowercase words joined by `_`, such as `\"{suggestion}\"`",
                kind.to_token_stream(),
                entries.attribute
            ),
        );
    }
    kind
}

/// Whose field is whose is said once, here; a line that owned nothing could change nothing.
fn it_owns_fields(line: &Line, errors: &mut Errors) -> Option<Vec<OwnedField>> {
    let attribute = &line.entries.attribute;
    let entry = line.entries.get("owns")?;
    let fields: Vec<OwnedField> =
        entry.list("takes fields of the host's object: write `owns(name, phone)`", errors)?;
    if fields.is_empty() {
        errors.refuse(
            &entry.word,
            format!(
                "`owns()` in {attribute} names no field, so it could change nothing: name one, or take it away for all \
                 of them"
            ),
        );
    }
    for (index, field) in fields.iter().enumerate() {
        let name = field.to_text();
        if fields[..index].iter().any(|earlier| earlier.to_text() == name) {
            errors.refuse(field, format!("`owns(...)` in {attribute} names `{name}` twice: keep one"));
        }
    }
    Some(fields)
}

impl OwnedField {
    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Field(field) => field.unraw().to_string(),
            Self::Name(name) => name.value(),
        }
    }
}

impl Parse for OwnedField {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(LitStr) { input.parse().map(Self::Name) } else { input.parse().map(Self::Field) }
    }
}

impl ToTokens for OwnedField {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Field(field) => field.to_tokens(tokens),
            Self::Name(name) => name.to_tokens(tokens),
        }
    }
}

fn foreign(word: &str, line: &Line) -> Option<String> {
    let attribute = &line.entries.attribute;
    match word {
        _ if outgoing::KEYS.contains(&word) => {
            Some(format!("`{word}` belongs to `#[outgoing(...)]`, not to {attribute}: take it away"))
        }
        _ if connector::KEYS.contains(&word) => Some(connector::belongs_to_it(word, attribute)),
        "late" | "view" => Some(format!("{attribute} has no key `{word}`: take it away")),
        _ => None,
    }
}
