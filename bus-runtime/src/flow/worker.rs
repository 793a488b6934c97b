//! Works on one queue: one registered connector, one direction. Up to `concurrency` deliveries of different keys side by
//! side, those of one key one after the other, oldest first; outcomes are written in batches.

mod backlog;
mod batch;
mod calling;
mod creating;
mod gone;
mod hosted;
mod incoming;
mod outgoing;
mod rate;
mod session;
mod suspects;
mod told;

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus_core::descriptor::ConnectorDescriptor;
use bus_core::{CreateOnce, Direction, ErrorPolicy, Failure, FailureKind, Timestamp};
use bus_store::{
    Awaited, Claimed, Commit, Committed, ConnectorState, Outcome, Ownership, QueueId, StoreError,
    StoreErrorKind,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::numbers::Numbers;
use super::queue::{OwnedQueue, sleep_until};
use super::settlement::Rules;
use crate::config::Ordering;
use crate::connection::{Asked, Connection};
use crate::explain::cycle_of;
use crate::registry::Enlisted;
use crate::shared::Shared;

use rate::Limiter;
use session::{End, Left, Session};
use suspects::{Suspects, Verdict};

/// How soon after the store failed it is asked again.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// What a worker is doing, for whoever waits until there is nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Working, or about to look.
    Busy,
    /// Nothing was ready when the bell had rung this often, and nothing becomes due before this.
    Idle { rings: u64, next_due: Option<Timestamp> },
    /// Paused, disabled or switched off.
    Closed,
    /// The external system cannot be reached; tried again then.
    CutOff { until: Timestamp },
    /// Another process works on the queue.
    StandingBy,
    /// The limit of calls lets nothing begin before this.
    Limited { until: Timestamp },
    /// It runs by a schedule, and not before then.
    Scheduled { until: Option<Timestamp>, asked: u64 },
    /// It polls, and not before then, unless it is asked.
    Polls { until: Option<Timestamp>, asked: u64 },
    /// It is not to poll here and now.
    NotPolling,
}

/// Works on one queue.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    linked: &'static ConnectorDescriptor,
    queue: QueueId,
    numbers: Numbers,
    activity: watch::Sender<Activity>,
    stopping: CancellationToken,
    /// Whether this process goes on with the queue when the worker has ended.
    keeps_queue: Arc<AtomicBool>,
    suspects: Mutex<Suspects>,
    limiter: Option<Mutex<Limiter>>,
}

impl Worker {
    /// A worker on this queue of a connector; it shows what it is doing in `activity`, and ends when `stopping` is
    /// cancelled, with or without the bus.
    pub(crate) fn new(
        shared: &Arc<Shared>,
        connection: &Arc<Connection>,
        linked: &'static ConnectorDescriptor,
        direction: Direction,
        activity: watch::Sender<Activity>,
        stopping: &CancellationToken,
        keeps_queue: &Arc<AtomicBool>,
    ) -> Self {
        let Enlisted { record, processing, .. } = &*connection.enlisted;
        let rate = processing.rate.filter(|_| direction == Direction::Outgoing);
        Self {
            shared: Arc::clone(shared),
            linked,
            queue: QueueId::new(record.name.clone(), direction),
            numbers: Numbers::default(),
            suspects: Mutex::default(),
            limiter: rate.map(|rate| Mutex::new(Limiter::new(rate))),
            activity,
            stopping: stopping.clone(),
            keeps_queue: Arc::clone(keeps_queue),
            connection: Arc::clone(connection),
        }
    }

    /// Works until the bus, or this connector, stops.
    pub(crate) async fn run(self) {
        let worker = Arc::new(self);
        let stopping = worker.stopping.clone();
        while !stopping.is_cancelled() {
            worker.activity.send_replace(Activity::Busy);
            // On a task of its own: code of the application runs in it (filters, listeners, serialisation), and a panic
            // there must not end the worker. What was claimed is charged when the queue is acquired again, then runs
            // alone, and is parked after its last attempt.
            let working = tokio::spawn({
                let worker = Arc::clone(&worker);
                async move { worker.work().await }
            });
            let queue = &worker.queue;
            let ended = working.await;
            worker.show_owner(None);
            match ended {
                Ok(Err(error)) if error.kind() == StoreErrorKind::Closed => {
                    if !stopping.is_cancelled() {
                        tracing::error!(%queue, error = %report(&error), "the store has stopped");
                        worker.shared.store_stopped.send_replace(Some(report(&error)));
                    }
                    return;
                }
                Ok(Err(error)) => {
                    tracing::error!(%queue, error = %report(&error), "the store failed; the queue is acquired again");
                }
                Err(error) if error.is_panic() => {
                    tracing::error!(%queue, %error, "a panic outside of a connector's call; the queue is acquired again");
                }
                // It was told to stop, or the runtime itself ends.
                Ok(Ok(())) | Err(_) => return,
            }
            let again = worker.shared.now().plus(STORE_RETRY);
            worker.activity.send_replace(Activity::CutOff { until: again });
            tokio::select! {
                () = stopping.cancelled() => return,
                () = worker.shared.clock.sleep_until(again) => {}
            }
        }
    }

    /// Acquires the queue and works on it until it is told to stop.
    async fn work(&self) -> Result<(), StoreError> {
        let processing = &self.connection.enlisted.processing;
        let standing_by = || {
            self.activity.send_replace(Activity::StandingBy);
        };
        let shared = Arc::clone(&self.shared);
        let acquiring = OwnedQueue::acquire(
            shared,
            &self.queue,
            processing,
            self.is_claimed_one_by_one(),
            &self.stopping,
            standing_by,
        );
        let Some(mut queue) = acquiring.await? else { return Ok(()) };
        self.activity.send_replace(Activity::Busy);
        self.show_owner(Some(&queue.ownership));
        let mut left = Left::new(self);
        let mut asked = self.connection.enlisted.asked.subscribe();
        let mut is_time = self.connection.enlisted.processing.schedule.is_none();
        while !self.stopping.is_cancelled() {
            if !self.is_open() {
                if !matches!(
                    *self.connection.enlisted.state.borrow(),
                    ConnectorState::Enabled | ConnectorState::Paused
                ) {
                    self.connection.close().await;
                }
                self.activity.send_replace(Activity::Closed);
                tokio::select! {
                    () = self.stopping.cancelled() => break,
                    () = self.gate_differs_from(false) => {}
                }
                self.activity.send_replace(Activity::Busy);
                continue;
            }
            if !is_time {
                is_time = self.is_time(&mut asked).await;
                continue;
            }
            asked.mark_unchanged();
            let instance = match self.connection.instance().await {
                Asked::Connected(instance) => instance,
                Asked::NotBefore(at) => {
                    self.activity.send_replace(Activity::CutOff { until: at });
                    tokio::select! {
                        () = self.stopping.cancelled() => break,
                        () = self.gate_differs_from(true) => {}
                        () = sleep_until(&self.shared, Some(at)) => {}
                    }
                    self.activity.send_replace(Activity::Busy);
                    continue;
                }
            };
            let end;
            (end, left) = Session::begin(self, &mut queue, &instance, left).run().await?;
            match end {
                End::Stopped | End::Closed => {}
                End::Lost(failure) => self.connection.lost(&instance, &failure, self.queue.direction).await,
                End::Emptied => is_time = false,
            }
        }
        if let Some(instance) = left.instance() {
            Session::begin(self, &mut queue, &instance, left).run().await?;
        }
        if self.keeps_queue.load(Relaxed) {
            return Ok(());
        }
        self.shared.store.release(&queue.ownership).await
    }

    /// Says to the poller whose incoming queue it is.
    fn show_owner(&self, owner: Option<&Ownership>) {
        if self.queue.direction == Direction::Incoming {
            self.connection.enlisted.polling.owner.send_replace(owner.cloned());
        }
    }

    /// Waits until the schedule, or somebody, says that it is time; whether it is, and not something else has changed.
    async fn is_time(&self, asked: &mut watch::Receiver<u64>) -> bool {
        let Some(schedule) = &self.connection.enlisted.processing.schedule else { return true };
        let until = schedule.next_after(self.shared.now());
        let seen = if asked.has_changed().unwrap_or(false) { None } else { Some(*asked.borrow()) };
        if let Some(asked) = seen {
            self.activity.send_replace(Activity::Scheduled { until, asked });
        }
        let is_time = tokio::select! {
            () = self.stopping.cancelled() => false,
            () = self.gate_differs_from(true) => false,
            _ = asked.changed() => true,
            () = sleep_until(&self.shared, until) => true,
        };
        self.activity.send_replace(Activity::Busy);
        is_time
    }

    /// Whether a crash must not concern what was not called: it would use up the only attempt, or leave a doubt that a
    /// person has to look at.
    fn is_claimed_one_by_one(&self) -> bool {
        let is_left_to_people =
            self.queue.direction == Direction::Outgoing && self.create_once() == CreateOnce::InDoubt;
        is_left_to_people || self.connection.enlisted.processing.max_attempts == 1
    }

    fn is_open(&self) -> bool {
        is_open(&self.shared, &self.connection.enlisted, self.queue.direction)
    }

    /// Whether the queue as a whole keeps order.
    fn is_in_queue_order(&self) -> bool {
        self.connection.enlisted.processing.ordering == Ordering::Connector
    }

    /// Returns when switches and state say something else than this.
    async fn gate_differs_from(&self, open: bool) {
        let mut switches = self.shared.switches.subscribe();
        let mut state = self.connection.enlisted.state.subscribe();
        while self.is_open() == open {
            tokio::select! {
                Ok(()) = switches.changed() => {}
                Ok(()) = state.changed() => {}
                else => return std::future::pending().await,
            }
        }
    }

    /// Whether what was claimed may still be started.
    fn may_start(&self) -> bool {
        !self.stopping.is_cancelled() && self.is_open()
    }

    /// What becomes of a delivery after a failure of the connector.
    fn after_failure(&self, claimed: &Claimed, failure: &Failure) -> Outcome {
        let rules = self.rules();
        if failure.kind() != FailureKind::Disconnected {
            return rules.failed(claimed, failure);
        }
        match self.suspects().lost(claimed.delivery, rules.processing.disconnected_max) {
            Verdict::Innocent => rules.failed(claimed, failure),
            Verdict::Twice => rules.lost_again(claimed, failure, self.connection.wait_longest()),
            Verdict::Guilty => rules.lost_too_often(claimed, failure),
        }
    }

    /// What becomes of a delivery that refers to something which is not there yet.
    async fn missing(
        &self,
        claimed: &Claimed,
        awaited: Vec<Awaited>,
        reason: String,
    ) -> Result<Outcome, StoreError> {
        if let Some(cycle) = cycle_of(&self.shared, &self.queue, &claimed.key, &awaited).await? {
            let aside = claimed.policy == ErrorPolicy::SkipOnError;
            return Ok(Outcome::Parked { error: format!("{reason}; {cycle}"), aside });
        }
        Ok(self.rules().missing(claimed, awaited, reason))
    }

    /// Waits until a store that cannot be written at the moment (it is full, or somebody else has locked it) may be asked
    /// once more: what was to be written is no failure of the delivery, so nothing is charged for it. Whether there is a
    /// point in asking: not when the error is of another kind, nor when the worker is told to stop.
    async fn is_tried_again(&self, error: &StoreError) -> bool {
        if error.kind() != StoreErrorKind::Unavailable || self.stopping.is_cancelled() {
            return false;
        }
        tracing::warn!(queue = %self.queue, error = %report(error), "the store cannot be written; tried again soon");
        let again = self.shared.now().plus(STORE_RETRY);
        tokio::select! {
            () = self.stopping.cancelled() => false,
            () = self.shared.clock.sleep_until(again) => true,
        }
    }

    /// Commits, as often as it takes.
    async fn commit_patiently(&self, commit: Commit) -> Result<Committed, StoreError> {
        loop {
            match self.shared.store.commit(commit.clone()).await {
                Err(error) if self.is_tried_again(&error).await => {}
                done => return done,
            }
        }
    }

    fn suspects(&self) -> MutexGuard<'_, Suspects> {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rules(&self) -> Rules<'_> {
        Rules {
            processing: &self.connection.enlisted.processing,
            due_max: self.shared.limits.due_max,
            now: self.shared.now(),
            dice: self.shared.dice.roll(),
        }
    }

    /// The limit of outgoing calls, if there is one.
    fn limiter(&self) -> Option<MutexGuard<'_, Limiter>> {
        let limiter = self.limiter.as_ref()?;
        Some(limiter.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether switches and state let this queue be worked on.
pub(crate) fn is_open(shared: &Shared, enlisted: &Enlisted, direction: Direction) -> bool {
    let switches = *shared.switches.borrow();
    let process = match direction {
        Direction::Outgoing => switches.process_outgoing,
        Direction::Incoming => switches.process_incoming,
    };
    switches.bus && process && *enlisted.state.borrow() == ConnectorState::Enabled
}

/// An error with the reasons behind it, on one line.
fn report(error: &StoreError) -> String {
    let mut report = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        report.push_str(": ");
        report.push_str(&source.to_string());
        next = source.source();
    }
    report
}
