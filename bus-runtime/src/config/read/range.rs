//! What the numbers of the configuration may be.

use crate::config::Processing;

/// The name of a number that is given whole, and what it may be.
#[derive(Debug)]
pub(super) struct Range {
    pub(super) key: &'static str,
    min: u64,
    max: u64,
    /// The most in words, where the number alone does not tell.
    max_reads: &'static str,
}

const HOUR_MS: u64 = 60 * 60 * 1_000;
const DAY_MS: u64 = 24 * HOUR_MS;

pub(super) const PAYLOAD_BYTES_MAX: Range =
    Range { key: "payload_bytes_max", min: 1, max: 64 * 1024 * 1024, max_reads: "64 MiB" };
pub(super) const SHUTDOWN_GRACE_MS: Range =
    Range { key: "shutdown_grace_ms", min: 0, max: 10 * 60 * 1_000, max_reads: "10 minutes" };
pub(super) const MAX_ATTEMPTS: Range = Range { key: "max_attempts", min: 1, max: 1_000, max_reads: "" };
pub(super) const RETRY_INITIAL_MS: Range =
    Range { key: "retry_initial_ms", min: 1, max: DAY_MS, max_reads: "24 h" };
pub(super) const RETRY_MAX_MS: Range = Range { key: "retry_max_ms", min: 1, max: DAY_MS, max_reads: "24 h" };
pub(super) const CALL_TIMEOUT_MS: Range =
    Range { key: "call_timeout_ms", min: 1, max: HOUR_MS, max_reads: "1 h" };
pub(super) const WAIT_DEADLINE_MS: Range =
    Range { key: "wait_deadline_ms", min: 1, max: 90 * DAY_MS, max_reads: "90 days" };

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
        format!("`{key}` is {given}; write {min} to {}{words}", thousands(*max))
    }
}

/// What is wrong with a multiplier, if anything is.
pub(super) fn multiplier_fault(given: f64) -> Option<String> {
    let fits = (1.0..=10.0).contains(&given);
    (!fits).then(|| format!("`{RETRY_MULTIPLIER}` is {given}; write 1 to 10"))
}

impl Processing {
    /// Whether every value is within its limits, and the first wait is no longer than the longest.
    ///
    /// # Errors
    ///
    /// All that is wrong, a line each: which field, what it is, what it may be.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let numbers = [
            (&MAX_ATTEMPTS, u64::from(self.max_attempts)),
            (&RETRY_INITIAL_MS, self.retry_initial_ms),
            (&RETRY_MAX_MS, self.retry_max_ms),
            (&CALL_TIMEOUT_MS, self.call_timeout_ms),
            (&WAIT_DEADLINE_MS, self.wait_deadline_ms),
        ];
        let mut faults: Vec<String> =
            numbers.into_iter().filter_map(|(range, given)| range.fault(given)).collect();
        faults.extend(multiplier_fault(self.retry_multiplier));
        if faults.is_empty() && self.retry_initial_ms > self.retry_max_ms {
            let (initial, max) = (thousands(self.retry_initial_ms), thousands(self.retry_max_ms));
            faults.push(format!(
                "`retry_initial_ms` ({initial}) is more than `retry_max_ms` ({max}); lower the one or raise the other"
            ));
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
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
