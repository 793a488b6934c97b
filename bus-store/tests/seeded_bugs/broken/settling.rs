//! The deliveries that entries of a broken store's outbox settle: the store in memory knows of none, so here is noted
//! what is claimed by whom, and what of that an entry has settled.

use std::collections::BTreeMap;

use bus_core::DeliveryId;
use bus_store::{
    Claimed, Commit, Committed, EntryEnd, Expected, ObjectWrite, Objects, Outcome, Ownership, QueueId,
    SettledEntry, Settlement, Settles, StoreError, StoreErrorKind,
};
use serde_json::Value;

use super::Broken;
use crate::Bug;

/// Which deliveries entries can settle, and which they have.
#[derive(Clone, Default)]
pub(super) struct Settling {
    /// What is claimed, as an entry names it.
    claimed: Vec<Settles>,
    /// What entries have settled that are not relayed yet, by entry.
    settled: BTreeMap<i64, Settles>,
}

impl Settling {
    /// An entry is left: refused where it settles what it must not.
    pub(super) fn leave(&mut self, entry: i64, text: &str, bug: Bug) -> Result<(), String> {
        let Some(settles) = settles_of(text) else { return Ok(()) };
        let is_in_hand = self.claimed.contains(&settles) && !self.is_settled(settles.delivery);
        if !is_in_hand && bug != Bug::SettlesWhatIsNotInHand {
            return Err(format!("delivery {} is not in these hands", settles.delivery));
        }
        self.settled.insert(entry, settles);
        Ok(())
    }

    fn is_settled(&self, delivery: DeliveryId) -> bool {
        self.settled.values().any(|settles| settles.delivery == delivery)
    }

    /// Whether an entry settles anything of this queue.
    pub(super) fn concerns(&self, queue: &QueueId) -> bool {
        self.settled.values().any(|settles| settles.queue == *queue)
    }

    /// Refuses outcomes of what entries have settled.
    pub(super) fn check(&self, commit: &Commit, bug: Bug) -> Result<(), StoreError> {
        let settled = commit.settlements.iter().find(|settlement| self.is_settled(settlement.delivery));
        match settled {
            Some(settlement) if bug != Bug::SettlesWhatAnEntrySettles => {
                let message = format!("an entry settles delivery {}; relay that", settlement.delivery);
                Err(StoreError::new(StoreErrorKind::Conflict, "commit", message))
            }
            _ => Ok(()),
        }
    }

    /// An entry is relayed, and what it settles is written with that: the laws relay in commits of their own.
    pub(super) fn carry_out(&mut self, entry: i64, settled: SettledEntry, commit: &mut Commit, bug: Bug) {
        let SettledEntry { unbound, bindings, tasks, exchanged, deleted: _ } = settled;
        if let Some(Settles { queue, epoch, delivery, .. }) = self.settled.remove(&entry)
            && bug != Bug::LeavesClaimedWhatAnEntrySettles
        {
            commit.settlements.push(Settlement { delivery, outcome: Outcome::Completed });
            commit.ownership = Some(Ownership { queue, epoch });
        }
        commit.unbound.extend(unbound);
        if bug != Bug::ForgetsWhatFollowsFromAnEntry {
            commit.bindings.extend(bindings);
        }
        commit.tasks.extend(tasks);
        commit.exchanged.extend(exchanged);
    }

    /// An entry is parked, and settles nothing any more.
    pub(super) fn forget(&mut self, entry: i64, bug: Bug) {
        if bug != Bug::KeepsWhatAParkedEntrySettles {
            self.settled.remove(&entry);
        }
    }

    /// Somebody has claimed these.
    pub(super) fn claim<'a>(&mut self, owner: &Ownership, claimed: impl IntoIterator<Item = &'a Claimed>) {
        let Ownership { queue, epoch } = owner;
        self.claimed.extend(claimed.into_iter().map(|claimed| Settles {
            queue: queue.clone(),
            epoch: *epoch,
            delivery: claimed.delivery,
            attempt: claimed.attempt,
        }));
    }

    /// These were settled, and the others displaced, by this commit, and what it logged may be claimed.
    pub(super) fn committed(&mut self, settled: &[DeliveryId], committed: &Committed) {
        let is_gone =
            |delivery: DeliveryId| settled.contains(&delivery) || committed.displaced.contains(&delivery);
        self.claimed.retain(|claimed| !is_gone(claimed.delivery));
        for (owner, claimed) in &committed.claimed {
            self.claim(owner, [claimed]);
        }
    }

    /// The queue has a new owner, who has claimed nothing yet.
    pub(super) fn acquired(&mut self, queue: &QueueId) {
        self.claimed.retain(|claimed| claimed.queue != *queue);
    }
}

impl Broken {
    /// The objects that are gone with what is relayed here.
    pub(super) async fn gone_with(&self, commit: &Commit) -> Result<Vec<ObjectWrite>, StoreError> {
        let mut gone = Vec::new();
        for relayed in &commit.relayed {
            if let EntryEnd::Settled(settled) = &relayed.end
                && let Some(key) = &settled.deleted
                && let Some(record) = self.inner.object(key).await?
            {
                let expected = Expected::Version(record.version);
                gone.push(ObjectWrite::Delete { key: key.clone(), expected });
            }
        }
        Ok(gone)
    }
}

/// What an entry says that it settles; those of most laws are no JSON at all.
fn settles_of(text: &str) -> Option<Settles> {
    let mut entry: Value = serde_json::from_str(text).ok()?;
    let settles = entry.get_mut("settles").map(Value::take)?;
    Some(serde_json::from_value(settles).expect("the laws name what they settle"))
}
