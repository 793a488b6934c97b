//! The rules, one function each, with the reason above it. Each gives back what it understood, so that what was
//! refused once is not complained of again.
//!
//! The file is long because all rules of the connector and its lines stand in it, one after the other, in the order of
//! the attributes.

use proc_macro2::Ident;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{LitStr, Member, Type};

use super::model::{Connector, IncomingLine, OutgoingLine, Site};
use super::parse::{Direction, Line, Read, type_text};
use crate::entries::{Entries, Entry};
use crate::errors::Errors;
use crate::paths::CorePath;
use crate::{docs, names, suggest};

const CONNECTOR_KEYS: &[&str] = &["name", "needs", "blocking", "crate"];
const OUTGOING_KEYS: &[&str] = &["on", "data", "sync", "type", "site", "global", "code_name", "filter"];
const INCOMING_KEYS: &[&str] = &["key", "unordered", "kind", "decode"];

/// What people write, what the bus calls it.
const OPERATIONS: &[(&str, &str)] = &[("create", "Create"), ("update", "Update"), ("delete", "Delete")];
const DATA_TYPES: &[(&str, &str)] =
    &[("simple", "Simple"), ("simple_snapshot", "SimpleSnapshot"), ("snapshot", "Snapshot")];

/// Applies every rule.
pub(super) fn check(read: &Read, errors: &mut Errors) -> Connector {
    read.connector.refuse_repeats(errors);
    read.connector.refuse_unknown(CONNECTOR_KEYS, foreign_to_connectors, errors);
    it_is_not_generic(read, errors);
    it_has_a_line(read, errors);
    let connector = Connector {
        core: CorePath::new(read.connector.crate_path(errors)),
        name: it_has_a_name(read, errors),
        summary: docs::summary(&read.item.attrs),
        needs: it_needs_handles(&read.connector, errors),
        blocking: read.connector.flag("blocking", errors).is_some(),
        outgoing: lines(read, Direction::Outgoing, errors, outgoing),
        incoming: lines(read, Direction::Incoming, errors, incoming),
    };
    no_line_stands_twice(&connector, errors);
    no_external_type_stands_twice(&connector, errors);
    no_kind_stands_twice(&connector, errors);
    connector
}

fn lines<T>(
    read: &Read,
    direction: Direction,
    errors: &mut Errors,
    understand: fn(&Line, &mut Errors) -> T,
) -> Vec<T> {
    let of_direction = read.lines.iter().filter(|line| line.direction == direction);
    of_direction.map(|line| understand(line, errors)).collect()
}

/// A generic struct is many types, and a name can stand for one only.
fn it_is_not_generic(read: &Read, errors: &mut Errors) {
    let item = &read.item;
    if item.generics.params.is_empty() {
        return;
    }
    errors.refuse(
        &item.generics,
        format!(
            "`#[connector(...)]` on `{0}` names one connector, but a generic struct is many: wrap it in a struct \
             without parameters and put the attribute there",
            item.ident
        ),
    );
}

/// A connector without lines is never called.
fn it_has_a_line(read: &Read, errors: &mut Errors) {
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
fn it_has_a_name(read: &Read, errors: &mut Errors) -> Option<LitStr> {
    let suggestion = names::words(&read.item.ident.to_string()).join("-");
    if read.connector.lacks("name", CONNECTOR_KEYS) {
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
fn it_needs_handles(entries: &Entries, errors: &mut Errors) -> Vec<Type> {
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

fn outgoing(line: &Line, errors: &mut Errors) -> OutgoingLine {
    let entries = &line.entries;
    entries.refuse_repeats(errors);
    let foreign = |word: &str| foreign_to_outgoing(word, line);
    entries.refuse_unknown(OUTGOING_KEYS, foreign, errors);
    OutgoingLine {
        object: line.subject.clone(),
        type_pattern: only_any_object_has_a_type_pattern(line, errors),
        operations: it_names_operations(line, errors),
        data: it_names_a_data_type(line, errors),
        sync: entries.flag("sync", errors).is_some(),
        site: it_is_of_a_site_or_global(line, errors),
        code_name: it_is_a_pattern(entries, "code_name", "admin%", errors),
        filter: entries.function("filter", "Self::wants", errors),
    }
}

/// The Rust type says which object type is meant, unless it stands for any: then the line must say it.
fn only_any_object_has_a_type_pattern(line: &Line, errors: &mut Errors) -> Option<LitStr> {
    let subject = type_text(&line.subject);
    let last = last_word(&line.subject);
    let lacks_type = line.entries.lacks("type", OUTGOING_KEYS);
    if last.as_ref().is_some_and(|word| word == "AnyPage") {
        errors.refuse(
            &line.subject,
            "`#[outgoing(AnyPage)]` stands for pages, and the bus carries objects: write `AnyObject`",
        );
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
fn it_names_operations(line: &Line, errors: &mut Errors) -> Vec<&'static str> {
    let words: Vec<&str> = OPERATIONS.iter().map(|(word, _)| *word).collect();
    let Some(entry) = line.entries.get("on") else {
        return Vec::new();
    };
    let Some(given) = entry.words("takes operations: write `on(create, update)`", errors) else {
        return Vec::new();
    };
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
        } else if matches!(text.as_str(), "publish" | "archive" | "reject" | "move") {
            errors.refuse(
                word,
                format!(
                    "`{text}` in {} is an operation on pages; objects have `create`, `update` and `delete`",
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
    let of_life = OPERATIONS.iter().filter(|(word, _)| named(word));
    of_life.map(|(_, variant)| *variant).collect()
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

/// In a pattern `%` stands for any run of characters; what looks like a pattern of another kind matches nothing.
fn it_is_a_pattern(entries: &Entries, word: &str, example: &str, errors: &mut Errors) -> Option<LitStr> {
    let pattern = entries.text(word, example, errors)?;
    let text = pattern.value();
    if text.is_empty() {
        errors.refuse(
            &pattern,
            format!(
                "`{word} = \"\"` in {} matches nothing: write `{word} = \"{example}\"`, or take it away",
                entries.attribute
            ),
        );
    } else if text.contains('*') {
        errors.refuse(
            &pattern,
            format!(
                "`{word} = {}` in {} takes `*` for itself; any run of characters is `%`: write `{word} = \"{}\"`",
                pattern.to_token_stream(),
                entries.attribute,
                text.replace('*', "%")
            ),
        );
    }
    Some(pattern)
}

fn incoming(line: &Line, errors: &mut Errors) -> IncomingLine {
    let entries = &line.entries;
    entries.refuse_repeats(errors);
    let foreign = |word: &str| foreign_to_incoming(word, line);
    entries.refuse_unknown(INCOMING_KEYS, foreign, errors);
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
    let misspelt = |word: &str| !entries.lacks(word, INCOMING_KEYS);
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

/// Of two equal lines, one was meant to be another.
fn no_line_stands_twice(connector: &Connector, errors: &mut Errors) {
    let texts: Vec<String> = connector.outgoing.iter().map(OutgoingLine::to_text).collect();
    for (index, line) in connector.outgoing.iter().enumerate() {
        if texts[..index].contains(&texts[index]) {
            errors.refuse(
                &line.object,
                format!(
                    "`#[outgoing({}, ...)]` stands twice with the same keys: keep one, or change what it asks for",
                    type_text(&line.object)
                ),
            );
        }
    }
}

/// One external type has one key and one kind: a second line would contradict the first.
fn no_external_type_stands_twice(connector: &Connector, errors: &mut Errors) {
    for (index, line) in connector.incoming.iter().enumerate() {
        let earlier = &connector.incoming[..index];
        if earlier.iter().any(|earlier| earlier.external == line.external) {
            errors.refuse(
                &line.external,
                format!("`#[incoming({}, ...)]` stands twice: keep one", type_text(&line.external)),
            );
        }
    }
}

/// The kind is all that tells one received object from another: two of one kind could not be told apart.
fn no_kind_stands_twice(connector: &Connector, errors: &mut Errors) {
    for (index, line) in connector.incoming.iter().enumerate() {
        let same = |earlier: &&IncomingLine| {
            earlier.kind.value() == line.kind.value() && earlier.external != line.external
        };
        if let Some(earlier) = connector.incoming[..index].iter().find(same) {
            errors.refuse(
                &line.kind,
                format!(
                    "`#[incoming({0}, ...)]` and `#[incoming({1}, ...)]` are both of kind `{2}`: give one of them \
                     another `kind = \"...\"`",
                    type_text(&earlier.external),
                    type_text(&line.external),
                    line.kind.value()
                ),
            );
        }
    }
}

fn foreign_to_connectors(word: &str) -> Option<String> {
    match word {
        _ if OUTGOING_KEYS.contains(&word) => Some(format!(
            "`{word}` belongs to a line, not to `#[connector(...)]`: move it to `#[outgoing(...)]`"
        )),
        _ if INCOMING_KEYS.contains(&word) => Some(format!(
            "`{word}` belongs to a line, not to `#[connector(...)]`: move it to `#[incoming(...)]`"
        )),
        _ => None,
    }
}

fn foreign_to_outgoing(word: &str, line: &Line) -> Option<String> {
    let attribute = &line.entries.attribute;
    match word {
        "class" | "path" | "culture" => Some(format!(
            "`{word}` in {attribute} is a criterion of pages; objects have `site`, `global`, `code_name` and `filter`"
        )),
        "late" => Some(format!(
            "{attribute} has no key `late`, since a delivery waits for its references: take it away"
        )),
        "view" => Some(format!(
            "{attribute} has no key `view`: name the struct that is the object, and leave out what you do not need"
        )),
        "create" | "update" | "delete" => {
            Some(format!("`{word}` in {attribute} stands outside of `on`: write `on({word})`"))
        }
        _ if INCOMING_KEYS.contains(&word) => {
            Some(format!("`{word}` belongs to `#[incoming(...)]`, not to {attribute}: take it away"))
        }
        _ if CONNECTOR_KEYS.contains(&word) => Some(of_the_connector(word, attribute)),
        _ => owned(word, attribute),
    }
}

fn foreign_to_incoming(word: &str, line: &Line) -> Option<String> {
    let attribute = &line.entries.attribute;
    match word {
        _ if OUTGOING_KEYS.contains(&word) => {
            Some(format!("`{word}` belongs to `#[outgoing(...)]`, not to {attribute}: take it away"))
        }
        _ if CONNECTOR_KEYS.contains(&word) => Some(of_the_connector(word, attribute)),
        "late" | "view" => Some(format!("{attribute} has no key `{word}`: take it away")),
        _ => owned(word, attribute),
    }
}

fn of_the_connector(word: &str, attribute: &str) -> String {
    format!("`{word}` belongs to the whole connector, not to {attribute}: move it to `#[connector(...)]`")
}

fn owned(word: &str, attribute: &str) -> Option<String> {
    (word == "owns").then(|| {
        format!(
            "{attribute} has no key `owns`: start from `received.existing` in `prepare_internal_object` and write \
             only the fields that the external system owns"
        )
    })
}

fn last_word(ty: &Type) -> Option<Ident> {
    let Type::Path(path) = ty else {
        return None;
    };
    path.path.segments.last().map(|segment| segment.ident.clone())
}

impl OutgoingLine {
    /// All that the line says, in one order: two lines with the same text ask for the same.
    fn to_text(&self) -> String {
        let site = match &self.site {
            Site::Any => String::new(),
            Site::Global => "global".to_owned(),
            Site::Named(site) => site.value(),
        };
        let pattern = |given: &Option<LitStr>| given.as_ref().map(LitStr::value);
        format!(
            "{} {:?} {:?} {:?} {} {site:?} {:?} {}",
            self.object.to_token_stream(),
            pattern(&self.type_pattern),
            self.operations,
            self.data,
            self.sync,
            pattern(&self.code_name),
            self.filter.to_token_stream(),
        )
    }
}
