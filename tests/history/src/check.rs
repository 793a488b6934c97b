//! Decides whether a history is one that the bus promised: one pass, entry by entry, in the order of the journal.
//!
//! A call is *void* once its participant was killed or stopped, or another one became the owner: what it did may be
//! done again. A participant is *late* while another one has taken its place: what it still does is without consequence
//! for the queue, and is only counted. Its calls can come out of order; a peer that compares sequence numbers refuses
//! them.

mod state;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use crate::event::{Answer, Entry, Event, Outcome};
use crate::report::{Finding, Report, Rules, Wrong};
use state::{Aside, Call, Called, Change, Delivery, Fate, Key, Participant};

/// What a history shows.
pub fn check(entries: &[Entry], rules: Rules) -> Report {
    let mut checker = Checker { rules, ..Checker::default() };
    for (at, entry) in entries.iter().enumerate() {
        checker.at = at;
        checker.take(&entry.who, &entry.event);
    }
    checker.at = entries.len();
    checker.end()
}

#[derive(Default)]
struct Checker<'a> {
    rules: Rules,
    at: usize,
    report: Report,
    changes: BTreeMap<&'a str, Change<'a>>,
    deliveries: HashMap<i64, Delivery<'a>>,
    keys: HashMap<&'a str, Key<'a>>,
    keys_given: HashMap<&'a str, i64>,
    participants: HashMap<&'a str, Participant>,
    owner: Option<&'a str>,
    /// When everybody's calls became void last.
    all_void: Option<usize>,
    is_disturbed: bool,
    /// Which delivery was seen to overtake which change, and when.
    overtaken: Vec<(&'a str, usize)>,
}

impl<'a> Checker<'a> {
    fn found(&mut self, wrong: Wrong, with: impl fmt::Display) {
        self.report.findings.push(Finding { wrong, with: with.to_string(), at: self.at });
    }

    fn take(&mut self, who: &'a str, event: &'a Event) {
        match event {
            Event::Invoked { change, key } => {
                let fresh = Change { key, invoked: self.at, ..Change::default() };
                self.changes.entry(change).or_insert(fresh);
            }
            Event::Acknowledged { change } => self.acknowledged(change),
            Event::Refused { change } => {
                if let Some(change) = self.changes.get_mut(change.as_str()) {
                    change.is_refused = true;
                }
            }
            Event::Unknown { .. } => {}
            Event::Owned => {
                self.all_void = Some(self.at);
                self.owner = Some(who);
            }
            Event::Called { delivery, key, change, idempotency, attempt } => {
                self.called(who, *delivery, Called { key, change, idempotency, attempt: *attempt });
            }
            Event::Answered { delivery, answer } => self.answered(who, *delivery, *answer),
            Event::Settling { delivery, outcome } => self.settling(who, *delivery, *outcome),
            Event::Settled { delivery, outcome } => self.settled(who, *delivery, *outcome),
            Event::Reset { delivery } => {
                if let Some(delivery) = self.deliveries.get_mut(delivery) {
                    (delivery.attempt, delivery.charged) = (0, 0);
                }
            }
            Event::Killed => {
                let participant = self.participants.entry(who).or_default();
                self.report.kills += usize::from(!participant.is_dead);
                participant.is_dead = true;
            }
            Event::Stopped => {
                let at = self.at;
                let participant = self.participants.entry(who).or_default();
                participant.stopped = Some(at);
            }
            Event::Disturbed => self.is_disturbed = true,
            Event::Calm => {
                self.is_disturbed = false;
                self.all_void = Some(self.at);
            }
            Event::Left { delivery, change, held, .. } => self.left(*delivery, change, *held),
        }
    }

    fn acknowledged(&mut self, name: &'a str) {
        let at = self.at;
        let Some(change) = self.changes.get_mut(name) else { return self.found(Wrong::Invented, name) };
        change.acknowledged.get_or_insert(at);
        if change.delivery.is_none() {
            self.keys.entry(change.key).or_default().waiting.insert(name);
        }
    }

    fn called(&mut self, who: &'a str, number: i64, call: Called<'a>) {
        self.report.calls += 1;
        let is_late = self.is_late(who);
        self.participants.entry(who).or_default().called = Some(self.at);
        match self.changes.get(call.change) {
            Some(change) if !change.is_refused && change.key == call.key => {}
            _ => return self.found(Wrong::Invented, call.change),
        }
        self.compare(number, &call);
        if is_late {
            self.report.late += 1;
        } else {
            self.look_for_duplicates(number, &call);
            self.look_for_overtaking(number, &call);
        }
        let at = self.at;
        if let Some(change) = self.changes.get_mut(call.change) {
            change.delivery = Some(number);
        }
        let key = self.keys.entry(call.key).or_default();
        key.waiting.remove(call.change);
        let delivery = self.deliveries.entry(number).or_insert_with(|| Delivery::new(&call));
        delivery.charged += 1;
        if !is_late {
            (delivery.attempt, delivery.let_go) = (call.attempt, false);
            delivery.last = Some(Call { who, at, answer: None });
            key.open.insert(number);
            if delivery.aside == Aside::Never {
                key.latest = number;
                let overwritten = key.done.split_off(&(number + 1));
                key.overwritten.extend(overwritten.into_iter().map(|later| (later, at)));
            }
            key.overwritten.remove(&number);
        }
        let (charged, most) = (delivery.charged.max(call.attempt), self.rules.attempts_max);
        if most.is_some_and(|most| charged > most) {
            self.found(Wrong::AttemptsExceeded, call.change);
        }
    }

    /// Sets a call beside what is known of its delivery.
    fn compare(&mut self, number: i64, call: &Called<'a>) {
        if let Some(known) = self.deliveries.get(&number) {
            let (change, idempotency) = (known.change, known.idempotency);
            if change != call.change {
                self.found(Wrong::Invented, call.change);
            }
            if idempotency != call.idempotency {
                self.found(Wrong::IdempotencyKey, call.change);
            }
        } else if *self.keys_given.entry(call.idempotency).or_insert(number) != number {
            self.found(Wrong::IdempotencyKey, call.change);
        }
        let before = self.changes.get(call.change).and_then(|change| change.delivery);
        if before.is_some_and(|before| before != number) {
            self.found(Wrong::Duplicated, call.change);
        }
    }

    fn look_for_duplicates(&mut self, number: i64, call: &Called<'a>) {
        let Some(known) = self.deliveries.get(&number) else { return };
        let Some(last) = known.last else { return };
        let (is_settled, attempt) = (known.is_settled, known.attempt);
        let was_done = last.answer == Some(Answer::Done);
        if is_settled || (was_done && !self.is_void(last)) {
            self.found(Wrong::Duplicated, call.change);
        } else if was_done {
            self.report.repeated += 1;
        }
        let fewest = if last.answer == Some(Answer::GivenBack) { attempt } else { attempt + 1 };
        if call.attempt < fewest {
            self.found(Wrong::AttemptNotCounted, call.change);
        }
    }

    fn look_for_overtaking(&mut self, number: i64, call: &Called<'a>) {
        let Some(key) = self.keys.get(call.key) else { return };
        let was_aside = self.deliveries.get(&number).is_some_and(|known| known.aside != Aside::Never);
        let mut at_once = false;
        for open in &key.open {
            let last = self.deliveries.get(open).and_then(|open| open.last);
            at_once |= last.is_some_and(|last| last.answer.is_none() && !self.is_void(last));
        }
        let holds = |open: &&Delivery<'_>| {
            open.aside != Aside::Now || open.last.is_none_or(|last| !self.is_void(last))
        };
        let earlier = key.open.range(..number).filter_map(|open| self.deliveries.get(open));
        let overtaken = earlier.filter(holds).map(|open| open.change).next();
        let invoked = self.changes.get(call.change).map_or(0, |change| change.invoked);
        let is_earlier = |name: &&&str| {
            let acknowledged = self.changes.get(**name).and_then(|change| change.acknowledged);
            **name != call.change && acknowledged.is_some_and(|acknowledged| acknowledged < invoked)
        };
        let skipped: Vec<&str> = key.waiting.iter().filter(is_earlier).copied().collect();
        // After a kill, what was done and not written down is repeated, and so must be all that came after it.
        let is_repeated = self.deliveries.get(&number).is_some_and(|known| known.let_go);
        let is_later_settled = || {
            key.done
                .range(number + 1..)
                .any(|later| self.deliveries.get(later).is_some_and(|later| later.is_settled))
        };
        let comes_back = number < key.latest && !was_aside && (!is_repeated || is_later_settled());
        if at_once {
            self.found(Wrong::TwoAtOnce, call.change);
        } else if comes_back {
            self.found(Wrong::Reordered, call.change);
        }
        // Whether they are lost, or only late, is known at the end.
        let at = self.at;
        self.overtaken.extend(overtaken.into_iter().chain(skipped).map(|name| (name, at)));
    }

    fn answered(&mut self, who: &'a str, number: i64, answer: Answer) {
        let Some(delivery) = self.deliveries.get_mut(&number) else {
            return self.found(Wrong::Invented, number);
        };
        let Some(last) = delivery.last.as_mut().filter(|last| last.who == who) else { return };
        last.answer = Some(answer);
        match answer {
            Answer::Done => {
                delivery.let_go = true;
                if let Some(change) = self.changes.get_mut(delivery.change) {
                    change.fate = Fate::Done;
                }
                if let Some(key) = self.keys.get_mut(delivery.key) {
                    key.open.remove(&number);
                    key.done.insert(number);
                }
            }
            Answer::GivenBack => delivery.charged = delivery.charged.saturating_sub(1),
            Answer::Failed | Answer::Dropped => {}
        }
    }

    fn settling(&mut self, who: &'a str, number: i64, outcome: Outcome) {
        let at = self.at;
        let is_late = self.is_late(who);
        let Some(delivery) = self.deliveries.get_mut(&number) else { return };
        delivery.settling.insert(who, at);
        if matches!(outcome, Outcome::Ended | Outcome::Aside) && !is_late {
            delivery.let_go = true;
            if outcome == Outcome::Aside {
                delivery.aside = Aside::Now;
            }
            if let Some(key) = self.keys.get_mut(delivery.key) {
                key.open.remove(&number);
            }
        }
    }

    fn settled(&mut self, who: &'a str, number: i64, outcome: Outcome) {
        let is_late = self.is_late(who);
        let all_void = self.all_void;
        let Some(delivery) = self.deliveries.get_mut(&number) else {
            return self.found(Wrong::Invented, number);
        };
        let begun = delivery.settling.remove(who);
        let change = delivery.change;
        let was_settled = delivery.is_settled;
        if outcome == Outcome::Held && delivery.aside == Aside::Now {
            delivery.aside = Aside::Once;
        }
        let is_final = matches!(outcome, Outcome::Completed | Outcome::Ended);
        delivery.is_settled |= is_final;
        if is_late && begun.is_none_or(|begun| all_void.is_some_and(|void| void < begun)) {
            self.found(Wrong::Unfenced, change);
        } else if was_settled && (is_final || !is_late) {
            // One that was accepted in time may be told late.
            self.found(Wrong::Duplicated, change);
        } else if outcome == Outcome::Ended
            && let Some(change) = self.changes.get_mut(change)
        {
            change.fate = Fate::Ended;
        }
    }

    fn left(&mut self, number: i64, name: &'a str, held: bool) {
        let Some(change) = self.changes.get_mut(name).filter(|change| !change.is_refused) else {
            return self.found(Wrong::Invented, name);
        };
        change.fate = Fate::Left;
        let is_another = change.delivery.is_some_and(|delivery| delivery != number);
        if is_another {
            self.found(Wrong::Duplicated, name);
        } else if self.deliveries.get(&number).is_some_and(|delivery| delivery.is_settled) {
            self.found(Wrong::Undone, name);
        } else if !held {
            self.found(Wrong::Stuck, name);
        }
    }

    fn end(mut self) -> Report {
        let mut lost = BTreeSet::new();
        for (name, change) in &self.changes {
            let is_here = change.fate != Fate::Unseen;
            let must_be_here = change.acknowledged.is_some() || change.delivery.is_some();
            if must_be_here && !change.is_refused && !is_here {
                lost.insert(*name);
            }
            self.report.acknowledged += usize::from(change.acknowledged.is_some());
            self.report.recovered += usize::from(change.fate == Fate::Done && change.acknowledged.is_none());
        }
        let overwritten = self.keys.values().flat_map(|key| &key.overwritten);
        let overwritten =
            overwritten.filter_map(|(number, at)| Some((self.deliveries.get(number)?.change, *at)));
        let is_open = |(name, _): &(&str, usize)| {
            self.changes.get(*name).is_some_and(|change| change.fate != Fate::Left)
        };
        let overwritten: Vec<_> = overwritten.filter(is_open).collect();
        self.overtaken.extend(overwritten);
        for (name, at) in std::mem::take(&mut self.overtaken) {
            if !lost.contains(name) {
                self.at = at;
                self.found(Wrong::Reordered, name);
            }
        }
        for name in lost {
            self.found(Wrong::Lost, name);
        }
        self.report.findings.sort_by_key(|finding| finding.at);
        self.report.findings.dedup();
        self.report
    }

    fn is_void(&self, call: Call<'_>) -> bool {
        let participant = self.participants.get(call.who);
        let is_gone = participant.is_some_and(|gone| gone.is_dead || gone.stopped > Some(call.at));
        self.is_disturbed || is_gone || self.all_void > Some(call.at)
    }

    /// Whether somebody else has taken this one's place.
    fn is_late(&self, who: &str) -> bool {
        if let Some(owner) = self.owner {
            return owner != who;
        }
        let stopped = self.participants.get(who).and_then(|participant| participant.stopped);
        let has_taken_over =
            |(name, other): (&&str, &Participant)| *name != who && !other.is_dead && other.called > stopped;
        stopped.is_some() && self.participants.iter().any(has_taken_over)
    }
}
