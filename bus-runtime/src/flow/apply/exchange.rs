//! What a task says of an object that travels both ways, measured by what was exchanged with its connector before.

use std::time::Duration;

use bus_core::parts::{Identified, ObjectParts};
use bus_core::payload::{Payload, PayloadError};
use bus_core::{Conflicts, Echo, ObjectId, ObjectType, Subject, Timestamp};
use bus_store::{Awaited, Binding, Claimed, ExchangeWrite, Exchanged, Said, Travel};
use serde_json::{Map, Value};

use super::decided::{Both, read};
use super::{Application, NotApplied, ended, travel_of};
use crate::flow::change::Stored;
use crate::flow::echo::{Heard, alternations, heard, travels_both_ways};
use crate::flow::keys::{outgoing_key, page_key};
use crate::flow::page::page_of;

/// How many calls a task waits for that go out with its object: each of them may be what it comes from.
const CALLS_AWAITED: u32 = 2;

/// What was exchanged about the object of a task.
pub(super) struct Conversation {
    binding: Binding,
    exchanged: Exchanged,
}

/// What a task would make of the object that is there.
pub(super) struct Coming<'a> {
    pub(super) existing: Option<&'a Stored>,
    /// The external object.
    pub(super) own: Option<&'a (ObjectType, String)>,
    pub(super) after: Stored,
    /// Both with the children beneath them, where the type has children.
    pub(super) whole: Option<&'a (Option<Stored>, Stored)>,
    pub(super) identify: fn(&Payload, Identified) -> Result<ObjectParts, PayloadError>,
    pub(super) conflicts: Conflicts,
    /// When the external system has changed it, if it said so.
    pub(super) changed_at: Option<Timestamp>,
}

/// What a task comes to by that.
pub(super) struct Judged {
    /// The object as it will be.
    pub(super) after: Stored,
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
        if !travels_both_ways(self.linked, Subject::Objects, object_type.as_str()) {
            return Ok(None);
        }
        let object = existing.record.key.clone();
        let connector = self.enlisted.record.name.clone();
        let binding = Binding { connector, object, external_id: external_id.clone() };
        let exchanged = self.exchanged(claimed, &binding).await?;
        Ok(Some(Conversation { binding, exchanged }))
    }

    /// What was exchanged about an object, once no call that tells of it is on its way there.
    pub(super) async fn exchanged(
        &self,
        claimed: &Claimed,
        binding: &Binding,
    ) -> Result<Exchanged, NotApplied> {
        let object = &binding.object;
        let key = match page_of(object) {
            Some((node, _)) => page_key(&ObjectId::Guid(node), None),
            None => outgoing_key(object, None),
        };
        let exchanged = self.shared.store.exchanged(binding, &key).await?;
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
        Ok(exchanged)
    }

    /// What a task comes to: an echo changes nothing, and of what both sides have changed each field is of one of them.
    pub(super) async fn judged(
        &self,
        claimed: &Claimed,
        coming: Coming<'_>,
        conversation: Option<&Conversation>,
    ) -> Result<Judged, NotApplied> {
        let Coming { existing, own, after, whole, identify, conflicts, changed_at } = coming;
        let mut judged = Judged { after, is_echo: false, travel: travel_of(claimed), said: Vec::new() };
        let (Some(existing), Some(Conversation { binding, exchanged })) = (existing, conversation) else {
            if let Some((object_type, external_id)) = own
                && travels_both_ways(self.linked, Subject::Objects, object_type.as_str())
            {
                let (connector, external_id) = (self.enlisted.record.name.clone(), external_id.clone());
                let object = judged.after.record.key.clone();
                let fields = whole.map_or(&judged.after, |(_, is)| is).payload.object.clone();
                judged.said.push(taken(&Binding { connector, object, external_id }, fields, 0));
            }
            return Ok(judged);
        };
        let present = &whole.and_then(|(was, _)| was.as_ref()).unwrap_or(existing).payload;
        let theirs = whole.map_or(&judged.after, |(_, is)| is).payload.clone();
        // What an operator sends once more is to be applied, whatever it looks like.
        let is_forced = claimed.is_redelivered;
        let sent = if is_forced { &[] } else { exchanged.sent.as_slice() };
        let said = |said| ExchangeWrite { binding: binding.clone(), said };
        match heard(&present.object, &theirs.object, sent, exchanged.agreed.as_ref(), claimed.logged_at) {
            Heard::Echo(echo) => {
                tracing::debug!(object = %binding.object, connector = %binding.connector, delivery = %echo.delivery,
                    "echo.suppressed");
                judged.said.push(said(Said::Heard { up_to: echo.delivery }));
                judged.after = existing.clone();
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
        let last = exchanged.agreed.as_ref();
        let agreed = last.and_then(|agreed| read(&agreed.data));
        let both = Both {
            object: &binding.object,
            exchanged,
            agreed: agreed.as_ref(),
            host: present,
            external: &theirs,
            changed_at,
            conflicts: &conflicts,
        };
        let mut merged = self.decided(claimed, &both).await?;
        // Children are not merged: what comes of them is said by the rule of their list.
        let is_own = |field: &String| {
            existing.payload.object.contains_key(field) || judged.after.payload.object.contains_key(field)
        };
        merged.kept.retain(is_own);
        let is_all_theirs = merged.kept.is_empty();
        // What the two have in common now; where the host's field stays, that is still what it was.
        let mut common = theirs.object;
        for field in &merged.kept {
            let before = agreed.as_ref().and_then(|agreed| agreed.get(field)).cloned();
            common.remove(field);
            common.extend(before.map(|before| (field.clone(), before)));
        }
        if !is_all_theirs {
            judged.after = self.laid_together(claimed, existing, judged.after, &merged.kept, identify)?;
        }
        if !is_changed(present, &common, &merged.kept) {
            // Equal without anybody having told the other: that is known from now on.
            if agreed.as_ref() != Some(&common) && !merged.is_overtaken {
                let alternations = last.map_or(0, |agreed| agreed.alternations);
                judged.said.push(taken(binding, common, alternations));
            }
            return Ok(judged);
        }
        if is_all_theirs && !merged.is_host_ahead {
            // What it was told before is not what the host has now, nor is it told that: whatever comes back is news.
            judged.said.extend(exchanged.sent.last().map(|sent| said(Said::Heard { up_to: sent.delivery })));
        } else if judged.travel.echo == Echo::Others {
            // It is not what it has sent, or will not be once it is told what it was not told yet: it is told, like
            // everybody.
            judged.travel.echo = Echo::All;
            let is_answered = !is_all_theirs || merged.is_overtaken;
            judged.travel.hop = judged.travel.hop.saturating_add(u8::from(is_answered));
        }
        let turns = alternations(last, self.shared.now());
        self.check_loop(claimed, binding, judged.travel.hop, turns)?;
        // Of what was overtaken the other side has nothing: it has what it was given last, until it is told.
        if !merged.is_overtaken {
            judged.said.push(taken(binding, common, turns));
        }
        Ok(judged)
    }

    /// What has come in, with these fields as the host has them.
    fn laid_together(
        &self,
        claimed: &Claimed,
        existing: &Stored,
        after: Stored,
        kept: &[String],
        identify: fn(&Payload, Identified) -> Result<ObjectParts, PayloadError>,
    ) -> Result<Stored, NotApplied> {
        let kept: Vec<&str> = kept.iter().map(String::as_str).collect();
        let payload = existing.payload.clone().owned_over(after.payload, &kept);
        let same = Identified::Existing { id: existing.record.key.id.clone(), guid: existing.record.guid };
        let unwritable =
            |error: String| ended(claimed, format!("the merged object cannot be written: {error}"));
        let parts = identify(&payload, same).map_err(|error| unwritable(error.to_string()))?;
        Stored::of(&self.shared.registry, parts).map_err(|error| unwritable(error.to_string()))
    }

    /// Parks what only goes round and round: it has been answered too often on its way, or the two sides answer each other
    /// again and again.
    pub(super) fn check_loop(
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

/// Whether anything but the kept fields differs from what the host has.
fn is_changed(was: &Payload, common: &Map<String, Value>, kept: &[String]) -> bool {
    let mut fields = was.object.keys().chain(common.keys()).filter(|field| !kept.contains(*field));
    fields.any(|field| was.object.get(field) != common.get(field))
}

/// Both sides have these fields of an object from now on.
pub(super) fn taken(binding: &Binding, fields: Map<String, Value>, alternations: u32) -> ExchangeWrite {
    let data = Value::Object(fields).to_string().into_bytes();
    ExchangeWrite { binding: binding.clone(), said: Said::Taken { data, alternations } }
}
