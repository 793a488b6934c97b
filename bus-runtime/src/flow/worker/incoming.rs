//! Incoming: what one external object comes to. Each is written in a commit of its own, and those share a transaction
//! of the store.

use std::collections::BTreeSet;
use std::sync::Arc;

use bus_core::instance::Instance;
use bus_core::{DeliveryId, Failure};
use bus_store::{Claimed, Commit, Outcome, Ownership, StoreError, StoreErrorKind};

use super::{Worker, report};
use crate::flow::apply::{Application, Applied, NotApplied};
use crate::flow::settlement::{ended, is_final, released};
use crate::flow::{express, listening};

/// How often an apply starts over when somebody else changed the same object, before it counts as failed.
const CONFLICTS_MAX: usize = 10;

/// What came of writing an applied task.
pub(super) enum Written {
    /// Written; what the store has put back behind it, whether the delivery has ended, and whether it went through.
    Done { displaced: Vec<DeliveryId>, is_final: bool, is_completed: bool },
    /// Somebody else changed the same object: apply again. Or its site is not registered, or a path would be too long: that is
    /// no use then.
    Conflict(StoreError),
}

impl Worker {
    fn application<'a>(&'a self, ownership: &'a Ownership, instance: &'a Arc<Instance>) -> Application<'a> {
        Application {
            shared: &self.shared,
            enlisted: &self.connection.enlisted,
            linked: self.linked,
            instance,
            ownership,
            numbers: &self.numbers,
            rules: self.rules(),
        }
    }

    /// What a task becomes, or what becomes of it; and, where the external system is out of reach, why.
    pub(super) async fn apply(
        &self,
        ownership: &Ownership,
        instance: &Arc<Instance>,
        claimed: &Claimed,
    ) -> Result<(Applied, Option<Failure>), StoreError> {
        let application = self.application(ownership, instance);
        let applied = loop {
            match application.apply(claimed).await {
                Err(NotApplied::Store(error)) if self.is_tried_again(&error).await => {}
                applied => break applied,
            }
        };
        let (outcome, lost) = match applied {
            Ok(applied) => return Ok((applied, None)),
            Err(NotApplied::Store(error)) => return Err(error),
            Err(NotApplied::Repository(error)) => (self.rules().failed(claimed, &error.0), None),
            Err(NotApplied::Missing { awaited, reason }) => {
                (self.missing(claimed, awaited, reason).await?, None)
            }
            Err(NotApplied::Conflict(conflict)) => {
                return Ok((application.parked_for_review(claimed, *conflict), None));
            }
            Err(NotApplied::Outcome(outcome)) => (outcome, None),
            Err(NotApplied::Disconnected(failure)) => (self.after_failure(claimed, &failure), Some(failure)),
        };
        Ok((Applied::settled(application.settled(claimed, outcome)), lost))
    }

    /// Writes what a task becomes, and tells the listeners.
    pub(super) async fn write_applied(
        &self,
        mut applied: Applied,
        ownership: &Ownership,
        claimed: &Claimed,
    ) -> Result<Written, StoreError> {
        if let Some(hosted) = applied.hosted.take() {
            let written = self.write_hosted(hosted, ownership, claimed).await?;
            if matches!(written, Written::Done { is_completed: true, .. }) {
                // Who listens to everything is told by whoever relays it.
                listening::tell(&self.shared, &applied.announced, &[], Some(claimed.task));
            }
            return Ok(written);
        }
        let is_final = applied.commit.settlements.iter().all(|settlement| is_final(&settlement.outcome));
        let is_completed =
            applied.commit.settlements.iter().any(|settlement| settlement.outcome == Outcome::Completed);
        let committed = loop {
            match express::commit(&self.shared, applied.commit.clone(), BTreeSet::new()).await {
                Ok((committed, _)) => break committed,
                Err(error) if is_refusal(error.kind()) => {
                    return Ok(Written::Conflict(error));
                }
                Err(error) if self.is_tried_again(&error).await => {}
                Err(error) => return self.give_back(applied.commit, error).await,
            }
        };
        listening::tell(&self.shared, &applied.announced, &committed.tasks, Some(claimed.task));
        Ok(Written::Done { displaced: committed.displaced, is_final, is_completed })
    }

    /// Gives back what cannot be written before the worker stops, which needs less room than what was to be written.
    async fn give_back(&self, unwritten: Commit, error: StoreError) -> Result<Written, StoreError> {
        if error.kind() != StoreErrorKind::Unavailable {
            return Err(error);
        }
        let Commit { ownership, mut settlements, now, .. } = unwritten;
        for settlement in &mut settlements {
            settlement.outcome = released(None);
        }
        let commit = Commit { settlements, ownership, ..Commit::at(now) };
        let committed = self.shared.store.commit(commit).await?;
        Ok(Written::Done { displaced: committed.displaced, is_final: false, is_completed: false })
    }

    /// Applies once more, alone, as long as somebody else is faster. Answers why the external system is out of reach, too,
    /// if it is.
    pub(super) async fn start_over(
        &self,
        ownership: &Ownership,
        instance: &Arc<Instance>,
        claimed: &Claimed,
        mut conflict: StoreError,
    ) -> Result<(Written, Option<Failure>), StoreError> {
        for _ in 0..CONFLICTS_MAX {
            if conflict.kind() != StoreErrorKind::Conflict {
                break;
            }
            let (applied, lost) = self.apply(ownership, instance, claimed).await?;
            match self.write_applied(applied, ownership, claimed).await? {
                Written::Conflict(again) => conflict = again,
                done @ Written::Done { .. } => return Ok((done, lost)),
            }
        }
        let application = self.application(ownership, instance);
        let reason = format!("it cannot be applied: {}", report(&conflict));
        let outcome = match conflict.kind() {
            StoreErrorKind::Conflict => application.rules.conflicted(claimed, reason),
            _ => ended(claimed, reason),
        };
        let applied = Applied::settled(application.settled(claimed, outcome));
        match self.write_applied(applied, ownership, claimed).await? {
            Written::Conflict(error) => Err(error),
            done @ Written::Done { .. } => Ok((done, None)),
        }
    }
}

/// Whether the store has nothing against writing, but against what is written.
fn is_refusal(kind: StoreErrorKind) -> bool {
    matches!(kind, StoreErrorKind::Conflict | StoreErrorKind::NotFound | StoreErrorKind::Unsupported)
}
