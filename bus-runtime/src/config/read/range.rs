//! What the numbers of the configuration may be.

use crate::config::{Ordering, Processing};

/// The name of a number that is given whole, and what it may be.
#[derive(Debug)]
pub(super) struct Range {
    pub(super) key: &'static str,
    min: u64,
    max: u64,
    /// The most in words, where the number alone does not tell.
    max_reads: &'static str,
}

const MIB: u64 = 1024 * 1024;
const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

pub(super) const PAYLOAD_BYTES_MAX: Range =
    Range { key: "payload_bytes_max", min: 1, max: 64 * MIB, max_reads: "64 MiB" };
pub(super) const SHUTDOWN_GRACE_MS: Range =
    Range { key: "shutdown_grace_ms", min: 0, max: 10 * MINUTE_MS, max_reads: "10 minutes" };
pub(super) const DUE_MAX_MS: Range =
    Range { key: "due_max_ms", min: DAY_MS, max: 366 * DAY_MS, max_reads: "366 days" };
pub(super) const STORE_BYTES_MAX: Range =
    Range { key: "store_bytes_max", min: 4 * MIB, max: 1024 * 1024 * MIB, max_reads: "1 TiB" };
pub(super) const CONCURRENCY: Range = Range { key: "concurrency", min: 1, max: 256, max_reads: "" };
pub(super) const MAX_ATTEMPTS: Range = Range { key: "max_attempts", min: 1, max: 1_000, max_reads: "" };
pub(super) const RETRY_INITIAL_MS: Range =
    Range { key: "retry_initial_ms", min: 1, max: DAY_MS, max_reads: "24 h" };
pub(super) const RETRY_MAX_MS: Range = Range { key: "retry_max_ms", min: 1, max: DAY_MS, max_reads: "24 h" };
pub(super) const RETRY_AFTER_MAX_MS: Range =
    Range { key: "retry_after_max_ms", min: 1, max: DAY_MS, max_reads: "24 h" };
pub(super) const CALL_TIMEOUT_MS: Range =
    Range { key: "call_timeout_ms", min: 1, max: HOUR_MS, max_reads: "1 h" };
pub(super) const LEASE_MS: Range =
    Range { key: "lease_ms", min: SECOND_MS, max: 10 * MINUTE_MS, max_reads: "10 minutes" };
pub(super) const WAIT_DEADLINE_MS: Range =
    Range { key: "wait_deadline_ms", min: 1, max: 90 * DAY_MS, max_reads: "90 days" };
pub(super) const DEFER_MIN_MS: Range = Range { key: "defer_min_ms", min: 1, max: DAY_MS, max_reads: "24 h" };
pub(super) const DEFER_TOTAL_MS: Range =
    Range { key: "defer_total_ms", min: 1, max: 30 * DAY_MS, max_reads: "30 days" };
pub(super) const CIRCUIT_FAILURES: Range =
    Range { key: "circuit_failures", min: 1, max: 1_000, max_reads: "" };
pub(super) const CIRCUIT_PROBE_MS: Range =
    Range { key: "circuit_probe_ms", min: 1, max: DAY_MS, max_reads: "24 h" };
pub(super) const DISCONNECTED_MAX: Range =
    Range { key: "disconnected_max", min: 1, max: 1_000, max_reads: "" };
pub(super) const RATE_CALLS_MAX: Range =
    Range { key: "rate_calls_max", min: 1, max: 1_000_000, max_reads: "" };
pub(super) const RATE_INTERVAL_MS: Range =
    Range { key: "rate_interval_ms", min: 1, max: DAY_MS, max_reads: "24 h" };
pub(super) const HISTORY_RETENTION_MS: Range =
    Range { key: "history_retention_ms", min: 0, max: 3_650 * DAY_MS, max_reads: "3,650 days" };
pub(super) const HOP_LIMIT: Range = Range { key: "hop_limit", min: 1, max: 100, max_reads: "" };
pub(super) const LOOP_AFTER: Range = Range { key: "loop_after", min: 1, max: 1_000, max_reads: "" };

/// The one number that need not be whole: 1 to 10.
pub(super) const RETRY_MULTIPLIER: &str = "retry_multiplier";

impl Range {
    /// What is wrong with a number, if anything is.
    pub(super) fn fault(&self, given: u64) -> Option<String> {
        let fits = (self.min..=self.max).contains(&given);
        (!fits).then(|| self.refuse(&thousands(given)))
    }

    /// That a number, however it was written, is outside.
    pub(super) fn refuse(&self, given: &str) -> String {
        const CHARS_MAX: usize = 40;
        let Self { key, min, max, max_reads } = self;
        let given = if given.len() > CHARS_MAX { "far outside" } else { given };
        let words = if max_reads.is_empty() { String::new() } else { format!(" ({max_reads})") };
        format!("`{key}` is {given}; write {} to {}{words}", thousands(*min), thousands(*max))
    }
}

/// What is wrong with a multiplier, if anything is.
pub(super) fn multiplier_fault(given: f64) -> Option<String> {
    let fits = (1.0..=10.0).contains(&given);
    (!fits).then(|| format!("`{RETRY_MULTIPLIER}` is {given}; write 1 to 10"))
}

impl Processing {
    /// Whether every value is within its limits, and all of them go together.
    ///
    /// # Errors
    ///
    /// All that is wrong, a line each: which field, what it is, what it may be.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let numbers = [
            (&CONCURRENCY, u64::from(self.concurrency)),
            (&MAX_ATTEMPTS, u64::from(self.max_attempts)),
            (&RETRY_INITIAL_MS, self.retry_initial_ms),
            (&RETRY_MAX_MS, self.retry_max_ms),
            (&RETRY_AFTER_MAX_MS, self.retry_after_max_ms),
            (&CALL_TIMEOUT_MS, self.call_timeout_ms),
            (&LEASE_MS, self.lease_ms),
            (&WAIT_DEADLINE_MS, self.wait_deadline_ms),
            (&DEFER_MIN_MS, self.defer_min_ms),
            (&DEFER_TOTAL_MS, self.defer_total_ms),
            (&CIRCUIT_FAILURES, u64::from(self.circuit_failures)),
            (&CIRCUIT_PROBE_MS, self.circuit_probe_ms),
            (&DISCONNECTED_MAX, u64::from(self.disconnected_max)),
            (&HISTORY_RETENTION_MS, self.history_retention_ms),
            (&HOP_LIMIT, u64::from(self.hop_limit)),
            (&LOOP_AFTER, u64::from(self.loop_after)),
        ];
        let rate = self.rate.map(|rate| {
            [(&RATE_CALLS_MAX, u64::from(rate.calls_max)), (&RATE_INTERVAL_MS, rate.interval_ms)]
        });
        let numbers = numbers.into_iter().chain(rate.into_iter().flatten());
        let mut faults: Vec<String> = numbers.filter_map(|(range, given)| range.fault(given)).collect();
        faults.extend(multiplier_fault(self.retry_multiplier));
        if faults.is_empty() {
            faults.extend(self.crossed().into_iter().map(|(_, fault)| fault));
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// What is wrong only together, each with the keys that could mend it, the likeliest first.
    pub(super) fn crossed(&self) -> Vec<([&'static str; 2], String)> {
        let rising = |low: &Range, low_ms: u64, high: &Range, high_ms: u64| {
            let fault = || {
                format!(
                    "`{}` ({}) is more than `{}` ({}); lower the one or raise the other",
                    low.key,
                    thousands(low_ms),
                    high.key,
                    thousands(high_ms)
                )
            };
            (low_ms > high_ms).then(|| ([high.key, low.key], fault()))
        };
        let alone = self.ordering == Ordering::Connector && self.concurrency > 1;
        let alone = alone.then(|| {
            let fault = format!(
                "`concurrency` is {}, but `ordering` is `connector`, where nothing overtakes; write `concurrency = 1`, \
                 or `ordering = \"object\"`",
                self.concurrency
            );
            ([CONCURRENCY.key, "ordering"], fault)
        });
        let retries = rising(&RETRY_INITIAL_MS, self.retry_initial_ms, &RETRY_MAX_MS, self.retry_max_ms);
        let defers = rising(&DEFER_MIN_MS, self.defer_min_ms, &DEFER_TOTAL_MS, self.defer_total_ms);
        [alone, retries, defers].into_iter().flatten().collect()
    }
}

/// `86,400,000`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
