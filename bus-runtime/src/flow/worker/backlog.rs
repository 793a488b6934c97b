//! What was claimed and has not begun, and which keys are being worked on.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bus_core::DeliveryId;
use bus_core::payload::Payload;
use bus_store::{Claimed, Outcome};
use tokio::sync::oneshot;

use crate::flow::begun::NotBegun;
use crate::flow::translation::ExternalIds;

/// A claimed delivery that has not begun.
pub(super) struct Item {
    pub(super) claimed: Claimed,
    /// By the how-manieth claim of the session.
    pub(super) claim: u64,
    /// What was read together with others of the same claim; only outgoing.
    pub(super) read: Option<Read>,
    /// Who waits for its outcome.
    pub(super) answer: Option<oneshot::Sender<Outcome>>,
}

/// An outgoing payload, and the external ids of what it refers to.
pub(super) struct Read {
    pub(super) payload: Result<Payload, String>,
    pub(super) known: Arc<ExternalIds>,
}

/// What was claimed and has not begun, oldest first within each key, and the keys of which something has.
pub(super) struct Backlog {
    items: VecDeque<Item>,
    busy: HashSet<String>,
    /// The same, for people to see.
    shown: Arc<NotBegun>,
}

impl Backlog {
    pub(super) fn new(shown: Arc<NotBegun>) -> Self {
        Self { items: VecDeque::new(), busy: HashSet::new(), shown }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn push(&mut self, item: Item) {
        self.shown.add(item.claimed.delivery);
        self.items.push_back(item);
    }

    /// Puts something back that begins again: before whatever is later.
    pub(super) fn put_back(&mut self, item: Item) {
        let delivery = item.claimed.delivery;
        let place = self.items.iter().position(|other| other.claimed.delivery > delivery);
        self.items.insert(place.unwrap_or(self.items.len()), item);
    }

    /// Whether something could begin.
    pub(super) fn has_startable(&self) -> bool {
        self.items.iter().any(|item| !self.busy.contains(&item.claimed.key))
    }

    /// The next that can begin; its key is busy from then on.
    pub(super) fn start(&mut self) -> Option<Item> {
        let place = self.items.iter().position(|item| !self.busy.contains(&item.claimed.key))?;
        let item = self.items.remove(place)?;
        self.busy.insert(item.claimed.key.clone());
        self.shown.remove(item.claimed.delivery);
        Some(item)
    }

    /// Nothing of this key is being worked on any more.
    pub(super) fn free(&mut self, key: &str) {
        self.busy.remove(key);
    }

    /// Forgets what the store puts back: everything of this key, or everything.
    pub(super) fn forget_behind(&mut self, key: &str, is_whole_queue: bool) {
        self.retain(|item| !is_whole_queue && item.claimed.key != key);
    }

    /// Forgets what the store has put back, as far as it was claimed by then: it may have been claimed once more since.
    pub(super) fn forget(&mut self, displaced: &[DeliveryId], claims: u64) {
        if !displaced.is_empty() {
            self.retain(|item| item.claim > claims || !displaced.contains(&item.claimed.delivery));
        }
    }

    fn retain(&mut self, stays: impl Fn(&Item) -> bool) {
        let shown = &self.shown;
        self.items.retain(|item| {
            let stays = stays(item);
            if !stays {
                shown.remove(item.claimed.delivery);
            }
            stays
        });
    }

    /// Takes out the first of each key of these deliveries that nothing runs of, and forgets the others of it, which the
    /// store puts back with it. Where the queue is in order, what is before one of them is before all of them.
    pub(super) fn take_firsts_before(
        &mut self,
        wanted: &HashSet<DeliveryId>,
        is_whole_queue: bool,
    ) -> Vec<Item> {
        let is_wanted = |item: &&Item| wanted.contains(&item.claimed.delivery);
        let keys: HashSet<String> =
            self.items.iter().filter(is_wanted).map(|item| item.claimed.key.clone()).collect();
        if keys.is_empty() {
            return Vec::new();
        }
        let others = self.items.iter().map(|item| &item.claimed.key).filter(|key| !keys.contains(*key));
        let others: HashSet<String> = if is_whole_queue { HashSet::new() } else { others.cloned().collect() };
        self.take_firsts_but(&others, is_whole_queue)
    }

    /// Takes out the first of each key that nothing runs of, and forgets the others of it, which the store puts back with
    /// it.
    pub(super) fn take_firsts(&mut self, is_whole_queue: bool) -> Vec<Item> {
        self.take_firsts_but(&HashSet::new(), is_whole_queue)
    }

    fn take_firsts_but(&mut self, others: &HashSet<String>, is_whole_queue: bool) -> Vec<Item> {
        let mut keys = HashSet::new();
        let mut firsts = Vec::new();
        let mut kept = VecDeque::new();
        for item in self.items.drain(..) {
            let key = &item.claimed.key;
            if !is_whole_queue && (self.busy.contains(key) || others.contains(key)) {
                kept.push_back(item);
                continue;
            }
            self.shown.remove(item.claimed.delivery);
            if keys.insert(item.claimed.key.clone()) && (!is_whole_queue || firsts.is_empty()) {
                firsts.push(item);
            }
        }
        self.items = kept;
        firsts
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        self.shown.clear();
    }
}
