//! Asks an external system that does not call: at its times, by the process that owns the connector's incoming queue.

mod page;
mod run;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus_core::{Direction, Failure, FailureKind, Timestamp};
use bus_store::operate::shorten_error;
use bus_store::{Cursor, Ownership, QueueId, StoreErrorKind};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::queue::sleep_until;
use super::worker::{Activity, is_open};
use crate::config::Processing;
use crate::connection::Connection;
use crate::observe::PollStatus;
use crate::registry::Enlisted;
use crate::retry;
use crate::shared::Shared;

use run::Halt;

/// How soon it is tried again after the store failed, or where too much of what was polled is open.
const PAUSE: Duration = Duration::from_secs(1);

/// What a registered connector's poller shares with its worker, with operators, and with whoever waits for it.
#[derive(Debug, Default)]
pub(crate) struct Polling {
    /// The owner of the incoming queue, as long as that is this process: it alone polls.
    pub(crate) owner: watch::Sender<Option<Ownership>>,
    /// Grows when somebody asks for a poll, whatever the time.
    pub(crate) asked: watch::Sender<u64>,
    /// How many deletions an operator has accepted for the next complete pull.
    accepted: AtomicU64,
    status: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Whether the connector polls at all; not known before it was asked.
    polls: Option<bool>,
    status: PollStatus,
}

impl Polling {
    pub(crate) fn ask(&self) {
        self.asked.send_modify(|asked| *asked += 1);
    }

    pub(crate) fn accept_deletions(&self, up_to: u64) {
        self.accepted.store(up_to, Ordering::Relaxed);
    }

    /// How it is; `None` where it has not been asked yet, or does not poll.
    pub(crate) fn status(&self) -> Option<PollStatus> {
        let known = self.known();
        (known.polls == Some(true)).then(|| known.status.clone())
    }

    /// Whether it was asked, and does not poll.
    pub(crate) fn is_without(&self) -> bool {
        self.known().polls == Some(false)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a connector may be polled here and now.
pub(crate) fn may_poll(shared: &Shared, enlisted: &Enlisted) -> bool {
    enlisted.polling.owner.borrow().is_some()
        && is_open(shared, enlisted, Direction::Incoming)
        && shared.switches.borrow().log_incoming
}

/// Polls for one registered connector.
pub(crate) struct Poller {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    activity: watch::Sender<Activity>,
    stopping: CancellationToken,
}

/// What it knows from one poll to the next.
struct State {
    /// Which requests were answered.
    answered: u64,
    /// How often in a row it failed, and until when it waits therefore.
    failures: u32,
    failed_at: Option<Timestamp>,
    not_before: Option<Timestamp>,
    /// When it began.
    began: Timestamp,
}

impl Poller {
    /// A poller that shows what it is doing in `activity`, and ends when `stopping` is cancelled.
    pub(crate) fn new(
        shared: &Arc<Shared>,
        connection: &Arc<Connection>,
        activity: watch::Sender<Activity>,
        stopping: &CancellationToken,
    ) -> Self {
        let (shared, connection) = (Arc::clone(shared), Arc::clone(connection));
        Self { shared, connection, activity, stopping: stopping.clone() }
    }

    /// Polls until the bus, or this connector, stops. A call that runs then is dropped: it is repeated from the same cursor.
    pub(crate) async fn run(self) {
        tokio::select! {
            () = self.stopping.cancelled() => {}
            () = self.poll_for_ever() => {}
        }
    }

    async fn poll_for_ever(&self) {
        let polling = &self.enlisted().polling;
        let answered = *polling.asked.borrow();
        let mut state =
            State { answered, failures: 0, failed_at: None, not_before: None, began: self.shared.now() };
        let mut owners = polling.owner.subscribe();
        loop {
            let owned = owners.borrow_and_update().clone();
            let open = may_poll(&self.shared, self.enlisted());
            let (Some(owned), true) = (owned, open) else {
                self.activity.send_replace(Activity::NotPolling);
                self.gate_differs_from(false).await;
                self.activity.send_replace(Activity::Busy);
                continue;
            };
            let is_stale = tokio::select! {
                is_stale = self.work(&owned, &mut state) => is_stale,
                _ = owners.changed() => false,
            };
            if is_stale {
                // The worker notices it, too, once it looks.
                self.shared.store.ring(&self.queue());
                self.activity.send_replace(Activity::NotPolling);
                let _ended = owners.changed().await;
            }
        }
    }

    /// Polls until the gate closes; whether the owner has been replaced.
    async fn work(&self, owned: &Ownership, state: &mut State) -> bool {
        let mut asked = self.enlisted().polling.asked.subscribe();
        while may_poll(&self.shared, self.enlisted()) {
            let cursor = match self.shared.store.cursor(&self.enlisted().record.name).await {
                Ok(cursor) => cursor,
                Err(error) if error.kind() == StoreErrorKind::Closed => {
                    self.activity.send_replace(Activity::NotPolling);
                    std::future::pending().await
                }
                Err(error) => {
                    tracing::warn!(queue = %self.queue(), %error, "where to poll from cannot be read; tried again soon");
                    self.pause(self.shared.now().plus(PAUSE)).await;
                    continue;
                }
            };
            let seen = *asked.borrow_and_update();
            let until = self.next(state, &cursor);
            if seen == state.answered && until.is_none_or(|until| until > self.shared.now()) {
                self.activity.send_replace(Activity::Polls { until, asked: seen });
                tokio::select! {
                    _ = asked.changed() => {}
                    () = self.gate_differs_from(true) => {}
                    () = sleep_until(&self.shared, until) => {}
                }
                self.activity.send_replace(Activity::Busy);
                continue;
            }
            state.answered = seen;
            let polled_at = self.shared.now();
            match self.poll_all(owned, cursor).await {
                Ok(()) => {
                    *state = State { failures: 0, failed_at: None, not_before: None, ..*state };
                    self.note(PollStatus { polled_at: Some(polled_at), error: None, failures: 0 });
                }
                Err(Halt::Stale) => return true,
                // Somebody has moved the cursor: from there, then.
                Err(Halt::Moved) => state.answered = state.answered.wrapping_sub(1),
                Err(Halt::WithoutPolling) => self.enlisted().polling.known().polls = Some(false),
                Err(Halt::NotBefore(at)) => {
                    (state.failed_at, state.not_before) = (Some(polled_at), Some(at));
                }
                Err(Halt::Failed(failure)) => self.failed(state, &failure),
                Err(Halt::Closed) => {}
            }
        }
        false
    }

    /// When it is time for the next poll.
    fn next(&self, state: &State, cursor: &Cursor) -> Option<Timestamp> {
        if self.enlisted().polling.is_without() {
            return None;
        }
        let now = self.shared.now();
        // A clock that was set back must not keep it from polling until the clock has caught up.
        let is_back = |then: Timestamp| then > now;
        if state.failed_at.is_some_and(is_back) || cursor.polled_at.is_some_and(is_back) {
            return Some(now);
        }
        if state.failed_at.is_some() {
            return state.not_before;
        }
        let polled_at = cursor.polled_at;
        let processing = self.processing();
        if let Some(schedule) = &processing.poll {
            return schedule.next_after(polled_at.unwrap_or(state.began));
        }
        Some(polled_at.map_or(now, |at| at.plus(Duration::from_millis(processing.poll_every_ms))))
    }

    fn failed(&self, state: &mut State, failure: &Failure) {
        let (processing, now) = (self.processing(), self.shared.now());
        state.failures = state.failures.saturating_add(1);
        let dice = self.shared.dice.roll();
        let wait = match failure.kind() {
            FailureKind::RetryAfter(wait) => retry::retry_after(processing, wait),
            FailureKind::Defer => retry::defer(processing, state.failures - 1, dice),
            FailureKind::DeferFor(wait) => retry::defer_for(processing, wait),
            FailureKind::Reject => Duration::from_millis(processing.retry_max_ms),
            _ => retry::delay(processing, state.failures, dice),
        };
        let next = now.plus(wait);
        (state.failed_at, state.not_before) = (Some(now), Some(next));
        let error = shorten_error(failure.message());
        tracing::warn!(connector = %self.enlisted().record.name, failures = state.failures, %next, %error, "the poll failed");
        let polled_at = self.enlisted().polling.known().status.polled_at;
        self.note(PollStatus { polled_at, error: Some(error), failures: state.failures });
    }

    fn note(&self, status: PollStatus) {
        *self.enlisted().polling.known() = Known { polls: Some(true), status };
    }

    /// Waits for this time, which is no work.
    async fn pause(&self, until: Timestamp) {
        self.activity.send_replace(Activity::CutOff { until });
        sleep_until(&self.shared, Some(until)).await;
        self.activity.send_replace(Activity::Busy);
    }

    /// Returns once it may be polled and could not be, or the other way round; it may be so already.
    async fn gate_differs_from(&self, open: bool) {
        let enlisted = self.enlisted();
        let mut switches = self.shared.switches.subscribe();
        let mut state = enlisted.state.subscribe();
        let mut owner = enlisted.polling.owner.subscribe();
        while may_poll(&self.shared, enlisted) == open {
            tokio::select! {
                Ok(()) = switches.changed() => {}
                Ok(()) = state.changed() => {}
                Ok(()) = owner.changed() => {}
                else => return std::future::pending().await,
            }
        }
    }

    fn queue(&self) -> QueueId {
        QueueId::new(self.enlisted().record.name.clone(), Direction::Incoming)
    }

    fn enlisted(&self) -> &Enlisted {
        &self.connection.enlisted
    }

    fn processing(&self) -> &Processing {
        &self.enlisted().processing
    }
}
