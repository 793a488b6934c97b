//! Two buses, each the other's external system: whatever is edited on either side, answers lost on the way included, both say
//! the same in the end, and one change travels once.
//!
//! Where both edit a card at the same time, each has fields of its own; or, as long as all answers arrive, whichever fields.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bus_core::descriptor::DescribedConnector;
use bus_core::{
    BusObject, Change, Connector, Cx, Direction, ExternalTask, Failure, Incoming, NoSettings,
    ObjectOperation, OrFail, Outgoing, Prepared, Received, connector,
};
use bus_runtime::{Bus, Config, Switches};
use bus_testkit::{RunningTestBus, TestBus};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::broken::Bug;
use crate::random::for_each;

/// How many correspondences there are.
pub(crate) const CASES: u64 = 200;

/// How many cards there are at most at once.
const CARDS: usize = 5;

/// How many edits there are at most.
const EDITS_MAX: usize = 60;

/// How often time passes until what was lost has to have been told again.
const PATIENCE: usize = 200;

/// What is said again sooner than this may be taken for what was sent before, coming back.
const SOON: Duration = Duration::from_mins(11);

#[test]
fn what_one_side_says_at_a_time_is_said_by_both_in_the_end() {
    for_each(CASES, &correspondence(), |case| taking_turns(case, Bug::None));
}

#[test]
fn what_each_side_says_of_its_own_fields_is_said_by_both_in_the_end() {
    for_each(CASES, &correspondence(), |case| all_at_once(case, Bug::None));
}

#[test]
fn where_both_say_something_of_the_same_they_agree_in_the_end() {
    for_each(CASES, &correspondence(), |case| at_odds(case, Bug::None));
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "app.card")]
struct Card {
    #[object(id)]
    id: i64,
    #[object(guid)]
    guid: Uuid,
    name: u32,
    phone: u32,
}

/// What one side tells the other of a card.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Letter {
    guid: Uuid,
    name: u32,
    phone: u32,
}

/// The way to the other side, and which answers are lost on it.
#[derive(Clone)]
struct Wire {
    other: Arc<OnceLock<Bus>>,
    lost: Arc<Mutex<Vec<bool>>>,
}

impl Wire {
    fn new(lost: &[bool]) -> Self {
        Self { other: Arc::default(), lost: Arc::new(Mutex::new(lost.to_vec())) }
    }

    fn loses_the_answer(&self) -> bool {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or(false)
    }
}

macro_rules! mirrors {
    ($($mirror:ident, $name:literal, $other:literal, [$($rule:tt)*];)*) => {
        $(
            #[connector(name = $name, needs(Wire))]
            #[outgoing(Card)]
            #[incoming(Letter, key = guid $($rule)*)]
            struct $mirror;

            impl Connector for $mirror {
                type Settings = NoSettings;
                async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
                    Ok(Self)
                }
            }

            impl Outgoing<Card> for $mirror {
                async fn deliver(&self, change: Change<Card>, cx: &Cx) -> Result<(), Failure> {
                    tell($other, &change, cx).await
                }
            }

            impl Incoming<Letter> for $mirror {
                type Object = Card;

                async fn prepare_internal_object(
                    &self,
                    received: Received<Letter, Card>,
                    _: &Cx,
                ) -> Result<Prepared<Card>, Failure> {
                    if received.operation == ObjectOperation::Delete {
                        return Ok(Prepared::existing());
                    }
                    let Letter { guid, name, phone } = received.object;
                    let existing = received.existing.unwrap_or_default();
                    Ok(Card { guid, name, phone, ..existing }.into())
                }
            }
        )*
    };
}

mirrors! {
    Left, "left", "right", [];
    Right, "right", "left", [];
    OfNames, "of-names", "of-phones", [, owns(phone)];
    OfPhones, "of-phones", "of-names", [, owns(name)];
    Stubborn, "stubborn", "yielding", [, conflict = host_wins];
    Yielding, "yielding", "stubborn", [, conflict = external_wins];
}

async fn tell(other: &str, change: &Change<Card>, cx: &Cx) -> Result<(), Failure> {
    let Card { guid, name, phone, .. } = change.object;
    let wire = cx.handle::<Wire>()?;
    let bus = wire.other.get().ok_or_else(|| Failure::disconnected("the other side is not there yet"))?;
    let letter = serde_json::to_vec(&Letter { guid, name, phone }).or_reject()?;
    let operation = match change.operation() {
        ObjectOperation::Delete => ObjectOperation::Delete,
        _ => ObjectOperation::Update,
    };
    let task = ExternalTask::received(other, "letter", letter).operation(operation);
    bus.process_external_task(task).await.or_retry()?;
    change.bind(guid.to_string());
    if wire.loses_the_answer() {
        return Err(Failure::retry("the answer was lost"));
    }
    Ok(())
}

#[derive(Debug, Clone)]
pub(crate) struct Correspondence {
    edits: Vec<Edit>,
    /// After how many edits both sides read what they were told.
    pause: usize,
    /// Which of the answers are lost, from the last one to the first.
    lost: Vec<bool>,
}

#[derive(Debug, Clone)]
struct Edit {
    is_left: bool,
    card: usize,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum What {
    Name(u32),
    Phone(u32),
    Delete,
}

pub(crate) fn correspondence() -> impl Strategy<Value = Correspondence> {
    let what = prop_oneof![
        4 => (1..9_u32).prop_map(What::Name),
        4 => (1..9_u32).prop_map(What::Phone),
        1 => Just(What::Delete),
    ];
    let edit = (any::<bool>(), 0..CARDS, what).prop_map(|(is_left, card, what)| Edit { is_left, card, what });
    let edits = prop::collection::vec(edit, 1..=EDITS_MAX);
    let lost = prop::collection::vec(prop::bool::weighted(0.3), 0..EDITS_MAX);
    (edits, 1..10_usize, lost).prop_map(|(edits, pause, lost)| Correspondence { edits, pause, lost })
}

/// Both sides, and what they are to say in the end: name and phone of each card.
struct Two {
    names: [&'static str; 2],
    buses: [RunningTestBus; 2],
    cards: BTreeMap<usize, Card>,
    said: u64,
}

impl Two {
    async fn start<L: DescribedConnector, R: DescribedConnector>(
        names: [&'static str; 2],
        lost: &[bool],
        bug: Bug,
    ) -> Self {
        let wires = [Wire::new(lost), Wire::new(lost)];
        let on_store = || TestBus::new().store(bug.store()).object::<Card>();
        let left = on_store().connector::<L>(names[0]).provide(wires[0].clone());
        let right = on_store().connector::<R>(names[1]).provide(wires[1].clone());
        // However many answers are lost, nothing is parked.
        let patient = |config: &mut Config| config.connectors[0].processing.max_attempts = 1_000;
        let buses = [left.configure(patient).start().await, right.configure(patient).start().await];
        for (wire, other) in wires.iter().zip([&buses[1], &buses[0]]) {
            let bus: &Bus = other;
            assert!(wire.other.set(bus.clone()).is_ok(), "set once");
        }
        Self { names, buses, cards: BTreeMap::new(), said: 0 }
    }

    async fn stored(&self, side: usize) -> BTreeMap<Uuid, Card> {
        let cards: Vec<Card> = self.buses[side].objects().list(None, 100).await.unwrap();
        cards.into_iter().map(|card| (card.guid, card)).collect()
    }

    /// One side does this to a card, which is made if there is none. It reads and writes with nobody in between.
    async fn edit(&mut self, edit: &Edit) {
        let side = usize::from(!edit.is_left);
        self.read_letters(side, false).await;
        self.edit_alone(side, edit).await;
        self.read_letters(side, true).await;
    }

    async fn read_letters(&self, side: usize, process_incoming: bool) {
        let bus = &self.buses[side];
        bus.set_switches(Switches { process_incoming, ..Switches::default() }).await.unwrap();
        if !process_incoming {
            bus.until_idle().await;
        }
    }

    async fn edit_alone(&mut self, side: usize, edit: &Edit) {
        let objects = self.buses[side].objects();
        let known = self.cards.get(&edit.card).cloned();
        let of_this_side = match &known {
            Some(known) => {
                self.stored(side).await.remove(&known.guid).expect("the other side has told of it")
            }
            None => Card::default(),
        };
        let mut card = known.clone().unwrap_or_default();
        let mut own = of_this_side.clone();
        match edit.what {
            What::Name(name) => (card.name, own.name) = (name, name),
            What::Phone(phone) => (card.phone, own.phone) = (phone, phone),
            What::Delete => {
                if known.is_some() {
                    self.said += 1;
                    objects.delete::<Card>(&own.id).await.unwrap();
                    self.cards.remove(&edit.card);
                }
                return;
            }
        }
        if known.is_none() || own != of_this_side {
            self.said += 1;
        }
        objects.save(&mut own).await.unwrap();
        card.guid = own.guid;
        self.cards.insert(edit.card, card);
    }

    fn let_pass(&self, time: Duration) {
        self.buses.iter().for_each(|bus| bus.clock().advance(time));
    }

    /// Until neither side has anything to tell, or to read.
    async fn be_quiet(&self) {
        for _ in 0..PATIENCE {
            let mut open = 0;
            for (bus, name) in self.buses.iter().zip(self.names) {
                bus.until_idle().await;
                for direction in Direction::ALL {
                    open += bus.counters(name, direction).await.open;
                }
            }
            if open == 0 {
                return;
            }
            for bus in &self.buses {
                bus.clock().advance(Duration::from_mins(1));
            }
        }
        let mut open = Vec::new();
        for (bus, name) in self.buses.iter().zip(self.names) {
            for direction in Direction::ALL {
                open.extend(bus.open(name, direction).await);
            }
        }
        panic!("they never come to an end: {open:#?}");
    }

    /// Both know all cards, and edit them before they have heard of each other's edits.
    async fn talk_at_once(&mut self, case: &Correspondence, is_of_left: impl Fn(&Edit) -> bool) {
        for card in 0..CARDS {
            self.edit(&Edit { is_left: card % 2 == 0, card, what: What::Name(0) }).await;
        }
        self.be_quiet().await;
        for edits in case.edits.chunks(case.pause) {
            for edit in edits.iter().filter(|edit| edit.what != What::Delete) {
                self.edit(&Edit { is_left: is_of_left(edit), ..edit.clone() }).await;
                self.let_pass(SOON);
            }
            // Some of it is on its way when the next is said.
            self.buses[edits.len() % 2].until_idle().await;
        }
        self.be_quiet().await;
    }

    /// Name and phone of each card on one side.
    async fn said_by(&self, side: usize) -> BTreeMap<Uuid, (u32, u32)> {
        let stored = self.stored(side).await;
        stored.into_iter().map(|(guid, card)| (guid, (card.name, card.phone))).collect()
    }

    /// Both say what was said last.
    async fn assert_of_one_mind(&self) {
        let expected: BTreeMap<_, _> =
            self.cards.values().map(|card| (card.guid, (card.name, card.phone))).collect();
        for side in 0..2 {
            assert_eq!(self.said_by(side).await, expected, "side {side}");
        }
    }

    /// Each change was told once.
    async fn assert_each_told_once(self) {
        let mut told = 0;
        for (bus, name) in self.buses.iter().zip(self.names) {
            let counters = bus.counters(name, Direction::Outgoing).await;
            assert_eq!(counters.completed, counters.logged);
            told += counters.logged;
            bus.shutdown().await;
        }
        assert_eq!(told, self.said, "each change travels once, and stops");
    }
}

/// Of a card that one side has edited the other one says nothing before it has heard of that.
pub(crate) async fn taking_turns(case: Correspondence, bug: Bug) {
    let mut two = Two::start::<Left, Right>(["left", "right"], &case.lost, bug).await;
    for edits in case.edits.chunks(case.pause) {
        let mut edited_by: BTreeMap<usize, bool> = BTreeMap::new();
        for edit in edits {
            let is_left = *edited_by.entry(edit.card).or_insert(edit.is_left);
            two.edit(&Edit { is_left, ..edit.clone() }).await;
        }
        two.be_quiet().await;
        two.let_pass(SOON);
    }
    two.assert_of_one_mind().await;
    two.assert_each_told_once().await;
}

/// Cards that both know; names are the left side's, and phones the right side's.
pub(crate) async fn all_at_once(case: Correspondence, bug: Bug) {
    let mut two = Two::start::<OfNames, OfPhones>(["of-names", "of-phones"], &case.lost, bug).await;
    let is_of_left = |edit: &Edit| matches!(edit.what, What::Name(_));
    two.talk_at_once(&case, is_of_left).await;
    two.assert_of_one_mind().await;
}

/// Cards that both know and change, the same fields of them, before either has read what the other has said; the policies of the two differ.
/// No answer is lost: calls that cross are told apart by nobody.
pub(crate) async fn at_odds(case: Correspondence, bug: Bug) {
    let mut two = Two::start::<Stubborn, Yielding>(["stubborn", "yielding"], &[], bug).await;
    for card in 0..CARDS {
        two.edit(&Edit { is_left: card % 2 == 0, card, what: What::Name(0) }).await;
    }
    two.be_quiet().await;
    for edits in case.edits.chunks(case.pause) {
        two.read_letters(0, false).await;
        two.read_letters(1, false).await;
        for edit in edits.iter().filter(|edit| edit.what != What::Delete) {
            two.edit_alone(usize::from(!edit.is_left), edit).await;
            two.let_pass(SOON);
        }
        two.read_letters(0, true).await;
        two.read_letters(1, true).await;
        two.be_quiet().await;
    }
    let said = [two.said_by(0).await, two.said_by(1).await];
    assert_eq!(said[0], said[1], "the stubborn one, and the yielding one");
}
