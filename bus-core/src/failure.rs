//! What a connector answers when it could not do what it was asked.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

type BoxError = Box<dyn Error + Send + Sync>;

/// Why a connector could not do what it was asked, and what the bus is to do about it.
///
/// `?` on any error makes a failure that the connector's `classify` decides: by default a connection that was
/// refused, reset or timed out is *disconnected*, everything else is tried again. A failure always has a message.
///
/// It does not implement `Error`, because then `?` could not turn every error into it.
pub struct Failure {
    kind: FailureKind,
    done: Done,
    /// Whether it came through `?`, whatever was made of it since.
    by_question_mark: bool,
    error: BoxError,
}

/// What the external system has done of what it was asked, as far as the failure tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    /// Nothing: the connector says so.
    Nothing,
    /// What its kind and its cause make likely.
    Unsaid,
    /// Perhaps all of it: it never answered.
    Unanswered,
}

/// What the bus does about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// From `?`: the connector's `classify` decides.
    Unclassified,
    /// Tried again with back-off, up to `max_attempts`; holds the order of its object.
    Retry,
    /// Tried again after this long instead of the usual back-off: at most 1 h, unless set. It counts as an attempt.
    RetryAfter(Duration),
    /// Tried again later, up to `max_attempts`; releases the order of its object, so that later deliveries may
    /// overtake it. It holds nothing even when it is parked.
    StepAside,
    /// Not an attempt: asked again after a minimum delay that grows each time. Holds the order of its object, other
    /// objects go on. Parked once it has been deferred for 24 h in all, unless another total is set.
    Defer,
    /// As `Defer`, but asked again after this long: at least the minimum delay, at most the total.
    DeferFor(Duration),
    /// Parked at once: trying again would not help, a person has to look. Holds the order of its object.
    Reject,
    /// The external system cannot be reached: `connect` runs again before anything else is delivered. An outage costs
    /// no attempt, however long it lasts; a delivery that loses the connection again and again while others go through
    /// is charged.
    Disconnected,
    /// From a repository: what it was to write is not as it was any more, so that all begins anew. From anybody else, it
    /// is tried again as `Retry`.
    Conflict,
    /// A call-back that this connector does not have.
    #[doc(hidden)]
    NotAnswered,
}

impl Failure {
    /// Try again later, with back-off.
    pub fn retry(error: impl Into<BoxError>) -> Self {
        Self::new(FailureKind::Retry, error)
    }

    /// Try again after this long.
    pub fn retry_after(error: impl Into<BoxError>, delay: Duration) -> Self {
        Self::new(FailureKind::RetryAfter(delay), error)
    }

    /// Let later ones of the same object go first: the attempt is logged and counted, this one is tried again later,
    /// and until then it holds nobody up.
    ///
    /// Once a later one has been delivered, this one is out of date: an old version never overwrites a newer one.
    pub fn step_aside(error: impl Into<BoxError>) -> Self {
        Self::new(FailureKind::StepAside, error)
    }

    /// Not now: it does not count as an attempt and holds the order of its object, while other objects go on.
    ///
    /// Asked again after a minimum delay (1 s unless set) that grows each time. What has been deferred for 24 h in
    /// all, unless another total is set, is parked.
    pub fn defer(error: impl Into<BoxError>) -> Self {
        Self::new(FailureKind::Defer, error)
    }

    /// Not before this long: as `defer`, with the delay that the external system names.
    pub fn defer_for(error: impl Into<BoxError>, delay: Duration) -> Self {
        Self::new(FailureKind::DeferFor(delay), error)
    }

    /// Do not try again: a person has to look.
    pub fn reject(error: impl Into<BoxError>) -> Self {
        Self::new(FailureKind::Reject, error)
    }

    /// The external system cannot be reached.
    pub fn disconnected(error: impl Into<BoxError>) -> Self {
        Self::new(FailureKind::Disconnected, error)
    }

    /// What is to be written is not as it was any more: for repositories, which have then written nothing.
    pub fn conflict(error: impl Into<BoxError>) -> Self {
        Self::new(FailureKind::Conflict, error)
    }

    #[doc(hidden)]
    pub fn not_answered() -> Self {
        Self::new(FailureKind::NotAnswered, "the connector does not have this call-back")
    }

    /// A call that never answered.
    #[doc(hidden)]
    pub fn unanswered(error: impl Into<BoxError>) -> Self {
        Self { done: Done::Unanswered, ..Self::retry(error) }
    }

    /// Says that the external system has done nothing of what it was asked, so that a create can be tried again
    /// without a look whether it is there ([`CreateOnce`](crate::CreateOnce)).
    ///
    /// ```
    /// use bus_core::Failure;
    ///
    /// fn refused(status: u16) -> Failure {
    ///     let failure = Failure::retry(format!("the CRM answered {status}"));
    ///     if status == 429 { failure.nothing_done() } else { failure }
    /// }
    /// # assert!(!refused(429).may_have_taken_effect() && refused(500).may_have_taken_effect());
    /// ```
    #[must_use]
    pub fn nothing_done(mut self) -> Self {
        self.done = Done::Nothing;
        self
    }

    /// Whether what was asked may have happened all the same: yes, unless the connector says otherwise
    /// ([`nothing_done`](Self::nothing_done)) or no connection was made.
    #[doc(hidden)]
    pub fn may_have_taken_effect(&self) -> bool {
        self.done == Done::Unanswered || (self.done == Done::Unsaid && !was_refused(&*self.error))
    }

    /// As `may_have_taken_effect`, but a connector that names what is to be done is taken at its word: it was answered.
    #[doc(hidden)]
    pub fn is_without_an_answer(&self) -> bool {
        let is_named = !self.by_question_mark && self.kind != FailureKind::Disconnected;
        self.may_have_taken_effect() && (self.done == Done::Unanswered || !is_named)
    }

    fn new(kind: FailureKind, error: impl Into<BoxError>) -> Self {
        let error = error.into();
        let error = if error.to_string().trim().is_empty() {
            "the connector failed without saying why".into()
        } else {
            error
        };
        Self { kind, done: Done::Unsaid, by_question_mark: kind == FailureKind::Unclassified, error }
    }

    /// What is to be done about it.
    pub const fn kind(&self) -> FailureKind {
        self.kind
    }

    /// The error behind it.
    pub fn error(&self) -> &(dyn Error + 'static) {
        &*self.error
    }

    /// The same failure with the kind decided, where `?` left it open.
    pub fn classified(mut self, classify: impl FnOnce(&(dyn Error + 'static)) -> FailureKind) -> Self {
        if self.kind == FailureKind::Unclassified {
            self.kind = match classify(&*self.error) {
                FailureKind::Unclassified | FailureKind::NotAnswered => FailureKind::Retry,
                kind => kind,
            };
        }
        self
    }

    /// The message with the reasons behind it: `saving the contact: connection refused`.
    pub fn message(&self) -> String {
        let mut message = self.error.to_string();
        let mut source = self.error.source();
        while let Some(error) = source {
            let reason = error.to_string();
            if !message.contains(&reason) {
                message.push_str(": ");
                message.push_str(&reason);
            }
            source = error.source();
        }
        message
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message())
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(FailureKind::Unclassified, error)
    }
}

/// Turns errors that are not `Error` themselves (`anyhow`, boxed ones, texts) into failures.
pub trait OrFail<T> {
    /// An error here is tried again.
    fn or_retry(self) -> Result<T, Failure>;
    /// An error here lets later deliveries of the same object go first.
    fn or_step_aside(self) -> Result<T, Failure>;
    /// An error here means "not now": no attempt is counted.
    fn or_defer(self) -> Result<T, Failure>;
    /// An error here is for a person to look at.
    fn or_reject(self) -> Result<T, Failure>;
}

impl<T, E: Into<BoxError>> OrFail<T> for Result<T, E> {
    fn or_retry(self) -> Result<T, Failure> {
        self.map_err(Failure::retry)
    }
    fn or_step_aside(self) -> Result<T, Failure> {
        self.map_err(Failure::step_aside)
    }
    fn or_defer(self) -> Result<T, Failure> {
        self.map_err(Failure::defer)
    }
    fn or_reject(self) -> Result<T, Failure> {
        self.map_err(Failure::reject)
    }
}

/// Whether no connection was made, so that nothing was asked.
fn was_refused(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return matches!(
                io.kind(),
                io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::HostUnreachable
                    | io::ErrorKind::NetworkUnreachable
            );
        }
        next = error.source();
    }
    false
}

/// The default of `Connector::classify`: a connection that was refused, reset or timed out, anywhere in the
/// chain of sources, is *disconnected*; everything else is *retry*.
pub fn classify_by_source(error: &(dyn Error + 'static)) -> FailureKind {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            let unreachable = matches!(
                io.kind(),
                io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::NotConnected
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::TimedOut
                    | io::ErrorKind::HostUnreachable
                    | io::ErrorKind::NetworkUnreachable
            );
            if unreachable {
                return FailureKind::Disconnected;
            }
        }
        next = error.source();
    }
    FailureKind::Retry
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(error: io::Error) -> Result<(), Failure> {
        Err(error)?;
        Ok(())
    }

    #[test]
    fn a_refused_connection_behind_a_question_mark_is_disconnected() {
        let refused = failing(io::Error::from(io::ErrorKind::ConnectionRefused)).unwrap_err();
        assert_eq!(refused.kind(), FailureKind::Unclassified);
        assert_eq!(refused.classified(classify_by_source).kind(), FailureKind::Disconnected);
        let other = failing(io::Error::other("odd")).unwrap_err();
        assert_eq!(other.classified(classify_by_source).kind(), FailureKind::Retry);
    }

    #[test]
    fn a_failure_always_has_a_message() {
        let minute = Duration::from_mins(1);
        for silent in [
            Failure::retry("  "),
            Failure::retry_after("", minute),
            Failure::step_aside("\n"),
            Failure::defer(""),
            Failure::defer_for(" ", minute),
            Failure::reject(""),
            Failure::disconnected(""),
        ] {
            assert_eq!(silent.message(), "the connector failed without saying why", "{:?}", silent.kind());
        }
    }

    #[test]
    fn what_a_connector_decided_is_not_decided_again() {
        let minute = Duration::from_mins(1);
        for (decided, kind) in [
            (Failure::reject("no such account"), FailureKind::Reject),
            (Failure::step_aside("the account is locked"), FailureKind::StepAside),
            (Failure::defer("maintenance"), FailureKind::Defer),
            (Failure::defer_for("maintenance", minute), FailureKind::DeferFor(minute)),
        ] {
            assert_eq!(decided.classified(|_| FailureKind::Retry).kind(), kind);
        }
    }

    #[test]
    fn a_connector_can_classify_an_error_as_not_now() {
        let failure = failing(io::Error::other("busy")).unwrap_err();
        assert_eq!(failure.classified(|_| FailureKind::Defer).kind(), FailureKind::Defer);
    }

    #[test]
    fn a_failure_says_whether_anything_may_have_happened() {
        let by_question_mark =
            |kind| failing(io::Error::from(kind)).unwrap_err().classified(classify_by_source);
        for (failure, may_have, is_without_an_answer) in [
            (by_question_mark(io::ErrorKind::ConnectionRefused), false, false),
            (by_question_mark(io::ErrorKind::HostUnreachable), false, false),
            (by_question_mark(io::ErrorKind::ConnectionReset), true, true),
            (by_question_mark(io::ErrorKind::TimedOut), true, true),
            (by_question_mark(io::ErrorKind::Other), true, true),
            (by_question_mark(io::ErrorKind::Other).nothing_done(), false, false),
            (Failure::disconnected("it hung up"), true, true),
            (Failure::disconnected("it hung up").nothing_done(), false, false),
            (Failure::disconnected(io::Error::from(io::ErrorKind::ConnectionRefused)), false, false),
            (Failure::retry("503"), true, false),
            (Failure::reject("422"), true, false),
            (Failure::defer("maintenance"), true, false),
            (Failure::retry("429").nothing_done(), false, false),
            (Failure::unanswered("too long"), true, true),
        ] {
            assert_eq!(failure.may_have_taken_effect(), may_have, "{failure:?}");
            assert_eq!(failure.is_without_an_answer(), is_without_an_answer, "{failure:?}");
        }
    }

    #[test]
    fn errors_that_are_texts_become_failures_by_name() {
        let failed: Result<(), &str> = Err("no");
        assert_eq!(failed.or_reject().unwrap_err().kind(), FailureKind::Reject);
        assert_eq!(failed.or_retry().unwrap_err().kind(), FailureKind::Retry);
        assert_eq!(failed.or_step_aside().unwrap_err().kind(), FailureKind::StepAside);
        assert_eq!(failed.or_defer().unwrap_err().kind(), FailureKind::Defer);
    }
}
