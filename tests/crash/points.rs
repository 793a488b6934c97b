//! Every place of a transaction, one after the other: a small story is told once for each of them, and ends there.

use std::collections::BTreeMap;
use std::sync::Mutex;

use bus_tests_crash::Manners;
use bus_tests_history::{Event, Journal, Rules};

use crate::bench::{Place, Running};
use crate::child::{POINTS, Plan, Work};
use crate::processes::folder;

/// How many children run at a time.
const AT_A_TIME: usize = 3;

/// A story, as a child tells it in this place.
type Story = fn(&Place) -> Plan;

/// What must be so at the end besides, and what to say where it is not.
type Judge = fn(&Place, &str);

/// The story: the first start on an empty file, with its migrations; creates, updates, a delete; some calls fail.
fn story(place: &Place) -> Plan {
    let mut plan = Plan::new(place, "p", Work::Scenario);
    plan.manners = Manners { retry_percent: 40, ..Manners::default() };
    plan.seed = 7;
    plan
}

/// How often each place is passed when nothing ends the story.
fn count(story: Story) -> BTreeMap<String, u64> {
    let folder = folder();
    let mut child = story(&Place::from(folder.path())).start();
    let mut passed = BTreeMap::new();
    while let Some(line) = child.line() {
        if let Some((point, times)) = line.strip_prefix("passed ").and_then(|line| line.split_once(' ')) {
            passed.insert(point.to_owned(), times.parse().expect("a number"));
        }
    }
    assert!(child.finish(), "the story comes to its end");
    assert_eq!(passed.len(), POINTS.len(), "{passed:?}");
    passed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_at_each_place_of_a_transaction_costs_nothing() {
    end_at_each_place(story, |_, _| {}).await;
}

/// Lets a story end at each place that it passes, once; each time the rest is done by another bus, and judged, also by this.
pub(crate) async fn end_at_each_place(story: Story, judge: Judge) {
    let passed = count(story);
    println!("the story passes {passed:?}");
    let all =
        passed.iter().flat_map(|(point, times)| (1..=*times).map(move |passing| (point.clone(), passing)));
    let todo = Mutex::new(all.collect::<Vec<_>>().into_iter());
    let planned: u64 = passed.values().sum();
    let todo = std::sync::Arc::new(todo);
    let mut workers = Vec::new();
    for _ in 0..AT_A_TIME {
        let todo = std::sync::Arc::clone(&todo);
        workers.push(tokio::spawn(async move {
            let mut ended = 0;
            loop {
                let next = todo.lock().expect("nobody panicked").next();
                let Some((point, passing)) = next else { return ended };
                ended += u64::from(end_at(story, &point, passing, judge).await);
            }
        }));
    }
    let mut ended = 0;
    for worker in workers {
        ended += worker.await.expect("no panic");
    }
    println!("{ended} ends at {planned} places");
    // How commits are shared differs a little from run to run, and with it the number of the last places.
    assert!(planned > 200 && ended >= planned * 9 / 10, "{ended} of {planned}");
}

/// Tells the story up to there, then lets another bus end it. Whether it came that far.
async fn end_at(story: Story, point: &str, passing: u64, judge: Judge) -> bool {
    let folder = folder();
    let place = Place::from(folder.path());
    let mut plan = story(&place);
    plan.ends_at = Some((point.to_owned(), passing));
    let child = tokio::task::spawn_blocking(move || plan.start().finish());
    let has_ended = !child.await.expect("no panic");
    place.journal().append("p", Event::Killed);
    Running::start(&place, "last").await.finish().await;
    let context = format!("ended at {point}, passing {passing}");
    place.judge(Rules { attempts_max: None }, &context);
    judge(&place, &context);
    has_ended
}
