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
pub(crate) fn clamp_due(now: Timestamp, due: Timestamp) -> Timestamp {
    due.min(now.plus(FURTHEST_DUE))
}

/// How long a delivery that waits for a reference, and has asked `asks` times since it began to, waits before it asks
/// again: 30 s after the first look (`asks` 0), then doubling up to 15 min, each by up to 20 % shorter or longer.
pub(crate) fn ask_again(asks: u32, dice: u64) -> Duration {
    let doubled = 2_u32.checked_pow(asks).map_or(ASK_MAX, |factor| ASK_INITIAL.saturating_mul(factor));
    let middle = doubled.min(ASK_MAX);
    within(middle * 4 / 5, middle * 6 / 5, dice)
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
    // At most (24 h in µs + 1) × 2^64 < 2^101 goes in, at most 24 h in µs comes out.
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
            (default,                                0,        10,          1_000), // before the first: as the first
            (default,                                1,        10,          1_000),
            (default,                                2,        10,          2_000),
            (default,                                3,        10,          4_000),
            (default,                                10,       10,          512_000),
            (default,                                11,       10,          900_000),
            (default,                                1_000,    10,          900_000),
            (default,                                u32::MAX, 10,          900_000),
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
            assert_eq!(clamp_due(now, due), expected, "due {due} at {now}");
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

    proptest! {
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
            let clamped = clamp_due(now, due);
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
