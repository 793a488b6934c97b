//! What an `#[incoming(...)]` line says of objects that both sides have changed.

use proc_macro2::Ident;
use syn::Token;
use syn::parse::{Parse, ParseStream};

use crate::connector::model::{Conflicts, Connector, OwnedField};
use crate::connector::parse::{Line, type_text};
use crate::errors::Errors;
use crate::suggest;

/// Who can win, as it is written and as a variant of `Conflict`.
const POLICIES: &[(&str, &str)] = &[
    ("external_wins", "ExternalWins"),
    ("host_wins", "HostWins"),
    ("newest_wins", "NewestWins"),
    ("merge_fields", "MergeFields"),
    ("review", "Review"),
];

/// What can only be said of a whole object.
const OF_OBJECTS: &str = "merge_fields";

/// One field and who wins in it.
struct OfField {
    field: OwnedField,
    policy: Ident,
}

impl Parse for OfField {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let field = input.parse()?;
        input.parse::<Token![=]>()?;
        Ok(Self { field, policy: input.parse()? })
    }
}

/// Who wins is said for all fields, for single ones, or for both; of one field once.
pub(super) fn it_says_who_wins(line: &Line, errors: &mut Errors) -> Option<Conflicts> {
    let entries = &line.entries;
    let of_all = entries.get("conflict");
    let of_fields = entries.get("conflicts");
    let word = of_all.or(of_fields)?.word.clone();
    let mut conflicts = Conflicts { word, otherwise: POLICIES[0].1, fields: Vec::new() };
    if let Some(entry) = of_all {
        let given: Option<Ident> = entry.equals("takes a word: write `conflict = host_wins`", errors);
        let known = given.and_then(|given| policy(&given, POLICIES, line, errors));
        conflicts.otherwise = known.unwrap_or(conflicts.otherwise);
    }
    let Some(entry) = of_fields else { return Some(conflicts) };
    let remedy =
        "takes fields of the host's object, each with who wins: write `conflicts(phone = host_wins)`";
    let fields: Vec<OfField> = entry.list(remedy, errors).unwrap_or_default();
    let of_fields: Vec<_> = POLICIES.iter().copied().filter(|(word, _)| *word != OF_OBJECTS).collect();
    for OfField { field, policy: given } in fields {
        let name = field.to_text();
        if conflicts.fields.iter().any(|(earlier, _)| earlier.to_text() == name) {
            let attribute = &entries.attribute;
            errors.refuse(&field, format!("`conflicts(...)` in {attribute} names `{name}` twice: keep one"));
        }
        if given == OF_OBJECTS {
            let attribute = &entries.attribute;
            errors.refuse(
                &given,
                format!(
                    "`{OF_OBJECTS}` in {attribute} is said of whole objects, and this is one field: write `review`, or \
                     `conflict = {OF_OBJECTS}` for all of them"
                ),
            );
        } else if let Some(policy) = policy(&given, &of_fields, line, errors) {
            conflicts.fields.push((field, policy));
        }
    }
    Some(conflicts)
}

/// The variant of a policy.
fn policy(
    given: &Ident,
    known: &[(&'static str, &'static str)],
    line: &Line,
    errors: &mut Errors,
) -> Option<&'static str> {
    let found = known.iter().find(|(word, _)| given == word);
    if found.is_none() {
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        let text = given.to_string();
        errors.refuse(
            given,
            format!(
                "`{text}` in {} does not say who wins: {}",
                line.entries.attribute,
                suggest::remedy(&text, &words)
            ),
        );
    }
    found.map(|(_, variant)| *variant)
}

/// Where nothing goes out, nothing that comes in can contradict what was told: the wish would never be heard.
pub(super) fn there_are_two_sides(connector: &Connector, errors: &mut Errors) {
    if !connector.outgoing.is_empty() {
        return;
    }
    for line in &connector.incoming {
        if let Some(Conflicts { word, .. }) = &line.conflicts {
            errors.refuse(
                word,
                format!(
                    "`{word}` in `#[incoming({})]` is never asked: a connector without an `#[outgoing(...)]` line has told \
                     nothing that could be contradicted; add one, or take `{word}` away",
                    type_text(&line.external)
                ),
            );
        }
    }
}
