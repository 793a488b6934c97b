//! A delivery that ends its process with each call: never more calls than attempts, over all processes; then it is
//! parked, and everything that was claimed with it was delivered.

use std::collections::BTreeSet;

use bus_tests_crash::{Item, Manners};
use bus_tests_history::{Event, Rules};

use crate::bench::{Place, Start, brisk, log_only};
use crate::child::{Plan, Work};
use crate::processes::{Process, folder};

const ATTEMPTS: u32 = 7;
const PROCESSES: usize = 3;
const ITEMS: i64 = 30;
/// Neither the first nor the last of its claim.
const DEADLY: i64 = 11;

fn start(place: &Place, number: usize) -> Process {
    let who = format!("p{number}");
    let mut plan = Plan::new(place, &who, Work::Ends);
    plan.manners = Manners { deadly: Some(DEADLY), ..Manners::default() };
    plan.max_attempts = ATTEMPTS;
    plan.start()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_ends_its_process_is_parked_after_its_attempts_and_takes_nothing_along() {
    let folder = folder();
    let place = Place::from(folder.path());
    let rules = Rules { attempts_max: Some(ATTEMPTS) };
    log_only(&place, 1..=ITEMS).await;

    let mut alive: Vec<Process> = (0..PROCESSES).map(|number| start(&place, number)).collect();
    let (mut started, mut ended) = (PROCESSES, 0);
    while !alive.is_empty() {
        let child = alive.remove(0);
        let has_finished = tokio::task::spawn_blocking(|| child.finish()).await.expect("no panic");
        if has_finished {
            continue;
        }
        ended += 1;
        assert!(ended <= ATTEMPTS, "more processes ended than the delivery has attempts");
        alive.push(start(&place, started));
        started += 1;
    }
    let mut last = Start::new(&place, "last");
    last.processing = brisk(ATTEMPTS);
    last.run().await.expect("it starts").finish().await;

    let report = place.judge(rules, "a deadly delivery");
    let entries = place.report(rules).0;
    let deadly_calls = entries
        .iter()
        .filter(|entry| matches!(&entry.event, Event::Called { key, .. } if *key == Item::key(DEADLY)));
    // Whoever came to its end has said so, not only the last one.
    let left: BTreeSet<&str> = entries
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Left { change, .. } => Some(change.as_str()),
            _ => None,
        })
        .collect();
    println!("{ended} of {started} processes ended; {report:?}; left: {left:?}");
    assert!(deadly_calls.count() <= ATTEMPTS as usize && ended > 0);
    assert_eq!(left, [format!("c{DEADLY}").as_str(), &format!("d{DEADLY}")].into());
}
