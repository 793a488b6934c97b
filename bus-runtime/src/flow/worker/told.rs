//! What an external system was told of an object, or a page, that travels both ways: written down with the outcome, so that it is known
//! again when it comes back.

use std::collections::BTreeMap;

use bus_core::Timestamp;
use bus_core::payload::Payload;
use bus_store::{Binding, Claimed, ExchangeWrite, Outcome, Said, Sent};
use serde_json::Value;

use super::Worker;
use super::batch::Effect;
use crate::flow::echo::{digests, travels_both_ways};
use crate::flow::page::told_fields;

/// An object as a delivery tells it.
pub(super) struct Told {
    /// When the call was about to begin: what had come in by then cannot know of it.
    at: Timestamp,
    fields: BTreeMap<String, u64>,
    data: Vec<u8>,
}

impl Worker {
    /// What this delivery is about to tell, with the host's ids; `None` where nothing of it can come back.
    pub(super) fn told(&self, claimed: &Claimed, payload: &Payload) -> Option<Told> {
        let subject = claimed.operation.subject();
        if claimed.operation.is_delete() || !travels_both_ways(self.linked, subject, &claimed.subject) {
            return None;
        }
        let told = told_fields(payload);
        let (fields, data) = (digests(&told), Value::Object(told).to_string().into_bytes());
        Some(Told { at: self.shared.now(), fields, data })
    }
}

impl Told {
    /// What is known once it was told with this outcome: it may have arrived even where that is no success; both sides have
    /// it only then.
    pub(super) fn after(self, binding: &Binding, claimed: &Claimed, outcome: &Outcome) -> Vec<Effect> {
        let Told { at, fields, data } = self;
        let sent = Said::Sent(Sent {
            delivery: claimed.delivery,
            task: claimed.task,
            hop: claimed.travel.hop,
            at,
            fields,
        });
        let given = (*outcome == Outcome::Completed).then_some(Said::Given { data });
        let said = [Some(sent), given].into_iter().flatten();
        said.map(|said| Effect::Exchanged(ExchangeWrite { binding: binding.clone(), said })).collect()
    }
}
