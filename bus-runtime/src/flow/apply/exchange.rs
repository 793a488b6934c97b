//! What a task says of an object that travels both ways, measured by what was exchanged with its connector before.

use std::time::Duration;

use bus_core::ObjectType;
use bus_store::{Awaited, Binding, Claimed, ExchangeWrite, Exchanged, Said, Travel};
use serde_json::{Map, Value};

use super::{Application, NotApplied, ended, travel_of};
use crate::flow::change::Stored;
use crate::flow::echo::{Heard, alternations, heard, travels_both_ways};
use crate::flow::keys::outgoing_key;

/// How many calls a task waits for that go out with its object: each of them may be what it comes from.
const CALLS_AWAITED: u32 = 2;

/// What was exchanged about the object of a task.
pub(super) struct Conversation {
    binding: Binding,
    exchanged: Exchanged,
}

/// What a task comes to by that.
pub(super) struct Judged {
    /// Whether nothing of it is new: the object stays as it is.
    pub(super) is_echo: bool,
    /// What is told of it stands here on its way.
    pub(super) travel: Travel,
    /// What is known now, to be written with the rest.
    pub(super) said: Vec<ExchangeWrite>,
}

impl Application<'_> {
    /// What was exchanged about an existing object that travels both ways. A call that is on its way there with the same
    /// object is waited for, as long as it can last: whatever has come may be what it causes.
    pub(super) async fn conversation(
        &self,
        claimed: &Claimed,
        existing: Option<&Stored>,
        own: Option<&(ObjectType, String)>,
    ) -> Result<Option<Conversation>, NotApplied> {
        let (Some(existing), Some((object_type, external_id))) = (existing, own) else { return Ok(None) };
        if !travels_both_ways(self.linked, object_type) {
            return Ok(None);
        }
        let object = existing.record.key.clone();
        let key = outgoing_key(&object, None);
        let connector = self.enlisted.record.name.clone();
        let binding = Binding { connector, object, external_id: external_id.clone() };
        let exchanged = self.shared.store.exchanged(&binding, &key).await?;
        let patience = Duration::from_millis(self.enlisted.processing.call_timeout_ms) * CALLS_AWAITED;
        let has_patience = claimed.waiting_since.is_none_or(|since| self.rules.now.since(since) < patience);
        if let Some(first) = exchanged.claimed.first().filter(|_| has_patience) {
            let reason = format!(
                "{} is just being delivered to {} by delivery {first}: what has come from there may be what that causes",
                binding.object, binding.connector
            );
            let awaited = exchanged.claimed.iter().map(|delivery| Awaited::Settled { delivery: *delivery });
            return Err(NotApplied::Missing { awaited: awaited.collect(), reason });
        }
        Ok(Some(Conversation { binding, exchanged }))
    }

    /// What a task comes to that would make `after` of the object.
    pub(super) fn judged(
        &self,
        claimed: &Claimed,
        existing: Option<&Stored>,
        conversation: Option<&Conversation>,
        after: &Stored,
        own: Option<&(ObjectType, String)>,
    ) -> Result<Judged, NotApplied> {
        let mut judged = Judged { is_echo: false, travel: travel_of(claimed), said: Vec::new() };
        let (Some(existing), Some(conversation)) = (existing, conversation) else {
            if let Some((object_type, external_id)) = own
                && travels_both_ways(self.linked, object_type)
            {
                let connector = self.enlisted.record.name.clone();
                let binding =
                    Binding { connector, object: after.record.key.clone(), external_id: external_id.clone() };
                judged.said.push(taken(binding, after, 0));
            }
            return Ok(judged);
        };
        let Conversation { binding, exchanged } = conversation;
        let now = self.shared.now();
        let (before, fields) = (&existing.payload.object, &after.payload.object);
        // What an operator sends once more is to be applied, whatever it looks like.
        let sent = if claimed.is_redelivered { &[] } else { exchanged.sent.as_slice() };
        let said = |said| ExchangeWrite { binding: binding.clone(), said };
        match heard(before, fields, sent, exchanged.agreed.as_ref(), claimed.logged_at) {
            Heard::Echo(echo) => {
                tracing::debug!(object = %binding.object, connector = %binding.connector, delivery = %echo.delivery,
                    "echo.suppressed");
                judged.said.push(said(Said::Heard { up_to: echo.delivery }));
                judged.is_echo = true;
                return Ok(judged);
            }
            Heard::Answer(to) => {
                tracing::debug!(object = %binding.object, connector = %binding.connector, delivery = %to.delivery,
                    "echo.answered");
                judged.travel.cause = Some(to.task);
                judged.travel.hop = to.hop.saturating_add(1);
            }
            Heard::News => {}
        }
        let agreed = exchanged.agreed.as_ref();
        if before == fields {
            // Equal without anybody having told the other: that is known from now on.
            let is_known = agreed.is_some_and(|agreed| {
                serde_json::from_slice::<Map<String, Value>>(&agreed.data).is_ok_and(|known| known == *fields)
            });
            if !is_known {
                judged.said.push(taken(
                    binding.clone(),
                    after,
                    agreed.map_or(0, |agreed| agreed.alternations),
                ));
            }
            return Ok(judged);
        }
        // What it was told before is not what the host has now, nor is it told that: whatever comes back of it is news.
        if let Some(latest) = exchanged.sent.last() {
            judged.said.push(said(Said::Heard { up_to: latest.delivery }));
        }
        let turns = alternations(agreed, now);
        self.check_loop(claimed, binding, judged.travel.hop, turns)?;
        judged.said.push(taken(binding.clone(), after, turns));
        Ok(judged)
    }

    /// Parks what only goes round and round: it has been answered too often on its way, or the two sides answer each other
    /// again and again.
    fn check_loop(
        &self,
        claimed: &Claimed,
        binding: &Binding,
        hop: u8,
        turns: u32,
    ) -> Result<(), NotApplied> {
        let Binding { connector, object, .. } = binding;
        let processing = &self.enlisted.processing;
        let error = if u32::from(hop) > processing.hop_limit {
            format!(
                "loop: this change of {object} has been answered {hop} times on its way, more than the hop limit of {}; see \
                 which of the systems rewrites what it receives, {connector} being the last, then retry it",
                processing.hop_limit
            )
        } else if turns >= processing.loop_after {
            format!(
                "loop: {object} has gone back and forth between here and {connector} {turns} times, each soon after the \
                 other; see which of the two rewrites what it receives, then retry it"
            )
        } else {
            return Ok(());
        };
        Err(ended(claimed, error))
    }
}

/// Both sides have this object as it will be.
fn taken(binding: Binding, after: &Stored, alternations: u32) -> ExchangeWrite {
    let data = Value::Object(after.payload.object.clone()).to_string().into_bytes();
    ExchangeWrite { binding, said: Said::Taken { data, alternations } }
}
