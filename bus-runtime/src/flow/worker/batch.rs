//! Outcomes of outgoing deliveries that are not written yet, with what else follows from each of them.

use std::collections::{HashMap, HashSet};

use bus_core::{DeliveryId, Failure, ObjectKey, Timestamp};
use bus_store::{
    Binding, Claimed, Commit, Doubt, ExchangeWrite, LateReferences, Outcome, Ownership, Said, Settlement,
};
use tokio::sync::oneshot;

use crate::flow::settlement::{Rules, holds, holds_queue, is_final};

/// Outcomes that are not written yet, in the order in which they came.
#[derive(Default)]
pub(super) struct Batch {
    entries: Vec<Entry>,
    /// What is kept without an outcome.
    kept: Vec<Effect>,
    /// When the first of them came.
    began: Option<Timestamp>,
}

/// What became of a delivery, and what follows from it.
struct Entry {
    claimed: Claimed,
    outcome: Outcome,
    effects: Vec<Effect>,
    answer: Option<oneshot::Sender<Outcome>>,
}

/// What follows from a delivery besides its outcome.
pub(super) enum Effect {
    /// The external system knows an object by this id. Kept whatever becomes of the delivery.
    Bound(Binding),
    /// The delete of an object was delivered: its binding ends. Undone if the flush fails.
    Unbound(Binding),
    /// Something was exchanged about an object. That both sides have the same is undone if the flush fails; that it may have
    /// arrived is not.
    Exchanged(ExchangeWrite),
    /// What is left to be told of the object. Undone if the flush fails.
    Late(LateReferences),
}

/// What is held by outcomes that failed after all.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) keys: Vec<String>,
    pub(super) is_queue_held: bool,
}

/// Those who wait for outcomes, and the outcomes.
pub(super) type Answers = Vec<(oneshot::Sender<Outcome>, Outcome)>;

impl Batch {
    pub(super) fn settle(
        &mut self,
        now: Timestamp,
        mut claimed: Claimed,
        outcome: Outcome,
        effects: Vec<Effect>,
        answer: Option<oneshot::Sender<Outcome>>,
    ) {
        // What it was about is in the store; there may be many of them here.
        claimed.data = Vec::new();
        self.began.get_or_insert(now);
        self.entries.push(Entry { claimed, outcome, effects, answer });
    }

    /// Keeps what follows from a delivery whose outcome does not count any more: what the external system knows it knows.
    pub(super) fn keep(&mut self, now: Timestamp, effects: Vec<Effect>) {
        let kept = effects.into_iter().filter(|effect| match effect {
            Effect::Bound(_) => true,
            Effect::Exchanged(write) => matches!(write.said, Said::Sent(_)),
            Effect::Unbound(_) | Effect::Late(_) => false,
        });
        self.kept.extend(kept);
        if !self.kept.is_empty() {
            self.began.get_or_insert(now);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.kept.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn began(&self) -> Option<Timestamp> {
        self.began
    }

    /// Whether somebody waits for one of the outcomes.
    pub(super) fn is_awaited(&self) -> bool {
        self.entries.iter().any(|entry| entry.answer.is_some())
    }

    pub(super) fn has_successes(&self) -> bool {
        self.entries.iter().any(|entry| entry.outcome == Outcome::Completed)
    }

    /// The deliveries that went through.
    pub(super) fn successes(&self) -> impl Iterator<Item = DeliveryId> {
        let completed = self.entries.iter().filter(|entry| entry.outcome == Outcome::Completed);
        completed.map(|entry| entry.claimed.delivery)
    }

    /// The flush failed: nothing that it was to make durable has happened. Answers what is held by that.
    pub(super) fn fail_successes(
        &mut self,
        rules: &Rules<'_>,
        failure: &Failure,
        is_whole_queue: bool,
    ) -> Held {
        let mut undone: HashSet<ObjectKey> = HashSet::new();
        // By which delivery each key, and the queue, is held: the store puts back what is later than that.
        let mut held: HashMap<String, DeliveryId> = HashMap::new();
        let mut queue_held: Option<DeliveryId> = None;
        for mut entry in std::mem::take(&mut self.entries) {
            if entry.outcome == Outcome::Completed {
                entry.outcome = rules.failed(&entry.claimed, failure);
            }
            // A delete that did not happen ends no binding, and what was bound after it never came to be.
            entry.effects.retain(|effect| match effect {
                Effect::Bound(binding) => !undone.contains(&binding.object),
                Effect::Exchanged(write) => {
                    !undone.contains(&write.binding.object) && matches!(write.said, Said::Sent(_))
                }
                Effect::Unbound(unbound) => {
                    undone.insert(unbound.object.clone());
                    false
                }
                Effect::Late(_) => false,
            });
            let id = entry.claimed.delivery;
            let is_put_back = |holder: DeliveryId| holder < id;
            if queue_held.is_some_and(is_put_back)
                || held.get(&entry.claimed.key).copied().is_some_and(is_put_back)
            {
                // It must not be settled then.
                self.kept.append(&mut entry.effects);
                continue;
            }
            if holds(&entry.outcome) {
                held.entry(entry.claimed.key.clone()).or_insert(id);
            }
            if is_whole_queue && holds_queue(&entry.outcome) {
                queue_held.get_or_insert(id);
            }
            self.entries.push(entry);
        }
        Held { keys: held.into_keys().collect(), is_queue_held: queue_held.is_some() }
    }

    pub(super) fn into_commit(self, ownership: &Ownership, now: Timestamp) -> (Commit, Answers) {
        let mut commit = Commit { ownership: Some(ownership.clone()), ..Commit::at(now) };
        let mut answers = Vec::new();
        let mut all = Vec::new();
        for Entry { claimed, outcome, effects, answer } in self.entries {
            if let Some(answer) = answer {
                answers.push((answer, outcome.clone()));
            }
            if claimed.doubt != Doubt::None && !is_final(&outcome) {
                commit.doubts.push((claimed.delivery, claimed.doubt));
            }
            commit.settlements.push(Settlement { delivery: claimed.delivery, outcome });
            all.extend(effects);
        }
        for effect in all.into_iter().chain(self.kept) {
            match effect {
                Effect::Bound(binding) => commit.bindings.push(binding),
                Effect::Exchanged(write) => commit.exchanged.push(write),
                // The commit ends bindings before it makes new ones: those made before the end go with it.
                Effect::Unbound(unbound) => {
                    commit.bindings.retain(|binding| binding.object != unbound.object);
                    commit.unbound.push(unbound);
                }
                Effect::Late(late) => commit.late.push(late),
            }
        }
        (commit, answers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{FURTHEST_DUE, Processing};
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

    fn binding(number: i64, external_id: &str) -> Binding {
        let connector = "crm".parse().unwrap();
        Binding { connector, object: object(number), external_id: external_id.to_owned() }
    }

    fn bound(number: i64, external_id: &str) -> Effect {
        Effect::Bound(binding(number, external_id))
    }

    fn unbound(number: i64, external_id: &str) -> Effect {
        Effect::Unbound(binding(number, external_id))
    }

    fn ownership() -> Ownership {
        Ownership { queue: QueueId::new("crm".parse().unwrap(), Direction::Outgoing), epoch: 1 }
    }

    fn settle(batch: &mut Batch, claimed: &Claimed, outcome: Outcome, effects: Vec<Effect>) {
        batch.settle(Timestamp::EPOCH, claimed.clone(), outcome, effects, None);
    }

    fn fail(batch: &mut Batch) -> Vec<String> {
        let processing = Processing::default();
        let rules = Rules { processing: &processing, due_max: FURTHEST_DUE, now: Timestamp::EPOCH, dice: 1 };
        let mut held = batch.fail_successes(&rules, &Failure::retry("the disk is full"), false);
        held.keys.sort();
        held.keys
    }

    #[test]
    fn a_failed_flush_settles_each_key_once_and_says_which_are_held() {
        let (b, b_again, c) = (claimed(2, "b"), claimed(3, "b"), claimed(4, "c"));
        let mut batch = Batch::default();
        settle(&mut batch, &b, Outcome::Completed, vec![bound(2, "B")]);
        settle(&mut batch, &b_again, Outcome::Completed, vec![bound(2, "B2")]);
        settle(&mut batch, &c, Outcome::Discarded { error: "no".to_owned() }, Vec::new());
        assert_eq!(fail(&mut batch), ["b"]);
        let (commit, _) = batch.into_commit(&ownership(), Timestamp::EPOCH);
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
    fn what_has_ended_leaves_no_doubt_unless_its_flush_fails() {
        let create = Claimed { doubt: Doubt::InDoubt, ..claimed(1, "a") };
        let settled = || {
            let mut batch = Batch::default();
            settle(&mut batch, &create, Outcome::Completed, Vec::new());
            settle(&mut batch, &claimed(2, "b"), Outcome::Completed, Vec::new());
            batch
        };
        let (commit, _) = settled().into_commit(&ownership(), Timestamp::EPOCH);
        assert_eq!(commit.doubts, []);
        let mut undone = settled();
        fail(&mut undone);
        let (commit, _) = undone.into_commit(&ownership(), Timestamp::EPOCH);
        assert_eq!(commit.doubts, [(DeliveryId(1), Doubt::InDoubt)]);
    }

    #[test]
    fn a_delete_that_was_undone_ends_no_binding_and_takes_the_new_one_along() {
        let (delete, create) = (claimed(1, "a"), claimed(2, "a"));
        let mut batch = Batch::default();
        settle(&mut batch, &delete, Outcome::Completed, vec![unbound(1, "x")]);
        settle(&mut batch, &create, Outcome::Completed, vec![bound(1, "new")]);
        fail(&mut batch);
        let (commit, _) = batch.into_commit(&ownership(), Timestamp::EPOCH);
        assert!(commit.unbound.is_empty() && commit.bindings.is_empty());
    }

    #[test]
    fn a_binding_made_before_a_delete_ends_with_it_and_comes_back_when_both_are_undone() {
        let (create, delete) = (claimed(1, "a"), claimed(2, "a"));
        let settled = || {
            let mut batch = Batch::default();
            settle(&mut batch, &create, Outcome::Completed, vec![bound(1, "x")]);
            settle(&mut batch, &delete, Outcome::Completed, vec![unbound(1, "x")]);
            batch
        };
        let (commit, _) = settled().into_commit(&ownership(), Timestamp::EPOCH);
        assert!(commit.bindings.is_empty());
        assert_eq!(commit.unbound.len(), 1);
        let mut undone = settled();
        fail(&mut undone);
        let (commit, _) = undone.into_commit(&ownership(), Timestamp::EPOCH);
        assert_eq!(commit.bindings[0].external_id, "x");
        assert!(commit.unbound.is_empty());
    }

    #[test]
    fn what_is_left_to_be_told_counts_once_the_flush_has_succeeded() {
        let settled = || {
            let late = LateReferences {
                connector: "crm".parse().unwrap(),
                object: object(1),
                unresolved: vec![object(2)],
            };
            let mut batch = Batch::default();
            settle(&mut batch, &claimed(1, "a"), Outcome::Completed, vec![Effect::Late(late)]);
            batch
        };
        let (commit, _) = settled().into_commit(&ownership(), Timestamp::EPOCH);
        assert_eq!(commit.late[0].unresolved, [object(2)]);
        let mut undone = settled();
        fail(&mut undone);
        let (commit, _) = undone.into_commit(&ownership(), Timestamp::EPOCH);
        assert!(commit.late.is_empty());
    }
}
