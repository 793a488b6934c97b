//! What an `#[incoming(...)]` line says.

use proc_macro2::Ident;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{LitStr, Member};

use super::{connector, last_word, outgoing, owned};
use crate::connector::model::IncomingLine;
use crate::connector::parse::{Line, type_text};
use crate::entries::Entry;
use crate::errors::Errors;
use crate::names;

pub(super) const KEYS: &[&str] = &["key", "unordered", "kind", "decode"];

pub(super) fn incoming(line: &Line, errors: &mut Errors) -> IncomingLine {
    let entries = &line.entries;
    entries.refuse_repeats(errors);
    entries.refuse_unknown(KEYS, |word| foreign(word, line), errors);
    IncomingLine {
        external: line.subject.clone(),
        kind: it_has_a_kind(line, errors),
        key: it_has_a_key_or_no_order(line, errors),
        decode: entries.function("decode", "read_contact", errors),
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

fn foreign(word: &str, line: &Line) -> Option<String> {
    let attribute = &line.entries.attribute;
    match word {
        _ if outgoing::KEYS.contains(&word) => {
            Some(format!("`{word}` belongs to `#[outgoing(...)]`, not to {attribute}: take it away"))
        }
        _ if connector::KEYS.contains(&word) => Some(connector::belongs_to_it(word, attribute)),
        "late" | "view" => Some(format!("{attribute} has no key `{word}`: take it away")),
        _ => owned(word, attribute),
    }
}
