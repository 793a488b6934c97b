//! Whatever refers to whatever, as long as nothing leads back to itself, and in whichever order it comes: everything arrives,
//! with no attempt lost, no time passing, and nobody's help.

use std::collections::BTreeSet;

use bus_core::{BusObject, Direction, ExternalTask, Ref};
use bus_runtime::{Ordering, Processing};
use bus_testkit::RunningTestBus;
use proptest::prelude::*;
use serde_json::Value;

use crate::broken::Bug;
use crate::random::for_each;
use crate::world::{
    Copy, Copyist, Country, Firm, Foreign, ForeignCountry, ForeignFirm, ForeignPerson, Person, uid_of,
    with_copy,
};

/// How many objects a forest has at most.
const OBJECTS_MAX: usize = 40;

/// How many others one of them refers to at most.
const REFERENCES_MAX: usize = 4;

/// How many forests each property is tried with.
pub(crate) const FORESTS: u64 = 1_000;

#[test]
fn what_goes_out_in_any_order_arrives_with_all_that_it_refers_to() {
    for_each(FORESTS, &forest(), |case| outgoing(case, Bug::None));
}

#[test]
fn what_comes_in_in_any_order_is_applied_with_all_that_it_refers_to() {
    for_each(FORESTS, &forest(), |case| incoming(case, Bug::None));
}

#[derive(Debug, Clone)]
pub(crate) struct Forest {
    trees: Vec<Tree>,
    /// The order in which they are told.
    order: Vec<usize>,
    /// Of how many the bus hears before it may work on them.
    together: usize,
    ordering: Ordering,
    concurrency: u32,
}

#[derive(Debug, Clone)]
struct Tree {
    kind: Kind,
    /// Some of those before it.
    refers_to: BTreeSet<usize>,
    /// Whether the copy tells its code name when it is asked.
    is_known: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Country,
    Firm,
    Person,
}

pub(crate) fn forest() -> impl Strategy<Value = Forest> {
    let kind = prop_oneof![Just(Kind::Country), Just(Kind::Firm), Just(Kind::Person)];
    let tree = (kind, prop::collection::vec(any::<prop::sample::Index>(), 0..=REFERENCES_MAX), any::<bool>());
    let trees = prop::collection::vec(tree, 1..=OBJECTS_MAX).prop_map(|trees| {
        let grown = trees.into_iter().enumerate().map(|(number, (kind, refers_to, is_known))| {
            let before = refers_to.iter().filter(|_| number > 0).map(|index| index.index(number.max(1)));
            Tree { kind, refers_to: before.collect(), is_known }
        });
        grown.collect::<Vec<_>>()
    });
    let ordering = prop_oneof![Just(Ordering::Object), Just(Ordering::Connector), Just(Ordering::None)];
    (trees, 1..=OBJECTS_MAX, ordering, 1..=4_u32).prop_flat_map(|(trees, together, ordering, concurrency)| {
        let order = Just((0..trees.len()).collect::<Vec<_>>()).prop_shuffle();
        order.prop_map(move |order| {
            let concurrency = if ordering == Ordering::Connector { 1 } else { concurrency };
            Forest { trees: trees.clone(), order, together, ordering, concurrency }
        })
    })
}

impl Forest {
    fn processing(&self) -> Processing {
        let mut processing = Processing::default();
        (processing.ordering, processing.concurrency) = (self.ordering, self.concurrency);
        processing
    }

    fn references(&self) -> usize {
        self.trees.iter().map(|tree| tree.refers_to.len()).sum()
    }

    /// Those of this kind that one refers to; of countries the last one.
    fn referred(&self, number: usize, kind: Kind) -> Vec<usize> {
        let all = self.trees[number].refers_to.iter().copied();
        let mut all: Vec<_> = all.filter(|to| self.trees[*to].kind == kind).collect();
        if kind == Kind::Country {
            all.drain(..all.len().saturating_sub(1));
        }
        all
    }

    fn foreign(&self, number: usize) -> Foreign {
        let uids = |kind| self.referred(number, kind).into_iter().map(|to| uid_of(&code(to)));
        Foreign {
            uid: uid_of(&code(number)),
            first: uids(Kind::Country).next(),
            firms: uids(Kind::Firm).collect(),
            people: uids(Kind::Person).collect(),
        }
    }
}

fn code(number: usize) -> String {
    format!("t{number}")
}

/// The three types have the same fields: this for each of them.
macro_rules! with_type {
    ($kind:expr, $name:ident => $does:expr) => {
        match $kind {
            Kind::Country => {
                type $name = Country;
                $does
            }
            Kind::Firm => {
                type $name = Firm;
                $does
            }
            Kind::Person => {
                type $name = Person;
                $does
            }
        }
    };
}

pub(crate) async fn outgoing(forest: Forest, bug: Bug) {
    let (bus, copy) = with_copy(forest.processing(), bug);
    let bus = bus.start().await;
    let switches = bus.switches();
    bus.set_switches(bus_runtime::Switches { log_outgoing: false, ..switches }).await.unwrap();
    let mut ids: Vec<i64> = Vec::new();
    for (number, tree) in forest.trees.iter().enumerate() {
        let to = |kind| forest.referred(number, kind).into_iter();
        let id = with_type!(tree.kind, Object => {
            let mut object = Object {
                code: code(number),
                first: to(Kind::Country).next().map(|to| Ref::host(ids[to])),
                firms: to(Kind::Firm).map(|to| Ref::host(ids[to])).collect(),
                people: to(Kind::Person).map(|to| (code(to), Ref::host(ids[to]))).collect(),
                ..Object::default()
            };
            bus.objects().save(&mut object).await.unwrap();
            object.id
        });
        ids.push(id);
    }
    bus.set_switches(switches).await.unwrap();
    for told in forest.order.chunks(forest.together) {
        for number in told {
            with_type!(forest.trees[*number].kind, Object => {
                let mut object: Object = bus.objects().load(&ids[*number]).await.unwrap().unwrap();
                object.revision += 1;
                bus.objects().save(&mut object).await.unwrap();
            });
        }
        bus.until_idle().await;
    }
    assert_all_went_through(&bus, &forest, Direction::Outgoing).await;
    assert_copied(&forest, &copy);
    bus.shutdown().await;
}

fn assert_copied(forest: &Forest, copy: &Copy) {
    let records = copy.records();
    for number in 0..forest.trees.len() {
        let kept = &records.kept[&uid_of(&code(number))];
        let Foreign { first, firms, people, .. } = forest.foreign(number);
        let kept_people = kept["people"].as_object().expect("a map").values().cloned();
        assert_eq!(kept["first"], first.map_or(Value::Null, Value::from), "{number}: {kept}");
        assert_eq!(kept["firms"], Value::from(firms), "{number}: {kept}");
        let mut people = people;
        people.sort();
        let mut kept_people: Vec<_> = kept_people.collect();
        kept_people.sort_by_key(Value::to_string);
        assert_eq!(kept_people, people, "{number}: {kept}");
    }
}

pub(crate) async fn incoming(forest: Forest, bug: Bug) {
    let (bus, copy) = with_copy(forest.processing(), bug);
    let bus = bus.start().await;
    let known = forest.trees.iter().enumerate().filter(|(_, tree)| tree.is_known);
    copy.records().known = known.map(|(number, _)| uid_of(&code(number))).collect();
    for told in forest.order.chunks(forest.together) {
        for number in told {
            let foreign = forest.foreign(*number);
            let task = match forest.trees[*number].kind {
                Kind::Country => ExternalTask::create::<Copyist, _>("copyist", &ForeignCountry(foreign)),
                Kind::Firm => ExternalTask::create::<Copyist, _>("copyist", &ForeignFirm(foreign)),
                Kind::Person => ExternalTask::create::<Copyist, _>("copyist", &ForeignPerson(foreign)),
            };
            bus.process_external_task(task).await.unwrap();
        }
        bus.until_idle().await;
    }
    assert_all_went_through(&bus, &forest, Direction::Incoming).await;
    let counters = bus.counters("copyist", Direction::Outgoing).await;
    assert_eq!(counters.logged, 0, "nothing goes back to where it came from");
    let mut ids = Vec::new();
    for (number, tree) in forest.trees.iter().enumerate() {
        ids.push(with_type!(tree.kind, Object => found::<Object>(&bus, number).await.id));
    }
    for (number, tree) in forest.trees.iter().enumerate() {
        let to = |kind| forest.referred(number, kind).into_iter();
        with_type!(tree.kind, Object => {
            let object: Object = found(&bus, number).await;
            assert_eq!(object.revision, 1, "{object:?} was applied once");
            assert_eq!(object.first, to(Kind::Country).next().map(|to| Ref::host(ids[to])));
            let firms: Vec<_> = to(Kind::Firm).map(|to| Ref::host(ids[to])).collect();
            assert_eq!(object.firms, firms);
            let people = to(Kind::Person).map(|to| (uid_of(&code(to)), Ref::host(ids[to]))).collect();
            assert_eq!(object.people, people);
        });
    }
    bus.shutdown().await;
}

async fn found<T: BusObject>(bus: &RunningTestBus, number: usize) -> T {
    bus.objects()
        .find(&code(number))
        .await
        .unwrap()
        .unwrap_or_else(|| panic!("{} is not there", code(number)))
}

/// Each of them at its first attempt, and none asked for its references more often than it has any.
async fn assert_all_went_through(bus: &RunningTestBus, forest: &Forest, direction: Direction) {
    let counters = bus.counters("copyist", direction).await;
    let all = u64::try_from(forest.trees.len()).unwrap();
    assert_eq!((counters.logged, counters.completed, counters.open), (all, all, 0));
    assert_eq!(counters.retried, 0);
    let references = u64::try_from(forest.references()).unwrap();
    assert!(counters.waited <= references, "{} waits for {references} references", counters.waited);
}
