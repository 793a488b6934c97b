//! Incoming: prepares one after the other, and lets the commits share a transaction of the store.

use std::collections::HashSet;
use std::sync::Arc;

use bus_core::instance::Instance;
use bus_core::{Direction, Failure};
use bus_store::{Claimed, Commit, Settlement, StoreError, StoreErrorKind};
use tokio::task::JoinSet;

use super::{Worker, report};
use crate::flow::apply::{Application, Applied, NotApplied};
use crate::flow::queue::OwnedQueue;
use crate::flow::settlement::{holds, released};
use crate::flow::task_log::announce;
use crate::shared::Shared;

/// How often an apply starts over when somebody else changed the same object, before it counts as failed.
const CONFLICTS_MAX: usize = 10;

impl Worker {
    /// Prepares one after the other, and lets the commits of different keys share a transaction of the store.
    pub(super) async fn process_incoming(
        &self,
        queue: &OwnedQueue,
        instance: &Arc<Instance>,
        claimed: Vec<Claimed>,
    ) -> Result<(), StoreError> {
        self.numbers.expect(claimed.len()).await;
        let mut writing = JoinSet::new();
        let mut keys = HashSet::new();
        let mut objects = HashSet::new();
        let mut held = HashSet::new();
        let mut put_back = Vec::new();
        let mut lost = None;
        for claimed in claimed {
            // The next of a key begins where the one before it ended.
            if !keys.insert(claimed.key.clone()) {
                self.finish(queue, instance, &mut writing, &mut held).await?;
                keys = HashSet::from([claimed.key.clone()]);
                objects.clear();
            }
            if held.contains(&claimed.key) {
                continue;
            }
            let application = self.application(queue, instance);
            if lost.is_some() || !self.may_start() {
                put_back.push(Settlement { delivery: claimed.delivery, outcome: released(None) });
                held.insert(claimed.key);
                continue;
            }
            let mut applied;
            (applied, lost) = self.applied(&application, &claimed).await?;
            // Somebody of this claim is about to write the same external object: begin again after that.
            if applied.own.as_ref().is_some_and(|own| objects.contains(own)) {
                self.finish(queue, instance, &mut writing, &mut held).await?;
                keys = HashSet::from([claimed.key.clone()]);
                objects.clear();
                (applied, lost) = self.applied(&application, &claimed).await?;
            }
            objects.extend(applied.own.clone());
            let shared = Arc::clone(&self.shared);
            writing.spawn(async move {
                let written = write(&shared, applied).await;
                (claimed, written)
            });
        }
        self.finish(queue, instance, &mut writing, &mut held).await?;
        if !put_back.is_empty() {
            let ownership = Some(queue.ownership.clone());
            let commit = Commit { settlements: put_back, ownership, ..Commit::at(self.shared.now()) };
            self.shared.store.commit(commit).await?;
        }
        match lost {
            Some(failure) => self.connection.lost(instance, &failure).await,
            // Preparing may not touch the external system: only where nothing else proves it, this has to do.
            None if !self.connection.enlisted.has(Direction::Outgoing) => {
                self.connection.proven(instance).await;
            }
            None => {}
        }
        Ok(())
    }

    fn application<'a>(&'a self, queue: &'a OwnedQueue, instance: &'a Arc<Instance>) -> Application<'a> {
        Application {
            shared: &self.shared,
            enlisted: &self.connection.enlisted,
            linked: self.linked,
            instance,
            ownership: &queue.ownership,
            numbers: &self.numbers,
            rules: self.rules(),
        }
    }

    /// What a task becomes, or what becomes of it; and, where the external system is out of reach, why.
    async fn applied(
        &self,
        application: &Application<'_>,
        claimed: &Claimed,
    ) -> Result<(Applied, Option<Failure>), StoreError> {
        let (outcome, lost) = match application.apply(claimed).await {
            Ok(applied) => return Ok((applied, None)),
            Err(NotApplied::Store(error)) => return Err(error),
            Err(NotApplied::Outcome(outcome)) => (outcome, None),
            Err(NotApplied::Disconnected(failure)) => (self.after_failure(claimed, &failure), Some(failure)),
        };
        Ok((Applied::settled(application.settled(claimed, outcome)), lost))
    }

    /// Waits for what is being written; what met a change of somebody else's starts over.
    async fn finish(
        &self,
        queue: &OwnedQueue,
        instance: &Arc<Instance>,
        writing: &mut JoinSet<(Claimed, Result<bool, StoreError>)>,
        held: &mut HashSet<String>,
    ) -> Result<(), StoreError> {
        let mut conflicted = Vec::new();
        let mut failure = None;
        while let Some(written) = writing.join_next().await {
            match written {
                Ok((claimed, Ok(holds))) => {
                    if holds {
                        held.insert(claimed.key);
                    }
                }
                Ok((claimed, Err(error))) if error.kind() == StoreErrorKind::Conflict => {
                    conflicted.push(claimed);
                }
                Ok((_, Err(error))) => failure = Some(error),
                Err(error) => {
                    failure = Some(
                        StoreError::new(
                            StoreErrorKind::Unavailable,
                            "commit",
                            "the commit of an applied task broke off",
                        )
                        .with_source(error),
                    );
                }
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        conflicted.sort_by_key(|claimed| claimed.delivery);
        for claimed in conflicted {
            if self.start_over(queue, instance, &claimed).await? {
                held.insert(claimed.key);
            }
        }
        Ok(())
    }

    /// Applies once more, alone, as long as somebody else is faster. Whether the outcome holds the key.
    async fn start_over(
        &self,
        queue: &OwnedQueue,
        instance: &Arc<Instance>,
        claimed: &Claimed,
    ) -> Result<bool, StoreError> {
        let mut conflict = None;
        for _ in 0..CONFLICTS_MAX {
            let application = self.application(queue, instance);
            let (applied, lost) = self.applied(&application, claimed).await?;
            if let Some(failure) = lost {
                self.connection.lost(instance, &failure).await;
            }
            match write(&self.shared, applied).await {
                Err(error) if error.kind() == StoreErrorKind::Conflict => conflict = Some(error),
                written => return written,
            }
        }
        let reason = conflict.map_or_else(String::new, |error| report(&error));
        let application = self.application(queue, instance);
        let outcome = application.rules.conflicted(claimed, format!("it cannot be applied: {reason}"));
        write(&self.shared, Applied::settled(application.settled(claimed, outcome))).await
    }
}

/// Writes what a task becomes, and tells the listeners. Whether the outcome holds the key.
async fn write(shared: &Shared, applied: Applied) -> Result<bool, StoreError> {
    let holds_key = applied.commit.settlements.iter().any(|settlement| holds(&settlement.outcome));
    let committed = shared.store.commit(applied.commit).await?;
    if let (Some(change), Some(task)) = (&applied.change, committed.tasks.first()) {
        announce(shared, change, *task);
    }
    Ok(holds_key)
}
