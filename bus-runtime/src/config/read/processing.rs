//! `[connectors.NAME.processing]`.

use super::home;
use super::range::{self, Range};
use super::table::Section;
use crate::config::{Ordering, Processing, Rate};
use crate::schedule::{self, Schedule};

const ORDERING: &str = "ordering";
const SCHEDULE: &str = "schedule";
const POLL: &str = "poll";
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
    POLL,
    range::POLL_EVERY_MS.key,
    range::POLL_BACKLOG_MAX.key,
    range::POLL_DELETE_PERCENT_MAX.key,
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
    let [schedule, poll] = schedules(section);
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
        schedule,
        history_retention_ms: long(&range::HISTORY_RETENTION_MS, default.history_retention_ms),
        hop_limit: short(&range::HOP_LIMIT, default.hop_limit),
        loop_after: short(&range::LOOP_AFTER, default.loop_after),
        poll,
        poll_every_ms: long(&range::POLL_EVERY_MS, default.poll_every_ms),
        poll_backlog_max: short(&range::POLL_BACKLOG_MAX, default.poll_backlog_max),
        poll_delete_percent_max: short(&range::POLL_DELETE_PERCENT_MAX, default.poll_delete_percent_max),
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

/// When the queues run, and when the connector polls: in one time zone.
fn schedules(section: &Section<'_>) -> [Option<Schedule>; 2] {
    let time_zone = section.text(TIME_ZONE);
    if !section.has(SCHEDULE) && !section.has(POLL) && section.has(TIME_ZONE) {
        let example = schedule::EXAMPLE;
        let fault = format!(
            "`{TIME_ZONE}` is of no use without `{SCHEDULE}` or `{POLL}`; add `{SCHEDULE} = \"{example}\"`, or remove it"
        );
        section.wrong(TIME_ZONE, fault);
    }
    if section.has(POLL) && section.has(range::POLL_EVERY_MS.key) {
        let every = range::POLL_EVERY_MS.key;
        section.wrong(every, format!("`{every}` and `{POLL}` say two things; remove one of them"));
    }
    let mut is_zone_told = false;
    [SCHEDULE, POLL].map(|key| {
        let cron = section.text(key);
        // A zone is looked at beside a wrong schedule, too: all mistakes at once.
        let cron_or_example = cron.unwrap_or(schedule::EXAMPLE);
        match Schedule::parse(cron_or_example, time_zone.unwrap_or(Schedule::TIME_ZONE_DEFAULT)) {
            Ok(schedule) => cron.map(|_| schedule),
            Err(error) => {
                if let Some(fault) = error.cron {
                    // What is parsed calls itself by the name that it mostly has.
                    section.wrong(key, fault.replace(&format!("`{SCHEDULE}`"), &format!("`{key}`")));
                }
                if let Some(fault) = error.time_zone.filter(|_| !is_zone_told) {
                    section.wrong(TIME_ZONE, fault);
                    is_zone_told = true;
                }
                None
            }
        }
    })
}

fn short(section: &Section<'_>, range: &Range) -> Option<u32> {
    section.whole(range).and_then(|number| u32::try_from(number).ok())
}
