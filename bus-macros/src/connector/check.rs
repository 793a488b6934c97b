//! The rules, one function each, with the reason above it. Each gives back what it understood, so that what was
//! refused once is not complained of again.
//!
//! Here stand those that compare lines with each other; the rules of the connector and of one line are files of
//! their own.

use proc_macro2::Ident;
use syn::Type;

use super::model::{Connector, IncomingLine, OutgoingLine};
use super::parse::{Direction, Line, Read, type_text};
use crate::docs;
use crate::errors::Errors;
use crate::paths::CorePath;

mod conflicts;
mod connector;
mod incoming;
mod outgoing;
mod patterns;

/// Applies every rule.
pub(super) fn check(read: &Read, errors: &mut Errors) -> Connector {
    read.connector.refuse_repeats(errors);
    read.connector.refuse_unknown(connector::KEYS, connector::foreign, errors);
    connector::its_parameters_can_be_part_of_it(read, errors);
    connector::it_has_a_line(read, errors);
    let connector = Connector {
        core: CorePath::new(read.connector.crate_path(errors)),
        name: connector::it_has_a_name(read, errors),
        summary: docs::summary(&read.item.attrs),
        needs: connector::it_needs_handles(&read.connector, errors),
        blocking: read.connector.flag("blocking", errors).is_some(),
        create_once: connector::it_says_what_a_second_create_is(read, errors),
        outgoing: lines(read, Direction::Outgoing, errors, outgoing::outgoing),
        incoming: lines(read, Direction::Incoming, errors, incoming::incoming),
    };
    no_line_stands_twice(&connector, errors);
    no_external_type_stands_twice(&connector, errors);
    no_kind_stands_twice(&connector, errors);
    conflicts::there_are_two_sides(&connector, errors);
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

fn last_word(ty: &Type) -> Option<Ident> {
    let Type::Path(path) = ty else {
        return None;
    };
    path.path.segments.last().map(|segment| segment.ident.clone())
}
