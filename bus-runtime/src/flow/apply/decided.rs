//! Whose each field is of what both sides may have changed: by the policy of the line, by what was changed last, or by a
//! person.

use std::collections::BTreeMap;

use bus_core::payload::Payload;
use bus_core::{Conflicts, ObjectKey, Side, Timestamp};
use bus_store::{Claimed, ConflictRecord, Exchanged, Outcome};
use serde_json::{Map, Value};

use super::{Application, Applied, NotApplied};
use crate::flow::conflict::{Deciding, Merged, merged};

/// What both sides have.
pub(super) struct Both<'a> {
    pub(super) object: &'a ObjectKey,
    pub(super) exchanged: &'a Exchanged,
    /// What both had last, if that is known.
    pub(super) agreed: Option<&'a Map<String, Value>>,
    pub(super) host: &'a Payload,
    pub(super) external: &'a Payload,
    /// When the external system has changed its side, if it said so.
    pub(super) changed_at: Option<Timestamp>,
    pub(super) conflicts: &'a Conflicts,
}

impl Application<'_> {
    /// Decides, or has it parked for a person.
    pub(super) async fn decided(&self, claimed: &Claimed, both: &Both<'_>) -> Result<Merged, NotApplied> {
        // What an operator sends once more is to be applied, whatever it looks like.
        let Some(agreed) = both.agreed.filter(|_| !claimed.is_redelivered) else {
            return Ok(Merged::default());
        };
        let nothing = Map::new();
        // It came before the newest that was given there: each field in which they differ is for the policy, and the
        // other side has not what it said then any more.
        let is_overtaken = is_overtaken(both.exchanged, claimed.logged_at);
        let base = if is_overtaken { &nothing } else { agreed };
        let mut deciding = Deciding { conflicts: *both.conflicts, newest: None, resolved: BTreeMap::new() };
        let first = merged(base, both.host, both.external, &deciding);
        if first.undecided.is_empty() {
            return Ok(Merged { is_overtaken, ..first });
        }
        deciding.newest = self.newest(both).await?;
        let earlier = self.shared.store.conflict(claimed.delivery).await?;
        // What the host has told meanwhile is not what both had when it came in.
        let base_then = earlier.as_ref().and_then(|earlier| read(earlier.base.as_deref()?));
        let is_known = !is_overtaken || base_then.is_some();
        let base = base_then.as_ref().unwrap_or(base);
        deciding.resolved = earlier.map(|earlier| earlier.resolved).unwrap_or_default();
        let merged = merged(base, both.host, both.external, &deciding);
        if merged.undecided.is_empty() {
            return Ok(Merged { is_overtaken, ..merged });
        }
        Err(NotApplied::Conflict(Box::new(ConflictRecord {
            delivery: claimed.delivery,
            object: both.object.clone(),
            base: is_known.then(|| written(base)),
            host: written(&both.host.object),
            external: Some(written(&both.external.object)),
            fields: merged.undecided,
            resolved: deciding.resolved,
        })))
    }

    /// Which side was changed last, where both times are known; at the same time, the external one.
    async fn newest(&self, both: &Both<'_>) -> Result<Option<Side>, NotApplied> {
        let Some(external) = both.changed_at.filter(|_| both.conflicts.asks_for_times()) else {
            return Ok(None);
        };
        let host = self.shared.host().changed_at(both.object).await?;
        Ok(host.map(|host| if host > external { Side::Host } else { Side::External }))
    }

    /// It holds its object until somebody has decided.
    pub(crate) fn parked_for_review(&self, claimed: &Claimed, conflict: ConflictRecord) -> Applied {
        let ConflictRecord { delivery, object, external, fields, .. } = &conflict;
        let connector = &self.enlisted.record.name;
        let fields = fields.join(", ");
        let what = match external {
            Some(_) => format!("changed here and at {connector} since both were last equal, in {fields}"),
            None => format!("deleted at {connector}, and changed here since both were last equal"),
        };
        let error = format!(
            "{object} was {what}, and nothing says who wins; look at `bus.conflict({delivery})`, then `bus.resolve` it"
        );
        let mut commit = self.settled(claimed, Outcome::Parked { error, aside: false });
        commit.conflicts.push(conflict);
        Applied::settled(commit)
    }
}

/// Whether something was sent there, and arrived, after this came in. Of what has come back since it is only known when it
/// had arrived.
pub(super) fn is_overtaken(exchanged: &Exchanged, came_at: Timestamp) -> bool {
    let given = exchanged.agreed.as_ref().filter(|agreed| agreed.is_given);
    let sent_at = exchanged.sent.last().map(|latest| latest.at);
    given.is_some_and(|given| came_at < sent_at.unwrap_or(given.at))
}

/// The fields that were written, if they are.
pub(super) fn read(fields: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(fields).ok()
}

pub(super) fn written(fields: &Map<String, Value>) -> Vec<u8> {
    Value::Object(fields.clone()).to_string().into_bytes()
}
