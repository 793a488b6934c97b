//! What people ask, in memory.

use std::ops::Bound;

use bus_core::{DeliveryId, DeliveryState};

use super::MemoryStore;
use super::queue::{QueueState, Row};
use crate::StoreFuture;
use crate::operate::{
    Counters, DeliveryDetail, DeliveryFilter, DeliverySummary, Operate, PAGE_ROWS_MAX, QueueCounts,
};
use crate::queue::QueueId;

impl Operate for MemoryStore {
    fn queues(&self) -> StoreFuture<'_, Vec<QueueId>> {
        self.with("queues", |state| Ok(state.queues.keys().cloned().collect()))
    }

    fn counters(&self, queue: &QueueId) -> StoreFuture<'_, Counters> {
        let id = queue.clone();
        self.with("counters", move |state| {
            Ok(state.queues.get(&id).map(QueueState::counters).unwrap_or_default())
        })
    }

    fn queue_counts(&self, queue: &QueueId) -> StoreFuture<'_, QueueCounts> {
        let id = queue.clone();
        self.with("queue counts", move |state| {
            let mut counts = QueueCounts::default();
            let Some(queue) = state.queues.get(&id) else {
                return Ok(counts);
            };
            for (id, row) in &queue.rows {
                *match queue.state(*id, row) {
                    DeliveryState::Available => &mut counts.available,
                    DeliveryState::Running => &mut counts.running,
                    DeliveryState::Retryable => &mut counts.retryable,
                    DeliveryState::Waiting => &mut counts.waiting,
                    DeliveryState::Blocked => &mut counts.blocked,
                    DeliveryState::Parked => &mut counts.parked,
                } += 1;
            }
            Ok(counts)
        })
    }

    fn deliveries(&self, queue: &QueueId, filter: &DeliveryFilter) -> StoreFuture<'_, Vec<DeliverySummary>> {
        let (id, filter) = (queue.clone(), filter.clone());
        self.with("deliveries", move |state| {
            let limit = if filter.limit == 0 { PAGE_ROWS_MAX } else { filter.limit.min(PAGE_ROWS_MAX) };
            let after = filter.after.map_or(Bound::Unbounded, Bound::Excluded);
            let Some(queue) = state.queues.get(&id) else {
                return Ok(Vec::new());
            };
            let rows = queue.rows.range((after, Bound::Unbounded));
            let summaries = rows.map(|(delivery, row)| summary(&id, queue, *delivery, row));
            let wanted = summaries.filter(|summary| filter.state.is_none_or(|state| summary.state == state));
            Ok(wanted.take(limit).collect())
        })
    }

    fn delivery(&self, delivery: DeliveryId) -> StoreFuture<'_, Option<DeliveryDetail>> {
        self.with("delivery", move |state| {
            let found = state.queues.iter().find_map(|(id, queue)| {
                let row = queue.rows.get(&delivery)?;
                Some(detail(summary(id, queue, delivery, row), row))
            });
            Ok(found)
        })
    }
}

fn summary(id: &QueueId, queue: &QueueState, delivery: DeliveryId, row: &Row) -> DeliverySummary {
    DeliverySummary {
        delivery,
        task: row.task.id,
        queue: id.clone(),
        title: row.task.new.title.clone(),
        key: row.task.new.key.clone(),
        state: queue.state(delivery, row),
        attempts: row.attempts,
        due: row.due(),
        reason: row.reason.clone(),
    }
}

fn detail(summary: DeliverySummary, row: &Row) -> DeliveryDetail {
    let task = &row.task.new;
    DeliveryDetail {
        summary,
        subject: task.subject.clone(),
        operation: task.operation,
        data_type: row.delivery.data_type,
        policy: row.delivery.policy,
        data: task.data.clone(),
        content_type: task.content_type.clone(),
        site: task.site.clone(),
        idempotency_key: row.delivery.idempotency_key,
        logged_at: task.logged_at,
        attempts: row.log.iter().cloned().collect(),
        awaited: row.awaited.clone(),
    }
}
