//! Everything that becomes true together, in memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use bus_core::{DeliveryId, TaskId};

use super::queue::{LoggedTask, holds_key, owned};
use super::wake::Waiter;
use super::{MemoryStore, State};
use crate::queue::{Outcome, QueueId, Settlement};
use crate::task_log::{Commit, Committed, NewTask, TaskLog};
use crate::{StoreError, StoreErrorKind, StoreFuture};

impl TaskLog for MemoryStore {
    fn commit(&self, commit: Commit) -> StoreFuture<'_, Committed> {
        Box::pin(async move {
            let (committed, rings) = self.with("commit", move |state| state.commit(commit)).await?;
            for queue in &rings {
                self.0.doorbell.ring(queue);
            }
            Ok(committed)
        })
    }
}

impl State {
    /// Answers what became of it, and whose doorbells are to be rung.
    fn commit(&mut self, commit: Commit) -> Result<(Committed, BTreeSet<QueueId>), StoreError> {
        commit.check()?;
        self.check_settlements(&commit)?;
        // From here on nothing but the objects can fail, and they put back what they did.
        let objects = self.objects.write_all(commit.objects)?;

        let mut committed = Committed::default();
        let mut rings = BTreeSet::new();
        let mut maybe_met: BTreeSet<Waiter> = BTreeSet::new();
        let mut keys = Vec::new();
        for Settlement { delivery, outcome } in commit.settlements {
            let Some(ownership) = &commit.ownership else {
                continue;
            };
            let Some(queue) = self.queues.get_mut(&ownership.queue) else {
                continue;
            };
            let waiter = (ownership.queue.clone(), delivery);
            if let Outcome::Waiting { awaited, .. } = &outcome {
                self.waits.begin(&waiter, awaited);
                maybe_met.insert(waiter);
            }
            keys.extend(queue.rows.get(&delivery).map(|row| row.task.new.key.clone()));
            committed.displaced.extend(queue.settle(delivery, outcome, commit.now));
        }
        for (connector, object) in &commit.unbound {
            self.bindings.unbind(connector, object);
        }
        for binding in &commit.bindings {
            self.bindings.bind(binding.clone());
        }
        for task in commit.tasks {
            committed.tasks.push(self.log(task, &mut rings));
        }
        for binding in &commit.bindings {
            maybe_met.extend(self.waiters_for_binding(binding));
        }
        for key in &objects {
            maybe_met.extend(self.waiters_for_object(key));
        }
        for waiter in maybe_met {
            if self.wake_if_met(&waiter) {
                rings.insert(waiter.0);
            }
        }
        if let Some(ownership) = commit.ownership {
            let queue = self.queues.get(&ownership.queue);
            let is_ready = |key: &String| queue.is_some_and(|queue| queue.is_ready(key, commit.now));
            if keys.iter().any(is_ready) {
                rings.insert(ownership.queue);
            }
        }
        Ok((committed, rings))
    }

    /// Whether all of the settlements are of deliveries that their owner still has, one after the other.
    fn check_settlements(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let Some(ownership) = &commit.ownership else {
            return Ok(());
        };
        let checked = owned(&mut self.queues, ownership, "commit").and_then(|queue| {
            let mut gone = BTreeSet::new();
            for Settlement { delivery, outcome } in &commit.settlements {
                if !queue.is_claimed(*delivery) || !gone.insert(*delivery) {
                    return Err(StoreError::new(
                        StoreErrorKind::Stale,
                        "commit",
                        format!("delivery {delivery} is not claimed any more; drop what became of it"),
                    ));
                }
                if holds_key(outcome) {
                    gone.extend(queue.claimed_behind(*delivery));
                }
            }
            Ok(())
        });
        if checked.is_err()
            && let Some(queue) = self.queues.get_mut(&ownership.queue)
        {
            queue.ended.stale += 1;
        }
        checked
    }

    fn log(&mut self, mut new: NewTask, rings: &mut BTreeSet<QueueId>) -> TaskId {
        self.tasks_logged += 1;
        let id = TaskId(self.tasks_logged);
        let deliveries = std::mem::take(&mut new.deliveries);
        let task = Arc::new(LoggedTask { id, new });
        for delivery in deliveries {
            self.deliveries_logged += 1;
            let queue = QueueId::new(delivery.connector.clone(), task.new.direction);
            let logged = DeliveryId(self.deliveries_logged);
            self.queues.entry(queue.clone()).or_default().log(logged, Arc::clone(&task), delivery);
            rings.insert(queue);
        }
        id
    }

    fn wake_if_met(&mut self, waiter: &Waiter) -> bool {
        let (queue, delivery) = waiter;
        let row = self.queues.get(queue).and_then(|queue| queue.rows.get(delivery));
        if !row.is_some_and(|row| row.awaited.iter().any(|awaited| self.is_met(awaited))) {
            return false;
        }
        if let Some(queue) = self.queues.get_mut(queue) {
            self.waits.end(waiter, &queue.stop_waiting(*delivery));
            queue.wake(*delivery);
        }
        true
    }
}
