//! Ways to spoil a history that is right, and what the checker is to call the result.

#![expect(clippy::ptr_arg, reason = "one signature for all of them")]

use bus_tests_history::{Answer, Dice, Entry, Event, Outcome, Rules, Wrong};

/// Spoils a history; `None` where this one has nothing that could be spoiled so.
type Mutate = fn(&mut Vec<Entry>, &mut Rules, &mut Dice) -> Option<()>;

pub(crate) const ALL: &[(&str, Wrong, Mutate)] = &[
    ("a delivery vanishes", Wrong::Lost, vanish),
    ("the last call of a change fails and nobody tries again", Wrong::Lost, fail_for_good),
    ("a change is called that nobody made", Wrong::Invented, forget_who_made_it),
    ("a refused change is called", Wrong::Invented, refuse),
    ("a refused change is acknowledged and left", Wrong::Invented, leave_what_was_refused),
    ("a delivery carries another change on its second call", Wrong::Invented, carry_another),
    ("a delivery is called twice", Wrong::Duplicated, call_twice),
    ("a change is logged twice", Wrong::Duplicated, log_twice),
    ("a repeat has no excuse", Wrong::Duplicated, without_an_excuse),
    ("what was written down as done is done again", Wrong::Duplicated, again_after_the_outcome),
    ("an attempt has another idempotency key", Wrong::IdempotencyKey, other_key),
    ("two deliveries share an idempotency key", Wrong::IdempotencyKey, shared_key),
    ("two of a key change places", Wrong::Reordered, swap),
    ("one is called after a later one of its key", Wrong::Reordered, move_to_the_end),
    ("a later one passes one that failed", Wrong::Reordered, pass_what_failed),
    ("what came after a repeated one is not repeated", Wrong::Reordered, overwrite),
    ("one call too many", Wrong::AttemptsExceeded, one_too_many),
    ("an attempt with too large a number", Wrong::AttemptsExceeded, too_large_a_number),
    ("a crash forgets the attempt", Wrong::AttemptNotCounted, forget_the_attempt),
    ("a second call of a key while the first one runs", Wrong::TwoAtOnce, answer_later),
    ("an outcome of a former owner is accepted", Wrong::Unfenced, accept_what_is_late),
    ("an outcome is gone", Wrong::Undone, undo),
    ("something is left that nothing holds", Wrong::Stuck, leave_ready),
];

fn entry(who: &str, event: Event) -> Entry {
    Entry { who: who.to_owned(), event }
}

/// The calls: where, and what of.
fn calls(entries: &[Entry]) -> Vec<(usize, i64, String, String)> {
    let call = |(at, entry): (usize, &Entry)| match &entry.event {
        Event::Called { delivery, key, change, .. } => Some((at, *delivery, key.clone(), change.clone())),
        _ => None,
    };
    entries.iter().enumerate().filter_map(call).collect()
}

fn is_of(event: &Event, number: i64) -> bool {
    match event {
        Event::Called { delivery, .. }
        | Event::Answered { delivery, .. }
        | Event::Settling { delivery, .. }
        | Event::Settled { delivery, .. }
        | Event::Reset { delivery }
        | Event::Left { delivery, .. } => *delivery == number,
        _ => false,
    }
}

fn is_acknowledged(entries: &[Entry], name: &str) -> bool {
    entries.iter().any(|entry| matches!(&entry.event, Event::Acknowledged { change } if change == name))
}

fn has(entries: &[Entry], number: i64, wanted: fn(&Event) -> bool) -> bool {
    entries.iter().any(|entry| is_of(&entry.event, number) && wanted(&entry.event))
}

fn is_left(event: &Event) -> bool {
    matches!(event, Event::Left { .. })
}

fn is_final(event: &Event) -> bool {
    matches!(event, Event::Settled { outcome: Outcome::Completed | Outcome::Ended, .. })
}

fn is_done(event: &Event) -> bool {
    matches!(event, Event::Answered { answer: Answer::Done, .. })
}

/// A delivery that was called once, without anything unusual.
fn plain(entries: &[Entry], dice: &mut Dice) -> Option<(usize, i64, String, String)> {
    let calls = calls(entries);
    let once = |call: &&(usize, i64, String, String)| {
        let done = entries.iter().position(|entry| is_of(&entry.event, call.1) && is_done(&entry.event));
        let is_undisturbed = |done: usize| {
            let mut between = entries[call.0..done].iter();
            between.all(|entry| !matches!(entry.event, Event::Owned | Event::Stopped))
        };
        calls.iter().filter(|other| other.1 == call.1).count() == 1
            && done.is_some_and(is_undisturbed)
            && !has(entries, call.1, is_left)
            && is_acknowledged(entries, &call.3)
    };
    let plain: Vec<_> = calls.iter().filter(once).cloned().collect();
    dice.choose(&plain).cloned()
}

/// Two plain ones of a key, the first acknowledged before the second one was invoked.
fn neighbours(entries: &[Entry], dice: &mut Dice) -> Option<(i64, i64)> {
    let (_, second, key, change) = plain(entries, dice)?;
    let (_, first, _, earlier) = calls(entries).into_iter().rfind(|call| call.2 == key && call.1 < second)?;
    let once = |number| calls(entries).iter().filter(|call| call.1 == number).count() == 1;
    let acknowledged = entries
        .iter()
        .position(|entry| matches!(&entry.event, Event::Acknowledged { change } if *change == earlier))?;
    let invoked = entries
        .iter()
        .position(|entry| matches!(&entry.event, Event::Invoked { change: it, .. } if *it == change))?;
    (once(first) && has(entries, first, is_done) && acknowledged < invoked).then_some((first, second))
}

fn vanish(entries: &mut Vec<Entry>, _: &mut Rules, dice: &mut Dice) -> Option<()> {
    let (_, number, ..) = plain(entries, dice)?;
    entries.retain(|entry| !is_of(&entry.event, number));
    Some(())
}

fn fail_for_good(entries: &mut Vec<Entry>, _: &mut Rules, dice: &mut Dice) -> Option<()> {
    let (_, number, ..) = plain(entries, dice)?;
    for entry in entries.iter_mut() {
        if let Event::Answered { delivery, answer } = &mut entry.event
            && *delivery == number
        {
            *answer = Answer::Failed;
        }
    }
    Some(())
}

fn forget_who_made_it(entries: &mut Vec<Entry>, _: &mut Rules, dice: &mut Dice) -> Option<()> {
    let (.., name) = plain(entries, dice)?;
    entries.retain(|entry| !matches!(&entry.event, Event::Invoked { change, .. } if *change == name));
    Some(())
}

fn refuse(entries: &mut Vec<Entry>, _: &mut Rules, dice: &mut Dice) -> Option<()> {
    let (.., name) = plain(entries, dice)?;
    for entry in entries.iter_mut() {
        if matches!(&entry.event, Event::Acknowledged { change } if *change == name) {
            entry.event = Event::Refused { change: name.clone() };
        }
    }
    let at = entries
        .iter()
        .position(|entry| matches!(&entry.event, Event::Refused { change } if *change == name))?;
    let refused = entries.remove(at);
    let invoked = entries
        .iter()
        .position(|entry| matches!(&entry.event, Event::Invoked { change, .. } if *change == name))?;
    entries.insert(invoked + 1, refused);
    Some(())
}

fn leave_what_was_refused(entries: &mut Vec<Entry>, _: &mut Rules, _: &mut Dice) -> Option<()> {
    let refused = entries.iter().find_map(|entry| match &entry.event {
        Event::Refused { change } => Some(change.clone()),
        _ => None,
    })?;
    let left = Event::Left { delivery: 9_999, key: "k0".to_owned(), change: refused, held: true };
    entries.push(entry("end", left));
    Some(())
}

fn second_call(entries: &[Entry], dice: &mut Dice) -> Option<usize> {
    let calls = calls(entries);
    let second = |call: &&(usize, i64, String, String)| {
        calls.iter().any(|other| other.1 == call.1 && other.0 < call.0)
    };
    let seconds: Vec<usize> = calls.iter().filter(second).map(|call| call.0).collect();
    dice.choose(&seconds).copied()
}

fn carry_another(entries: &mut Vec<Entry>, _: &mut Rules, dice: &mut Dice) -> Option<()> {
    let (.., other) = plain(entries, dice)?;
    let at = second_call(entries, dice)?;
    let Event::Called { change, .. } = &mut entries[at].event else { return None };
    *change = other;
    Some(())
}

fn call_twice(entries: &mut Vec<Entry>, _: &mut Rules, dice: &mut Dice) -> Option<()> {
    let (at, number, ..) = plain(entries, dice)?;
    let mut again = entries[at].clone();
    let answered = entries.iter().position(|entry| is_of(&entry.event, number) && is_done(&entry.event))?;
    let Event::Called { attempt, .. } = &mut again.event else { return None };
    *attempt += 1;
    let answer = entries[answered].clone();
    (again.who == answer.who).then_some(())?;
    entries.insert(answered + 1, again);
    entries.insert(answered + 2, answer);
    Some(())
}

fn log_twice(entries: &mut Vec<Entry>, _: &mut Rules, dice: &mut Dice) -> Option<()> {
    let (at, ..) = plain(entries, dice)?;
    let mut again = entries[at].clone();
    let Event::Called { delivery, idempotency, .. } = &mut again.event else { return None };
    (*delivery, *idempotency) = (9_999, "i9999".to_owned());
    entries.push(again);
    Some(())
}

fn without_an_excuse(entries: &mut Vec<Entry>, _: &mut Rules, dice: &mut Dice) -> Option<()> {
    let at = second_call(entries, dice)?;
    let Event::Called { delivery: number, .. } = entries[at].event else { return None };
    let before =
        entries[..at].iter().rposition(|entry| is_of(&entry.event, number) && is_done(&entry.event))?;
    let who = entries[before].who.clone();
    // Called, done, and called again.
    let before = entries[..at].iter().filter(|entry| is_of(&entry.event, number));
    (before.map(|entry| &entry.who).eq([&who, &who])).then_some(())?;
    // Nobody ever took its place.
    entries.retain(|entry| match entry.event {
        Event::Owned | Event::Stopped => false,
        Event::Killed => entry.who != who,
        _ => true,
    });
    Some(())
}

fn again_after_the_outcome(entries: &mut Vec<Entry>, _: &mut Rules, dice: &mut Dice) -> Option<()> {
    let (at, number, ..) = plain(entries, dice)?;
    has(entries, number, is_final).then_some(())?;
    let mut again = entries[at].clone();
    let last = entries.iter().rfind(|entry| matches!(entry.event, Event::Owned))?.who.clone();
    entries.push(entry(&last, Event::Killed));
    entries.push(entry("later", Event::Owned));
    let Event::Called { attempt, .. } = &mut again.event else { return None };
    *attempt += 1;
    again.who = "later".to_owned();
    entries.push(again);
    Some(())
}

fn other_key(entries: &mut Vec<Entry>, _: &mut Rules, dice: &mut Dice) -> Option<()> {
    let at = second_call(entries, dice)?;
    let Event::Called { idempotency, .. } = &mut entries[at].event else { return None };
    "other".clone_into(idempotency);
    Some(())
}

fn shared_key(entries: &mut Vec<Entry>, _: &mut Rules, dice: &mut Dice) -> Option<()> {
    let (one, other) = (plain(entries, dice)?, plain(entries, dice)?);
    (one.0 != other.0).then_some(())?;
    let Event::Called { idempotency: given, .. } = &entries[other.0].event else { return None };
    let given = given.clone();
    let Event::Called { idempotency, .. } = &mut entries[one.0].event else { return None };
    *idempotency = given;
    Some(())
}

/// They change places with all that is said about them, so that only the order is wrong.
fn swap(entries: &mut Vec<Entry>, _: &mut Rules, dice: &mut Dice) -> Option<()> {
    let (first, second) = neighbours(entries, dice)?;
    let place = |number: i64| entries.iter().position(|entry| is_of(&entry.event, number));
    let (one, other) = (place(first)?, place(second)?);
    let (earlier, later) = (entries[one].clone(), entries[other].clone());
    let Event::Called { change: name, .. } = &later.event else { return None };
    let invoked = entries
        .iter()
        .position(|entry| matches!(&entry.event, Event::Invoked { change, .. } if change == name))?;
    let is_somebodys = |entry: &&Entry| is_of(&entry.event, first) || is_of(&entry.event, second);
    let is_one_owner = entries.iter().filter(is_somebodys).all(|entry| entry.who == earlier.who);
    (invoked < one && is_one_owner).then_some(())?;
    (entries[one], entries[other]) = (later, earlier);
    for (at, entry) in entries.iter_mut().enumerate() {
        if let Event::Answered { delivery, .. }
        | Event::Settling { delivery, .. }
        | Event::Settled { delivery, .. } = &mut entry.event
            && at != one
            && (*delivery == first || *delivery == second)
        {
            *delivery = first + second - *delivery;
        }
    }
    Some(())
}

fn move_to_the_end(entries: &mut Vec<Entry>, _: &mut Rules, dice: &mut Dice) -> Option<()> {
    let (first, _) = neighbours(entries, dice)?;
    let (moved, mut rest): (Vec<Entry>, Vec<Entry>) =
        entries.drain(..).partition(|entry| is_of(&entry.event, first));
    // Done by whoever is not late.
    let is_sign = |entry: &&Entry| matches!(entry.event, Event::Owned | Event::Called { .. });
    let who = rest.iter().rfind(is_sign).map(|entry| entry.who.clone());
    let left = rest.iter().position(|entry| is_left(&entry.event)).unwrap_or(rest.len());
    let moved = moved.into_iter().map(|moved| Entry { who: who.clone().unwrap_or(moved.who), ..moved });
    rest.splice(left..left, moved);
    *entries = rest;
    Some(())
}

fn pass_what_failed(entries: &mut Vec<Entry>, _: &mut Rules, dice: &mut Dice) -> Option<()> {
    let (first, second) = neighbours(entries, dice)?;
    let done = entries.iter().position(|entry| is_of(&entry.event, first) && is_done(&entry.event))?;
    let called = entries.iter().position(|entry| is_of(&entry.event, first))?;
    let passed = entries.iter().rposition(|entry| is_of(&entry.event, second) && is_done(&entry.event))?;
    let mut again = entries[called].clone();
    let answer = entries[done].clone();
    if let Event::Answered { answer, .. } = &mut entries[done].event {
        *answer = Answer::Failed;
    }
    let Event::Called { attempt, .. } = &mut again.event else { return None };
    *attempt += 1;
    entries.insert(passed + 1, again);
    entries.insert(passed + 2, answer);
    // Nobody wrote down that it was over.
    entries.retain(|entry| {
        !matches!(entry.event, Event::Settling { delivery, .. } | Event::Settled { delivery, .. } if delivery == first)
    });
    Some(())
}

fn overwrite(entries: &mut Vec<Entry>, _: &mut Rules, dice: &mut Dice) -> Option<()> {
    let (first, second) = neighbours(entries, dice)?;
    (!has(entries, first, is_final) && !has(entries, second, is_final)).then_some(())?;
    let called = entries.iter().position(|entry| is_of(&entry.event, first))?;
    let done = entries.iter().position(|entry| is_of(&entry.event, first) && is_done(&entry.event))?;
    let is_last = |entry: &&Entry| matches!(&entry.event, Event::Called { .. } | Event::Killed);
    let last = entries.iter().rfind(is_last)?.who.clone();
    let (mut again, mut answer) = (entries[called].clone(), entries[done].clone());
    let Event::Called { attempt, .. } = &mut again.event else { return None };
    *attempt += 1;
    for who in [&mut again.who, &mut answer.who] {
        "later".clone_into(who);
    }
    let former = entries[called].who.clone();
    entries.push(entry(&former, Event::Killed));
    entries.push(entry(&last, Event::Killed));
    if entries.iter().any(|entry| matches!(entry.event, Event::Owned)) {
        entries.push(entry("later", Event::Owned));
    }
    entries.extend([again, answer]);
    Some(())
}

fn one_too_many(entries: &mut Vec<Entry>, rules: &mut Rules, dice: &mut Dice) -> Option<()> {
    let (at, number, ..) = plain(entries, dice)?;
    let most = rules.attempts_max?;
    let again = entries[at].clone();
    let failed =
        Entry { who: again.who.clone(), event: Event::Answered { delivery: number, answer: Answer::Failed } };
    let repeats = (0..most).flat_map(|_| [again.clone(), failed.clone()]);
    entries.splice(at..at, repeats);
    Some(())
}

fn too_large_a_number(entries: &mut Vec<Entry>, rules: &mut Rules, dice: &mut Dice) -> Option<()> {
    let (at, ..) = plain(entries, dice)?;
    let Event::Called { attempt, .. } = &mut entries[at].event else { return None };
    *attempt = rules.attempts_max? + 1;
    Some(())
}

fn forget_the_attempt(entries: &mut Vec<Entry>, _: &mut Rules, dice: &mut Dice) -> Option<()> {
    let at = second_call(entries, dice)?;
    let Event::Called { delivery: number, attempt: repeated, .. } = entries[at].event else { return None };
    let before = entries[..at].iter().rposition(|entry| is_of(&entry.event, number))?;
    let Event::Called { attempt, .. } = entries[before].event else { return None };
    // Only what nobody answered, because it was killed.
    (attempt + 1 == repeated).then_some(())?;
    let Event::Called { attempt: repeated, .. } = &mut entries[at].event else { return None };
    *repeated = attempt;
    let is_killed = |entry: &Entry| matches!(entry.event, Event::Killed) && entry.who == entries[before].who;
    entries[before..at].iter().any(is_killed).then_some(())
}

fn answer_later(entries: &mut Vec<Entry>, _: &mut Rules, dice: &mut Dice) -> Option<()> {
    let (first, second) = neighbours(entries, dice)?;
    let done = entries.iter().position(|entry| is_of(&entry.event, first) && is_done(&entry.event))?;
    let next = entries.iter().position(|entry| is_of(&entry.event, second))?;
    (entries[done].who == entries[next].who && done < next).then_some(())?;
    (!has(entries, first, is_final)).then_some(())?;
    let answer = entries.remove(done);
    entries.insert(next, answer);
    Some(())
}

fn accept_what_is_late(entries: &mut Vec<Entry>, _: &mut Rules, dice: &mut Dice) -> Option<()> {
    let owners: Vec<usize> = entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| matches!(entry.event, Event::Owned))
        .map(|(at, _)| at)
        .collect();
    let after = *dice.choose(owners.get(1..)?)?;
    let (at, number, ..) = calls(entries).into_iter().rfind(|call| call.0 < after)?;
    let former = entries[at].who.clone();
    (former != entries[after].who && !has(entries, number, is_final)).then_some(())?;
    for event in [
        Event::Settled { delivery: number, outcome: Outcome::Completed },
        Event::Settling { delivery: number, outcome: Outcome::Completed },
    ] {
        entries.insert(after + 1, entry(&former, event));
    }
    Some(())
}

fn undo(entries: &mut Vec<Entry>, _: &mut Rules, dice: &mut Dice) -> Option<()> {
    let (_, number, key, change) = plain(entries, dice)?;
    has(entries, number, is_final).then_some(())?;
    entries.push(entry("end", Event::Left { delivery: number, key, change, held: true }));
    Some(())
}

fn leave_ready(entries: &mut Vec<Entry>, _: &mut Rules, dice: &mut Dice) -> Option<()> {
    let (_, number, key, change) = plain(entries, dice)?;
    (!has(entries, number, is_final)).then_some(())?;
    entries.push(entry("end", Event::Left { delivery: number, key, change, held: false }));
    Some(())
}
