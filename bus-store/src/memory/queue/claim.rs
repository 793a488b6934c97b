//! What a claim brings, in memory.

use std::collections::{BTreeSet, HashSet};
use std::ops::Bound;

use bus_core::{DeliveryId, DeliveryState, Timestamp};

use super::QueueState;
use super::row::Stage;
use crate::queue::{First, Scope, Wanted};

impl QueueState {
    /// What is claimed now, and when the next is due.
    pub(super) fn claim(&mut self, wanted: Wanted, now: Timestamp) -> (Vec<DeliveryId>, Option<Timestamp>) {
        match self.scope {
            Scope::Key if wanted.first == First::OnlyFresh => {
                (self.claim_ahead(wanted.limit, now), self.next_due(now))
            }
            Scope::Key => (self.claim_by_key(wanted, now), self.next_due(now)),
            Scope::Queue => self.claim_in_order(wanted, now),
        }
    }

    /// Whether something can be claimed now, of this key where order is kept within each.
    pub(in crate::memory) fn is_ready(&self, key: &str, now: Timestamp) -> bool {
        match self.scope {
            Scope::Key => self.lanes.get(key).is_some_and(|lane| {
                let due = lane.timed.iter().any(|(due, _)| *due <= now);
                lane.claimed.is_empty() && (lane.fresh.is_some() || due)
            }),
            Scope::Queue => !self.pick_in_order(Wanted::up_to(1), now).0.is_empty(),
        }
    }

    /// Claims a delivery that was just logged, if nothing stands before it.
    pub(in crate::memory) fn claim_new(&mut self, id: DeliveryId) -> bool {
        let Some(row) = self.rows.get(&id) else { return false };
        let mut line = self.rows.iter().filter(|(_, row)| !row.beside);
        let is_first = match self.scope {
            // The index has the first of each lane, where that is fresh and nothing of the lane is claimed.
            Scope::Key => self.fresh.contains(&id),
            Scope::Queue => self.claimed.is_empty() && line.next().is_some_and(|(first, _)| *first == id),
        };
        let is_claimed = is_first && row.stage == Stage::Fresh;
        if is_claimed {
            self.mark_claimed(id);
        }
        is_claimed
    }

    /// What is fresh, if nothing is due.
    fn claim_ahead(&mut self, limit: usize, now: Timestamp) -> Vec<DeliveryId> {
        let mut claimed = Vec::new();
        if self.first_due(now).is_none() {
            self.claim_fresh(&mut claimed, limit);
        }
        claimed
    }

    fn claim_by_key(&mut self, Wanted { limit, first }: Wanted, now: Timestamp) -> Vec<DeliveryId> {
        let mut claimed = Vec::new();
        if first == First::Fresh {
            self.claim_fresh(&mut claimed, limit);
        }
        if claimed.is_empty() {
            if let Some(charged) = self.first_due(now).filter(|id| limit > 0 && self.rows[id].attempts > 0) {
                self.mark_claimed(charged);
                return vec![charged];
            }
            self.claim_due(&mut claimed, limit.min((limit / 2).max(1)), now);
            self.claim_fresh(&mut claimed, limit);
        }
        // What fresh work leaves, what is due may take.
        self.claim_due(&mut claimed, limit, now);
        claimed
    }

    fn first_due(&self, now: Timestamp) -> Option<DeliveryId> {
        let due = self.timed.range(..=(now, DeliveryId(i64::MAX))).map(|(_, id)| *id);
        due.into_iter().find(|id| self.lanes[self.rows[id].key()].claimed.is_empty())
    }

    /// Adds what is due and was never charged, until there are `limit`, in the order of due times, up to the first
    /// that was.
    fn claim_due(&mut self, claimed: &mut Vec<DeliveryId>, limit: usize, now: Timestamp) {
        while claimed.len() < limit
            && let Some(id) = self.first_due(now).filter(|id| self.rows[id].attempts == 0)
        {
            self.mark_claimed(id);
            claimed.push(id);
        }
    }

    /// Adds what is fresh, until there are `limit`, oldest first; of each lane as much as stands in a row.
    fn claim_fresh(&mut self, claimed: &mut Vec<DeliveryId>, limit: usize) {
        let mut picked = Vec::new();
        let mut followers = BTreeSet::new();
        let mut heads = self.fresh.iter().copied().peekable();
        while claimed.len() + picked.len() < limit {
            let follower = followers.first().copied();
            let next = match (heads.peek().copied(), follower) {
                (Some(head), Some(follower)) => head.min(follower),
                (Some(only), None) | (None, Some(only)) => only,
                (None, None) => break,
            };
            if Some(next) == follower {
                followers.remove(&next);
            } else {
                heads.next();
            }
            picked.push(next);
            let lane = &self.lanes[self.rows[&next].key()];
            let behind = lane.line.range((Bound::Excluded(next), Bound::Unbounded)).next();
            followers.extend(behind.filter(|id| self.rows[id].stage == Stage::Fresh));
        }
        for id in &picked {
            self.mark_claimed(*id);
        }
        claimed.extend(picked);
    }

    fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        let later = (Bound::Excluded((now, DeliveryId(i64::MAX))), Bound::Unbounded);
        self.timed.range(later).next().map(|(due, _)| *due)
    }

    fn claim_in_order(&mut self, wanted: Wanted, now: Timestamp) -> (Vec<DeliveryId>, Option<Timestamp>) {
        let (picked, next_due) = self.pick_in_order(wanted, now);
        for id in &picked {
            self.mark_claimed(*id);
        }
        (picked, next_due)
    }

    /// What may be claimed where order is kept within the queue, and when the next is due.
    fn pick_in_order(&self, wanted: Wanted, now: Timestamp) -> (Vec<DeliveryId>, Option<Timestamp>) {
        let may_claim = self.claimed.is_empty() && wanted.first != First::OnlyFresh;
        let limit = if may_claim { wanted.limit } else { 0 };
        let (mut picked, in_line) = self.walk_line(limit, now);
        let beside = |(_, id): &&(Timestamp, DeliveryId)| self.rows[id].beside;
        let (due, later): (Vec<_>, Vec<_>) =
            self.timed.iter().filter(beside).partition(|(due, _)| *due <= now);
        if limit > 0
            && (picked.is_empty() || wanted.first == First::Due)
            && let Some((_, aside)) = due.first()
        {
            picked = vec![*aside];
        }
        let next_due = later.first().map(|(due, _)| *due).into_iter().chain(in_line).min();
        (picked, next_due)
    }

    /// Goes along the line up to what holds it. Whoever waits holds only its own key: what it waits for may stand
    /// behind it.
    fn walk_line(&self, limit: usize, now: Timestamp) -> (Vec<DeliveryId>, Option<Timestamp>) {
        let mut picked = Vec::new();
        let mut next_due = None;
        let mut held = HashSet::new();
        for (id, row) in self.rows.iter().filter(|(_, row)| !row.beside) {
            if held.contains(row.key()) {
                continue;
            }
            match row.stage {
                Stage::Fresh if picked.len() < limit => {
                    picked.push(*id);
                    continue;
                }
                Stage::Due(due) if due > now => {
                    next_due = next_due.into_iter().chain([due]).min();
                    if row.shown == DeliveryState::Waiting {
                        held.insert(row.key());
                        continue;
                    }
                }
                Stage::Due(_) if picked.is_empty() && limit > 0 => picked.push(*id),
                _ => {}
            }
            break;
        }
        (picked, next_due)
    }

    fn mark_claimed(&mut self, id: DeliveryId) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        row.stage = Stage::Claimed;
        row.attempts += 1;
        if row.waiting_since.is_some() {
            row.asks += 1;
        }
        let key = row.key().to_owned();
        self.claimed.insert(id);
        if let Some(lane) = self.lanes.get_mut(&key) {
            lane.claimed.insert(id);
        }
        self.index(&key);
    }
}
