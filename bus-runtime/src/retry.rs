//! When something is tried again: pure functions of settings, counts and dice.

use std::time::Duration;

use bus_core::Timestamp;

use crate::config::{FURTHEST_DUE, Processing};

/// No retry comes sooner than this, unless the settings ask for less: a bad roll must not become a busy loop.
const DELAY_MIN: Duration = Duration::from_millis(10);

/// The longest back-off that settings can ask for, whatever a hand-made value says.
const DELAY_MAX: Duration = Duration::from_hours(24);

/// How soon a waiting delivery asks again for its reference, the first time.
const ASK_INITIAL: Duration = Duration::from_secs(30);

/// How late at most, before jitter.
const ASK_MAX: Duration = Duration::from_mins(15);

/// The longest wait of a delivery that is deferred again and again, unless the least one is longer.
const DEFER_MAX: Duration = Duration::from_mins(15);

/// How long to wait after the `attempt`-th failure; the first is 1.
///
/// Exponential back-off with full jitter: anywhere from 10 ms (less only if the settings ask for less) to
/// `retry_initial_ms` × `retry_multiplier`^(attempt − 1), which stops growing at `retry_max_ms`. Never zero, and never
/// more than 24 h. `dice` is 64 random bits.
pub(crate) fn delay(processing: &Processing, attempt: u32, dice: u64) -> Duration {
    let ceiling = ceiling(processing, attempt);
    within(DELAY_MIN.min(ceiling), ceiling, dice)
}

/// A due time that is further off than the longest wait allowed is brought back to it: clocks jump.
pub(crate) fn clamp_due(now: Timestamp, due: Timestamp, due_max: Duration) -> Timestamp {
    due.min(now.plus(due_max))
}

/// How long a delivery that waits for a reference, and has asked `asks` times since it began to, waits before it asks
/// again: 30 s after the first look (`asks` 0), then doubling up to 15 min, each by up to 20 % shorter or longer.
pub(crate) fn ask_again(asks: u32, dice: u64) -> Duration {
    let doubled = 2_u32.checked_pow(asks).map_or(ASK_MAX, |factor| ASK_INITIAL.saturating_mul(factor));
    let middle = doubled.min(ASK_MAX);
    within(middle * 4 / 5, middle * 6 / 5, dice)
}

/// How long a delivery waits that its connector defers, after it was deferred `defers` times in a row (0 the first time):
/// `defer_min_ms` to twice that, then doubling up to 15 min. Each wait is random, from half of the longest up to it,
/// but never less than `defer_min_ms`, and never more than `defer_total_ms`.
pub(crate) fn defer(processing: &Processing, defers: u32, dice: u64) -> Duration {
    let min = defer_min(processing);
    let factor = 2_u32.checked_pow(defers.saturating_add(1)).unwrap_or(u32::MAX);
    let longest = min.saturating_mul(factor).min(DEFER_MAX.max(min)).min(defer_total(processing));
    within((longest / 2).max(min), longest, dice)
}

/// How long a delivery waits whose connector defers it for so long: no less than `defer_min_ms`, and no more than
/// `defer_total_ms`, after which it is parked anyway.
pub(crate) fn defer_for(processing: &Processing, asked: Duration) -> Duration {
    asked.clamp(defer_min(processing), defer_total(processing))
}

/// How long to wait when a peer asks to be left alone for so long: no more than `retry_after_max_ms`, and never zero.
pub(crate) fn retry_after(processing: &Processing, asked: Duration) -> Duration {
    let max = Duration::from_millis(processing.retry_after_max_ms.max(1)).min(DELAY_MAX);
    asked.clamp(DELAY_MIN.min(max), max)
}

/// The least wait of a deferred delivery, also of settings made by hand.
fn defer_min(processing: &Processing) -> Duration {
    Duration::from_millis(processing.defer_min_ms.max(1)).min(defer_total(processing))
}

fn defer_total(processing: &Processing) -> Duration {
    Duration::from_millis(processing.defer_total_ms.max(1)).min(FURTHEST_DUE)
}

/// The longest that this attempt's failure can delay the next.
fn ceiling(processing: &Processing, attempt: u32) -> Duration {
    let max = Duration::from_millis(processing.retry_max_ms.max(1)).min(DELAY_MAX);
    let initial = Duration::from_millis(processing.retry_initial_ms.max(1)).min(max);
    let multiplier = processing.retry_multiplier;
    // What `Processing::check` refuses may still be built by hand: without growth it is at least harmless.
    let multiplier = if multiplier >= 1.0 { multiplier } else { 1.0 };
    let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
    // Overflows to infinity, which no duration can be made of: the longest wait, then.
    let seconds = initial.as_secs_f64() * multiplier.powi(exponent);
    Duration::try_from_secs_f64(seconds).map_or(max, |grown| grown.min(max))
}

/// Spreads the dice evenly over `from..=to`, to the microsecond.
fn within(from: Duration, to: Duration, dice: u64) -> Duration {
    let steps = to.saturating_sub(from).as_micros() + 1;
    // At most (30 days in µs + 1) × 2^64 < 2^106 goes in, at most 30 days in µs comes out.
    let step = (u128::from(dice) * steps) >> 64;
    from.saturating_add(Duration::from_micros(u64::try_from(step).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LEAST: u64 = 0;
    const MOST: u64 = u64::MAX;

    fn processing(initial_ms: u64, multiplier: f64, max_ms: u64) -> Processing {
        Processing {
            retry_initial_ms: initial_ms,
            retry_multiplier: multiplier,
            retry_max_ms: max_ms,
            ..Processing::default()
        }
    }

    #[test]
    fn a_delay_grows_by_the_multiplier_until_the_longest() {
        let default = Processing::default();
        let day_ms = 24 * 60 * 60 * 1_000;
        #[rustfmt::skip]
        let rows = [
            // processing                            attempt   shortest ms  longest ms
            (default.clone(),                        0,        10,          1_000), // before the first: as the first
            (default.clone(),                        1,        10,          1_000),
            (default.clone(),                        2,        10,          2_000),
            (default.clone(),                        3,        10,          4_000),
            (default.clone(),                        10,       10,          512_000),
            (default.clone(),                        11,       10,          900_000),
            (default.clone(),                        1_000,    10,          900_000),
            (default.clone(),                        u32::MAX, 10,          900_000),
            (processing(100, 1.0, 900_000),          50,       10,          100),
            (processing(100, 1.5, 900_000),          3,        10,          225),
            (processing(60_000, 2.0, 1_000),         1,        10,          1_000), // the longest wins over the first
            (processing(5, 2.0, 1_000),              1,        5,           5),     // asked for less than the floor
            (processing(0, 2.0, 0),                  7,        1,           1),     // never zero
            (processing(1, 10.0, day_ms),            1_000,    10,          day_ms),
            (processing(u64::MAX, 10.0, u64::MAX),   1_000,    10,          day_ms), // not even by hand
            (processing(100, f64::NAN, 900_000),     9,        10,          100),
            (processing(100, -3.0, 900_000),         9,        10,          100),
            (processing(100, f64::INFINITY, 60_000), 9,        10,          60_000),
            (processing(100, f64::INFINITY, 60_000), 1,        10,          100),
        ];
        for (processing, attempt, shortest_ms, longest_ms) in rows {
            let row = format!("attempt {attempt} of {processing:?}");
            assert_eq!(delay(&processing, attempt, LEAST), Duration::from_millis(shortest_ms), "{row}");
            assert_eq!(delay(&processing, attempt, MOST), Duration::from_millis(longest_ms), "{row}");
        }
    }

    #[test]
    fn a_due_time_is_clamped_only_when_it_is_too_far_off() {
        let now = Timestamp::from_micros(1_795_424_400_000_000);
        let second = Duration::from_secs(1);
        let furthest = now.plus(FURTHEST_DUE);
        let end = Timestamp::from_micros(i64::MAX);
        #[rustfmt::skip]
        let rows = [
            // now   due                                expected
            (now,    Timestamp::EPOCH,                  Timestamp::EPOCH),
            (now,    now,                               now),
            (now,    now.plus(second),                  now.plus(second)),
            (now,    furthest,                          furthest),
            (now,    furthest.plus(second),             furthest),
            (now,    end,                               furthest),
            (end,    end,                               end),
            (Timestamp::from_micros(i64::MIN), now,     Timestamp::from_micros(i64::MIN).plus(FURTHEST_DUE)),
        ];
        for (now, due, expected) in rows {
            assert_eq!(clamp_due(now, due, FURTHEST_DUE), expected, "due {due} at {now}");
        }
    }

    #[test]
    fn asking_again_doubles_from_half_a_minute_to_a_quarter_of_an_hour() {
        let rows =
            [(0, 30), (1, 60), (2, 120), (3, 240), (4, 480), (5, 900), (6, 900), (31, 900), (u32::MAX, 900)];
        for (asks, middle) in rows {
            assert_eq!(ask_again(asks, LEAST), Duration::from_secs(middle * 4 / 5), "{asks} asks");
            assert_eq!(ask_again(asks, MOST), Duration::from_secs(middle * 6 / 5), "{asks} asks");
            let half = ask_again(asks, MOST / 2).abs_diff(Duration::from_secs(middle));
            assert!(half <= Duration::from_micros(1), "{asks} asks: the middle roll is the middle");
        }
    }

    fn deferring(min_ms: u64, total_ms: u64) -> Processing {
        Processing { defer_min_ms: min_ms, defer_total_ms: total_ms, ..Processing::default() }
    }

    #[test]
    fn a_deferred_delivery_waits_longer_each_time_up_to_a_quarter_of_an_hour() {
        let default = Processing::default();
        let (hour_ms, month_ms) = (60 * 60 * 1_000, 30 * 24 * 60 * 60 * 1_000);
        #[rustfmt::skip]
        let rows = [
            // processing                    defers    shortest ms  longest ms
            (default.clone(),                0,        1_000,       2_000),
            (default.clone(),                1,        2_000,       4_000),
            (default.clone(),                8,        256_000,     512_000),
            (default.clone(),                9,        450_000,     900_000),
            (default.clone(),                31,       450_000,     900_000),
            (default.clone(),                u32::MAX, 450_000,     900_000),
            (deferring(600_000, month_ms),   0,        600_000,     900_000), // half of the longest is less than the least
            (deferring(hour_ms, month_ms),   7,        hour_ms,     hour_ms), // the least wins over a quarter of an hour
            (deferring(1_000, 3_000),        5,        1_500,       3_000),   // no longer than in all
            (deferring(5_000, 3_000),        0,        3_000,       3_000),   // crossed, by hand
            (deferring(0, 0),                3,        1,           1),       // never zero
            (deferring(u64::MAX, u64::MAX),  3,        month_ms,    month_ms),
        ];
        for (processing, defers, shortest_ms, longest_ms) in rows {
            let row = format!("{defers} defers of {processing:?}");
            assert_eq!(defer(&processing, defers, LEAST), Duration::from_millis(shortest_ms), "{row}");
            assert_eq!(defer(&processing, defers, MOST), Duration::from_millis(longest_ms), "{row}");
        }
    }

    #[test]
    fn a_connectors_own_wait_is_kept_within_the_least_and_the_total() {
        let default = Processing::default();
        #[rustfmt::skip]
        let rows = [
            // processing            asked                         expected
            (default.clone(),        Duration::ZERO,               Duration::from_secs(1)),
            (default.clone(),        Duration::from_millis(999),   Duration::from_secs(1)),
            (default.clone(),        Duration::from_hours(2),      Duration::from_hours(2)),
            (default,                Duration::MAX,                Duration::from_hours(24)),
            (deferring(5_000, 3_000), Duration::from_secs(4),      Duration::from_secs(3)),
            (deferring(0, 0),        Duration::ZERO,               Duration::from_millis(1)),
            (deferring(1, u64::MAX), Duration::MAX,                FURTHEST_DUE),
        ];
        for (processing, asked, expected) in rows {
            assert_eq!(defer_for(&processing, asked), expected, "{asked:?} of {processing:?}");
        }
    }

    #[test]
    fn a_peer_is_left_alone_as_long_as_it_asks_up_to_the_longest() {
        let up_to = |max_ms| Processing { retry_after_max_ms: max_ms, ..Processing::default() };
        #[rustfmt::skip]
        let rows = [
            // processing     asked                       expected
            (up_to(3_600_000), Duration::ZERO,            DELAY_MIN),
            (up_to(3_600_000), Duration::from_nanos(1),   DELAY_MIN),
            (up_to(3_600_000), Duration::from_mins(5),    Duration::from_mins(5)),
            (up_to(3_600_000), Duration::from_hours(1),   Duration::from_hours(1)),
            (up_to(3_600_000), Duration::MAX,             Duration::from_hours(1)),
            (up_to(3),         Duration::MAX,             Duration::from_millis(3)),
            (up_to(3),         Duration::ZERO,            Duration::from_millis(3)), // asked for less than the floor
            (up_to(0),         Duration::MAX,             Duration::from_millis(1)), // never zero
            (up_to(u64::MAX),  Duration::MAX,             DELAY_MAX),
        ];
        for (processing, asked, expected) in rows {
            assert_eq!(
                retry_after(&processing, asked),
                expected,
                "{asked:?}, at most {} ms",
                processing.retry_after_max_ms
            );
        }
    }

    proptest! {
        #[test]
        fn a_defer_is_never_under_the_least_nor_over_the_total(min_ms: u64, total_ms: u64, defers: u32, dice: u64) {
            let processing = deferring(min_ms, total_ms);
            let wait = defer(&processing, defers, dice);
            prop_assert!(wait >= Duration::from_millis(min_ms.min(total_ms).max(1)).min(FURTHEST_DUE));
            prop_assert!(wait <= Duration::from_millis(total_ms.max(1)).min(FURTHEST_DUE));
        }

        #[test]
        fn the_same_roll_never_defers_for_less_later(min_ms in 1_u64..86_400_000, defers in 0_u32..1_000, dice: u64) {
            let processing = deferring(min_ms, 30 * 24 * 60 * 60 * 1_000);
            prop_assert!(defer(&processing, defers, dice) <= defer(&processing, defers + 1, dice));
        }

        #[test]
        fn a_delay_is_never_zero_and_never_beyond_its_limits(
            initial_ms: u64, multiplier: f64, max_ms: u64, attempt: u32, dice: u64,
        ) {
            let processing = processing(initial_ms, multiplier, max_ms);
            let delay = delay(&processing, attempt, dice);
            prop_assert!(delay >= Duration::from_millis(1));
            prop_assert!(delay <= Duration::from_millis(max_ms.max(1)));
            prop_assert!(delay <= DELAY_MAX);
        }

        #[test]
        fn the_same_roll_never_waits_less_after_a_later_attempt(
            initial_ms in 1_u64..100_000, multiplier in 1.0_f64..10.0, max_ms in 1_u64..86_400_000,
            attempt in 1_u32..1_000, dice: u64,
        ) {
            let processing = processing(initial_ms, multiplier, max_ms);
            prop_assert!(delay(&processing, attempt, dice) <= delay(&processing, attempt + 1, dice));
        }

        #[test]
        fn a_clamped_due_time_is_never_later_than_asked_nor_than_the_furthest(now: i64, due: i64) {
            let (now, due) = (Timestamp::from_micros(now), Timestamp::from_micros(due));
            let clamped = clamp_due(now, due, FURTHEST_DUE);
            prop_assert!(clamped <= due && clamped <= now.plus(FURTHEST_DUE));
            prop_assert!(clamped == due || clamped == now.plus(FURTHEST_DUE));
        }

        #[test]
        fn asking_again_stays_within_a_fifth_of_its_middle(asks: u32, dice: u64) {
            let wait = ask_again(asks, dice);
            prop_assert!(wait >= ASK_INITIAL * 4 / 5 && wait <= ASK_MAX * 6 / 5);
        }
    }
}
