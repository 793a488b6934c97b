//! What an external system says of an object that travels both ways: what was told to it, coming back; an answer to that; or
//! something new. Recognised by content, field by field; pure functions of what is there, what has come, and what was sent.

use std::collections::BTreeMap;
use std::time::Duration;

use bus_core::descriptor::ConnectorDescriptor;
use bus_core::{Subject, Timestamp};
use bus_store::{Agreed, Sent};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::delivery::route_of;

/// For how long what was sent can come back.
pub(crate) const ECHO_MAX: Duration = Duration::from_hours(24);

/// How late what was sent can come back once something newer has been given there. After that, who says it again means it:
/// a change can be undone.
pub(crate) const LATE_MAX: Duration = Duration::from_mins(10);

/// How soon a change there is taken for an answer to what was written there: it rewrites what it receives. Two sides that
/// take turns faster than this answer each other.
pub(crate) const ANSWER_MAX: Duration = Duration::from_mins(10);

/// What an external object is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard<'s> {
    /// What was sent there, coming back: nothing new, whatever has become of the host's object since.
    Echo(&'s Sent),
    /// Not quite what was sent there a short time ago: the external system has rewritten it.
    Answer(&'s Sent),
    /// Something that it says by itself, or nothing at all.
    News,
}

/// Whether what this connector is told of objects of this type, or of pages of this class, can come back from it.
pub(crate) fn travels_both_ways(linked: &'static ConnectorDescriptor, of: Subject, name: &str) -> bool {
    let becomes_it = |known: Option<&str>| known.is_none_or(|known| known == name);
    linked.incoming().any(|route| route.of == of && becomes_it(route.object_type))
        && route_of(linked, of, name).is_some()
}

/// A digest of each field.
pub(crate) fn digests(fields: &Map<String, Value>) -> BTreeMap<String, u64> {
    fields.iter().map(|(field, value)| (field.clone(), digest(value))).collect()
}

/// What it is that came in at `came_at` and would make `after` of the object that is there, `before`. `sent` is what was sent
/// and not heard of since, oldest first; `agreed` what both sides had last.
pub(crate) fn heard<'s>(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    sent: &'s [Sent],
    agreed: Option<&Agreed>,
    came_at: Timestamp,
) -> Heard<'s> {
    let is_changed = |field: &&String| before.get(*field) != after.get(*field);
    let removed = before.keys().filter(|field| !after.contains_key(*field));
    let changed: Vec<&String> = after.keys().filter(is_changed).chain(removed).collect();
    let is_as_sent =
        |sent: &Sent, field: &String| sent.fields.get(field).copied() == after.get(field).map(digest);
    let given_at = agreed.filter(|agreed| agreed.is_given).map(|agreed| agreed.at);
    // Something newer has been there for a while.
    let is_over = |index: usize| {
        given_at.is_some_and(|given_at| {
            came_at.since(given_at) > LATE_MAX && sent[index + 1..].iter().any(|newer| newer.at <= given_at)
        })
    };
    let fresh = sent.iter().enumerate().filter(|(_, sent)| came_at.since(sent.at) <= ECHO_MAX);
    let mut fresh = fresh.filter(|(index, _)| !is_over(*index)).map(|(_, sent)| sent);
    let echo = fresh.find(|sent| {
        if changed.is_empty() {
            // It brings nothing; but it must be what was sent, for that to be used up.
            sent.fields.keys().all(|field| is_as_sent(sent, field))
        } else {
            changed.iter().all(|field| is_as_sent(sent, field))
        }
    });
    let latest = sent.last().filter(|latest| !changed.is_empty() && came_at.since(latest.at) <= ANSWER_MAX);
    match (echo, latest) {
        (Some(echo), _) => Heard::Echo(echo),
        (None, Some(latest)) => Heard::Answer(latest),
        (None, None) => Heard::News,
    }
}

/// How often in a row the two sides have answered each other by now, where a change from there is taken: none where
/// nothing was said from here since the last, and anew after a while of quiet.
pub(crate) fn alternations(agreed: Option<&Agreed>, now: Timestamp) -> u32 {
    match agreed {
        Some(agreed) if now.since(agreed.at) > ANSWER_MAX => 0,
        Some(agreed) => agreed.alternations + u32::from(agreed.is_given),
        None => 0,
    }
}

/// The first eight bytes of the SHA-256 of the value, whose fields count in the order of their names whatever order they
/// are kept in.
fn digest(value: &Value) -> u64 {
    let mut hasher = Sha256::new();
    add(&mut hasher, value);
    let bytes = hasher.finalize();
    bytes.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn add(hasher: &mut Sha256, value: &Value) {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
            hasher.update(b"{");
            for (field, value) in sorted {
                hasher.update(Value::String(field.clone()).to_string());
                hasher.update(b":");
                add(hasher, value);
            }
            hasher.update(b"}");
        }
        Value::Array(values) => {
            hasher.update(b"[");
            for value in values {
                add(hasher, value);
                hasher.update(b",");
            }
            hasher.update(b"]");
        }
        scalar => hasher.update(scalar.to_string()),
    }
}

#[cfg(test)]
mod tests;
