//! Incoming objects whose repository writes them, in a transaction of its own.

use bus_core::{DeliveryId, DeliveryState, Failure, FailureKind};
use bus_store::{Claimed, Commit, Outcome, Ownership, Settlement, StoreError, StoreErrorKind};

use super::Worker;
use super::incoming::Written;
use crate::flow::apply::Hosted;
use crate::flow::call::{self, CallEnd};
use crate::flow::settlement::is_final;
use crate::relay;

/// What a repository's answer comes to, where its transaction does not say otherwise.
enum Unsaved {
    /// The row is not as it was: apply again.
    Conflict(String),
    Outcome(Outcome),
}

impl Worker {
    /// Has the repository write it. What its transaction says counts, whatever the call answers.
    pub(super) async fn write_hosted(
        &self,
        hosted: Hosted,
        ownership: &Ownership,
        claimed: &Claimed,
    ) -> Result<Written, StoreError> {
        let enlisted = &self.connection.enlisted;
        let object_type = hosted.object_type().clone();
        let unsaved = match call::run(&self.shared, enlisted, hosted.call()).await {
            CallEnd::Answered(Ok(())) => {
                let error = format!(
                    "the repository of {object_type} answered that it is done, but no transaction was committed in which \
                     the statement of its settlement was executed; execute it, then commit"
                );
                Unsaved::Outcome(self.rules().failed(claimed, &Failure::retry(error)))
            }
            CallEnd::Answered(Err(failure)) if failure.kind() == FailureKind::Conflict => {
                Unsaved::Conflict(failure.message())
            }
            CallEnd::Answered(Err(failure)) => Unsaved::Outcome(self.rules().failed(claimed, &failure)),
            CallEnd::Aborted => Unsaved::Outcome(self.rules().aborted(enlisted.blocks())),
        };
        loop {
            match self.try_settle(&unsaved, ownership, claimed).await {
                // It was committed between the look and the outcome.
                Err(error) if error.kind() == StoreErrorKind::Conflict => {}
                Err(error) if self.is_tried_again(&error).await => {}
                written => return written,
            }
        }
    }

    async fn try_settle(
        &self,
        unsaved: &Unsaved,
        ownership: &Ownership,
        claimed: &Claimed,
    ) -> Result<Written, StoreError> {
        relay::relay_all(&self.shared).await?;
        if self.is_completed(claimed.delivery).await? {
            return Ok(Written::Done { displaced: Vec::new(), is_final: true, is_completed: true });
        }
        let outcome = match unsaved {
            Unsaved::Conflict(reason) => {
                let conflict = StoreError::new(StoreErrorKind::Conflict, "save", reason.clone());
                return Ok(Written::Conflict(conflict));
            }
            Unsaved::Outcome(outcome) => outcome.clone(),
        };
        let is_final = is_final(&outcome);
        let commit = Commit {
            settlements: vec![Settlement { delivery: claimed.delivery, outcome }],
            ownership: Some(ownership.clone()),
            ..Commit::at(self.shared.now())
        };
        let displaced = self.shared.store.commit(commit).await?.displaced;
        Ok(Written::Done { displaced, is_final, is_completed: false })
    }

    /// Whether it went through; a store without room for history forgets what did.
    async fn is_completed(&self, delivery: DeliveryId) -> Result<bool, StoreError> {
        let detail = self.shared.store.delivery(delivery).await?;
        Ok(detail.is_none_or(|detail| detail.summary.state == DeliveryState::Completed))
    }
}
