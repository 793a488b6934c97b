//! Decides what becomes of a delivery that did not succeed: pure, so that it can be told in a table.

use std::time::Duration;

use bus_core::{DeliveryId, ErrorPolicy, Failure, FailureKind, Timestamp};
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
    pub(crate) due_max: Duration,
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
            due: self.after(SKIP_ONCE),
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
            FailureKind::StepAside => self.aside(claimed, error),
            FailureKind::Defer => {
                self.deferred(claimed, error, retry::defer(self.processing, claimed.defers, self.dice))
            }
            FailureKind::DeferFor(wait) => {
                self.deferred(claimed, error, retry::defer_for(self.processing, wait))
            }
            FailureKind::RetryAfter(wait) => {
                self.again(claimed, error, retry::retry_after(self.processing, wait))
            }
            _ => self.again(claimed, error, self.back_off(claimed)),
        }
    }

    /// After the external system was lost at this delivery again and again, although others went through in between: it
    /// is the delivery's own fault, as far as anybody can tell.
    pub(crate) fn lost_too_often(&self, claimed: &Claimed, failure: &Failure) -> Outcome {
        let (error, is_aside) = (failure.message(), claimed.policy == ErrorPolicy::SkipOnError);
        if claimed.attempt >= self.processing.max_attempts {
            return Outcome::Parked { error, aside: is_aside };
        }
        let due = self.after(self.back_off(claimed));
        // No policy discards what is disconnected.
        if is_aside {
            Outcome::Aside { due, error: Some(error), charged: true }
        } else {
            Outcome::Retry { due, error }
        }
    }

    /// After the external system was lost at this delivery twice in a row: others go first, once it is connected again.
    pub(crate) fn lost_again(&self, claimed: &Claimed, failure: &Failure, connected: Duration) -> Outcome {
        let wait = connected.saturating_add(self.back_off(claimed));
        Outcome::Released { due: self.after(wait), error: Some(failure.message()) }
    }

    /// After the bus, or the connector, stopped while it was called. A call that blocks its thread may still go on, so it is charged; any
    /// other was dropped, as if it had never been called.
    pub(crate) fn aborted(&self, blocks: bool) -> Outcome {
        if !blocks {
            return released(None);
        }
        let error = "the connector stopped before this call had returned, and left its thread to itself";
        Outcome::Retry { due: self.now, error: error.to_owned() }
    }

    /// What it refers to is not there: wait, unless it has waited long enough.
    pub(crate) fn missing(&self, claimed: &Claimed, awaited: Vec<Awaited>, reason: String) -> Outcome {
        let deadline = Duration::from_millis(self.processing.wait_deadline_ms);
        if claimed.waiting_since.is_some_and(|since| self.now.since(since) >= deadline) {
            let error = format!("{reason}; it did not arrive within the wait deadline");
            return Outcome::Parked { error, aside: claimed.policy == ErrorPolicy::SkipOnError };
        }
        let due = self.after(retry::ask_again(claimed.asks, self.dice));
        Outcome::Waiting { awaited, due, reason }
    }

    /// Somebody else changed the same object again and again: not the task's fault, so it is never discarded for it.
    pub(crate) fn conflicted(&self, claimed: &Claimed, error: String) -> Outcome {
        if claimed.attempt >= self.processing.max_attempts {
            return Outcome::Parked { error, aside: claimed.policy == ErrorPolicy::SkipOnError };
        }
        Outcome::Retry { due: self.after(self.back_off(claimed)), error }
    }

    fn again(&self, claimed: &Claimed, error: String, wait: Duration) -> Outcome {
        if claimed.policy == ErrorPolicy::DeleteOnError || claimed.attempt >= self.processing.max_attempts {
            return ended(claimed, error);
        }
        let due = self.after(wait);
        match claimed.policy {
            ErrorPolicy::SkipOnError => Outcome::Aside { due, error: Some(error), charged: true },
            _ => Outcome::Retry { due, error },
        }
    }

    /// The connector lets others of the same object pass.
    fn aside(&self, claimed: &Claimed, error: String) -> Outcome {
        if claimed.attempt >= self.processing.max_attempts {
            return Outcome::Parked { error, aside: true };
        }
        Outcome::Aside { due: self.after(self.back_off(claimed)), error: Some(error), charged: true }
    }

    /// The connector does not want it now. No policy calls that a failure, until it has lasted for too long.
    fn deferred(&self, claimed: &Claimed, error: String, wait: Duration) -> Outcome {
        let total = Duration::from_millis(self.processing.defer_total_ms);
        if claimed.deferred_since.is_some_and(|since| self.now.since(since) >= total) {
            let error = format!("{error}; it was deferred for {total:?}, which is as long as is allowed");
            return Outcome::Parked { error, aside: claimed.policy == ErrorPolicy::SkipOnError };
        }
        Outcome::Deferred { due: self.after(wait), error }
    }

    fn back_off(&self, claimed: &Claimed) -> Duration {
        retry::delay(self.processing, claimed.attempt, self.dice)
    }

    fn after(&self, wait: Duration) -> Timestamp {
        retry::clamp_due(self.now, self.now.plus(wait), self.due_max)
    }
}

/// A later delivery of the same object has done what this one, which stepped aside, was to do.
pub(crate) fn superseded(by: DeliveryId) -> Outcome {
    Outcome::Discarded {
        error: format!("superseded by delivery {by}, which is of a later change of the same object"),
    }
}

/// Whether later deliveries of the key have to wait.
pub(crate) fn holds(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Completed | Outcome::Discarded { .. } | Outcome::Aside { .. } => false,
        Outcome::Parked { aside, .. } => !aside,
        Outcome::Retry { .. }
        | Outcome::Released { .. }
        | Outcome::Deferred { .. }
        | Outcome::Waiting { .. } => true,
    }
}

/// Whether everything later of the queue has to wait, where order is kept within the queue.
pub(crate) fn holds_queue(outcome: &Outcome) -> bool {
    holds(outcome) && !matches!(outcome, Outcome::Waiting { .. })
}

/// Whether the delivery has ended.
pub(crate) fn is_final(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Completed | Outcome::Discarded { .. })
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
    use crate::config::FURTHEST_DUE;
    use bus_core::{DataType, ObjectOperation, TaskId};
    use bus_store::Doubt;
    use uuid::Uuid;

    pub(crate) fn claimed(policy: ErrorPolicy, attempt: u32) -> Claimed {
        Claimed {
            delivery: DeliveryId(1),
            task: TaskId(1),
            key: "contact=1".to_owned(),
            subject: "contact".to_owned(),
            operation: ObjectOperation::Create.into(),
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
            defers: 0,
            deferred_since: None,
            aside: false,
            superseded_by: None,
            logged_at: Timestamp::EPOCH,
            travel: bus_store::Travel::default(),
            is_redelivered: false,
            doubt: Doubt::None,
        }
    }

    fn word(outcome: &Outcome) -> &'static str {
        match outcome {
            Outcome::Completed => "completed",
            Outcome::Retry { .. } => "retry",
            Outcome::Released { .. } => "released",
            Outcome::Deferred { .. } => "deferred",
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
        let rules = Rules {
            processing: &processing,
            due_max: FURTHEST_DUE,
            now: Timestamp::from_micros(1_000_000),
            dice: 7,
        };
        let table = [
            (Default, 1, Failure::retry("x"), "retry"),
            (Default, 3, Failure::retry("x"), "parked"),
            (Default, 3, Failure::disconnected("x"), "released"),
            (Default, 1, Failure::reject("x"), "parked"),
            (Default, 1, Failure::retry_after("x", Duration::MAX), "retry"),
            (Default, 1, Failure::step_aside("x"), "aside charged"),
            (Default, 3, Failure::step_aside("x"), "parked aside"),
            (DeleteOnError, 1, Failure::step_aside("x"), "aside charged"),
            (Default, 3, Failure::defer("x"), "deferred"),
            (DeleteOnError, 3, Failure::defer_for("x", Duration::MAX), "deferred"),
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
        let rules = Rules { processing: &processing, due_max: FURTHEST_DUE, now: Timestamp::EPOCH, dice: 0 };
        assert!(rules.before(&claimed(ErrorPolicy::SkipOnce, 1)).is_some());
        let again = Claimed { aside: true, ..claimed(ErrorPolicy::SkipOnce, 1) };
        assert!(rules.before(&again).is_none());
        assert!(rules.before(&claimed(ErrorPolicy::Default, 1)).is_none());
    }

    #[test]
    fn what_ended_its_process_at_every_attempt_is_not_called_again() {
        let processing = Processing { max_attempts: 3, ..Processing::default() };
        let rules = Rules { processing: &processing, due_max: FURTHEST_DUE, now: Timestamp::EPOCH, dice: 0 };
        assert!(rules.before(&claimed(ErrorPolicy::Default, 3)).is_none());
        let outcome = rules.before(&claimed(ErrorPolicy::Default, 4)).unwrap();
        assert_eq!(word(&outcome), "parked");
    }

    #[test]
    fn deferring_ends_when_it_has_lasted_too_long() {
        let processing = Processing { defer_total_ms: 1_000, ..Processing::default() };
        let now = Timestamp::from_micros(5_000_000);
        let rules = Rules { processing: &processing, due_max: FURTHEST_DUE, now, dice: 0 };
        let deferred = |since| Claimed {
            deferred_since: Some(Timestamp::from_micros(since)),
            ..claimed(ErrorPolicy::Default, 1)
        };
        let failure = Failure::defer("not now");
        assert_eq!(word(&rules.failed(&deferred(4_500_000), &failure)), "deferred");
        assert_eq!(word(&rules.failed(&deferred(4_000_000), &failure)), "parked");
    }

    #[test]
    fn waiting_ends_at_its_deadline() {
        let processing = Processing { wait_deadline_ms: 1_000, ..Processing::default() };
        let rules = Rules {
            processing: &processing,
            due_max: FURTHEST_DUE,
            now: Timestamp::from_micros(5_000_000),
            dice: 0,
        };
        let fresh = claimed(ErrorPolicy::Default, 1);
        assert_eq!(word(&rules.missing(&fresh, Vec::new(), "waits".to_owned())), "waiting");
        let old = Claimed { waiting_since: Some(Timestamp::from_micros(4_000_000)), ..fresh };
        assert_eq!(word(&rules.missing(&old, Vec::new(), "waits".to_owned())), "parked");
    }
}
