//! Repeatable chance.

use std::hash::{BuildHasher, RandomState};

/// Says which seed to use instead of a new one.
const SEED: &str = "BUS_TEST_SEED";

/// Dice that roll the same numbers for the same seed.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// With this seed.
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// With the seed that `BUS_TEST_SEED` says, or a new one. It is printed, so that what failed can be repeated.
    ///
    /// # Panics
    ///
    /// When `BUS_TEST_SEED` is no number.
    pub fn for_test(test: &str) -> Self {
        let seed = match std::env::var(SEED) {
            Ok(said) => said.parse().unwrap_or_else(|_| panic!("{SEED} is a number, not `{said}`")),
            Err(_) => RandomState::new().hash_one(test),
        };
        println!("{test}: {SEED}={seed} repeats this");
        Self(seed)
    }

    /// 64 random bits.
    pub const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below this one, which is not 0.
    pub const fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    /// Whether something happens that happens so often in a hundred times.
    pub const fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of these, if there are any.
    pub fn choose<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let count = u64::try_from(from.len()).ok().filter(|count| *count > 0)?;
        from.get(usize::try_from(self.below(count)).ok()?)
    }
}
