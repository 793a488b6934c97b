//! Cases from numbers. One that fails is made smaller, and shown with its number: `BUS_TEST_CASE=17` runs that one alone,
//! and `BUS_TEST_LONG=1` ten times as many.

use std::env;
use std::fmt::Debug;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use tokio::runtime::Builder;

/// How often a case that fails is run again to make it smaller.
const SHRUNK_MAX: u32 = 1_000;

/// Whether it holds of this many cases. Each runs in a runtime of its own, with everything that it has started.
///
/// # Panics
///
/// When it does not hold of one: with its number and the smallest case that was found.
pub(crate) fn for_each<C: Debug>(cases: u64, case: &impl Strategy<Value = C>, holds: impl AsyncFn(C)) {
    let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let often = if number("BUS_TEST_LONG") == Some(1) { 10 } else { 1 };
    let numbers = match number("BUS_TEST_CASE") {
        Some(one) => one..one + 1,
        None => 0..cases * often,
    };
    for number in numbers {
        if let Err(failed) = run(number, case, &holds, SHRUNK_MAX) {
            panic!("case {number} fails; BUS_TEST_CASE={number} runs it alone: {failed}");
        }
    }
}

/// Whether it does not hold of one of this many cases at least.
pub(crate) fn fails_for_one<C: Debug>(
    cases: u64,
    case: &impl Strategy<Value = C>,
    holds: impl AsyncFn(C),
) -> bool {
    (0..cases).any(|number| run(number, case, &holds, 0).is_err())
}

fn run<C: Debug>(
    number: u64,
    case: &impl Strategy<Value = C>,
    holds: &impl AsyncFn(C),
    shrunk_max: u32,
) -> Result<(), TestError<C>> {
    let config =
        Config { cases: 1, max_shrink_iters: shrunk_max, failure_persistence: None, ..Config::default() };
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    let dice = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    TestRunner::new_with_rng(config, dice).run(case, |case| {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(holds(case));
        Ok(())
    })
}
