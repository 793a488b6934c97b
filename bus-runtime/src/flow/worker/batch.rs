//! Outcomes of outgoing deliveries that are not written yet, with what else follows from each of them.

use std::collections::HashSet;

use bus_core::{ConnectorName, Failure, ObjectKey, Timestamp};
use bus_store::{Binding, Claimed, Commit, Outcome, Ownership, Settlement};

use crate::flow::settlement::{Rules, holds};

/// Outcomes that are not written yet, in the order in which they came.
pub(super) struct Batch<'a> {
    entries: Vec<Entry<'a>>,
    /// Keys that an outcome holds: what else was claimed of them is put back by the store.
    held: HashSet<&'a str>,
    pub(super) began: Timestamp,
}

/// What became of a delivery, and what follows from it.
struct Entry<'a> {
    claimed: &'a Claimed,
    outcome: Outcome,
    effects: Vec<Effect>,
}

/// What follows from a delivery besides its outcome.
pub(super) enum Effect {
    /// The external system knows an object by this id. Kept whatever becomes of the delivery.
    Bound(Binding),
    /// The delete of an object was delivered: its binding ends. Undone if the flush fails.
    Unbound(ObjectKey),
}

impl<'a> Batch<'a> {
    /// Nothing yet, except that these keys are held already.
    pub(super) fn begin(now: Timestamp, held: HashSet<&'a str>) -> Self {
        Self { entries: Vec::new(), held, began: now }
    }

    pub(super) fn settle(&mut self, claimed: &'a Claimed, outcome: Outcome, effects: Vec<Effect>) {
        if holds(&outcome) {
            self.held.insert(&claimed.key);
        }
        self.entries.push(Entry { claimed, outcome, effects });
    }

    pub(super) fn is_held(&self, claimed: &Claimed) -> bool {
        self.held.contains(claimed.key.as_str())
    }

    pub(super) fn held(&self) -> HashSet<&'a str> {
        self.held.clone()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn has_successes(&self) -> bool {
        self.entries.iter().any(|entry| entry.outcome == Outcome::Completed)
    }

    /// The flush failed: nothing that it was to make durable has happened.
    pub(super) fn fail_successes(&mut self, rules: &Rules<'_>, failure: &Failure) {
        let entries = std::mem::take(&mut self.entries);
        // Keys that were held before this batch have no entry in it, and stay held.
        for entry in &entries {
            self.held.remove(entry.claimed.key.as_str());
        }
        let mut undone: HashSet<ObjectKey> = HashSet::new();
        for mut entry in entries {
            if entry.outcome == Outcome::Completed {
                entry.outcome = rules.failed(entry.claimed, failure);
            }
            // A delete that did not happen ends no binding, and what was bound after it never came to be.
            entry.effects.retain(|effect| match effect {
                Effect::Bound(binding) => !undone.contains(&binding.object),
                Effect::Unbound(object) => {
                    undone.insert(object.clone());
                    false
                }
            });
            if !self.is_held(entry.claimed) {
                self.settle(entry.claimed, entry.outcome, entry.effects);
                continue;
            }
            // The store puts back what stands behind an outcome that holds its key; it must not be settled then.
            if let Some(last) = self.entries.last_mut() {
                last.effects.append(&mut entry.effects);
            }
        }
    }

    pub(super) fn into_commit(self, ownership: &Ownership, now: Timestamp) -> Commit {
        let connector: &ConnectorName = &ownership.queue.connector;
        let mut commit = Commit { ownership: Some(ownership.clone()), ..Commit::at(now) };
        for Entry { claimed, outcome, effects } in self.entries {
            commit.settlements.push(Settlement { delivery: claimed.delivery, outcome });
            for effect in effects {
                match effect {
                    Effect::Bound(binding) => commit.bindings.push(binding),
                    // The commit ends bindings before it makes new ones: those made before the end go with it.
                    Effect::Unbound(object) => {
                        commit.bindings.retain(|binding| binding.object != object);
                        commit.unbound.push((connector.clone(), object));
                    }
                }
            }
        }
        commit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Processing;
    use crate::flow::settlement;
    use bus_core::{DeliveryId, Direction, ErrorPolicy, ObjectId};
    use bus_store::QueueId;

    fn claimed(delivery: i64, key: &str) -> Claimed {
        let sample = settlement::tests::claimed(ErrorPolicy::Default, 1);
        Claimed { delivery: DeliveryId(delivery), key: key.to_owned(), ..sample }
    }

    fn object(number: i64) -> ObjectKey {
        ObjectKey { object_type: "app.user".parse().unwrap(), id: ObjectId::Number(number) }
    }

    fn bound(number: i64, external_id: &str) -> Effect {
        let connector = "crm".parse().unwrap();
        Effect::Bound(Binding { connector, object: object(number), external_id: external_id.to_owned() })
    }

    fn ownership() -> Ownership {
        Ownership { queue: QueueId::new("crm".parse().unwrap(), Direction::Outgoing), epoch: 1 }
    }

    fn fail(batch: &mut Batch<'_>) {
        let processing = Processing::default();
        let rules = Rules { processing: &processing, now: Timestamp::EPOCH, dice: 1 };
        batch.fail_successes(&rules, &Failure::retry("the disk is full"));
    }

    #[test]
    fn a_failed_flush_settles_each_key_once_and_keeps_what_was_held_before() {
        let (a, b, b_again, c) = (claimed(1, "a"), claimed(2, "b"), claimed(3, "b"), claimed(4, "c"));
        let mut batch = Batch::begin(Timestamp::EPOCH, HashSet::from(["a"]));
        batch.settle(&b, Outcome::Completed, vec![bound(2, "B")]);
        batch.settle(&b_again, Outcome::Completed, vec![bound(2, "B2")]);
        batch.settle(&c, Outcome::Discarded { error: "no".to_owned() }, Vec::new());
        fail(&mut batch);
        assert!(batch.is_held(&a) && batch.is_held(&b) && !batch.is_held(&c));
        let commit = batch.into_commit(&ownership(), Timestamp::EPOCH);
        let settled: Vec<_> = commit.settlements.iter().map(|settled| settled.delivery.0).collect();
        assert_eq!(settled, [2, 4]);
        assert!(matches!(commit.settlements[0].outcome, Outcome::Retry { .. }));
        assert_eq!(
            commit.bindings.last().unwrap().external_id,
            "B2",
            "bindings are kept whatever the outcome"
        );
    }

    #[test]
    fn a_delete_that_was_undone_ends_no_binding_and_takes_the_new_one_along() {
        let (delete, create) = (claimed(1, "a"), claimed(2, "a"));
        let mut batch = Batch::begin(Timestamp::EPOCH, HashSet::new());
        batch.settle(&delete, Outcome::Completed, vec![Effect::Unbound(object(1))]);
        batch.settle(&create, Outcome::Completed, vec![bound(1, "new")]);
        fail(&mut batch);
        let commit = batch.into_commit(&ownership(), Timestamp::EPOCH);
        assert!(commit.unbound.is_empty() && commit.bindings.is_empty());
    }

    #[test]
    fn a_binding_made_before_a_delete_ends_with_it_and_comes_back_when_both_are_undone() {
        let (create, delete) = (claimed(1, "a"), claimed(2, "a"));
        let settled = || {
            let mut batch = Batch::begin(Timestamp::EPOCH, HashSet::new());
            batch.settle(&create, Outcome::Completed, vec![bound(1, "x")]);
            batch.settle(&delete, Outcome::Completed, vec![Effect::Unbound(object(1))]);
            batch
        };
        let commit = settled().into_commit(&ownership(), Timestamp::EPOCH);
        assert!(commit.bindings.is_empty());
        assert_eq!(commit.unbound.len(), 1);
        let mut undone = settled();
        fail(&mut undone);
        let commit = undone.into_commit(&ownership(), Timestamp::EPOCH);
        assert_eq!(commit.bindings[0].external_id, "x");
        assert!(commit.unbound.is_empty());
    }
}
