//! What an `#[outgoing(...)]` line says.

use proc_macro2::Ident;
use quote::ToTokens;
use syn::LitStr;
use syn::ext::IdentExt;

use super::patterns::it_is_a_pattern;
use super::{connector, incoming, last_word};
use crate::connector::model::{OutgoingLine, Site};
use crate::connector::parse::{Line, type_text};
use crate::errors::Errors;
use crate::suggest;

pub(super) const KEYS: &[&str] =
    &["on", "data", "sync", "type", "site", "global", "code_name", "class", "path", "culture", "filter"];

/// What people write, what the bus calls it: on objects, and on pages.
const OPERATIONS: &[(&str, &str)] = &[
    ("create", "Create"),
    ("update", "Update"),
    ("delete", "Delete"),
    ("add_to_site", "AddToSite"),
    ("remove_from_site", "RemoveFromSite"),
];
const OPERATIONS_OF_SITES: &[&str] = &["add_to_site", "remove_from_site"];
const OPERATIONS_OF_PAGES: &[(&str, &str)] = &[
    ("create", "Create"),
    ("update", "Update"),
    ("delete", "Delete"),
    ("delete_all", "DeleteAll"),
    ("publish", "Publish"),
    ("archive", "Archive"),
    ("reject", "Reject"),
    ("move", "Move"),
];
const DATA_TYPES: &[(&str, &str)] =
    &[("simple", "Simple"), ("simple_snapshot", "SimpleSnapshot"), ("snapshot", "Snapshot")];

pub(super) fn outgoing(line: &Line, errors: &mut Errors) -> OutgoingLine {
    let entries = &line.entries;
    entries.refuse_repeats(errors);
    entries.refuse_unknown(KEYS, |word| foreign(word, line), errors);
    let (operations, page_operations) = it_names_operations(line, errors);
    OutgoingLine {
        object: line.subject.clone(),
        type_pattern: only_any_object_has_a_type_pattern(line, errors),
        operations,
        page_operations,
        data: it_names_a_data_type(line, errors),
        sync: entries.flag("sync", errors).is_some(),
        site: it_is_of_a_site_or_global(line, errors),
        code_name: it_is_a_pattern(entries, "code_name", "admin%", errors),
        class_name: it_is_a_pattern(entries, "class", "app.%", errors),
        alias_path: it_is_a_path(line, errors),
        culture: it_is_a_pattern(entries, "culture", "en-US", errors),
        filter: entries.function("filter", "Self::wants", errors),
    }
}

/// The Rust type says which object type is meant, unless it stands for any: then the line must say it.
fn only_any_object_has_a_type_pattern(line: &Line, errors: &mut Errors) -> Option<LitStr> {
    let subject = type_text(&line.subject);
    let last = last_word(&line.subject);
    let lacks_type = line.entries.lacks("type", KEYS);
    if last.as_ref().is_some_and(|word| word == "AnyPage") {
        if let Some(entry) = line.entries.get("type") {
            errors.refuse(
                &entry.word,
                format!(
                    "{} has `type`, and pages have a class: write `class = \"app.%\"`",
                    line.entries.attribute
                ),
            );
        }
        return None;
    }
    let is_any = last.is_some_and(|word| word == "AnyObject");
    match (is_any, line.entries.get("type")) {
        (true, None) if !lacks_type => None,
        (true, None) => {
            errors.refuse(
                &line.subject,
                format!(
                    "`#[outgoing({subject})]` does not say which object types: write `type = \"cms.%\"`, or \
                     `type = \"%\"` for all"
                ),
            );
            None
        }
        (false, Some(entry)) => {
            errors.refuse(
                &entry.word,
                format!(
                    "{} has `type`, but `{subject}` is of one object type already: take `type` away, or name `AnyObject`",
                    line.entries.attribute
                ),
            );
            None
        }
        (true, Some(_)) => it_is_a_pattern(&line.entries, "type", "cms.%", errors),
        (false, None) => None,
    }
}

/// An operation that nothing ever does would be a subscription to silence.
fn it_names_operations(line: &Line, errors: &mut Errors) -> (Vec<&'static str>, Vec<&'static str>) {
    let words = words();
    let Some(entry) = line.entries.get("on") else {
        return (Vec::new(), Vec::new());
    };
    let Some(given) = entry.words("takes operations: write `on(create, update)`", errors) else {
        return (Vec::new(), Vec::new());
    };
    let is_of_pages_only = |text: &str| has(OPERATIONS_OF_PAGES, text) && !has(OPERATIONS, text);
    let of_pages = given.iter().find(|word| is_of_pages_only(&word.unraw().to_string()));
    if given.is_empty() {
        errors.refuse(
            &entry.word,
            format!(
                "`on()` in {} names no operation, so it would never be called: name {}, or take it away for all \
                 of them",
                line.entries.attribute,
                suggest::one_of(&words)
            ),
        );
    }
    for (index, word) in given.iter().enumerate() {
        let text = word.unraw().to_string();
        if given[..index].contains(word) {
            errors.refuse(
                word,
                format!("`on(...)` in {} names `{text}` twice: keep one", line.entries.attribute),
            );
        } else if let Some(of_pages) = of_pages.filter(|_| OPERATIONS_OF_SITES.contains(&text.as_str())) {
            errors.refuse(
                word,
                format!(
                    "`{text}` in {} is an operation on objects, and `{of_pages}` one on pages: write a line for each",
                    line.entries.attribute
                ),
            );
        } else if OPERATIONS_OF_SITES.contains(&text.as_str()) && line.entries.get("global").is_some() {
            errors.refuse(
                word,
                format!(
                    "`{text}` in {} is about a site, and `global` wants what is of none: keep one of the two",
                    line.entries.attribute
                ),
            );
        } else if !words.contains(&text.as_str()) {
            errors.refuse(
                word,
                format!(
                    "`{text}` in {} is not an operation: {}",
                    line.entries.attribute,
                    suggest::remedy(&text, &words)
                ),
            );
        }
    }
    let named = |word: &str| given.iter().any(|given| given.unraw() == word);
    let variants = |operations: &[(&'static str, &'static str)]| {
        operations.iter().filter(|(word, _)| named(word)).map(|(_, variant)| *variant).collect()
    };
    (variants(OPERATIONS), variants(OPERATIONS_OF_PAGES))
}

/// Each operation once, those on objects first.
fn words() -> Vec<&'static str> {
    let of_pages = OPERATIONS_OF_PAGES.iter().filter(|(word, _)| !has(OPERATIONS, word));
    OPERATIONS.iter().chain(of_pages).map(|(word, _)| *word).collect()
}

fn has(operations: &[(&str, &str)], text: &str) -> bool {
    operations.iter().any(|(word, _)| *word == text)
}

/// Every alias path begins with a stroke: a pattern that does not would match nothing.
fn it_is_a_path(line: &Line, errors: &mut Errors) -> Option<LitStr> {
    let path = it_is_a_pattern(&line.entries, "path", "/News/%", errors)?;
    let text = path.value();
    if !text.is_empty() && !text.starts_with(['/', '%']) {
        errors.refuse(
            &path,
            format!(
                "`path = {}` in {} matches nothing, since paths begin with `/`: write `path = \"/{text}\"`",
                path.to_token_stream(),
                line.entries.attribute
            ),
        );
    }
    Some(path)
}

/// How much a delivery carries has three answers. `sync` gives one of them by itself, so that beside it there is
/// nothing left to say, be it the same or another.
fn it_names_a_data_type(line: &Line, errors: &mut Errors) -> Option<&'static str> {
    let words: Vec<&str> = DATA_TYPES.iter().map(|(word, _)| *word).collect();
    let entry = line.entries.get("data")?;
    if line.entries.get("sync").is_some() {
        errors.refuse(
            &entry.word,
            format!(
                "`data` stands beside `sync` in {}, but a synchronous line always carries a snapshot: take `data` away",
                line.entries.attribute
            ),
        );
        return None;
    }
    let given: Ident = entry.equals("takes a word: write `data = snapshot`", errors)?;
    let found = DATA_TYPES.iter().find(|(word, _)| given == word);
    if found.is_none() {
        let text = given.to_string();
        errors.refuse(
            &given,
            format!(
                "`data = {text}` in {} is not a data type: {}",
                line.entries.attribute,
                suggest::remedy(&text, &words)
            ),
        );
    }
    found.map(|(_, variant)| *variant)
}

/// A global object belongs to no site: both at once match nothing.
fn it_is_of_a_site_or_global(line: &Line, errors: &mut Errors) -> Site {
    let entries = &line.entries;
    let global = entries.flag("global", errors);
    let site = it_is_a_pattern(entries, "site", "corp", errors);
    match (global, site) {
        (Some(global), Some(_)) => {
            errors.refuse(
                &global.word,
                format!(
                    "{} wants objects of a `site` that are `global`, and there are none: keep one of the two",
                    entries.attribute
                ),
            );
            Site::Any
        }
        (Some(_), None) => Site::Global,
        (None, Some(site)) => Site::Named(site),
        (None, None) => Site::Any,
    }
}

fn foreign(word: &str, line: &Line) -> Option<String> {
    let attribute = &line.entries.attribute;
    match word {
        "late" => Some(format!(
            "`late` belongs to a reference of the object, not to {attribute}: write `#[object(reference = late)]` above that field"
        )),
        "view" => Some(format!(
            "`view` belongs to an object: write `#[object(type = ..., view)]` on a second struct, name that one here, and \
             take `view` out of {attribute}"
        )),
        _ if words().contains(&word) => {
            Some(format!("`{word}` in {attribute} stands outside of `on`: write `on({word})`"))
        }
        _ if incoming::KEYS.contains(&word) => {
            Some(format!("`{word}` belongs to `#[incoming(...)]`, not to {attribute}: take it away"))
        }
        _ if connector::KEYS.contains(&word) => Some(connector::belongs_to_it(word, attribute)),
        _ => None,
    }
}

impl OutgoingLine {
    /// All that the line says, in one order: two lines with the same text ask for the same.
    pub(super) fn to_text(&self) -> String {
        let site = match &self.site {
            Site::Any => String::new(),
            Site::Global => "global".to_owned(),
            Site::Named(site) => site.value(),
        };
        let pattern = |given: &Option<LitStr>| given.as_ref().map(LitStr::value);
        format!(
            "{} {:?} {:?} {:?} {:?} {} {site:?} {:?} {:?} {:?} {:?} {}",
            self.object.to_token_stream(),
            pattern(&self.type_pattern),
            self.operations,
            self.page_operations,
            self.data,
            self.sync,
            pattern(&self.code_name),
            pattern(&self.class_name),
            pattern(&self.alias_path),
            pattern(&self.culture),
            self.filter.to_token_stream(),
        )
    }
}
