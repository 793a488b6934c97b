//! Whatever refers to whatever, itself included: where the references are late, everything goes out, and in the end with all
//! that it refers to.

use bus_core::{BusObject, Direction, Ref};
use bus_runtime::{Processing, Switches};
use proptest::prelude::*;
use serde_json::Value;

use crate::broken::Bug;
use crate::random::for_each;
use crate::world::{Person, uid_of, with_copy};

/// How many people there are at most.
const PEOPLE_MAX: usize = 20;

/// How many circles it is tried with.
pub(crate) const CIRCLES: u64 = 500;

#[test]
fn late_references_go_out_in_any_order_and_are_all_told_in_the_end() {
    for_each(CIRCLES, &circle(), |case| told(case, Bug::None));
}

#[derive(Debug, Clone)]
pub(crate) struct Circle {
    /// Whom each of them refers to.
    refers_to: Vec<Option<usize>>,
    order: Vec<usize>,
    /// Of how many the bus hears before it may work on them.
    together: usize,
    concurrency: u32,
}

pub(crate) fn circle() -> impl Strategy<Value = Circle> {
    let refers_to = prop::collection::vec(any::<Option<prop::sample::Index>>(), 1..=PEOPLE_MAX);
    (refers_to, 1..=PEOPLE_MAX, 1..=4_u32).prop_flat_map(|(refers_to, together, concurrency)| {
        let people = refers_to.len();
        let refers_to: Vec<_> = refers_to.iter().map(|to| Some(to.as_ref()?.index(people))).collect();
        let order = Just((0..people).collect::<Vec<_>>()).prop_shuffle();
        order.prop_map(move |order| Circle { refers_to: refers_to.clone(), order, together, concurrency })
    })
}

pub(crate) async fn told(circle: Circle, bug: Bug) {
    let mut processing = Processing::default();
    processing.concurrency = circle.concurrency;
    let (bus, copy) = with_copy(processing, bug);
    let bus = bus.start().await;
    bus.set_switches(Switches { log_outgoing: false, ..Switches::default() }).await.unwrap();
    let mut people = Vec::new();
    for number in 0..circle.refers_to.len() {
        let mut person = Person { code: format!("p{number}"), ..Person::default() };
        bus.objects().save(&mut person).await.unwrap();
        people.push(person);
    }
    bus.set_switches(Switches::default()).await.unwrap();
    for together in circle.order.chunks(circle.together) {
        for number in together {
            let late = circle.refers_to[*number].map(|to| Ref::host(people[to].id));
            let mut person = Person { late, revision: 1, ..people[*number].clone() };
            bus.objects().save(&mut person).await.unwrap();
        }
        bus.until_idle().await;
    }
    let people = people.len();
    for (number, to) in circle.refers_to.iter().enumerate() {
        let kept = &copy.records().kept[&uid_of(&format!("p{number}"))];
        let to = to.map_or(Value::Null, |to| Value::from(uid_of(&format!("p{to}"))));
        assert_eq!(kept["late"], to, "{} {number}", Person::TYPE);
    }
    let counters = bus.counters("copyist", Direction::Outgoing).await;
    assert_eq!((counters.open, counters.waited, counters.retried), (0, 0, 0));
    let most = u64::try_from(2 * people).unwrap();
    assert!(counters.logged <= most, "{} deliveries for {people} people", counters.logged);
    assert_eq!(bus.store().resolved(None, 10).await.unwrap(), []);
    bus.shutdown().await;
}
