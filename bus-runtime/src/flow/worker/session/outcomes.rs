//! What came of what runs, and how it is written.

use std::sync::Arc;

use bus_core::{DeliveryId, Failure, Timestamp};
use bus_store::{Claim, Claimed, Commit, Committed, Outcome, StoreError, StoreErrorKind};

use super::{CLAIM_MAX, End, Event, ExternalKey, SETTLE_AFTER, Session, Working};
use crate::flow::apply::Applied;
use crate::flow::settlement::{holds, holds_queue};
use crate::flow::worker::Worker;
use crate::flow::worker::backlog::Item;
use crate::flow::worker::batch::Answers;
use crate::flow::worker::incoming::Written;
use crate::flow::worker::outgoing::Delivered;

impl<'w> Session<'w, '_> {
    pub(super) fn on(&mut self, event: Event) -> Result<(), StoreError> {
        match event {
            Event::Delivered { mut claimed, answer, delivered } => {
                self.ended(&claimed);
                let Delivered { outcome, effects, lost, is_answered, doubt } = delivered?;
                claimed.doubt = doubt;
                self.left.backlog.free(&claimed.key);
                self.is_proven |= is_answered;
                self.lose(lost);
                let now = self.worker.shared.now();
                if let Some(place) =
                    self.left.displaced.iter().position(|displaced| *displaced == claimed.delivery)
                {
                    // The store has put it back already: only what is true in any case is kept.
                    self.left.displaced.swap_remove(place);
                    self.batch.keep(now, effects);
                } else {
                    self.hold(&claimed, &outcome);
                    self.batch.settle(now, claimed, outcome, effects, answer);
                }
            }
            Event::Applied { claimed, applied } => {
                let seen = self.ended(&claimed).unwrap_or(0);
                let (applied, lost) = applied?;
                self.lose(lost);
                self.stood_aside.extend(applied.commit.settlements.iter().filter_map(|settlement| {
                    is_first_turn_aside(&settlement.outcome).then_some(settlement.delivery)
                }));
                let own = applied.own.as_ref();
                if own.is_some_and(|own| self.writing.contains(own)) {
                    // Another task is writing the same external object: it begins again after that. Its key stays busy.
                    self.again.push(claimed);
                } else if own.is_some_and(|own| self.was_written_since(seen, own)) {
                    self.begin_again(claimed);
                } else {
                    self.writing.extend(applied.own.clone());
                    let working = self.writing(claimed, applied);
                    self.left.events.push(working);
                }
            }
            Event::Written { claimed, own, claims, written } => {
                let (written, lost) = written?;
                self.lose(lost);
                let Written::Done { displaced, is_final, is_completed } = written else { return Ok(()) };
                self.is_proven |= is_completed;
                if is_completed {
                    self.worker.suspects().succeeded(claimed.delivery);
                }
                // The last claim may have come before it: when it is due is not known here yet.
                self.look |= !is_final;
                if let Some(own) = own {
                    self.writing.retain(|writing| *writing != own);
                    self.note_written(own);
                }
                for claimed in std::mem::take(&mut self.again) {
                    self.begin_again(claimed);
                }
                self.left.backlog.free(&claimed.key);
                // Not by its key: what waits may have been woken, and claimed once more, in the meantime.
                self.left.backlog.forget(&displaced, claims);
            }
        }
        Ok(())
    }

    fn writing(&self, claimed: Claimed, applied: Box<Applied>) -> Working<'w> {
        let (worker, instance) = (self.worker, Arc::clone(&self.instance));
        let ownership = self.queue.ownership.clone();
        let (own, claims) = (applied.own.clone(), self.left.claims);
        Box::pin(async move {
            let written = match worker.write_applied(*applied, &ownership, &claimed).await {
                Ok(Written::Conflict(conflict)) => {
                    worker.start_over(&ownership, &instance, &claimed, conflict).await
                }
                done => done.map(|done| (done, None)),
            };
            Event::Written { claimed, own, claims, written }
        })
    }

    /// Remembers it as long as something runs that began before it.
    fn note_written(&mut self, own: ExternalKey) {
        let left = &mut self.left;
        left.writes += 1;
        left.written.push_back((left.writes, own));
        let oldest = left.begun.iter().map(|begun| begun.seen).min().unwrap_or(left.writes);
        while left.written.front().is_some_and(|(number, _)| *number <= oldest) {
            left.written.pop_front();
        }
    }

    fn was_written_since(&self, seen: u64, own: &ExternalKey) -> bool {
        self.left.written.iter().any(|(number, written)| *number > seen && written == own)
    }

    fn begin_again(&mut self, claimed: Claimed) {
        self.left.backlog.free(&claimed.key);
        let claim = self.left.claims;
        self.left.backlog.put_back(Item { claimed, claim, read: None, answer: None });
    }

    /// A call has ended, and its slot is free. Answers how much had been written when it began.
    fn ended(&mut self, claimed: &Claimed) -> Option<u64> {
        let place = self.left.begun.iter().position(|begun| begun.delivery == claimed.delivery)?;
        Some(self.left.begun.swap_remove(place).seen)
    }

    fn lose(&mut self, lost: Option<Failure>) {
        if let (Some(failure), None) = (lost, &self.end) {
            self.end = Some(End::Lost(failure));
        }
    }

    /// What was claimed behind an outcome that holds its key, or the queue, is put back by the store.
    fn hold(&mut self, claimed: &Claimed, outcome: &Outcome) {
        if holds(outcome) {
            let is_whole_queue = self.worker.is_in_queue_order() && holds_queue(outcome);
            self.left.backlog.forget_behind(&claimed.key, is_whole_queue);
        }
    }

    pub(super) fn batch_is_due(&self, can_claim: bool) -> bool {
        let Some(began) = self.batch.began() else { return false };
        let is_old = self.worker.shared.now().since(began) >= SETTLE_AFTER;
        can_claim
            || is_old
            || self.batch.is_awaited()
            || self.batch.len() >= CLAIM_MAX
            // Nothing runs that it could wait for: all has ended, or something keeps the next from beginning for long.
            || (self.left.events.len() <= self.overdue() && !self.begins_before(began.plus(SETTLE_AFTER)))
            || self.worker.connection.is_probing()
    }

    /// Whether the limit of calls lets something begin before this.
    fn begins_before(&self, at: Timestamp) -> bool {
        self.left.backlog.has_startable() && self.not_before().is_some_and(|begins| begins < at)
    }

    /// Flushes and writes the batch, and claims what may run then, if that is wanted, or goes ahead.
    pub(super) async fn write(&mut self, claims: bool) -> Result<(), StoreError> {
        let mut batch = std::mem::take(&mut self.batch);
        let (held, lost) = self.worker.flush_batch(&self.instance, &mut batch).await;
        for key in held.keys {
            self.left.backlog.forget_behind(&key, held.is_queue_held);
        }
        self.lose(lost);
        let (commit, answers) = batch.into_commit(&self.queue.ownership, self.worker.shared.now());
        if self.may_go_ahead() && is_all_completed(&commit) {
            self.go_ahead(commit, answers);
            return Ok(());
        }
        let asked = self.worker.shared.now();
        let displaced = if claims && self.end.is_none() {
            let (settled, rings, claim) = self.queue.settle_and_claim(commit.clone()).await;
            let claim = none_yet(claim)?;
            self.note_displaced(self.worker.written(settled, commit).await?.displaced);
            match claim {
                Some(claim) => self.take(rings, claim).await?,
                None => self.look = true,
            }
            Vec::new()
        } else {
            self.look = true;
            self.worker.commit_patiently(commit).await?.displaced
        };
        self.confirmed = asked;
        self.note_displaced(displaced);
        self.tell(answers);
        Ok(())
    }

    /// Tells those who wait for outcomes, which are written.
    pub(super) fn tell(&self, answers: Answers) {
        // Whoever hears of it may log the next at once.
        self.desk.show(false, self.is_free());
        for (answer, outcome) in answers {
            // Whoever asked may have gone away.
            let _ = answer.send(outcome);
        }
    }

    fn note_displaced(&mut self, displaced: Vec<DeliveryId>) {
        self.left.backlog.forget(&displaced, self.left.claims);
        let running = displaced
            .into_iter()
            .filter(|delivery| self.left.begun.iter().any(|begun| begun.delivery == *delivery));
        self.left.displaced.extend(running);
    }
}

impl Worker {
    /// What became of outcomes; where the store could not write them, they are written as soon as it can.
    pub(super) async fn written(
        &self,
        settled: Result<Committed, StoreError>,
        outcomes: Commit,
    ) -> Result<Committed, StoreError> {
        match settled {
            Err(error) if self.is_tried_again(&error).await => self.commit_patiently(outcomes).await,
            settled => settled,
        }
    }
}

/// A claim, unless the store cannot make one at the moment.
pub(super) fn none_yet(claim: Result<Claim, StoreError>) -> Result<Option<Claim>, StoreError> {
    match claim {
        Err(error) if error.kind() == StoreErrorKind::Unavailable => Ok(None),
        claim => claim.map(Some),
    }
}

/// Whether nothing that was claimed is put back by these outcomes.
fn is_all_completed(commit: &Commit) -> bool {
    commit.settlements.iter().all(|settlement| settlement.outcome == Outcome::Completed)
}

/// Whether this is what becomes of a task whose policy is to skip once, at its first turn.
fn is_first_turn_aside(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Aside { error: None, charged: false, .. })
}
