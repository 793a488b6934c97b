//! What operators do to deliveries, in memory.

use std::collections::BTreeSet;

use bus_core::{DeliveryId, DeliveryState, Timestamp};

use crate::memory::State;
use crate::memory::queue::QueueState;
use crate::operate::{
    INTERVENTION_ITEMS_MAX, Intervened, Intervention, LATER_LISTED_MAX, Selected, Verb, Verdict,
    shorten_error,
};
use crate::queue::QueueId;
use crate::{StoreError, StoreErrorKind};

impl State {
    /// Answers what became of each, and whose doorbells are to be rung.
    pub(in crate::memory) fn intervene(
        &mut self,
        intervention: Intervention,
    ) -> Result<(Vec<Verdict>, BTreeSet<QueueId>), StoreError> {
        let Intervention { verb, items, by, reason, now } = intervention;
        if items.len() > INTERVENTION_ITEMS_MAX {
            return Err(StoreError::new(
                StoreErrorKind::Unsupported,
                "intervene",
                format!("{} deliveries at once; name at most {INTERVENTION_ITEMS_MAX}", items.len()),
            ));
        }
        let told = Intervened { at: now, verb, by: shorten_error(by), reason: reason.map(shorten_error) };
        let mut rings = BTreeSet::new();
        let verdicts = items.iter().map(|item| self.intervene_in(*item, &told, &mut rings)).collect();
        Ok((verdicts, rings))
    }

    fn intervene_in(&mut self, item: Selected, told: &Intervened, rings: &mut BTreeSet<QueueId>) -> Verdict {
        let id = item.delivery;
        let Some(queue_id) = self.queue_of.get(&id) else { return Verdict::Unknown };
        let Some(queue) = self.queues.get_mut(queue_id) else { return Verdict::Unknown };
        if let Some(refused) = queue.refusal(item, told.verb, told.at) {
            return refused;
        }
        let awaited = queue.stop_waiting(id);
        self.waits.end(&(queue_id.clone(), id), &awaited);
        let key = queue.rows[&id].key().to_owned();
        let later = queue.carry_out(id, told);
        if queue.is_ready(&key, told.at) {
            rings.insert(queue_id.clone());
        }
        let waiters: Vec<_> = self.waiters_for_outcome(id).collect();
        rings.extend(waiters.into_iter().filter(|waiter| self.wake_if_met(waiter)).map(|(queue, _)| queue));
        Verdict::Done { later }
    }
}

impl QueueState {
    /// Why nothing is done, if nothing is.
    fn refusal(&self, item: Selected, verb: Verb, now: Timestamp) -> Option<Verdict> {
        let id = item.delivery;
        let Some(row) = self.rows.get(&id) else {
            return Some(self.history.get(&id).map_or(Verdict::Unknown, |row| Verdict::Ended(row.shown)));
        };
        let holder = self.first_that_holds_the_queue();
        let state = self.state(id, row, holder);
        if item.seen.is_some_and(|seen| seen != state) {
            return Some(Verdict::Changed(state));
        }
        if state == DeliveryState::Running {
            return Some(Verdict::Running);
        }
        match verb {
            Verb::Resolve if row.conflict.is_none() => Some(Verdict::NoConflict),
            Verb::Retry | Verb::Resolve => {
                let is_ready = state == DeliveryState::Available && row.due().is_none_or(|due| due <= now);
                let blocked = self.blocked_by(id, row, holder).map(Verdict::BlockedBy);
                blocked.or(is_ready.then_some(Verdict::Ready))
            }
            Verb::Skip => (!row.called).then_some(Verdict::NeverCalled),
            Verb::Cancel => row.called.then_some(Verdict::WasCalled),
            Verb::Discard => None,
        }
    }

    /// Does it. Where that ends a create: what is open of the same object, and later.
    fn carry_out(&mut self, id: DeliveryId, told: &Intervened) -> Vec<DeliveryId> {
        let Some(row) = self.rows.get_mut(&id) else { return Vec::new() };
        row.intervened(told.clone());
        let state = match told.verb {
            Verb::Retry | Verb::Resolve => {
                row.begin_anew();
                self.wake(id);
                return Vec::new();
            }
            Verb::Skip => DeliveryState::Skipped,
            Verb::Cancel => DeliveryState::Cancelled,
            Verb::Discard => DeliveryState::Discarded,
        };
        row.reason = told.reason.clone().or(row.reason.take());
        let key = row.key().to_owned();
        let is_create = row.task.new.operation.is_create();
        self.end(id, state, told.at);
        if !is_create || told.verb == Verb::Discard {
            return Vec::new();
        }
        let lane = self.lane(&key);
        let open = lane.into_iter().flat_map(|lane| lane.line.union(&lane.beside)).copied();
        open.filter(|open| *open > id).take(LATER_LISTED_MAX).collect()
    }
}
