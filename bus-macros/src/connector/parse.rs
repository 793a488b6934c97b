//! From tokens to entries: what is written, not yet what it means.

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, ItemStruct, PathArguments, Token, Type};

use crate::entries::{Entries, in_parentheses, starts_with_entry};
use crate::errors::Errors;

/// What stands on the struct.
pub(super) struct Read {
    /// The struct without its lines.
    pub(super) item: ItemStruct,
    /// What stands in `#[connector(...)]`.
    pub(super) connector: Entries,
    /// Its lines, in order; those whose type cannot be read are left out.
    pub(super) lines: Vec<Line>,
    /// Whether anything looked like a line, be it readable or not.
    pub(super) has_lines: bool,
}

/// One line.
pub(super) struct Line {
    pub(super) direction: Direction,
    /// What it is about.
    pub(super) subject: Type,
    pub(super) entries: Entries,
}

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Outgoing,
    Incoming,
}

impl Direction {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Outgoing => "outgoing",
            Self::Incoming => "incoming",
        }
    }

    /// A line as it should look.
    const fn example(self) -> &'static str {
        match self {
            Self::Outgoing => "#[outgoing(User)]",
            Self::Incoming => "#[incoming(Contact, key = id)]",
        }
    }
}

/// Takes the struct apart: lines here, everything else there.
pub(super) fn parse(arguments: TokenStream, mut item: ItemStruct, errors: &mut Errors) -> Read {
    let mut lines = Vec::new();
    let mut has_lines = false;
    let mut kept = Vec::new();
    for attribute in std::mem::take(&mut item.attrs) {
        if is_connector(&attribute) {
            errors.refuse(
                attribute,
                format!(
                    "`#[connector(...)]` stands twice on `{}`: write a struct for each connector",
                    item.ident
                ),
            );
            has_lines = true;
        } else if let Some(direction) = direction(&attribute) {
            has_lines = true;
            lines.extend(parse_line(direction, &attribute, errors));
        } else {
            kept.push(attribute);
        }
    }
    item.attrs = kept;
    Read { connector: Entries::parse("`#[connector(...)]`", arguments, errors), item, lines, has_lines }
}

/// Whether this is `#[connector(...)]`, under whichever path.
pub(super) fn is_connector(attribute: &Attribute) -> bool {
    last_word(attribute).is_some_and(|word| word == "connector")
}

/// Whether this is a line, under whichever path.
pub(super) fn direction(attribute: &Attribute) -> Option<Direction> {
    let word = last_word(attribute)?;
    [Direction::Outgoing, Direction::Incoming].into_iter().find(|direction| word == direction.as_str())
}

fn last_word(attribute: &Attribute) -> Option<&Ident> {
    attribute.path().segments.last().map(|segment| &segment.ident)
}

fn parse_line(direction: Direction, attribute: &Attribute, errors: &mut Errors) -> Option<Line> {
    let word = direction.as_str();
    let subject_missing = |errors: &mut Errors| {
        errors.refuse(
            attribute,
            format!(
                "`#[{word}(...)]` does not say of which type: name it first, as in `{}`",
                direction.example()
            ),
        );
    };
    let Some(tokens) = in_parentheses(attribute).filter(|tokens| !tokens.is_empty()) else {
        subject_missing(errors);
        return None;
    };
    if starts_with_entry(&tokens) {
        subject_missing(errors);
        return None;
    }
    let split = |input: ParseStream<'_>| {
        let subject: Type = input.parse()?;
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
        Ok((subject, input.parse::<TokenStream>()?))
    };
    let Ok((subject, rest)) = split.parse2(tokens.clone()) else {
        errors.refuse(
            &tokens,
            format!(
                "`#[{word}({tokens})]` does not start with a type: write one and then a comma, as in `{}`",
                direction.example()
            ),
        );
        return None;
    };
    if !names_a_type(&subject) {
        errors.refuse(
            &subject,
            format!(
                "`#[{word}({tokens})]` is about something that has no name: name a struct, as in `{}`",
                direction.example()
            ),
        );
        return None;
    }
    let attribute = format!("`#[{word}({}, ...)]`", type_text(&subject));
    Some(Line { direction, entries: Entries::parse(attribute, rest, errors), subject })
}

/// `User`, `model::User`, `Envelope<Contact>`; not `&User`, `[User]` or `Fn(User)`.
fn names_a_type(subject: &Type) -> bool {
    let Type::Path(path) = subject else {
        return false;
    };
    path.path.segments.iter().all(|segment| !matches!(segment.arguments, PathArguments::Parenthesized(_)))
}

/// A type as people write it.
pub(super) fn type_text(ty: &Type) -> String {
    ty.to_token_stream()
        .to_string()
        .replace(" :: ", "::")
        .replace(":: ", "::")
        .replace(" < ", "<")
        .replace(" <", "<")
        .replace("< ", "<")
        .replace(" >", ">")
        .replace(" ,", ",")
}
