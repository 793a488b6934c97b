//! What a claim may bring, and what it must.

use std::collections::BTreeSet;

use bus_core::Timestamp;

use super::{Delivery, Model, Stage, Wrong, ensure};
use crate::queue::{Claim, Claimed, First, Scope, Wanted};

impl Model {
    /// Takes note of a claim, if it was right.
    pub(in super::super) fn claim(
        &mut self,
        claim: &Claim,
        wanted: Wanted,
        now: Timestamp,
    ) -> Result<(), Wrong> {
        let mut brought = Vec::new();
        for claimed in &claim.deliveries {
            let one = self.get(claimed.delivery).ok_or_else(|| format!("{claimed:?} was never logged"))?;
            ensure!(
                one.is_open() && !one.is_claimed && one.is_due(now),
                "claimed, and not to be had: {one:?}"
            );
            brought.push(one.clone());
        }
        ensure!(brought.len() <= wanted.limit, "more than the limit");
        match self.scope {
            Scope::Key if wanted.first == First::OnlyFresh => self.check_claim_ahead(&brought, now)?,
            Scope::Key => self.check_claim_by_key(&brought, wanted, now)?,
            Scope::Queue if wanted.first == First::OnlyFresh => ensure!(brought.is_empty(), "claimed ahead"),
            Scope::Queue => self.check_claim_in_order(&brought, wanted, now)?,
        }
        for claimed in &claim.deliveries {
            self.take(claimed)?;
        }
        self.check_next_due(claim.next_due, now)
    }

    fn check_claim_in_order(
        &self,
        brought: &[Delivery],
        wanted: Wanted,
        now: Timestamp,
    ) -> Result<(), Wrong> {
        let ids: Vec<_> = brought.iter().map(|one| one.id).collect();
        let may_claim = wanted.limit > 0 && self.claimed().next().is_none();
        let beside: Vec<_> =
            self.open().filter(|one| may_claim && one.is_beside && self.is_ready(one, now)).collect();
        // The line, without those that others may pass.
        let line = self.open().filter(|one| may_claim && one.is_in_line() && !self.is_passed(one, now));
        let line: Vec<_> = line.collect();
        let run = line.iter().take_while(|one| one.is_fresh()).take(wanted.limit);
        let mut expected: Vec<_> = run.map(|one| one.id).collect();
        if expected.is_empty() {
            expected.extend(line.first().filter(|one| one.is_due(now)).map(|one| one.id));
        }
        if !beside.is_empty() && (wanted.first == First::Due || expected.is_empty()) {
            let earliest = beside.iter().map(|one| due_of(one)).min();
            let is_one = |one: &Delivery| beside.iter().any(|aside| aside.id == one.id);
            let is_right = matches!(brought, [one] if is_one(one) && earliest == Some(due_of(one)));
            ensure!(is_right, "claimed {ids:?}, expected one of {beside:?}");
        } else {
            ensure!(ids == expected, "claimed {ids:?}, expected {expected:?}");
        }
        Ok(())
    }

    /// It may bring less than there is, and only from the first on.
    fn check_claim_ahead(&self, brought: &[Delivery], now: Timestamp) -> Result<(), Wrong> {
        for (place, one) in brought.iter().enumerate() {
            ensure!(one.is_fresh(), "{} is not fresh, and came ahead of its turn", one.id);
            self.check_order(one, &brought[..place])?;
        }
        let is_any_due = self.open().any(|one| !one.is_fresh() && self.is_ready(one, now));
        ensure!(brought.is_empty() || !is_any_due, "what is due was passed over");
        ensure!(brought.is_sorted_by_key(|one| one.id), "what is fresh comes by id");
        let latest = brought.last().map(|one| one.id);
        let is_older = |one: &Delivery| self.is_left_fresh(one, brought) && Some(one.id) < latest;
        ensure!(!self.open().any(is_older), "something older was left");
        Ok(())
    }

    fn check_claim_by_key(&self, brought: &[Delivery], wanted: Wanted, now: Timestamp) -> Result<(), Wrong> {
        for (place, one) in brought.iter().enumerate() {
            self.check_order(one, &brought[..place])?;
        }
        let Wanted { limit, first } = wanted;
        let due: Vec<_> = self.open().filter(|one| !one.is_fresh() && self.is_ready(one, now)).collect();
        let has_fresh = self.open().any(|one| one.is_fresh() && self.is_ready(one, now));
        ensure!(limit == 0 || !brought.is_empty() || (due.is_empty() && !has_fresh), "nothing was claimed");
        if limit == 0 {
            return Ok(());
        }
        let first_charged = due.iter().filter(|one| one.attempts > 0).map(|one| due_of(one)).min();
        let before_charged =
            |one: &&&Delivery| one.attempts == 0 && first_charged.is_none_or(|at| due_of(one) < at);
        let due_comes_first = first == First::Due || !has_fresh;
        if let Some(charged) = brought.iter().find(|one| one.attempts > 0) {
            let is_first = Some(due_of(charged)) == due.iter().map(|one| due_of(one)).min();
            let is_right = brought.len() == 1 && due_comes_first && is_first;
            ensure!(is_right, "{} was charged, and is not claimed alone, when it is its turn", charged.id);
            return Ok(());
        }
        let due_brought: Vec<_> = brought.iter().filter(|one| !one.is_fresh()).collect();
        let fresh_brought: Vec<_> = brought.iter().filter(|one| one.is_fresh()).collect();
        let fresh_left: Vec<_> = self.open().filter(|one| self.is_left_fresh(one, brought)).collect();
        ensure!(due_brought.is_sorted_by_key(|one| due_of(one)), "what is due comes by due time");
        ensure!(fresh_brought.is_sorted_by_key(|one| one.id), "what is fresh comes by id");
        ensure!(fresh_left.is_empty() || brought.len() == limit, "fresh and not claimed: {fresh_left:?}");
        let latest = fresh_brought.last().map(|one| one.id);
        ensure!(fresh_left.iter().all(|one| Some(one.id) > latest), "older and not claimed: {fresh_left:?}");
        if due_comes_first {
            let half = (limit / 2).max(1);
            let keys: BTreeSet<_> = due.iter().filter(before_charged).map(|one| &one.key).collect();
            let least = half.min(keys.len());
            ensure!(brought.iter().take(least).all(|one| !one.is_fresh()), "what is due comes first");
            ensure!(due_brought.len() >= least, "{least} of what is due have a turn");
            ensure!(
                fresh_left.is_empty() || due_brought.len() <= half,
                "what is due leaves half to what is fresh"
            );
        } else {
            ensure!(
                brought[..fresh_brought.len()].iter().all(Delivery::is_fresh),
                "what is fresh comes first"
            );
            ensure!(fresh_left.is_empty() || due_brought.is_empty(), "what is fresh takes all");
        }
        let is_untouched = |one: &&Delivery| brought.iter().all(|other| other.key != one.key);
        for left in due.into_iter().filter(|one| one.attempts == 0).filter(is_untouched) {
            let is_overtaken = due_brought.iter().any(|other| due_of(other) > due_of(left));
            let has_room =
                brought.len() < limit && first_charged.is_none_or(|charged| charged > due_of(left));
            ensure!(!is_overtaken && !has_room, "due and not claimed: {left:?}");
        }
        Ok(())
    }

    /// Nothing overtakes what stands in line, or runs beside its key; fresh ones of a key come in a row.
    fn check_order(&self, one: &Delivery, earlier: &[Delivery]) -> Result<(), Wrong> {
        ensure!(!self.is_key_claimed(&one.key), "claimed beside its key: {one:?}");
        let came_with_it = |before: &Delivery| earlier.iter().any(|other| other.id == before.id);
        for before in self.before(one) {
            let in_a_row = one.is_fresh() && !one.is_beside && before.is_fresh() && came_with_it(before);
            ensure!(in_a_row, "{} overtook {before:?}", one.id);
        }
        for other in earlier.iter().filter(|other| other.key == one.key) {
            ensure!(
                other.id < one.id && other.is_fresh() && one.is_fresh(),
                "{} came with {other:?}",
                one.id
            );
        }
        Ok(())
    }

    /// Whether this is fresh, and could have been brought with these.
    fn is_left_fresh(&self, one: &Delivery, brought: &[Delivery]) -> bool {
        let was_brought = |other: &Delivery| brought.iter().any(|brought| brought.id == other.id);
        let of_key_are_fresh = brought.iter().filter(|other| other.key == one.key).all(Delivery::is_fresh);
        one.is_fresh()
            && !one.is_claimed
            && !was_brought(one)
            && !self.is_key_claimed(&one.key)
            && of_key_are_fresh
            && self.before(one).all(was_brought)
    }

    /// Marks a delivery as claimed, if what is said of it is right.
    pub(in super::super) fn take(&mut self, claimed: &Claimed) -> Result<(), Wrong> {
        let one = self.all.iter_mut().find(|one| one.id == claimed.delivery);
        let one = one.ok_or_else(|| format!("{claimed:?} was never logged"))?;
        one.is_claimed = true;
        one.attempts += 1;
        one.asks += u32::from(one.waiting_since.is_some());
        one.awaited.clear();
        let expected = (
            (one.task, one.key.as_str(), one.attempts, one.was_beside, one.superseded_by),
            (one.asks, one.waiting_since, one.defers, one.deferred_since, one.doubt),
        );
        let said = (
            (claimed.task, claimed.key.as_str(), claimed.attempt, claimed.aside, claimed.superseded_by),
            (claimed.asks, claimed.waiting_since, claimed.defers, claimed.deferred_since, claimed.doubt),
        );
        ensure!(said == expected, "{} came with {said:?}, expected {expected:?}", one.id);
        Ok(())
    }

    /// The next due time is one that there is, and not later than the first that only time keeps from being claimed.
    fn check_next_due(&self, next: Option<Timestamp>, now: Timestamp) -> Result<(), Wrong> {
        let certain = self.open().filter(|one| self.is_next(one, now)).filter_map(|one| one.kept_until(now));
        let earliest = certain.min();
        let is_known = next.is_none_or(|next| self.open().any(|one| one.kept_until(now) == Some(next)));
        let is_in_time = earliest.is_none_or(|due| next.is_some_and(|next| next <= due));
        ensure!(is_known && is_in_time, "the next is due at {next:?}, expected {earliest:?}");
        Ok(())
    }
}

fn due_of(one: &Delivery) -> Timestamp {
    match one.stage {
        Stage::Due(due) => due,
        _ => Timestamp::EPOCH,
    }
}
