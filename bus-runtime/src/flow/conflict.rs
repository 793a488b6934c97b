//! Which side each field of an object is taken from that both the host and an external system may have changed: a pure
//! table of policies.

use std::collections::BTreeSet;

use bus_core::payload::{Payload, ThreeWay, three_way};
use bus_core::{Conflict, Conflicts};
use serde_json::{Map, Value};

/// Where the fields of a merged object come from, by their names in JSON; what neither side has changed is in none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Merged {
    /// From the external system.
    pub(crate) taken: Vec<String>,
    /// From the host: the external system does not have them.
    pub(crate) kept: Vec<String>,
    /// Whether the host has changed anything at all: the external system may be told of that only yet.
    pub(crate) is_host_ahead: bool,
}

/// Decides by what both sides had. Lists of children that were never told to the external system were never agreed upon.
pub(crate) fn merged(
    agreed: &Map<String, Value>,
    host: &Payload,
    external: &Payload,
    conflicts: &Conflicts,
) -> Merged {
    let ThreeWay { host_only, external_only, both } = three_way(agreed, &host.object, &external.object);
    let fields: BTreeSet<&String> = agreed.keys().chain(host.object.keys()).collect();
    let is_untold = |field: &str| !agreed.contains_key(field) && is_list(host, field);
    let is_ahead = |field: &&String| agreed.get(*field) != host.object.get(*field) && !is_untold(field);
    let is_host_ahead = fields.iter().any(is_ahead);
    let mut merged = Merged { taken: external_only, kept: host_only, is_host_ahead };
    for field in both {
        let list = match conflicts.of(&field) {
            Conflict::HostWins if !is_untold(&field) => &mut merged.kept,
            Conflict::HostWins | Conflict::ExternalWins => &mut merged.taken,
        };
        list.push(field);
    }
    merged
}

fn is_list(payload: &Payload, field: &str) -> bool {
    payload.children.iter().any(|at| at.strip_prefix('/') == Some(field))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_policy_says_whose_a_field_is() {
        let object = |a: i64, b: i64, list: i64| {
            let value = json!({"a": a, "b": b, "list": [list]});
            let Value::Object(object) = value else { panic!("it is one") };
            Payload {
                object,
                references: Vec::new(),
                children: vec!["/list".to_owned()],
                page: None,
                version: 1,
            }
        };
        let agreed = || object(1, 1, 1).object;
        let without_list = || {
            let mut agreed = agreed();
            agreed.remove("list");
            agreed
        };
        let external_wins = Conflicts::default();
        let host_wins = Conflicts { otherwise: Conflict::HostWins, fields: &[] };
        let a_is_ours = Conflicts { fields: &[("a", Conflict::HostWins)], ..external_wins };
        let a_is_theirs = Conflicts { fields: &[("a", Conflict::ExternalWins)], ..host_wins };
        for (what, agreed, host, external, conflicts, taken, kept) in [
            ("nothing", agreed(), object(1, 1, 1), object(1, 1, 1), host_wins, "", ""),
            ("the host alone", agreed(), object(2, 1, 1), object(1, 1, 1), external_wins, "", "a"),
            ("the other alone", agreed(), object(1, 1, 1), object(3, 1, 1), host_wins, "a", ""),
            ("both the same", agreed(), object(2, 1, 1), object(2, 1, 1), host_wins, "", ""),
            ("one field each", agreed(), object(2, 1, 1), object(1, 3, 1), external_wins, "b", "a"),
            ("both, theirs wins", agreed(), object(2, 2, 1), object(3, 3, 1), external_wins, "a b", ""),
            ("both, ours wins", agreed(), object(2, 2, 1), object(3, 3, 1), host_wins, "", "a b"),
            ("both, ours wins in one field", agreed(), object(2, 2, 1), object(3, 3, 1), a_is_ours, "b", "a"),
            (
                "both, theirs wins in one field",
                agreed(),
                object(2, 2, 1),
                object(3, 3, 1),
                a_is_theirs,
                "a",
                "b",
            ),
            ("lists, ours wins", agreed(), object(1, 1, 2), object(1, 1, 3), host_wins, "", "list"),
            (
                "lists that were never told",
                without_list(),
                object(1, 1, 2),
                object(1, 1, 3),
                host_wins,
                "list",
                "",
            ),
        ] {
            let merged = merged(&agreed, &host, &external, &conflicts);
            let is_ahead = what != "nothing" && what != "the other alone" && !what.contains("never told");
            assert_eq!(merged.is_host_ahead, is_ahead, "{what}");
            assert_eq!(
                (merged.taken.join(" "), merged.kept.join(" ")),
                (taken.to_owned(), kept.to_owned()),
                "{what}"
            );
        }
    }
}
