//! The checker is checked: it finds nothing wrong with histories that are right, and calls each of those that are
//! wrong by the right name.

mod legal;
mod mutations;

use bus_tests_history::{Answer, Entry, Event, FileJournal, Journal, Outcome};
use bus_tests_history::{Dice, check, read};
use legal::Story;

const LEGAL: usize = 10_000;
const EACH_MUTATION: usize = 5;

#[test]
fn a_history_that_is_right_raises_no_alarm() {
    let mut dice = Dice::for_test("legal histories");
    let (mut calls, mut repeated, mut late, mut recovered) = (0, 0, 0, 0);
    for number in 0..LEGAL {
        let Story { entries, rules } = Story::tell(&mut dice);
        let report = check(&entries, rules);
        report.assert_sound(&entries, &format!("legal history {number}"));
        calls += report.calls;
        repeated += report.repeated;
        late += report.late;
        recovered += report.recovered;
    }
    println!(
        "{LEGAL} legal histories: {calls} calls, {repeated} repeated, {late} late, {recovered} recovered"
    );
    assert!(repeated > LEGAL / 2 && late > LEGAL / 10 && recovered > LEGAL, "they are about something");
}

#[test]
fn a_history_that_is_wrong_is_called_by_the_right_name() {
    let mut dice = Dice::for_test("wrong histories");
    let mut found = 0;
    for (name, wrong, mutate) in mutations::ALL {
        for _ in 0..EACH_MUTATION {
            let (entries, rules) = (0..1_000)
                .find_map(|_| {
                    let Story { mut entries, mut rules } = Story::tell(&mut dice);
                    mutate(&mut entries, &mut rules, &mut dice).map(|()| (entries, rules))
                })
                .unwrap_or_else(|| panic!("no history can be spoiled so: {name}"));
            let report = check(&entries, rules);
            assert!(
                report.wrongs().contains(wrong),
                "{name}: {:?}, not {wrong:?}\n{}",
                report.findings,
                entries.iter().map(Entry::to_string).collect::<Vec<_>>().join("\n")
            );
            found += 1;
        }
    }
    println!("{found} wrong histories of {} kinds", mutations::ALL.len());
    assert!(found >= 40);
}

#[test]
fn a_journal_is_read_as_it_was_written_and_without_what_was_cut_off() {
    let (a, k) = (|| "a".to_owned(), || "k".to_owned());
    let events = [
        Event::Invoked { change: a(), key: k() },
        Event::Acknowledged { change: a() },
        Event::Refused { change: a() },
        Event::Unknown { change: a() },
        Event::Owned,
        Event::Called { delivery: 7, key: k(), change: a(), idempotency: "i".to_owned(), attempt: 2 },
        Event::Answered { delivery: 7, answer: Answer::GivenBack },
        Event::Settling { delivery: 7, outcome: Outcome::Aside },
        Event::Settled { delivery: 7, outcome: Outcome::Held },
        Event::Reset { delivery: 7 },
        Event::Killed,
        Event::Stopped,
        Event::Disturbed,
        Event::Calm,
        Event::Left { delivery: 7, key: k(), change: a(), held: true },
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal");
    let journal = FileJournal::open(&path).expect("a journal");
    for event in &events {
        journal.append("p1", event.clone());
    }
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("the journal");
    std::io::Write::write_all(&mut file, b"\np1 called 8 k").expect("half an entry");
    journal.append("p2", Event::Killed);
    let read = read(&path).expect("a journal");
    let told: Vec<Event> = read.into_iter().map(|entry| entry.event).collect();
    assert_eq!(told[..events.len()], events);
    assert_eq!(told[events.len()..], [Event::Killed]);
}
