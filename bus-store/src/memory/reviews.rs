//! Objects that both sides have changed, and of which a person decides, in memory.

use bus_core::DeliveryId;

use super::{MemoryStore, State};
use crate::StoreFuture;
use crate::operate::{Intervention, Selected, Verb, Verdict};
use crate::queue::QueueId;
use crate::reviews::{ConflictRecord, Decision, Reviews};

impl Reviews for MemoryStore {
    fn conflict(&self, delivery: DeliveryId) -> StoreFuture<'_, Option<ConflictRecord>> {
        self.with("conflict", move |state| {
            let queue = state.queue_of.get(&delivery).and_then(|queue| state.queues.get(queue));
            Ok(queue.and_then(|queue| queue.rows.get(&delivery)?.conflict.clone()))
        })
    }

    fn conflicts(
        &self,
        queue: &QueueId,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<ConflictRecord>> {
        let queue = queue.clone();
        self.with("conflicts", move |state| {
            let Some(queue) = state.queues.get(&queue) else { return Ok(Vec::new()) };
            let later = queue.rows.values().filter_map(|row| row.conflict.clone());
            Ok(later.filter(|conflict| Some(conflict.delivery) > after).take(limit).collect())
        })
    }

    fn resolve(&self, decision: Decision) -> StoreFuture<'_, Verdict> {
        Box::pin(async move {
            let Decision { delivery, fields, by, reason, now } = decision;
            let items = vec![Selected { delivery, seen: None }];
            let asked = Intervention { verb: Verb::Resolve, items, by, reason, now };
            let (verdict, rings) = self
                .with("resolve", move |state| {
                    let (mut verdicts, rings) = state.intervene(asked)?;
                    let verdict = verdicts.pop().unwrap_or(Verdict::Unknown);
                    if matches!(verdict, Verdict::Done { .. })
                        && let Some(queue) = state.queue_of.get(&delivery)
                        && let Some(row) =
                            state.queues.get_mut(queue).and_then(|queue| queue.rows.get_mut(&delivery))
                        && let Some(conflict) = &mut row.conflict
                    {
                        conflict.resolved.extend(fields);
                    }
                    Ok((verdict, rings))
                })
                .await?;
            for queue in rings {
                self.0.doorbell.ring(&queue);
            }
            Ok(verdict)
        })
    }
}

impl State {
    /// Keeps what stands against each other beside its delivery, in the place of what did.
    pub(super) fn keep_conflicts(&mut self, conflicts: Vec<ConflictRecord>) {
        for conflict in conflicts {
            let queue = self.queue_of.get(&conflict.delivery).and_then(|queue| self.queues.get_mut(queue));
            if let Some(row) = queue.and_then(|queue| queue.rows.get_mut(&conflict.delivery)) {
                row.conflict = Some(conflict);
            }
        }
    }
}
