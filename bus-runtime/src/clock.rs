//! The system's clock and dice: the only place of the bus that reads either.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bus_core::{BoxFuture, Clock, Dice, Timestamp};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// The longest single sleep: a clock that was set back is noticed after this.
const SLEEP_MAX: Duration = Duration::from_mins(1);

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::EPOCH.plus(since)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            loop {
                let left = at.since(self.now());
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(SLEEP_MAX)).await;
            }
        })
    }
}

/// Randomness seeded by the operating system.
#[derive(Debug)]
pub struct SystemDice(Mutex<StdRng>);

impl SystemDice {
    /// From the operating system's randomness.
    pub fn new() -> Self {
        Self(Mutex::new(rand::make_rng()))
    }

    /// Repeatable: the same seed rolls the same numbers.
    pub fn seeded(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }
}

impl Default for SystemDice {
    fn default() -> Self {
        Self::new()
    }
}

impl Dice for SystemDice {
    fn roll(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next_u64()
    }
}
