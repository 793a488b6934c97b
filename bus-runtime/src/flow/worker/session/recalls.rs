//! What operators want of what has not begun.

use std::collections::HashSet;

use bus_core::DeliveryId;
use bus_store::StoreError;

use super::Session;
use super::ahead::landed;
use crate::flow::recall::Recall;
use crate::flow::settlement::released;

impl Session<'_, '_> {
    /// Gives back what the operator wants something of, as far as nothing of its key runs, and has it done.
    pub(super) async fn recall(&mut self, recall: Recall) -> Result<(), StoreError> {
        let Recall { intervention, answer } = recall;
        if answer.is_closed() {
            // Whoever asked has been told that it runs.
            return Ok(());
        }
        if self.ahead.is_some() {
            // What comes with it may be wanted, too.
            let landed = landed(&mut self.ahead).await?;
            self.land(landed);
        }
        let is_whole_queue = self.worker.is_in_queue_order();
        if !is_whole_queue || self.left.events.is_empty() {
            let wanted: HashSet<DeliveryId> = intervention.items.iter().map(|item| item.delivery).collect();
            let now = self.worker.shared.now();
            let recalled = self.left.backlog.take_firsts_before(&wanted, is_whole_queue);
            let is_any = !recalled.is_empty();
            for item in recalled {
                self.batch.settle(now, item.claimed, released(None), Vec::new(), item.answer);
            }
            if is_any {
                self.write(false).await?;
            }
        }
        let verdicts = self.worker.shared.store.intervene(intervention).await;
        self.look = true;
        // Whoever asked may have gone away.
        let _ = answer.send(verdicts);
        Ok(())
    }
}
