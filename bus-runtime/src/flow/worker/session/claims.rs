//! What is claimed, and what is handed over.

use bus_core::{DeliveryState, Direction};
use bus_store::operate::INTERVENTION_ITEMS_MAX;
use bus_store::{Claim, Intervention, Selected, StoreError, Verb};

use super::Session;
use crate::flow::express::Handed;
use crate::flow::queue::CLAIM_MAX;
use crate::flow::worker::Activity;
use crate::flow::worker::backlog::Item;

impl Session<'_, '_> {
    pub(super) async fn take(&mut self, rings: u64, claim: Claim) -> Result<(), StoreError> {
        self.left.claims += 1;
        self.rings = rings;
        self.next_due = claim.next_due;
        self.look = !claim.deliveries.is_empty();
        // Where deliveries are claimed one by one, so that a crash charges nothing else, it stays so.
        self.has_more = claim.deliveries.len() >= CLAIM_MAX;
        let (claimed, claim) = (claim.deliveries, self.left.claims);
        match self.worker.queue.direction {
            Direction::Outgoing => {
                self.known = self.known.next();
                let read = self.worker.read(&claimed, &self.known).await?;
                for (claimed, read) in claimed.into_iter().zip(read) {
                    self.left.backlog.push(Item { claimed, claim, read: Some(read), answer: None });
                }
            }
            Direction::Incoming => {
                self.worker.numbers.expect(claimed.len());
                for claimed in claimed {
                    self.left.backlog.push(Item { claimed, claim, read: None, answer: None });
                }
            }
        }
        Ok(())
    }

    /// Makes due what stepped aside at its first turn: nothing else is ready.
    pub(super) async fn take_back_aside(&mut self) -> Result<(), StoreError> {
        let left = self.stood_aside.len().saturating_sub(INTERVENTION_ITEMS_MAX);
        // Only what is as it was left: an operator may have come before.
        let seen = Some(DeliveryState::Scheduled);
        let items = self.stood_aside.split_off(left).into_iter().map(|delivery| Selected { delivery, seen });
        let (by, reason) = ("the bus".to_owned(), Some("nothing else is ready".to_owned()));
        let now = self.worker.shared.now();
        let intervention = Intervention { verb: Verb::Retry, items: items.collect(), by, reason, now };
        self.worker.shared.store.intervene(intervention).await?;
        self.look = true;
        Ok(())
    }

    pub(super) fn take_handed(&mut self, handed: Handed) {
        let Handed { claimed, answer } = handed;
        self.worker.activity.send_replace(Activity::Busy);
        self.desk.taken();
        // The commit that logged it has claimed it.
        self.confirmed = self.confirmed.max(claimed.logged_at);
        // Several may have been handed over for one slot: whoever would have to wait for it is told that it is queued.
        let is_next = self.is_free() && !self.left.backlog.has_startable();
        let answer = answer.filter(|_| is_next);
        self.left.backlog.push(Item { claimed, claim: self.left.claims, read: None, answer });
    }
}
