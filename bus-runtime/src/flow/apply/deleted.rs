//! What comes of an object that one side has deleted while the other has changed it.

use std::collections::BTreeMap;

use bus_core::payload::Payload;
use bus_core::{Conflict, Direction, Echo, ObjectKey, ObjectType, Side, Subject};
use bus_store::reviews::WHOLE_OBJECT;
use bus_store::{Binding, Claimed, ConflictRecord, ExternalId, Outcome, QueueId};
use serde_json::{Map, Value};

use super::decided::{is_overtaken, read, written};
use super::{Application, Applied, NotApplied, refused, travel_of};
use crate::flow::again;
use crate::flow::change::{HostChange, Stored};
use crate::flow::children::{Pending, snapshot};
use crate::flow::conflict::is_ahead;
use crate::flow::echo::travels_both_ways;
use crate::flow::keys::outgoing_key;

/// What the host has of an object that was deleted by an external system.
pub(super) struct Left {
    /// As what it was known there.
    pub(super) bound: Vec<Binding>,
    /// What both had last, and what the host has, where that is something else.
    ahead: Option<(Map<String, Value>, Payload)>,
    /// Whether the host has told something there since the delete came in, so that the object is there again.
    is_told_since: bool,
}

impl Application<'_> {
    /// What the host has of it, beside what both had last.
    pub(super) async fn left(&self, claimed: &Claimed, stored: &Stored) -> Result<Left, NotApplied> {
        let object = &stored.record.key;
        let connector = &self.enlisted.record.name;
        let known = self.shared.store.external_ids(connector, std::slice::from_ref(object)).await?;
        let living = known.into_iter().flatten().filter_map(ExternalId::of_living);
        let binding =
            |external_id| Binding { connector: connector.clone(), object: object.clone(), external_id };
        let mut left = Left { bound: living.map(binding).collect(), ahead: None, is_told_since: false };
        let Some(binding) = left.bound.first() else { return Ok(left) };
        if !travels_both_ways(self.linked, Subject::Objects, object.object_type.as_str()) {
            return Ok(left);
        }
        let exchanged = self.exchanged(claimed, binding).await?;
        left.is_told_since = is_overtaken(&exchanged, claimed.logged_at);
        if let Some(agreed) = exchanged.agreed.and_then(|agreed| read(&agreed.data)) {
            let host = snapshot(self.shared, object, stored.payload.clone(), &Pending::default()).await;
            let host = host.map_err(|error| refused(claimed, error))?;
            left.ahead = is_ahead(&agreed, &host).then_some((agreed, host));
        }
        Ok(left)
    }

    /// What keeps the object from being deleted here, too: the host has changed it since both were last equal, and wins. It is
    /// told there as a new one then. `None` where it goes.
    pub(super) async fn spared(
        &self,
        claimed: &Claimed,
        stored: &Stored,
        left: &Left,
        otherwise: Conflict,
    ) -> Result<Option<Applied>, NotApplied> {
        let is_contested = left.ahead.is_some() || left.is_told_since;
        // What an operator sends once more is to be carried out.
        if otherwise == Conflict::ExternalWins || claimed.is_redelivered || !is_contested {
            return Ok(None);
        }
        let earlier = self.shared.store.conflict(claimed.delivery).await?;
        let decided = earlier.and_then(|earlier| earlier.resolved.get(WHOLE_OBJECT).copied());
        match decided.or((otherwise == Conflict::HostWins).then_some(Side::Host)) {
            Some(Side::External) => Ok(None),
            Some(Side::Host) if left.is_told_since => Ok(Some(self.completed(claimed))),
            Some(Side::Host) => self.told_as_new(claimed, stored, left.bound.clone()).await.map(Some),
            None => Err(NotApplied::Conflict(Box::new(ConflictRecord {
                delivery: claimed.delivery,
                object: stored.record.key.clone(),
                base: left.ahead.as_ref().map(|(agreed, _)| written(agreed)),
                host: match &left.ahead {
                    Some((_, host)) => written(&host.object),
                    None => written(&stored.payload.object),
                },
                external: None,
                fields: vec![WHOLE_OBJECT.to_owned()],
                resolved: BTreeMap::new(),
            }))),
        }
    }

    /// The external object is gone, and the host's is told to the same system once more.
    async fn told_as_new(
        &self,
        claimed: &Claimed,
        stored: &Stored,
        bound: Vec<Binding>,
    ) -> Result<Applied, NotApplied> {
        let told = again::told_now(self.shared, &self.enlisted.record.name, stored.clone()).await;
        let told = told.map_err(|error| refused(claimed, error))?;
        let mut applied = self.completed(claimed);
        applied.commit.unbound = bound;
        if let Some((write, task)) = told {
            applied.commit.objects.extend(write);
            applied.commit.tasks.push(task);
        }
        Ok(applied)
    }

    /// The object goes, and whoever is told of it hears that: the external system itself only where it has it again.
    pub(super) fn goes(&self, claimed: &Claimed, stored: &Stored, left: Left) -> (HostChange, Vec<Binding>) {
        let mut change = HostChange::deleted(stored, Some(&self.enlisted.record.name));
        change.travel = travel_of(claimed);
        // Otherwise its own side is gone already; for the others the binding ends when their delete is delivered. What is
        // still to be told there finds by what it was called that nobody is left.
        if left.is_told_since {
            change.travel.echo = Echo::All;
        }
        let is_settled = left.ahead.is_none() && !left.is_told_since;
        (change, if is_settled { left.bound } else { Vec::new() })
    }

    /// What keeps something that comes in from becoming a new object: the host has deleted that which it was, wins, and
    /// has not told it yet. `None` where it becomes one.
    pub(super) async fn stays_deleted(
        &self,
        claimed: &Claimed,
        own: Option<&(ObjectType, String)>,
        otherwise: Conflict,
    ) -> Result<Option<Applied>, NotApplied> {
        let Some((object_type, external_id)) = own else { return Ok(None) };
        if otherwise == Conflict::ExternalWins
            || claimed.is_redelivered
            || !travels_both_ways(self.linked, Subject::Objects, object_type.as_str())
        {
            return Ok(None);
        }
        let (store, connector) = (&self.shared.store, &self.enlisted.record.name);
        let Some(id) = store.gone_host_id(connector, object_type, external_id).await? else {
            return Ok(None);
        };
        let object = ObjectKey { object_type: object_type.clone(), id };
        let queue = QueueId::new(connector.clone(), Direction::Outgoing);
        let key = outgoing_key(&object, None);
        let Some(delete) = store.open_of_key(&queue, &key, 1).await?.pop() else { return Ok(None) };
        let error = format!(
            "{object} was deleted here before this came in, and {connector} is told so by delivery {delete}; redeliver this \
             to have it again"
        );
        Ok(Some(Applied::settled(self.settled(claimed, Outcome::Discarded { error }))))
    }
}
