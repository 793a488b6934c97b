//! What begins: whether a slot is free, whether something may have it, and what is given back when nothing may.

use std::sync::Arc;
use std::time::Duration;

use bus_core::{Direction, Timestamp};
use bus_store::{Commit, StoreError};

use super::super::backlog::Item;
use super::{Begun, Event, Session, Working, overdue};
use crate::flow::queue::CLAIM_MAX;
use crate::flow::settlement::released;

impl<'w> Session<'w, '_> {
    /// Whether something could begin at once.
    pub(super) fn is_free(&self) -> bool {
        self.end.is_none() && self.has_free_slot() && self.not_before().is_none()
    }

    pub(super) fn has_free_slot(&self) -> bool {
        let worker = self.worker;
        // A probe is alone; and where order is kept within the queue, nothing begins before the last is written.
        let slots = match &worker.connection.enlisted.processing {
            _ if worker.connection.is_probing() => 1,
            processing => processing.concurrency as usize,
        };
        let overdue = self.overdue();
        overdue <= overdue::OVERDUE_MAX
            && self.left.begun.len() - overdue < slots
            && (!worker.is_in_queue_order() || self.left.events.is_empty())
            && (!worker.connection.is_probing() || self.batch.is_empty())
    }

    /// Whether a slot is free, and nothing that was claimed can fill it.
    pub(super) fn is_starved(&self) -> bool {
        let concurrency = self.worker.connection.enlisted.processing.concurrency as usize;
        self.has_free_slot()
            && !self.left.backlog.has_startable()
            && self.left.backlog.len() <= concurrency * CLAIM_MAX
    }

    /// Until when the limit of calls lets nothing begin.
    pub(super) fn not_before(&self) -> Option<Timestamp> {
        let now = self.worker.shared.now();
        self.worker.limiter().and_then(|mut limiter| limiter.not_before(now))
    }

    /// Makes sure that the queue is still this owner's before something begins, where it may have been asleep for longer
    /// than its lease: another one may own it by now.
    pub(super) async fn confirm(&mut self) -> Result<(), StoreError> {
        let worker = self.worker;
        let lease = Duration::from_millis(worker.connection.enlisted.processing.lease_ms);
        while worker.shared.now().since(self.confirmed) >= lease && self.left.backlog.has_startable() {
            let now = worker.shared.now();
            let ownership = Some(self.queue.ownership.clone());
            match worker.shared.store.commit(Commit { ownership, ..Commit::at(now) }).await {
                Ok(_) => self.confirmed = now,
                Err(error) if worker.is_tried_again(&error).await => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn start(&mut self) {
        while self.has_free_slot() && self.not_before().is_none() {
            let Some(item) = self.left.backlog.start() else { return };
            let now = self.worker.shared.now();
            if let Some(mut limiter) = self.worker.limiter() {
                limiter.count(now);
            }
            self.left.begun.push(Begun { delivery: item.claimed.delivery, at: now, seen: self.left.writes });
            let working = self.working(item);
            self.left.events.push(working);
        }
    }

    fn working(&self, item: Item) -> Working<'w> {
        let (worker, instance) = (self.worker, Arc::clone(&self.instance));
        let Item { claimed, claim: _, read, answer } = item;
        match worker.queue.direction {
            Direction::Outgoing => Box::pin(async move {
                let delivered = worker.deliver(&instance, &claimed, read).await;
                Event::Delivered { claimed, answer, delivered }
            }),
            Direction::Incoming => {
                let ownership = self.queue.ownership.clone();
                Box::pin(async move {
                    let applied = worker.apply(&ownership, &instance, &claimed).await;
                    let applied = applied.map(|(applied, lost)| (Box::new(applied), lost));
                    Event::Applied { claimed, applied }
                })
            }
        }
    }

    /// Gives back what has not begun; behind what runs, once that has ended: its outcome may do so already.
    pub(super) fn put_back(&mut self) {
        let now = self.worker.shared.now();
        let is_whole_queue = self.worker.is_in_queue_order();
        if is_whole_queue && !self.left.events.is_empty() {
            return;
        }
        for item in self.left.backlog.take_firsts(is_whole_queue) {
            self.batch.settle(now, item.claimed, released(None), Vec::new(), item.answer);
        }
    }
}
