//! What a program consists of, and which steps may follow one another.
//!
//! Numbers in a step are choices: which of those that are there is meant is their remainder. So a step keeps a meaning
//! while others are left out around it, which is how a failing program gets short.

use std::iter;

use bus_core::Timestamp;
use proptest::prelude::*;
use proptest::strategy::Union;
use proptest_state_machine::ReferenceStateMachine;

use super::super::bench::at;
use crate::doubt::Doubt;
use crate::operate::Verb;
use crate::queue::{First, Outcome, Scope};

/// How many keys, and how many objects that can be waited for, a program knows.
pub(super) const KEYS: u8 = 3;
pub(super) const OBJECTS: u8 = 3;
const NAMES: u8 = 3;

/// One step of a program.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Tasks are logged, in one commit.
    Log {
        /// Of which keys, and whether they are creates.
        tasks: Vec<(u8, bool)>,
        /// For whom the first is claimed at once.
        idle: Idle,
    },
    /// A task is logged with an idempotency key.
    Send {
        /// Its key.
        key: u8,
        /// Its idempotency key.
        name: u8,
        /// The digest of what is sent.
        digest: u8,
        /// For whom it is claimed at once.
        idle: Idle,
    },
    /// The owner claims.
    Claim {
        /// At most this many.
        limit: usize,
        /// What comes first.
        first: First,
    },
    /// The owner settles what it has claimed, in one commit; some of it perhaps twice.
    Settle(Vec<(u8, Said)>),
    /// The owner settles as above, and this is what is in doubt about all of that.
    SettleInDoubt(Doubt, Vec<(u8, Said)>),
    /// A former owner settles what is not its own any more.
    SettleLate(u8),
    /// Somebody becomes the owner, as after a crash.
    Acquire(Scope),
    /// The owner gives the queue up.
    Release,
    /// The connector is registered.
    Register,
    /// The connector is deleted, if nothing is open for it.
    Delete,
    /// An object is bound, or unbound if it was.
    Bind(u8),
    /// An object is saved, or deleted if it was there.
    Save(u8),
    /// An operator does something to deliveries, in one intervention.
    Intervene(Verb, Vec<(u8, Seen)>),
    /// What ended some seconds ago, or longer, is forgotten, up to a limit.
    Prune {
        /// How long ago.
        seconds: i64,
        /// How many at most.
        limit: usize,
    },
    /// Time passes.
    Pass(i64),
}

/// For whom something is claimed as it is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// For nobody.
    Nobody,
    /// For the owner.
    Owner,
    /// For somebody who is not the owner any more.
    Former,
}

/// What an operator saw of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// They did not look.
    Nothing,
    /// What is there.
    Truth,
    /// Another state.
    Other,
}

/// An outcome, in seconds from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the outcomes of the same names")]
pub enum Said {
    Completed,
    Discarded,
    Retry(i64),
    Released(Option<i64>, bool),
    Deferred(i64),
    Waiting { kind: Awaits, objects: (u8, u8), due: i64 },
    Aside { due: Option<i64>, error: bool, charged: bool },
    Parked { aside: bool },
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are what can be awaited, under the same names")]
pub enum Awaits {
    Bound,
    Known,
    Exists,
}

impl Step {
    /// Steps that do less, in the same way.
    pub(super) fn simpler(&self) -> Vec<Self> {
        match self {
            Self::Log { tasks, idle } => {
                let fewer = fewer(tasks).map(|tasks| Self::Log { tasks, idle: *idle });
                let nobody =
                    (*idle != Idle::Nobody).then(|| Self::Log { tasks: tasks.clone(), idle: Idle::Nobody });
                fewer.chain(nobody).collect()
            }
            Self::Settle(settled) => {
                fewer(settled).chain(with_small_choices(settled)).map(Self::Settle).collect()
            }
            Self::SettleInDoubt(doubt, settled) => {
                let simpler = fewer(settled).chain(with_small_choices(settled));
                let certain = iter::once(Self::Settle(settled.clone()));
                certain.chain(simpler.map(|settled| Self::SettleInDoubt(*doubt, settled))).collect()
            }
            Self::Intervene(verb, chosen) => {
                let simpler = fewer(chosen).chain(with_small_choices(chosen));
                simpler.map(|chosen| Self::Intervene(*verb, chosen)).collect()
            }
            Self::SettleLate(chosen) => (0..(*chosen).min(4)).map(Self::SettleLate).collect(),
            _ => Vec::new(),
        }
    }
}

/// Each of these left out, but not the last.
fn fewer<T: Clone>(all: &[T]) -> impl Iterator<Item = Vec<T>> {
    (0..all.len()).filter(|_| all.len() > 1).map(|left_out| {
        let mut fewer = all.to_vec();
        fewer.remove(left_out);
        fewer
    })
}

/// With smaller numbers for what is chosen.
fn with_small_choices<T: Clone>(all: &[(u8, T)]) -> impl Iterator<Item = Vec<(u8, T)>> {
    (0..all.len()).flat_map(move |place| {
        (0..all[place].0.min(4)).map(move |choice| {
            let mut simpler = all.to_vec();
            simpler[place].0 = choice;
            simpler
        })
    })
}

impl Said {
    /// The outcome, said at this second; `error` is what is said with it.
    pub(super) fn outcome(
        self,
        now: i64,
        error: &str,
        awaited: impl Fn(Awaits, u8) -> crate::queue::Awaited,
    ) -> Outcome {
        let due = |seconds: Option<i64>| seconds.map_or(Timestamp::EPOCH, |seconds| at(now + seconds));
        let error = error.to_owned();
        match self {
            Self::Completed => Outcome::Completed,
            Self::Discarded => Outcome::Discarded { error },
            Self::Retry(seconds) => Outcome::Retry { due: due(Some(seconds)), error },
            Self::Released(seconds, failed) => {
                Outcome::Released { due: due(seconds), error: failed.then_some(error) }
            }
            Self::Deferred(seconds) => Outcome::Deferred { due: due(Some(seconds)), error },
            Self::Waiting { kind, objects: (one, other), due: seconds } => Outcome::Waiting {
                awaited: vec![awaited(kind, one), awaited(Awaits::Bound, other)],
                due: due(Some(seconds)),
                reason: error,
            },
            Self::Aside { due: seconds, error: failed, charged } => {
                Outcome::Aside { due: due(seconds), error: failed.then_some(error), charged }
            }
            Self::Parked { aside } => Outcome::Parked { error, aside },
        }
    }
}

/// What may follow: as much of a queue as is needed to make steps that mean something.
#[derive(Debug, Clone, Default)]
pub(super) struct Sketch {
    logged: bool,
    claimed: bool,
    has_former: bool,
}

impl ReferenceStateMachine for Sketch {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(sketch: &Self) -> BoxedStrategy<Step> {
        let mut possible = vec![
            (20, log().boxed()),
            (5, send().boxed()),
            (5, prop_oneof![Just(Scope::Key), Just(Scope::Queue)].prop_map(Step::Acquire).boxed()),
            (1, Just(Step::Release).boxed()),
            (1, Just(Step::Register).boxed()),
            (2, Just(Step::Delete).boxed()),
            (4, (0..OBJECTS).prop_map(Step::Bind).boxed()),
            (4, (0..OBJECTS).prop_map(Step::Save).boxed()),
            (8, (1..5_i64).prop_map(Step::Pass).boxed()),
        ];
        if sketch.logged {
            possible.push((22, claim().boxed()));
            possible.push((10, intervene().boxed()));
            possible.push((3, prune().boxed()));
        }
        if sketch.logged && sketch.has_former {
            possible.push((2, any::<u8>().prop_map(Step::SettleLate).boxed()));
        }
        if sketch.claimed {
            possible.push((26, settle().prop_map(Step::Settle).boxed()));
            let in_doubt = (doubt(), settle());
            possible.push((6, in_doubt.prop_map(|(doubt, said)| Step::SettleInDoubt(doubt, said)).boxed()));
        }
        Union::new_weighted(possible).boxed()
    }

    fn preconditions(sketch: &Self, step: &Step) -> bool {
        match step {
            Step::Claim { .. } | Step::Intervene(..) | Step::Prune { .. } => sketch.logged,
            Step::Settle(_) | Step::SettleInDoubt(..) => sketch.claimed,
            Step::SettleLate(_) => sketch.has_former && sketch.logged,
            _ => true,
        }
    }

    fn apply(mut sketch: Self, step: &Step) -> Self {
        match step {
            Step::Log { idle, .. } | Step::Send { idle, .. } => {
                sketch.logged = true;
                sketch.claimed |= *idle == Idle::Owner;
            }
            Step::Claim { limit, .. } => sketch.claimed |= *limit > 0,
            Step::Acquire(_) => {
                sketch.claimed = false;
                sketch.has_former = true;
            }
            Step::Release => sketch.has_former = true,
            _ => {}
        }
        sketch
    }
}

fn log() -> impl Strategy<Value = Step> {
    let tasks = prop::collection::vec((0..KEYS, any::<bool>()), 1..4);
    (tasks, idle()).prop_map(|(tasks, idle)| Step::Log { tasks, idle })
}

fn send() -> impl Strategy<Value = Step> {
    let numbers = (0..KEYS, 0..NAMES, 0..2_u8);
    (numbers, idle()).prop_map(|((key, name, digest), idle)| Step::Send { key, name, digest, idle })
}

fn claim() -> impl Strategy<Value = Step> {
    let first = prop_oneof![Just(First::Due), Just(First::Fresh), Just(First::OnlyFresh)];
    (0..7_usize, first).prop_map(|(limit, first)| Step::Claim { limit, first })
}

fn settle() -> impl Strategy<Value = Vec<(u8, Said)>> {
    prop::collection::vec((any::<u8>(), said()), 1..4)
}

fn doubt() -> impl Strategy<Value = Doubt> {
    prop_oneof![3 => Just(Doubt::InDoubt), 1 => Just(Doubt::TriedAnyway)]
}

fn intervene() -> impl Strategy<Value = Step> {
    let chosen = prop::collection::vec((any::<u8>(), seen()), 1..4);
    (verb(), chosen).prop_map(|(verb, chosen)| Step::Intervene(verb, chosen))
}

fn prune() -> impl Strategy<Value = Step> {
    (0..4_i64, 0..4_usize).prop_map(|(seconds, limit)| Step::Prune { seconds, limit })
}

fn idle() -> impl Strategy<Value = Idle> {
    prop_oneof![5 => Just(Idle::Nobody), 4 => Just(Idle::Owner), 1 => Just(Idle::Former)]
}

fn seen() -> impl Strategy<Value = Seen> {
    prop_oneof![6 => Just(Seen::Nothing), 2 => Just(Seen::Truth), 1 => Just(Seen::Other)]
}

fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![
        4 => Just(Verb::Retry),
        1 => Just(Verb::Skip),
        1 => Just(Verb::Cancel),
        1 => Just(Verb::Discard),
    ]
}

fn said() -> impl Strategy<Value = Said> {
    let seconds = || -1..6_i64;
    let perhaps = || prop::option::weighted(0.7, seconds());
    let kind = prop_oneof![Just(Awaits::Bound), Just(Awaits::Known), Just(Awaits::Exists)];
    prop_oneof![
        10 => Just(Said::Completed),
        1 => Just(Said::Discarded),
        4 => seconds().prop_map(Said::Retry),
        3 => (perhaps(), any::<bool>()).prop_map(|(due, failed)| Said::Released(due, failed)),
        3 => seconds().prop_map(Said::Deferred),
        4 => (kind, (0..OBJECTS, 0..OBJECTS), seconds())
            .prop_map(|(kind, objects, due)| Said::Waiting { kind, objects, due }),
        4 => (perhaps(), any::<bool>(), any::<bool>())
            .prop_map(|(due, error, charged)| Said::Aside { due, error, charged }),
        2 => any::<bool>().prop_map(|aside| Said::Parked { aside }),
    ]
}
