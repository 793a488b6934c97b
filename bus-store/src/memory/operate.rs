//! What people ask, in memory.

mod intervene;

use std::ops::Bound;

use bus_core::{DeliveryId, DeliveryState, Timestamp};

use super::queue::{QueueState, Row};
use super::{MemoryStore, State};
use crate::StoreFuture;
use crate::operate::{
    Audit, Counters, DeliveryDetail, DeliveryFilter, DeliverySummary, Intervention, Operate, PAGE_ROWS_MAX,
    QueueCounts, Verdict, Waiting,
};
use crate::queue::QueueId;

impl Operate for MemoryStore {
    fn queues(&self) -> StoreFuture<'_, Vec<QueueId>> {
        self.with("queues", |state| Ok(state.queues.keys().cloned().collect()))
    }

    fn counters(&self, queue: &QueueId) -> StoreFuture<'_, Counters> {
        let id = queue.clone();
        self.with("counters", move |state| {
            Ok(state.queues.get(&id).map(|queue| queue.counters).unwrap_or_default())
        })
    }

    fn queue_counts(&self, queue: &QueueId) -> StoreFuture<'_, QueueCounts> {
        let id = queue.clone();
        self.with("queue counts", move |state| {
            Ok(state.queues.get(&id).map(QueueState::counts).unwrap_or_default())
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
            let is_final = filter.state.is_some_and(DeliveryState::is_final);
            let rows = if is_final { &queue.history } else { &queue.rows };
            let holder = queue.first_that_holds_the_queue();
            let rows = rows.range((after, Bound::Unbounded));
            let of_key = rows.filter(|(_, row)| filter.key.as_deref().is_none_or(|key| key == row.key()));
            let summaries = of_key.map(|(delivery, row)| summary(&id, queue, *delivery, row, holder));
            let wanted = summaries.filter(|summary| filter.state.is_none_or(|state| summary.state == state));
            Ok(wanted.take(limit).collect())
        })
    }

    fn delivery(&self, delivery: DeliveryId) -> StoreFuture<'_, Option<DeliveryDetail>> {
        self.with("delivery", move |state| {
            let Some(id) = state.queue_of.get(&delivery) else { return Ok(None) };
            let Some(queue) = state.queues.get(id) else { return Ok(None) };
            let row = queue.rows.get(&delivery).or_else(|| queue.history.get(&delivery));
            Ok(row.map(|row| detail(id, queue, delivery, row)))
        })
    }

    fn open_of_key(&self, queue: &QueueId, key: &str, limit: usize) -> StoreFuture<'_, Vec<DeliveryId>> {
        let (queue, key) = (queue.clone(), key.to_owned());
        self.with("open of key", move |state| {
            let lane = state.queues.get(&queue).and_then(|queue| queue.lane(&key));
            let mut open: Vec<DeliveryId> =
                lane.into_iter().flat_map(|lane| lane.line.union(&lane.beside)).copied().collect();
            open.truncate(limit);
            Ok(open)
        })
    }

    fn awaited_by_key(&self, queue: &QueueId, key: &str) -> StoreFuture<'_, Option<Waiting>> {
        let (queue, key) = (queue.clone(), key.to_owned());
        self.with("awaited by key", move |state| {
            let Some(queue) = state.queues.get(&queue) else { return Ok(None) };
            let first = queue.lane(&key).and_then(|lane| lane.line.first().copied());
            let awaited = first.map(|first| (first, queue.rows[&first].awaited.clone()));
            let waits = awaited.filter(|(_, awaited)| !awaited.is_empty());
            Ok(waits.map(|(delivery, awaited)| Waiting { delivery, awaited }))
        })
    }

    fn intervene(&self, intervention: Intervention) -> StoreFuture<'_, Vec<Verdict>> {
        Box::pin(async move {
            let (verdicts, rings) =
                self.with("intervene", move |state| state.intervene(intervention)).await?;
            for queue in &rings {
                self.0.doorbell.ring(queue);
            }
            Ok(verdicts)
        })
    }

    fn prune(&self, queue: &QueueId, ended_before: Timestamp, limit: usize) -> StoreFuture<'_, usize> {
        let id = queue.clone();
        self.with("prune", move |state| Ok(state.prune(&id, ended_before, limit)))
    }

    fn audit(&self, queue: &QueueId) -> StoreFuture<'_, Audit> {
        let id = queue.clone();
        self.with("audit", move |state| {
            let audited = state.queues.get(&id).map(|queue| Audit {
                counters: queue.counters,
                open_rows: queue.rows.len() as u64,
                ended_rows: queue.history.len() as u64,
            });
            Ok(audited.unwrap_or_default())
        })
    }
}

impl QueueState {
    fn counts(&self) -> QueueCounts {
        let mut counts = QueueCounts::default();
        let holder = self.first_that_holds_the_queue();
        for (id, row) in &self.rows {
            counts.add(self.state(*id, row, holder), 1);
        }
        counts
    }
}

impl State {
    /// Forgets those that ended first; a task's data goes with the last of its deliveries.
    fn prune(&mut self, id: &QueueId, ended_before: Timestamp, limit: usize) -> usize {
        let Self { queues, queue_of, idempotency, .. } = self;
        let Some(queue) = queues.get_mut(id) else { return 0 };
        let ended = queue.history.iter().filter_map(|(id, row)| Some((row.ended_at()?, *id)));
        let mut old: Vec<_> = ended.filter(|(at, _)| *at < ended_before).collect();
        old.sort_unstable();
        old.truncate(limit);
        for (_, delivery) in &old {
            queue_of.remove(delivery);
            // A task with an idempotency key has no other delivery.
            if let Some(row) = queue.history.remove(delivery)
                && let Some(given) = &row.task.new.idempotency
            {
                idempotency.remove(&(id.connector.clone(), given.key.clone()));
            }
        }
        old.len()
    }
}

fn summary(
    id: &QueueId,
    queue: &QueueState,
    delivery: DeliveryId,
    row: &Row,
    holder: Option<DeliveryId>,
) -> DeliverySummary {
    DeliverySummary {
        delivery,
        task: row.task.id,
        queue: id.clone(),
        title: row.task.new.title.clone(),
        key: row.key().to_owned(),
        state: queue.state(delivery, row, holder),
        attempts: row.attempts,
        due: row.due(),
        reason: row.reason.clone(),
        ended_at: row.ended_at(),
        redelivers: row.task.new.redelivers.clone(),
    }
}

fn detail(id: &QueueId, queue: &QueueState, delivery: DeliveryId, row: &Row) -> DeliveryDetail {
    let task = &row.task.new;
    let holder = queue.first_that_holds_the_queue();
    DeliveryDetail {
        summary: summary(id, queue, delivery, row, holder),
        subject: task.subject.clone(),
        operation: task.operation,
        data_type: row.delivery.data_type,
        policy: row.delivery.policy,
        data: task.data.clone(),
        content_type: task.content_type.clone(),
        site: task.site.clone(),
        idempotency_key: row.delivery.idempotency_key,
        origin: task.origin.clone(),
        logged_at: task.logged_at,
        attempts: row.log.iter().cloned().collect(),
        awaited: row.awaited.clone(),
        blocked_by: queue.blocked_by(delivery, row, holder),
        interventions: row.interventions.iter().cloned().collect(),
        doubt: row.doubt,
    }
}
