//! What a broken store keeps of what people decide.

use bus_core::DeliveryId;
use bus_store::{ConflictRecord, Decision, QueueId, Reviews, StoreFuture, Verdict};

use super::Broken;
use crate::Bug;

impl Reviews for Broken {
    fn conflict(&self, delivery: DeliveryId) -> StoreFuture<'_, Option<ConflictRecord>> {
        self.inner.conflict(delivery)
    }

    fn conflicts(
        &self,
        queue: &QueueId,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<ConflictRecord>> {
        let after = if self.bug == Bug::ListsConflictsFromTheStart { None } else { after };
        self.inner.conflicts(queue, after, limit)
    }

    fn resolve(&self, mut decision: Decision) -> StoreFuture<'_, Verdict> {
        if self.bug == Bug::ForgetsDecisions {
            decision.fields.clear();
        }
        self.inner.resolve(decision)
    }
}
