//! Which side each field of an object is taken from that both the host and an external system may have changed: a pure
//! table of policies.

use std::collections::BTreeMap;

use bus_core::payload::{Payload, ThreeWay, three_way};
use bus_core::{Conflict, Conflicts, Side};
use serde_json::{Map, Value};

/// Where the fields of a merged object come from, by their names in JSON; what neither side has changed is in none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Merged {
    /// From the external system.
    pub(crate) taken: Vec<String>,
    /// From the host: the external system does not have them.
    pub(crate) kept: Vec<String>,
    /// From neither, until a person has decided.
    pub(crate) undecided: Vec<String>,
    /// Whether what has come in was overtaken: the external system has not what it said then any more.
    pub(crate) is_overtaken: bool,
    /// Whether the host has changed anything at all: the external system may be told of that only yet.
    pub(crate) is_host_ahead: bool,
}

/// By what it is decided.
pub(crate) struct Deciding {
    pub(crate) conflicts: Conflicts,
    /// Which side was changed last, if that is known.
    pub(crate) newest: Option<Side>,
    /// What a person has decided, field by field.
    pub(crate) resolved: BTreeMap<String, Side>,
}

impl Deciding {
    /// Whose a field is that both have changed, if that is to be known.
    fn of_both(&self, field: &str) -> Option<Side> {
        self.resolved.get(field).copied().or(match self.conflicts.of(field) {
            Conflict::ExternalWins => Some(Side::External),
            Conflict::HostWins => Some(Side::Host),
            Conflict::NewestWins => self.newest,
            Conflict::MergeFields | Conflict::Review => None,
        })
    }

    /// Whose a field is that one side alone has changed, while the other has changed something else.
    fn of_one(&self, field: &str, side: Side) -> Option<Side> {
        let is_reviewed =
            self.conflicts.otherwise == Conflict::Review && self.conflicts.of_field_alone(field).is_none();
        self.resolved.get(field).copied().or((!is_reviewed).then_some(side))
    }
}

/// Decides by what both sides had. Lists of children that were never told to the external system were never agreed upon.
pub(crate) fn merged(
    agreed: &Map<String, Value>,
    host: &Payload,
    external: &Payload,
    deciding: &Deciding,
) -> Merged {
    let ThreeWay { host_only, external_only, both } = three_way(agreed, &host.object, &external.object);
    let is_untold = |field: &str| is_untold(agreed, host, field);
    let is_host_ahead = is_ahead(agreed, host);
    let has_host = !both.is_empty() || host_only.iter().any(|field| !is_untold(field));
    let has_external = !both.is_empty() || !external_only.is_empty();
    let is_contested = |field: &str| has_host && has_external && !is_untold(field);
    let of_one =
        |field: &str, side| if is_contested(field) { deciding.of_one(field, side) } else { Some(side) };
    let of_both = |field: &str| if is_untold(field) { Some(Side::External) } else { deciding.of_both(field) };
    let decided = host_only.into_iter().map(|field| (of_one(&field, Side::Host), field));
    let decided =
        decided.chain(external_only.into_iter().map(|field| (of_one(&field, Side::External), field)));
    let decided = decided.chain(both.into_iter().map(|field| (of_both(&field), field)));
    let mut merged = Merged { is_host_ahead, ..Merged::default() };
    for (side, field) in decided {
        let list = match side {
            Some(Side::Host) => &mut merged.kept,
            Some(Side::External) => &mut merged.taken,
            None => &mut merged.undecided,
        };
        list.push(field);
    }
    merged.undecided.sort_unstable();
    merged
}

/// Whether the host has anything else than what both had.
pub(crate) fn is_ahead(agreed: &Map<String, Value>, host: &Payload) -> bool {
    let mut fields = agreed.keys().chain(host.object.keys());
    fields.any(|field| agreed.get(field) != host.object.get(field) && !is_untold(agreed, host, field))
}

/// Whether it is a list of children that was never told.
fn is_untold(agreed: &Map<String, Value>, host: &Payload, field: &str) -> bool {
    !agreed.contains_key(field) && host.children.iter().any(|at| at.strip_prefix('/') == Some(field))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deciding(conflicts: Conflicts) -> Deciding {
        Deciding { conflicts, newest: None, resolved: BTreeMap::new() }
    }

    #[test]
    fn what_no_policy_decides_is_for_a_person() {
        let object = |a: i64, b: i64, c: i64| {
            let Value::Object(object) = json!({"a": a, "b": b, "c": c}) else { panic!("it is one") };
            Payload { object, references: Vec::new(), children: Vec::new(), page: None, version: 1 }
        };
        let of = |otherwise| deciding(Conflicts { otherwise, fields: &[] });
        let newest = |side| Deciding { newest: side, ..of(Conflict::NewestWins) };
        let resolved = |fields: &[(&str, Side)]| Deciding {
            resolved: fields.iter().map(|(field, side)| ((*field).to_owned(), *side)).collect(),
            ..of(Conflict::Review)
        };
        let a_is_reviewed = Conflicts { otherwise: Conflict::HostWins, fields: &[("a", Conflict::Review)] };
        let a_is_ours = Conflicts { otherwise: Conflict::Review, fields: &[("a", Conflict::HostWins)] };
        let (host, external) = (Some(Side::Host), Some(Side::External));
        // Both have changed `a`, the host alone `b`, the external system alone `c`.
        for (what, deciding, taken, kept, undecided) in [
            ("the host is newer", newest(host), "c", "b a", ""),
            ("the other is newer", newest(external), "c a", "b", ""),
            ("nobody knows who is newer", newest(None), "c", "b", "a"),
            ("merged", of(Conflict::MergeFields), "c", "b", "a"),
            ("reviewed", of(Conflict::Review), "", "", "a b c"),
            ("one field reviewed", deciding(a_is_reviewed), "c", "b", "a"),
            ("one field decided", deciding(a_is_ours), "", "a", "b c"),
            ("resolved in part", resolved(&[("a", Side::Host)]), "", "a", "b c"),
            (
                "resolved against who has changed it",
                resolved(&[("a", Side::External), ("b", Side::External), ("c", Side::Host)]),
                "b a",
                "c",
                "",
            ),
        ] {
            let merged = merged(&object(1, 1, 1).object, &object(2, 2, 1), &object(3, 1, 3), &deciding);
            let words = [merged.taken, merged.kept, merged.undecided].map(|fields| fields.join(" "));
            assert_eq!(words, [taken, kept, undecided], "{what}");
        }
        for (what, host, external) in [
            ("the host alone has changed it", object(2, 1, 1), object(1, 1, 1)),
            ("the other alone has changed it", object(1, 1, 1), object(2, 1, 1)),
            ("both have changed it to the same", object(2, 1, 1), object(2, 1, 1)),
        ] {
            let merged = merged(&object(1, 1, 1).object, &host, &external, &of(Conflict::Review));
            assert_eq!(merged.undecided, Vec::<String>::new(), "{what}");
        }
    }

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
            let merged = merged(&agreed, &host, &external, &deciding(conflicts));
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
