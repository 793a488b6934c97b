//! What is claimed and has not begun: to the store it is running, to people it is available.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus_core::{DeliveryId, DeliveryState};
use bus_store::{DeliverySummary, QueueCounts, QueueId};

/// What the workers of this process have claimed and not begun, by queue.
#[derive(Debug, Default)]
pub(crate) struct Unbegun(Mutex<HashMap<QueueId, Arc<NotBegun>>>);

/// What one worker has claimed and not begun.
#[derive(Debug, Default)]
pub(crate) struct NotBegun(Mutex<HashSet<DeliveryId>>);

impl Unbegun {
    pub(crate) fn of(&self, queue: &QueueId) -> Arc<NotBegun> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(queues.entry(queue.clone()).or_default())
    }

    /// In which queue a delivery is claimed and has not begun, if it is so.
    pub(crate) fn queue_of(&self, delivery: DeliveryId) -> Option<QueueId> {
        let queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = queues.iter().find(|(_, claimed)| claimed.contains(delivery));
        found.map(|(queue, _)| queue.clone())
    }

    /// A row of a list, as people see it.
    pub(crate) fn show(&self, row: &mut DeliverySummary) {
        if row.state == DeliveryState::Running && self.of(&row.queue).contains(row.delivery) {
            row.state = DeliveryState::Available;
            // The attempt that the claim took.
            row.attempts = row.attempts.saturating_sub(1);
        }
    }

    /// The counts of a queue, as people see them.
    pub(crate) fn count(&self, queue: &QueueId, counts: &mut QueueCounts) {
        let not_begun = u64::try_from(self.of(queue).ids().len()).unwrap_or(u64::MAX).min(counts.running);
        counts.running -= not_begun;
        counts.available += not_begun;
    }
}

impl NotBegun {
    pub(crate) fn add(&self, delivery: DeliveryId) {
        self.ids().insert(delivery);
    }

    pub(crate) fn remove(&self, delivery: DeliveryId) {
        self.ids().remove(&delivery);
    }

    pub(crate) fn clear(&self) {
        self.ids().clear();
    }

    fn contains(&self, delivery: DeliveryId) -> bool {
        self.ids().contains(&delivery)
    }

    fn ids(&self) -> MutexGuard<'_, HashSet<DeliveryId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bus_core::{Direction, TaskId};

    fn queue(connector: &str) -> QueueId {
        QueueId::new(connector.parse().unwrap(), Direction::Outgoing)
    }

    fn row(connector: &str, delivery: i64, state: DeliveryState) -> DeliverySummary {
        DeliverySummary {
            delivery: DeliveryId(delivery),
            task: TaskId(1),
            queue: queue(connector),
            title: String::new(),
            key: String::new(),
            state,
            attempts: 1,
            due: None,
            reason: None,
            ended_at: None,
            redelivers: None,
        }
    }

    #[test]
    fn only_what_is_claimed_in_its_own_queue_and_has_not_begun_is_shown_otherwise() {
        use DeliveryState::{Available, Parked, Running};
        let unbegun = Unbegun::default();
        let claimed = unbegun.of(&queue("crm"));
        claimed.add(DeliveryId(1));
        claimed.add(DeliveryId(2));
        claimed.remove(DeliveryId(2));
        for (connector, delivery, state, shown, attempts) in [
            ("crm", 1, Running, Available, 0),
            ("crm", 1, Parked, Parked, 1),
            ("crm", 2, Running, Running, 1),
            ("erp", 1, Running, Running, 1),
        ] {
            let mut row = row(connector, delivery, state);
            unbegun.show(&mut row);
            assert_eq!((row.state, row.attempts), (shown, attempts), "{delivery} of {connector}, {state:?}");
        }
    }

    #[test]
    fn counts_never_say_more_than_the_store_does() {
        let unbegun = Unbegun::default();
        for delivery in 1..=3 {
            unbegun.of(&queue("crm")).add(DeliveryId(delivery));
        }
        for (running, shown) in [(5, (2, 3)), (2, (0, 2)), (0, (0, 0))] {
            let mut counts = QueueCounts { running, ..QueueCounts::default() };
            unbegun.count(&queue("crm"), &mut counts);
            assert_eq!((counts.running, counts.available), shown, "of {running}");
        }
    }
}
