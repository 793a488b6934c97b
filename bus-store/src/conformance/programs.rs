//! Random programs against a queue: whatever is logged, claimed, settled, woken, interrupted, retried, ended and pruned,
//! in whatever order, the store does what a naive model of it allows.
//!
//! Each program comes from a number. One that fails is made shorter, and shown with its number and its steps;
//! `BUS_TEST_PROGRAM=17` runs that one alone, and `BUS_TEST_LONG=1` fifty times as many. What failed once is kept in
//! `kept`, written out, as a law of its own.

mod compare;
mod finish;
mod model;
mod run;
mod standing;
mod step;

use std::cell::RefCell;
use std::env;
use std::iter;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use proptest_state_machine::ReferenceStateMachine;
use tokio::runtime::{Builder, Runtime};

use super::Rig;
use crate::Store;
use model::Wrong;
use run::Run;
use step::Sketch;

pub use step::{Awaits, Idle, Said, Seen, Step};

/// How many programs the law runs.
const PROGRAMS: u64 = 300;

/// The most steps of a program.
const STEPS_MAX: usize = 40;

/// How many programs share a store before it is closed and opened again.
const PROGRAMS_PER_STORE: i64 = 50;

/// How often a failing program is run again to make it shorter.
const SHORTENED_MAX: u32 = 2_000;

/// Random programs keep the order of each key, lose nothing, invent nothing, and come to an end.
pub async fn random_programs_keep_every_key_in_order_and_lose_nothing(rig: &dyn Rig) {
    on_a_thread_of_its_own(|| run_programs(&[rig], 0, PROGRAMS));
}

/// Whoever makes programs shorter waits for the store without being asynchronous: not in a runtime's thread.
pub(super) fn on_a_thread_of_its_own(play: impl FnOnce() + Send) {
    if let Err(panicked) = thread::scope(|scope| scope.spawn(play).join()) {
        panic::resume_unwind(panicked);
    }
}

/// Runs this many programs, beginning with this number: each against the store of one of these rigs, which take turns and
/// work side by side. Not from within a runtime.
///
/// # Panics
///
/// When a program fails: with its number and its steps, as few as are needed.
pub fn run_programs(rigs: &[&dyn Rig], first: u64, programs: u64) {
    let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let often = if number("BUS_TEST_LONG") == Some(1) { 50 } else { 1 };
    let numbers = match number("BUS_TEST_PROGRAM") {
        Some(one) => one..one + 1,
        None => first..first + programs * often,
    };
    thread::scope(|scope| {
        let players = rigs.iter().enumerate().map(|(turn, rig)| {
            let own = numbers.clone().skip(turn).step_by(rigs.len());
            scope.spawn(move || run_each(*rig, own))
        });
        // Each of them has to be there before the first is waited for.
        for player in players.collect::<Vec<_>>() {
            if let Err(panicked) = player.join() {
                panic::resume_unwind(panicked);
            }
        }
    });
}

fn run_each(rig: &dyn Rig, numbers: impl Iterator<Item = u64>) {
    let player = Player::new(rig);
    let strategy = Sketch::sequential_strategy(1..=STEPS_MAX);
    for number in numbers {
        let config = Config {
            cases: 1,
            failure_persistence: None,
            max_shrink_iters: SHORTENED_MAX,
            ..Config::default()
        };
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&number.to_le_bytes());
        let dice = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let failed = TestRunner::new_with_rng(config, dice).run(&strategy, |(_, steps, seen)| {
            let noted = || {
                if let Some(seen) = &seen {
                    seen.fetch_add(1, Ordering::Relaxed);
                }
            };
            player.play(&steps, noted).map_err(TestCaseError::fail)
        });
        match failed {
            Ok(()) => {}
            Err(TestError::Fail(reason, (_, steps, _))) => {
                let (steps, reason) = player.shorten(steps, reason.message().to_owned());
                let steps: Vec<_> = steps.iter().map(|step| format!("    {step:?},\n")).collect();
                panic!("program {number}: {reason}\nin [\n{}]", steps.concat())
            }
            Err(aborted) => panic!("program {number}: {aborted}"),
        }
    }
    player.close();
}

/// Runs one program, as it is written. Not from within a runtime.
///
/// # Panics
///
/// When it fails.
pub fn run_program(rig: &dyn Rig, steps: &[Step]) {
    let player = Player::new(rig);
    if let Err(wrong) = player.play(steps, || {}) {
        panic!("{wrong}");
    }
    player.close();
}

/// Plays programs against a store, which is opened anew from time to time, so that what former programs left does not
/// slow down the later ones.
struct Player<'a> {
    rig: &'a dyn Rig,
    runtime: Runtime,
    played: RefCell<(i64, Option<Arc<dyn Store>>)>,
}

impl<'a> Player<'a> {
    fn new(rig: &'a dyn Rig) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { rig, runtime, played: RefCell::default() }
    }

    /// Leaves out whatever the failure does not need, and makes simpler what is left.
    fn shorten(&self, mut steps: Vec<Step>, mut reason: String) -> (Vec<Step>, String) {
        let mut place = steps.len();
        while place > 0 {
            place -= 1;
            let simpler = steps[place].simpler().into_iter().map(Some);
            let shorter = iter::once(None).chain(simpler).map(|instead| {
                let mut steps = steps.clone();
                steps.splice(place..=place, instead);
                steps
            });
            let failing = shorter.into_iter().find_map(|steps| {
                let play = || self.play(&steps, || {});
                // A store that panics fails, too.
                let played = panic::catch_unwind(AssertUnwindSafe(play));
                let why = played.unwrap_or_else(|_| Err("the store panicked".to_owned())).err()?;
                Some((steps, why))
            });
            if let Some(failing) = failing {
                (steps, reason) = failing;
                // What only this one needed is not needed any more.
                place = steps.len();
            }
        }
        (steps, reason)
    }

    fn close(&self) {
        if let Some(store) = self.played.borrow_mut().1.take() {
            self.runtime.block_on(store.close());
        }
    }

    fn play(&self, steps: &[Step], noted: impl Fn()) -> Result<(), String> {
        let mut played = self.played.borrow_mut();
        let (number, store) = &mut *played;
        *number += 1;
        let wanted = self.runtime.block_on(async {
            if *number % PROGRAMS_PER_STORE == 0
                && let Some(full) = store.take()
            {
                full.close().await;
            }
            match store.take() {
                Some(store) => store,
                None => self.rig.open().await,
            }
        });
        *store = Some(Arc::clone(&wanted));
        let number = *number;
        drop(played);
        self.runtime.block_on(async {
            let mut run = Run::begin(wanted, number).await;
            for (place, step) in steps.iter().enumerate() {
                noted();
                let done = run.step(step).await;
                done.map_err(|Wrong(why)| format!("at step {}, {step:?}: {why}", place + 1))?;
            }
            run.finish().await.map_err(|Wrong(why)| format!("at the end: {why}"))
        })
    }
}
