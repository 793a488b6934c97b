//! Everything that becomes true together, in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bus_core::{ConnectorName, DeliveryId, Direction, ObjectKey, TaskId, Timestamp};

use super::outbox;
use super::queue::{LoggedTask, owned};
use super::wake::Waiter;
use super::{MemoryStore, State};
use crate::identity::Binding;
use crate::late::{Late, LateReferences};
use crate::queue::{Claimed, Outcome, Ownership, QueueId, Settlement};
use crate::task_log::{Commit, Committed, NewTask, TaskLog};
use crate::{ObjectWrite, PageWrite, StoreError, StoreErrorKind, StoreFuture};

impl TaskLog for MemoryStore {
    fn commit(&self, commit: Commit) -> StoreFuture<'_, Committed> {
        Box::pin(async move {
            let (committed, rings) = self.with("commit", move |state| state.commit(commit)).await?;
            for queue in &rings.queues {
                self.0.doorbell.ring(queue);
            }
            if rings.late {
                self.ring_late();
            }
            Ok(committed)
        })
    }
}

/// The idempotency keys that each connector was given, with the digest and the task that came first.
pub(super) type KnownKeys = BTreeMap<(ConnectorName, String), (Vec<u8>, TaskId)>;

/// What is to be rung.
#[derive(Debug, Default)]
struct Rings {
    queues: BTreeSet<QueueId>,
    late: bool,
}

impl State {
    /// Answers what became of it, and whose doorbells are to be rung.
    fn commit(&mut self, commit: Commit) -> Result<(Committed, Rings), StoreError> {
        self.check(&commit)?;
        // From here on nothing but the objects and the pages can fail, and they put back what they did.
        let deleted: Vec<(ObjectKey, bool)> = commit
            .objects
            .iter()
            .filter_map(ObjectWrite::deleted)
            .map(|(key, was_gone)| (key.clone(), was_gone))
            .collect();
        let pages = commit.pages.iter().filter_map(PageWrite::saved);
        let pages: Vec<_> = pages.map(|(node, culture)| (node, culture.clone())).collect();
        let pages_before = self.pages.write_all(commit.pages)?;
        let saved: Vec<ObjectKey> = commit.objects.iter().filter_map(ObjectWrite::saved).cloned().collect();
        let objects = match self.objects.write_all(commit.objects) {
            Ok(objects) => objects,
            Err(refused) => {
                self.pages.put_back(pages_before);
                return Err(refused);
            }
        };

        self.saved_at.extend(saved.into_iter().map(|key| (key, commit.now)));

        let mut committed = Committed::default();
        let mut rings = Rings::default();
        let mut maybe_met: BTreeSet<Waiter> = BTreeSet::new();
        let mut keys = Vec::new();
        let doubts = BTreeMap::from_iter(commit.doubts);
        for Settlement { delivery, outcome } in commit.settlements {
            let Some(ownership) = &commit.ownership else {
                continue;
            };
            let Some(queue) = self.queues.get_mut(&ownership.queue) else {
                continue;
            };
            let waiter = (ownership.queue.clone(), delivery);
            if let Outcome::Waiting { awaited, .. } = &outcome {
                self.waits.begin(&waiter, awaited);
                maybe_met.insert(waiter);
            }
            keys.extend(queue.rows.get(&delivery).map(|row| row.task.new.key.clone()));
            let displaced = queue.settle(
                delivery,
                outcome,
                doubts.get(&delivery).copied().unwrap_or_default(),
                commit.now,
            );
            let unclaimed = displaced.iter().chain([&delivery]);
            maybe_met.extend(unclaimed.flat_map(|id| self.waiters_for_outcome(*id)));
            committed.displaced.extend(displaced);
        }
        self.keep_conflicts(commit.conflicts);
        if let Some(chunk) = &commit.resynced {
            self.resyncs.advance(chunk);
        }
        for binding in &commit.unbound {
            if self.bindings.unbind_exactly(binding) {
                self.exchanged.end(&binding.object, Some(&binding.connector));
            }
        }
        for binding in commit.bindings_if_free.iter().chain(&commit.bindings) {
            self.bindings.bind(binding.clone(), commit.now);
        }
        self.move_cursor(commit.cursor, commit.now);
        let logged = self.log_all(commit.tasks, commit.now, &mut committed);
        for (object, was_gone) in &deleted {
            self.saved_at.remove(object);
            self.bindings.end(object, TaskId(self.tasks_logged), *was_gone);
            self.exchanged.end(object, None);
        }
        for write in commit.exchanged {
            let Binding { connector, object, external_id } = &write.binding;
            let known = self.bindings.external_id(connector, object);
            if known.is_some_and(|known| known.id == *external_id && known.ended.is_none()) {
                self.exchanged.write(write, commit.now);
            }
        }
        let new_bindings = commit.bindings_if_free.iter().chain(&commit.bindings);
        maybe_met.extend(new_bindings.flat_map(|binding| self.waiters_for_binding(binding)));
        maybe_met.extend(objects.iter().flat_map(|key| self.waiters_for_object(key)));
        maybe_met.extend(pages.iter().flat_map(|(node, culture)| self.waiters_for_page(*node, culture)));
        let new_bindings = commit.bindings_if_free.iter().chain(&commit.bindings);
        rings.late = self.follow_late(&commit.told_again, commit.late, new_bindings);
        for waiter in maybe_met {
            if self.wake_if_met(&waiter) {
                rings.queues.insert(waiter.0);
            }
        }
        committed.claimed = self.claim_new(commit.claim_for, &logged);
        let claimed: BTreeSet<DeliveryId> =
            committed.claimed.iter().map(|(_, claimed)| claimed.delivery).collect();
        // Whoever was handed the only new delivery of its queue needs no bell.
        rings
            .queues
            .extend(logged.into_iter().filter(|(_, id)| !claimed.contains(id)).map(|(queue, _)| queue));
        if let Some(ownership) = commit.ownership {
            let queue = self.queues.get(&ownership.queue);
            let is_ready = |key: &String| queue.is_some_and(|queue| queue.is_ready(key, commit.now));
            if keys.iter().any(is_ready) {
                rings.queues.insert(ownership.queue);
            }
        }
        Ok((committed, rings))
    }

    /// Notes what is told again and what was told without something; answers whether anything can be told again now.
    fn follow_late<'b>(
        &mut self,
        told_again: &[(ConnectorName, ObjectKey)],
        late: Vec<LateReferences>,
        new_bindings: impl Iterator<Item = &'b Binding>,
    ) -> bool {
        self.late.tell_again(told_again);
        let mut is_any = false;
        for late in late {
            let bindings = &self.bindings;
            let known = |connector: &_, object: &_| bindings.external_id(connector, object);
            let is_bound = |connector: &_, object: &_| {
                known(connector, object).is_some_and(|known| known.ended.is_none())
            };
            is_any |= self.late.remember(late, is_bound);
        }
        for binding in new_bindings {
            is_any |= self.late.resolve(binding);
        }
        is_any
    }

    /// Whether nothing contradicts it but its objects and its pages, which are looked at while they are written.
    fn check(&mut self, commit: &Commit) -> Result<(), StoreError> {
        commit.check()?;
        outbox::refuse_relayed(commit)?;
        self.check_idempotency(&commit.tasks)?;
        self.check_settlements(commit)?;
        self.check_bindings(commit)?;
        self.check_sites(commit)?;
        self.check_resynced(commit.resynced.as_ref())?;
        self.check_cursor(commit)?;
        self.late.check_resolved(&commit.told_again)
    }

    /// Whether all of the settlements are of deliveries that their owner still has, one after the other.
    fn check_settlements(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let Some(ownership) = &commit.ownership else {
            return Ok(());
        };
        let checked = owned(&mut self.queues, ownership, "commit").and_then(|queue| {
            let mut gone = BTreeSet::new();
            for Settlement { delivery, outcome } in &commit.settlements {
                if !queue.is_claimed(*delivery) || !gone.insert(*delivery) {
                    return Err(StoreError::new(
                        StoreErrorKind::Stale,
                        "commit",
                        format!("delivery {delivery} is not claimed any more; drop what became of it"),
                    ));
                }
                gone.extend(queue.displaced_by(*delivery, outcome));
            }
            Ok(())
        });
        if checked.is_err()
            && let Some(queue) = self.queues.get_mut(&ownership.queue)
        {
            queue.counters.stale += 1;
        }
        checked
    }

    /// Whether the bindings that may contradict nothing do not.
    fn check_bindings(&self, commit: &Commit) -> Result<(), StoreError> {
        for (place, binding) in commit.bindings_if_free.iter().enumerate() {
            let mut before = commit.bindings_if_free[..place].iter();
            let of_this_commit = before.find(|before| before.is_against(binding)).cloned();
            let known = self.bindings.contradicted(binding, |object| self.may_be_there(object));
            let known = known.filter(|known| !commit.unbound.contains(known));
            if let Some(known) = of_this_commit.or(known) {
                return Err(StoreError::new(StoreErrorKind::Conflict, "commit", known.refusal_of(binding)));
            }
        }
        Ok(())
    }

    /// Whether all sites are there that objects, pages, assignments and new incoming tasks name.
    fn check_sites(&self, commit: &Commit) -> Result<(), StoreError> {
        for write in &commit.objects {
            match write {
                ObjectWrite::Save { record, .. } => self.check_site(record.site.as_ref())?,
                ObjectWrite::Assign { site, .. } => self.check_site(Some(site))?,
                ObjectWrite::Delete { .. }
                | ObjectWrite::Unassign { .. }
                | ObjectWrite::Check { .. }
                | ObjectWrite::Touch { .. } => {}
            }
        }
        for write in &commit.pages {
            if let PageWrite::Create { node, .. } = write {
                self.check_site(Some(&node.site))?;
            }
        }
        let is_known = |task: &NewTask| {
            idempotency_of(task).is_some_and(|(name, _)| self.idempotency.contains_key(&name))
        };
        let is_new = |task: &&NewTask| task.direction == Direction::Incoming && !is_known(task);
        commit.tasks.iter().filter(is_new).try_for_each(|task| self.check_site(task.site.as_ref()))
    }

    /// Whether no idempotency key was given before with something else, in this commit or an earlier one.
    fn check_idempotency(&self, tasks: &[NewTask]) -> Result<(), StoreError> {
        let mut new = BTreeMap::new();
        for (name, digest) in tasks.iter().filter_map(idempotency_of) {
            let known = self.idempotency.get(&name).map(|(known, _)| known);
            let first = *new.entry(name.clone()).or_insert(known.unwrap_or(digest));
            if first != digest {
                let (connector, key) = name;
                return Err(StoreError::new(
                    StoreErrorKind::KeyReused,
                    "commit",
                    format!(
                        "`{connector}` was given the idempotency key `{key}` before, for something else; send it with \
                         a new key"
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Logs what was not logged before; answers the new deliveries that are open.
    fn log_all(
        &mut self,
        tasks: Vec<NewTask>,
        now: Timestamp,
        committed: &mut Committed,
    ) -> Vec<(QueueId, DeliveryId)> {
        let mut logged = Vec::new();
        for task in tasks {
            let name = idempotency_of(&task).map(|(name, digest)| (name, digest.clone()));
            if let Some((_, known)) = name.as_ref().and_then(|(name, _)| self.idempotency.get(name)) {
                committed.tasks.push(*known);
                committed.repeated.push(*known);
                continue;
            }
            let id = self.log(task, now, &mut logged);
            committed.tasks.push(id);
            self.idempotency.extend(name.map(|(name, digest)| (name, (digest, id))));
        }
        logged
    }

    fn log(&mut self, mut new: NewTask, now: Timestamp, logged: &mut Vec<(QueueId, DeliveryId)>) -> TaskId {
        self.tasks_logged += 1;
        let task_id = TaskId(self.tasks_logged);
        let deliveries = std::mem::take(&mut new.deliveries);
        let task = Arc::new(LoggedTask { id: task_id, new });
        for delivery in deliveries {
            self.deliveries_logged += 1;
            let name = QueueId::new(delivery.connector.clone(), task.new.direction);
            let id = DeliveryId(self.deliveries_logged);
            let queue = self.queues.entry(name.clone()).or_default();
            queue.log(id, Arc::clone(&task), delivery);
            self.queue_of.insert(id, name.clone());
            if self.deleted.contains(&name.connector) {
                queue.discard_new(id, now);
            } else {
                logged.push((name, id));
            }
        }
        task_id
    }

    /// Claims the first new delivery of each of these queues, where nothing stands before it and its owner is as it
    /// was.
    fn claim_new(
        &mut self,
        owners: Vec<Ownership>,
        logged: &[(QueueId, DeliveryId)],
    ) -> Vec<(Ownership, Claimed)> {
        let mut claimed = Vec::new();
        for ownership in owners {
            let first = logged.iter().find(|(queue, _)| *queue == ownership.queue).map(|(_, id)| *id);
            if let Some(first) = first
                && let Ok(queue) = owned(&mut self.queues, &ownership, "commit")
                && queue.claim_new(first)
            {
                claimed.push((ownership, queue.rows[&first].as_claimed(first)));
            }
        }
        claimed
    }

    /// Makes a waiting delivery ready if anything that it waits for is there; whether it was.
    pub(super) fn wake_if_met(&mut self, waiter: &Waiter) -> bool {
        let (queue, delivery) = waiter;
        let row = self.queues.get(queue).and_then(|queue| queue.rows.get(delivery));
        if !row.is_some_and(|row| row.awaited.iter().any(|awaited| self.is_met(awaited))) {
            return false;
        }
        if let Some(queue) = self.queues.get_mut(queue) {
            self.waits.end(waiter, &queue.stop_waiting(*delivery));
            queue.wake(*delivery);
        }
        true
    }
}

/// What its sender calls it, and the digest of it.
fn idempotency_of(task: &NewTask) -> Option<((ConnectorName, String), &Vec<u8>)> {
    let given = task.idempotency.as_ref()?;
    let connector = task.deliveries.first()?.connector.clone();
    Some(((connector, given.key.clone()), &given.digest))
}
