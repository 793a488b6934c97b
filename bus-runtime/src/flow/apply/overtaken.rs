//! A notification that overtakes the answer to our own call: the external object that comes in new may be the one that
//! an outgoing delivery is creating just now, whose id nobody here knows yet.

use std::time::Duration;

use bus_core::{DeliveryId, Direction, ObjectKey, ObjectType, Subject};
use bus_store::{Awaited, Claimed, ExternalId, QueueId, Unsettled};

use super::{Application, NotApplied};
use crate::flow::create_once::creates;
use crate::flow::delivery::route_of;
use crate::flow::keys::object_of_key;

/// The most deliveries that are looked at.
const LOOKED_AT_MAX: usize = 1_000;

impl Application<'_> {
    /// Lets a task that is about to become a new object wait for what may be creating the same at its external system:
    /// what is called, and what was called lately and has not answered. What made the external system send it was called
    /// before that: so nothing that was logged later counts, nothing that has not begun, and after the time of two calls
    /// nothing at all.
    pub(super) async fn wait_for_creates(
        &self,
        claimed: &Claimed,
        object_type: &ObjectType,
    ) -> Result<(), NotApplied> {
        let now = self.shared.now();
        let patience = Duration::from_millis(2 * self.enlisted.processing.call_timeout_ms);
        let is_recent = |since| now.since(since) < patience;
        if route_of(self.linked, Subject::Objects, object_type.as_str()).is_none()
            || !is_recent(claimed.logged_at)
        {
            return Ok(());
        }
        let queue = QueueId::new(self.enlisted.record.name.clone(), Direction::Outgoing);
        let mut unsettled = self.shared.store.unsettled(&queue, object_type.as_str(), LOOKED_AT_MAX).await?;
        unsettled.retain(|one| {
            let is_called = one.is_claimed && self.shared.unbegun.queue_of(one.delivery).is_none();
            let is_in_doubt = one.in_doubt_since.is_some_and(is_recent);
            one.delivery < claimed.delivery && (is_called || is_in_doubt)
        });
        let creating = self.creating(object_type, unsettled).await?;
        let Some(first) = creating.first() else { return Ok(()) };
        let reason = format!(
            "waits for delivery {first}, which may be creating this very {object_type} at {}",
            self.enlisted.record.name
        );
        let awaited = creating.iter().map(|delivery| Awaited::Settled { delivery: *delivery }).collect();
        Err(NotApplied::Missing { awaited, reason })
    }

    /// Those of them that tell of an object which the external system has no id for.
    async fn creating(
        &self,
        object_type: &ObjectType,
        unsettled: Vec<Unsettled>,
    ) -> Result<Vec<DeliveryId>, NotApplied> {
        let of_object = |one: Unsettled| Some((object_of_key(object_type.as_str(), &one.key)?, one));
        let told: Vec<(ObjectKey, Unsettled)> =
            unsettled.into_iter().filter(|one| creates(one.operation, None)).filter_map(of_object).collect();
        if told.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<ObjectKey> = told.iter().map(|(key, _)| key.clone()).collect();
        let known = self.shared.store.external_ids(&self.enlisted.record.name, &keys).await?;
        let unknown = told.into_iter().zip(known).filter(|(_, known)| {
            let living = known.clone().and_then(ExternalId::of_living);
            living.is_none()
        });
        Ok(unknown.map(|((_, one), _)| one.delivery).collect())
    }
}
