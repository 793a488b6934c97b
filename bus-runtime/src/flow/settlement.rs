//! Decides what becomes of a delivery that did not succeed: pure, so that it can be told in a table.

use std::time::Duration;

use bus_core::{ErrorPolicy, Failure, FailureKind, Timestamp};
use bus_store::operate::INTERRUPTED_ERROR;
use bus_store::{Awaited, Claimed, Outcome};

use crate::config::Processing;
use crate::retry;

/// How long a task that skips once steps aside.
const SKIP_ONCE: Duration = Duration::from_mins(1);

/// The time, the dice and the rules by which is decided.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) processing: &'a Processing,
    pub(crate) now: Timestamp,
    pub(crate) dice: u64,
}

impl Rules<'_> {
    /// Before the connector is called: what becomes of a delivery that is not to be called.
    pub(crate) fn before(&self, claimed: &Claimed) -> Option<Outcome> {
        // Only attempts that broke off (a process that ended) get here: one that answered was parked in time.
        if claimed.attempt > self.processing.max_attempts {
            let charged = self.processing.max_attempts;
            return Some(ended(
                claimed,
                format!("{INTERRUPTED_ERROR}; so ended the last of {charged} attempts"),
            ));
        }
        let first_turn = claimed.attempt == 1 && claimed.asks == 0 && !claimed.aside;
        (claimed.policy == ErrorPolicy::SkipOnce && first_turn).then(|| Outcome::Aside {
            due: self.now.plus(SKIP_ONCE),
            error: None,
            charged: false,
        })
    }

    /// After a failure of the connector.
    pub(crate) fn failed(&self, claimed: &Claimed, failure: &Failure) -> Outcome {
        let error = failure.message();
        match failure.kind() {
            FailureKind::Disconnected => released(Some(error)),
            FailureKind::Reject => ended(claimed, error),
            FailureKind::RetryAfter(delay) => {
                self.again(claimed, error, retry::clamp_due(self.now, self.now.plus(delay)))
            }
            _ => {
                let wait = retry::delay(self.processing, claimed.attempt, self.dice);
                self.again(claimed, error, retry::clamp_due(self.now, self.now.plus(wait)))
            }
        }
    }

    /// What it refers to is not there: wait, unless it has waited long enough.
    pub(crate) fn missing(&self, claimed: &Claimed, awaited: Vec<Awaited>, reason: String) -> Outcome {
        let deadline = Duration::from_millis(self.processing.wait_deadline_ms);
        if claimed.waiting_since.is_some_and(|since| self.now.since(since) >= deadline) {
            let error = format!("{reason}; it did not arrive within the wait deadline");
            return Outcome::Parked { error, aside: claimed.policy == ErrorPolicy::SkipOnError };
        }
        let due = self.now.plus(retry::ask_again(claimed.asks, self.dice));
        Outcome::Waiting { awaited, due: retry::clamp_due(self.now, due), reason }
    }

    /// Somebody else changed the same object again and again: not the task's fault, so it is never discarded for it.
    pub(crate) fn conflicted(&self, claimed: &Claimed, error: String) -> Outcome {
        if claimed.attempt >= self.processing.max_attempts {
            return Outcome::Parked { error, aside: claimed.policy == ErrorPolicy::SkipOnError };
        }
        let wait = retry::delay(self.processing, claimed.attempt, self.dice);
        Outcome::Retry { due: retry::clamp_due(self.now, self.now.plus(wait)), error }
    }

    fn again(&self, claimed: &Claimed, error: String, due: Timestamp) -> Outcome {
        if claimed.policy == ErrorPolicy::DeleteOnError || claimed.attempt >= self.processing.max_attempts {
            return ended(claimed, error);
        }
        match claimed.policy {
            ErrorPolicy::SkipOnError => Outcome::Aside { due, error: Some(error), charged: true },
            _ => Outcome::Retry { due, error },
        }
    }
}

/// Whether later deliveries of the key have to wait.
pub(crate) fn holds(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Completed | Outcome::Discarded { .. } | Outcome::Aside { .. } => false,
        Outcome::Parked { aside, .. } => !aside,
        Outcome::Retry { .. } | Outcome::Released { .. } | Outcome::Waiting { .. } => true,
    }
}

/// Not done, and not its fault: again as soon as it may.
pub(crate) fn released(error: Option<String>) -> Outcome {
    Outcome::Released { due: Timestamp::EPOCH, error }
}

/// Trying again would not help: what the policy says then.
pub(crate) fn ended(claimed: &Claimed, error: String) -> Outcome {
    match claimed.policy {
        ErrorPolicy::DeleteOnError => Outcome::Discarded { error },
        ErrorPolicy::SkipOnError => Outcome::Parked { error, aside: true },
        ErrorPolicy::Default | ErrorPolicy::SkipOnce => Outcome::Parked { error, aside: false },
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use bus_core::{DataType, DeliveryId, ObjectOperation, TaskId};
    use uuid::Uuid;

    pub(crate) fn claimed(policy: ErrorPolicy, attempt: u32) -> Claimed {
        Claimed {
            delivery: DeliveryId(1),
            task: TaskId(1),
            key: "contact=1".to_owned(),
            subject: "contact".to_owned(),
            operation: ObjectOperation::Create,
            data_type: DataType::SimpleSnapshot,
            policy,
            data: Vec::new(),
            content_type: String::new(),
            site: None,
            origin: None,
            idempotency_key: Uuid::nil(),
            attempt,
            asks: 0,
            waiting_since: None,
            aside: false,
            logged_at: Timestamp::EPOCH,
        }
    }

    fn word(outcome: &Outcome) -> &'static str {
        match outcome {
            Outcome::Completed => "completed",
            Outcome::Retry { .. } => "retry",
            Outcome::Released { .. } => "released",
            Outcome::Waiting { .. } => "waiting",
            Outcome::Aside { charged: true, .. } => "aside charged",
            Outcome::Aside { charged: false, .. } => "aside",
            Outcome::Parked { aside: true, .. } => "parked aside",
            Outcome::Parked { aside: false, .. } => "parked",
            Outcome::Discarded { .. } => "discarded",
        }
    }

    #[test]
    fn each_policy_says_what_becomes_of_each_failure() {
        use ErrorPolicy::{Default, DeleteOnError, SkipOnError, SkipOnce};
        let processing = Processing { max_attempts: 3, ..Processing::default() };
        let rules = Rules { processing: &processing, now: Timestamp::from_micros(1_000_000), dice: 7 };
        let table = [
            (Default, 1, Failure::retry("x"), "retry"),
            (Default, 3, Failure::retry("x"), "parked"),
            (Default, 3, Failure::disconnected("x"), "released"),
            (Default, 1, Failure::reject("x"), "parked"),
            (Default, 1, Failure::retry_after("x", Duration::MAX), "retry"),
            (SkipOnce, 2, Failure::retry("x"), "retry"),
            (SkipOnError, 1, Failure::retry("x"), "aside charged"),
            (SkipOnError, 3, Failure::retry("x"), "parked aside"),
            (SkipOnError, 1, Failure::reject("x"), "parked aside"),
            (DeleteOnError, 1, Failure::retry("x"), "discarded"),
            (DeleteOnError, 1, Failure::reject("x"), "discarded"),
            (DeleteOnError, 9, Failure::disconnected("x"), "released"),
        ];
        for (policy, attempt, failure, expected) in table {
            let outcome = rules.failed(&claimed(policy, attempt), &failure);
            assert_eq!(word(&outcome), expected, "{policy:?} at attempt {attempt} of 3: {failure:?}");
        }
    }

    #[test]
    fn only_the_first_turn_of_skip_once_steps_aside() {
        let processing = Processing::default();
        let rules = Rules { processing: &processing, now: Timestamp::EPOCH, dice: 0 };
        assert!(rules.before(&claimed(ErrorPolicy::SkipOnce, 1)).is_some());
        let again = Claimed { aside: true, ..claimed(ErrorPolicy::SkipOnce, 1) };
        assert!(rules.before(&again).is_none());
        assert!(rules.before(&claimed(ErrorPolicy::Default, 1)).is_none());
    }

    #[test]
    fn what_ended_its_process_at_every_attempt_is_not_called_again() {
        let processing = Processing { max_attempts: 3, ..Processing::default() };
        let rules = Rules { processing: &processing, now: Timestamp::EPOCH, dice: 0 };
        assert!(rules.before(&claimed(ErrorPolicy::Default, 3)).is_none());
        let outcome = rules.before(&claimed(ErrorPolicy::Default, 4)).unwrap();
        assert_eq!(word(&outcome), "parked");
    }

    #[test]
    fn waiting_ends_at_its_deadline() {
        let processing = Processing { wait_deadline_ms: 1_000, ..Processing::default() };
        let rules = Rules { processing: &processing, now: Timestamp::from_micros(5_000_000), dice: 0 };
        let fresh = claimed(ErrorPolicy::Default, 1);
        assert_eq!(word(&rules.missing(&fresh, Vec::new(), "waits".to_owned())), "waiting");
        let old = Claimed { waiting_since: Some(Timestamp::from_micros(4_000_000)), ..fresh };
        assert_eq!(word(&rules.missing(&old, Vec::new(), "waits".to_owned())), "parked");
    }
}
