//! How many calls a connector may make: a pure function of the bus's own clock, so that tests can turn it.

use std::time::Duration;

use bus_core::Timestamp;

use crate::config::Rate;

/// The most that a caller may lag behind its even pace and catch up at once, where its pace is faster than that: timers
/// are not more exact.
const LAG_MAX: Duration = Duration::from_millis(10);

/// Spreads calls evenly: each moves the time of the next by its share of the interval.
#[derive(Debug)]
pub(super) struct Limiter {
    share: Duration,
    /// When a caller who was never late would make the next call.
    even: Timestamp,
}

impl Limiter {
    pub(super) fn new(rate: Rate) -> Self {
        let share = Duration::from_millis(rate.interval_ms) / rate.calls_max.max(1);
        Self { share, even: Timestamp::EPOCH }
    }

    /// When the next call may be made; `None` for now.
    pub(super) fn not_before(&mut self, now: Timestamp) -> Option<Timestamp> {
        // A clock that was set back must not stop all calls until it has caught up.
        self.even = self.even.min(now.plus(self.share));
        (self.even > now).then_some(self.even)
    }

    /// A call is made.
    pub(super) fn count(&mut self, now: Timestamp) {
        let lag_max = if self.share < LAG_MAX { LAG_MAX } else { Duration::ZERO };
        let lag = now.since(self.even).min(lag_max);
        let even = if self.even > now { now } else { now.minus(lag) };
        self.even = even.plus(self.share);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_micros(1_000_000_000 + ms * 1_000)
    }

    fn calls(limiter: &mut Limiter, from_ms: i64, to_ms: i64) -> usize {
        let mut calls = 0;
        for ms in from_ms..to_ms {
            while limiter.not_before(at(ms)).is_none() {
                limiter.count(at(ms));
                calls += 1;
            }
        }
        calls
    }

    #[test]
    fn calls_are_spread_over_the_interval() {
        let mut limiter = Limiter::new(Rate { calls_max: 4, interval_ms: 1_000 });
        assert_eq!(limiter.not_before(at(0)), None);
        limiter.count(at(0));
        assert_eq!(limiter.not_before(at(0)), Some(at(250)));
        assert_eq!(calls(&mut limiter, 1, 1_000), 3);
    }

    #[test]
    fn a_pause_saves_nothing_up() {
        let mut limiter = Limiter::new(Rate { calls_max: 10, interval_ms: 1_000 });
        limiter.count(at(0));
        assert!(calls(&mut limiter, 60_000, 61_000) <= 11);
    }

    #[test]
    fn more_than_a_timer_can_tell_apart_are_made_together() {
        let mut limiter = Limiter::new(Rate { calls_max: 100_000, interval_ms: 1_000 });
        let made = calls(&mut limiter, 0, 1_000);
        assert!((99_000..=101_100).contains(&made), "{made}");
    }

    #[test]
    fn a_clock_that_is_set_back_costs_at_most_one_share() {
        let mut limiter = Limiter::new(Rate { calls_max: 1, interval_ms: 1_000 });
        limiter.count(at(3_600_000));
        let next = limiter.not_before(at(0)).expect("it waits");
        assert_eq!(next, at(1_000));
        assert_eq!(limiter.not_before(at(500)), Some(next), "it does not move away");
        assert_eq!(limiter.not_before(at(1_000)), None);
    }
}
