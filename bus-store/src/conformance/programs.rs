//! Random programs against a queue: whatever is logged, claimed, settled, woken and interrupted, in whatever order,
//! the queue does what a naive model of it allows.
//!
//! The dice are seeded, and a failure names the seed and the steps that led to it. Longer than other files because
//! the model, a second and simpler queue, is of use in one piece only.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use bus_core::{ConnectorName, DeliveryId, Direction, ObjectId, Timestamp};

use super::Rig;
use super::bench::{assert_balanced, at, ids, kind_of, open, settlement, task, user_key, user_type};
use crate::identity::Binding;
use crate::operate::DeliveryFilter;
use crate::queue::{Awaited, Claim, Claimed, Outcome, Ownership, QueueId};
use crate::task_log::Commit;
use crate::{Store, StoreErrorKind};

const PROGRAMS: u64 = 300;
const STEPS: usize = 30;
const KEYS: u64 = 3;
const OBJECTS: u64 = 3;

/// Three hundred random programs keep the order of each key, lose nothing, invent nothing, and come to an end.
pub async fn random_programs_keep_every_key_in_order_and_lose_nothing(rig: &dyn Rig) {
    let store = open(rig).await;
    for seed in 1..=PROGRAMS {
        let mut program = Program::begin(Arc::clone(&store), seed).await;
        for _ in 0..STEPS {
            program.step().await;
            program.check_books().await;
        }
        program.drain().await;
    }
}

struct Program {
    store: Arc<dyn Store>,
    queue: QueueId,
    owner: Ownership,
    former: Option<Ownership>,
    dice: Dice,
    now: i64,
    open: BTreeMap<DeliveryId, Row>,
    /// The latest delivery of each key that completed.
    completed_to: BTreeMap<String, DeliveryId>,
    bound: BTreeSet<i64>,
    logged: u64,
    latest: Option<DeliveryId>,
    story: String,
}

/// What the model knows of an open delivery.
#[derive(Debug, Clone)]
struct Row {
    key: String,
    place: Place,
    claimed: bool,
    alone: bool,
    charged: u32,
    awaits: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Fresh,
    Held(Timestamp),
    Beside(Timestamp),
    Parked,
    ParkedAside,
}

impl Place {
    fn is_in_line(self) -> bool {
        matches!(self, Self::Fresh | Self::Held(_) | Self::Parked)
    }

    fn due(self) -> Option<Timestamp> {
        match self {
            Self::Held(due) | Self::Beside(due) => Some(due),
            Self::Fresh => Some(Timestamp::EPOCH),
            Self::Parked | Self::ParkedAside => None,
        }
    }
}

impl Program {
    async fn begin(store: Arc<dyn Store>, seed: u64) -> Self {
        let connector = ConnectorName::parse(format!("program-{seed}")).expect("a connector's name");
        let queue = QueueId::new(connector, Direction::Outgoing);
        let owner = store.acquire(&queue, at(0)).await.expect("acquire");
        Self {
            store,
            queue,
            owner,
            former: None,
            dice: Dice(seed),
            now: 0,
            open: BTreeMap::new(),
            completed_to: BTreeMap::new(),
            bound: BTreeSet::new(),
            logged: 0,
            latest: None,
            story: format!("program {seed}:"),
        }
    }

    async fn step(&mut self) {
        match self.dice.roll(20) {
            0..5 => self.log().await,
            5..10 => {
                let limit = self.dice.up_to(5);
                self.claim(limit).await;
            }
            10..16 => self.settle().await,
            16 => self.now += self.dice.up_to_signed(4),
            17 => self.bind().await,
            18 => self.settle_late().await,
            _ => self.interrupt().await,
        }
    }

    async fn log(&mut self) {
        let keys: Vec<String> =
            (0..self.dice.up_to(3)).map(|_| format!("key {}", self.dice.roll(KEYS))).collect();
        self.tell(&format!("log {keys:?}"));
        let tasks = keys.iter().map(|key| task(&self.queue, key)).collect();
        self.store.commit(Commit { tasks, ..Commit::at(at(self.now)) }).await.expect("log");
        let filter = DeliveryFilter { after: self.latest, ..DeliveryFilter::default() };
        let new = self.store.deliveries(&self.queue, &filter).await.expect("deliveries");
        let new_keys: Vec<_> = new.iter().map(|summary| summary.key.clone()).collect();
        self.expect(new_keys == keys, &format!("what was logged is there: {new_keys:?}"));
        for summary in new {
            self.latest = Some(summary.delivery);
            let row = Row {
                key: summary.key,
                place: Place::Fresh,
                claimed: false,
                alone: false,
                charged: 0,
                awaits: None,
            };
            self.open.insert(summary.delivery, row);
            self.logged += 1;
        }
    }

    async fn claim(&mut self, limit: usize) -> Vec<DeliveryId> {
        let now = at(self.now);
        let claim = self.store.claim(&self.owner, limit, now).await.expect("claim");
        let claimed = ids(&claim);
        self.tell(&format!("claim {limit} at {}: {claimed:?}", self.now));
        self.expect(claimed.len() <= limit, "more than the limit");
        self.forget_superseded().await;
        let ready_before = self.ready();
        self.expect(
            !claimed.is_empty() || ready_before.is_empty(),
            &format!("not claimed: {ready_before:?}"),
        );
        for delivery in &claim.deliveries {
            self.take(delivery, &claimed);
        }
        self.check_next_due(&claim);
        claimed
    }

    /// Takes note of what the claim discarded: only what stepped aside, is due, and was overtaken.
    async fn forget_superseded(&mut self) {
        let mut gone = Vec::new();
        for (id, row) in &self.open {
            if self.store.delivery(*id).await.expect("delivery").is_none() {
                let is_due = row.place.due().is_some_and(|due| due <= at(self.now));
                let superseded = self.is_superseded(*id, row) && is_due && !row.claimed;
                self.expect(superseded, &format!("{id} is gone: {row:?}"));
                gone.push(*id);
            }
        }
        for id in gone {
            self.tell(&format!("{id} was superseded"));
            self.open.remove(&id);
        }
    }

    fn is_superseded(&self, id: DeliveryId, row: &Row) -> bool {
        !row.place.is_in_line() && self.completed_to.get(&row.key).is_some_and(|completed| *completed > id)
    }

    /// What may be claimed by itself now.
    fn ready(&self) -> Vec<DeliveryId> {
        let now = at(self.now);
        let is_ready = |(id, row): &(&DeliveryId, &Row)| {
            row.place.due().is_some_and(|due| due <= now)
                && !self.is_key_claimed(&row.key)
                && !self.stands_behind(**id, row)
                && !self.is_superseded(**id, row)
        };
        self.open.iter().filter(is_ready).map(|(id, _)| *id).collect()
    }

    fn is_key_claimed(&self, key: &str) -> bool {
        self.open.values().any(|row| row.claimed && row.key == key)
    }

    /// Whether an earlier one of its key is in line.
    fn stands_behind(&self, id: DeliveryId, row: &Row) -> bool {
        self.open.range(..id).any(|(_, earlier)| earlier.key == row.key && earlier.place.is_in_line())
    }

    /// Marks one of a claim's deliveries as claimed, if that was right.
    fn take(&mut self, delivery: &Claimed, together: &[DeliveryId]) {
        let id = delivery.delivery;
        let Some(row) = self.open.get(&id).cloned() else { self.fail(&format!("{id} is not open")) };
        self.expect(!row.claimed, &format!("{id} was claimed before"));
        self.expect(
            row.place.due().is_some_and(|due| due <= at(self.now)),
            &format!("{id} is not due: {row:?}"),
        );
        self.expect(!self.is_superseded(id, &row), &format!("{id} was superseded"));
        self.expect(!row.alone || together.len() == 1, &format!("{id} is to be claimed alone"));
        self.expect(delivery.key == row.key, &format!("{id} changed its key"));
        self.expect(delivery.attempt == row.charged + 1, &format!("{id}: attempt {}", delivery.attempt));
        // Others of its key may be claimed, or stand before it, only if all of them are fresh and came with it.
        for (other, earlier) in
            self.open.iter().filter(|(other, earlier)| **other != id && earlier.key == row.key)
        {
            let matters = earlier.claimed || (*other < id && earlier.place.is_in_line());
            let is_batch = together.contains(other)
                && *other < id
                && earlier.claimed
                && earlier.place == Place::Fresh
                && row.place == Place::Fresh;
            self.expect(!matters || is_batch, &format!("{id} was claimed in spite of {other}: {earlier:?}"));
        }
        let row = self.open.get_mut(&id).expect("it is open");
        row.claimed = true;
        row.charged += 1;
        row.awaits = None;
    }

    fn check_next_due(&self, claim: &Claim) {
        let now = at(self.now);
        let later = |row: &Row| row.place.due().filter(|due| *due > now && !row.claimed);
        let certain = |(id, row): (&DeliveryId, &Row)| {
            later(row).filter(|_| !self.stands_behind(*id, row) && !self.is_key_claimed(&row.key))
        };
        let earliest = self.open.iter().filter_map(certain).min();
        let is_known =
            claim.next_due.is_none_or(|next| self.open.values().any(|row| later(row) == Some(next)));
        let in_time = earliest.is_none_or(|due| claim.next_due.is_some_and(|next| next <= due));
        self.expect(is_known && in_time, &format!("next due {:?}, expected {earliest:?}", claim.next_due));
    }

    async fn settle(&mut self) {
        let claimed: Vec<DeliveryId> =
            self.open.iter().filter(|(_, row)| row.claimed).map(|(id, _)| *id).collect();
        if claimed.is_empty() {
            return;
        }
        let chosen = claimed[self.dice.up_to(claimed.len()) - 1];
        let outcome = self.dice.outcome(self.now, &self.queue.connector);
        self.settle_as(chosen, outcome).await;
    }

    async fn settle_as(&mut self, id: DeliveryId, outcome: Outcome) {
        self.tell(&format!("settle {id} at {}: {outcome:?}", self.now));
        let commit = Commit {
            settlements: vec![settlement(id, outcome.clone())],
            ownership: Some(self.owner.clone()),
            ..Commit::at(at(self.now))
        };
        let displaced = self.store.commit(commit).await.expect("settle").displaced;
        let mut row = self.open.remove(&id).expect("it is open");
        row.claimed = false;
        row.charged -= u32::from(!is_charged(&outcome));
        let place = match outcome {
            Outcome::Completed => {
                let completed_to = self.completed_to.entry(row.key).or_insert(id);
                *completed_to = id.max(*completed_to);
                None
            }
            Outcome::Discarded { .. } => None,
            Outcome::Retry { due, .. } | Outcome::Released { due, .. } => Some((row, Place::Held(due))),
            Outcome::Waiting { awaited, due, .. } => {
                row.awaits = awaited.first().and_then(object_number);
                let there = row.awaits.is_some_and(|number| self.bound.contains(&number));
                Some((row, Place::Held(if there { Timestamp::EPOCH } else { due })))
            }
            Outcome::Aside { due, .. } => Some((row, Place::Beside(due))),
            Outcome::Parked { aside, .. } => {
                Some((row, if aside { Place::ParkedAside } else { Place::Parked }))
            }
        };
        let mut expected = Vec::new();
        if let Some((mut row, place)) = place {
            row.place = place;
            for (later, behind) in self.open.range_mut(id..) {
                if place.is_in_line() && behind.claimed && behind.key == row.key {
                    behind.claimed = false;
                    behind.charged -= 1;
                    expected.push(*later);
                }
            }
            self.open.insert(id, row);
        }
        self.expect(displaced == expected, &format!("displaced {displaced:?}, expected {expected:?}"));
    }

    /// Whoever owned the queue before cannot settle anything.
    async fn settle_late(&mut self) {
        let (Some(former), Some(id)) = (self.former.clone(), self.open.keys().next().copied()) else {
            return;
        };
        self.tell(&format!("settle {id} as a former owner"));
        let commit = Commit {
            settlements: vec![settlement(id, Outcome::Completed)],
            ownership: Some(former),
            ..Commit::at(at(self.now))
        };
        let refused = kind_of(self.store.commit(commit).await);
        self.expect(refused == Some(StoreErrorKind::Stale), &format!("{refused:?}"));
    }

    async fn bind(&mut self) {
        let number = self.dice.up_to_signed(OBJECTS);
        let object = user_key(number);
        if self.bound.remove(&number) {
            self.tell(&format!("unlink {number}"));
            self.store.unlink(&self.queue.connector, &object).await.expect("unlink");
            return;
        }
        self.tell(&format!("bind {number}"));
        let external_id = format!("ext {number}");
        let bindings = vec![Binding { connector: self.queue.connector.clone(), object, external_id }];
        self.store.commit(Commit { bindings, ..Commit::at(at(self.now)) }).await.expect("bind");
        self.bound.insert(number);
        for row in self.open.values_mut().filter(|row| row.awaits == Some(number) && !row.claimed) {
            row.place = Place::Held(Timestamp::EPOCH);
        }
    }

    async fn interrupt(&mut self) {
        self.tell("interrupt");
        let owner = self.store.acquire(&self.queue, at(self.now)).await.expect("acquire");
        self.former = Some(std::mem::replace(&mut self.owner, owner));
        for row in self.open.values_mut().filter(|row| row.claimed) {
            row.claimed = false;
            row.alone = true;
            let at_once = Timestamp::EPOCH;
            row.place = if row.place.is_in_line() { Place::Held(at_once) } else { Place::Beside(at_once) };
        }
    }

    /// Lets everything succeed, at a time when all is due: nothing is left but what is parked, and what it holds.
    async fn drain(&mut self) {
        self.now += 1_000;
        let running: Vec<DeliveryId> =
            self.open.iter().filter(|(_, row)| row.claimed).map(|(id, _)| *id).collect();
        for id in running {
            self.settle_as(id, Outcome::Completed).await;
        }
        loop {
            let claimed = self.claim(4).await;
            if claimed.is_empty() {
                break;
            }
            for id in claimed {
                self.settle_as(id, Outcome::Completed).await;
            }
        }
        self.check_books().await;
        for (id, row) in &self.open {
            let is_parked = matches!(row.place, Place::Parked | Place::ParkedAside);
            self.expect(is_parked || self.stands_behind(*id, row), &format!("{id} is left: {row:?}"));
        }
    }

    async fn check_books(&self) {
        let counters = self.store.counters(&self.queue).await.expect("counters");
        assert_balanced(&counters);
        let right = counters.logged == self.logged && counters.open == self.open.len() as u64;
        self.expect(
            right,
            &format!("{counters:?}, expected {} logged, {} open", self.logged, self.open.len()),
        );
    }

    fn tell(&mut self, what: &str) {
        let _ = write!(self.story, "\n  {what}");
    }

    fn expect(&self, is_so: bool, otherwise: &str) {
        if !is_so {
            self.fail(otherwise);
        }
    }

    fn fail(&self, why: &str) -> ! {
        panic!("{why}, in {}", self.story)
    }
}

fn is_charged(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Released { .. } | Outcome::Waiting { .. } => false,
        Outcome::Aside { charged, .. } => *charged,
        Outcome::Completed | Outcome::Retry { .. } | Outcome::Parked { .. } | Outcome::Discarded { .. } => {
            true
        }
    }
}

fn object_number(awaited: &Awaited) -> Option<i64> {
    match awaited {
        Awaited::Bound { object: ObjectId::Number(number), .. } => Some(*number),
        _ => None,
    }
}

/// Seeded dice (`SplitMix64`).
struct Dice(u64);

impl Dice {
    /// From 0 to `sides - 1`.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    /// From 1 to `most`.
    fn up_to(&mut self, most: usize) -> usize {
        usize::try_from(self.roll(most as u64)).expect("a small number") + 1
    }

    /// From 1 to `most`.
    fn up_to_signed(&mut self, most: u64) -> i64 {
        i64::try_from(self.roll(most)).expect("a small number") + 1
    }

    fn outcome(&mut self, now: i64, connector: &ConnectorName) -> Outcome {
        let due = at(now + self.up_to_signed(6) - 1);
        let error = || "refused".to_owned();
        match self.roll(16) {
            0..6 => Outcome::Completed,
            6 | 7 => Outcome::Retry { due, error: error() },
            8 => Outcome::Released { due, error: None },
            9 => Outcome::Released { due: Timestamp::EPOCH, error: None },
            10 | 11 => {
                let object = ObjectId::Number(self.up_to_signed(OBJECTS));
                let awaited =
                    vec![Awaited::Bound { connector: connector.clone(), object_type: user_type(), object }];
                Outcome::Waiting { awaited, due, reason: error() }
            }
            12 | 13 => Outcome::Aside { due, error: Some(error()), charged: self.roll(2) == 0 },
            14 => Outcome::Discarded { error: error() },
            _ => Outcome::Parked { error: error(), aside: self.roll(2) == 0 },
        }
    }
}
