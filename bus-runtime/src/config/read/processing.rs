//! `[connectors.NAME.processing]`.

use super::home;
use super::range::{self, Range};
use super::table::Section;
use crate::config::{Ordering, Processing, Rate};
use crate::schedule::{self, Schedule};

const ORDERING: &str = "ordering";
const SCHEDULE: &str = "schedule";
const TIME_ZONE: &str = "time_zone";

pub(super) const KEYS: &[&str] = &[
    ORDERING,
    range::CONCURRENCY.key,
    range::MAX_ATTEMPTS.key,
    range::RETRY_INITIAL_MS.key,
    range::RETRY_MULTIPLIER,
    range::RETRY_MAX_MS.key,
    range::RETRY_AFTER_MAX_MS.key,
    range::CALL_TIMEOUT_MS.key,
    range::LEASE_MS.key,
    range::WAIT_DEADLINE_MS.key,
    range::DEFER_MIN_MS.key,
    range::DEFER_TOTAL_MS.key,
    range::CIRCUIT_FAILURES.key,
    range::CIRCUIT_PROBE_MS.key,
    range::DISCONNECTED_MAX.key,
    range::RATE_CALLS_MAX.key,
    range::RATE_INTERVAL_MS.key,
    SCHEDULE,
    TIME_ZONE,
    range::HISTORY_RETENTION_MS.key,
    range::HOP_LIMIT.key,
    range::LOOP_AFTER.key,
];

pub(super) fn processing(section: &Section<'_>, connector: &str) -> Processing {
    let before = section.mistakes();
    section.only(KEYS, |key| home(key, connector));
    let default = Processing::default();
    let long = |range: &Range, default: u64| section.whole(range).unwrap_or(default);
    let short = |range: &Range, default: u32| short(section, range).unwrap_or(default);
    let orderings = [Ordering::Object, Ordering::Connector, Ordering::None];
    let orderings = orderings.map(|ordering| (ordering.as_str(), ordering));
    let multiplier = section.number(range::RETRY_MULTIPLIER, range::multiplier_fault);
    let processing = Processing {
        ordering: section.choice(ORDERING, &orderings).unwrap_or_default(),
        concurrency: short(&range::CONCURRENCY, default.concurrency),
        max_attempts: short(&range::MAX_ATTEMPTS, default.max_attempts),
        retry_initial_ms: long(&range::RETRY_INITIAL_MS, default.retry_initial_ms),
        retry_multiplier: multiplier.unwrap_or(default.retry_multiplier),
        retry_max_ms: long(&range::RETRY_MAX_MS, default.retry_max_ms),
        retry_after_max_ms: long(&range::RETRY_AFTER_MAX_MS, default.retry_after_max_ms),
        call_timeout_ms: long(&range::CALL_TIMEOUT_MS, default.call_timeout_ms),
        lease_ms: long(&range::LEASE_MS, default.lease_ms),
        wait_deadline_ms: long(&range::WAIT_DEADLINE_MS, default.wait_deadline_ms),
        defer_min_ms: long(&range::DEFER_MIN_MS, default.defer_min_ms),
        defer_total_ms: long(&range::DEFER_TOTAL_MS, default.defer_total_ms),
        circuit_failures: short(&range::CIRCUIT_FAILURES, default.circuit_failures),
        circuit_probe_ms: long(&range::CIRCUIT_PROBE_MS, default.circuit_probe_ms),
        disconnected_max: short(&range::DISCONNECTED_MAX, default.disconnected_max),
        rate: rate(section),
        schedule: schedule(section),
        history_retention_ms: long(&range::HISTORY_RETENTION_MS, default.history_retention_ms),
        hop_limit: short(&range::HOP_LIMIT, default.hop_limit),
        loop_after: short(&range::LOOP_AFTER, default.loop_after),
    };
    // What is still wrong now is wrong only together; beside a wrong value it would be a second report of that.
    if section.mistakes() == before {
        for (keys, fault) in processing.crossed() {
            let key = keys.into_iter().find(|key| section.has(key)).unwrap_or_default();
            section.wrong(key, fault);
        }
    }
    processing
}

fn rate(section: &Section<'_>) -> Option<Rate> {
    let (calls, interval) = (range::RATE_CALLS_MAX.key, range::RATE_INTERVAL_MS.key);
    let interval_ms = section.whole(&range::RATE_INTERVAL_MS);
    if !section.has(calls) && section.has(interval) {
        let fault =
            format!("`{interval}` limits nothing without `{calls}`; add `{calls} = 10`, or remove it");
        section.wrong(interval, fault);
    }
    let rate = Rate::per_second(short(section, &range::RATE_CALLS_MAX)?);
    Some(Rate { interval_ms: interval_ms.unwrap_or(rate.interval_ms), ..rate })
}

fn schedule(section: &Section<'_>) -> Option<Schedule> {
    let (cron, time_zone) = (section.text(SCHEDULE), section.text(TIME_ZONE));
    if !section.has(SCHEDULE) && section.has(TIME_ZONE) {
        let example = schedule::EXAMPLE;
        let fault = format!(
            "`{TIME_ZONE}` is of no use without `{SCHEDULE}`; add `{SCHEDULE} = \"{example}\"`, or remove it"
        );
        section.wrong(TIME_ZONE, fault);
    }
    // A zone is looked at beside a wrong schedule, too: all mistakes at once.
    let cron_or_example = cron.unwrap_or(schedule::EXAMPLE);
    match Schedule::parse(cron_or_example, time_zone.unwrap_or(Schedule::TIME_ZONE_DEFAULT)) {
        Ok(schedule) => cron.map(|_| schedule),
        Err(error) => {
            for (key, fault) in [(SCHEDULE, error.cron), (TIME_ZONE, error.time_zone)] {
                if let Some(fault) = fault {
                    section.wrong(key, fault);
                }
            }
            None
        }
    }
}

fn short(section: &Section<'_>, range: &Range) -> Option<u32> {
    section.whole(range).and_then(|number| u32::try_from(number).ok())
}
