//! Works on one queue: one registered connector, one direction. One delivery after the other, oldest first within each
//! key; outcomes are written in batches.

mod batch;
mod incoming;
mod outgoing;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bus_core::descriptor::ConnectorDescriptor;
use bus_core::instance::Instance;
use bus_core::{Direction, Failure, FailureKind, Timestamp};
use bus_store::{Claim, Claimed, ConnectorState, Outcome, QueueId, StoreError, StoreErrorKind};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::numbers::Numbers;
use super::queue::{OwnedQueue, sleep_until};
use super::settlement::Rules;
use crate::connection::{Asked, Connection};
use crate::registry::Enlisted;
use crate::retry;
use crate::shared::Shared;

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
    /// Another process works on the queues.
    StandingBy,
}

/// Works on one queue.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) connection: Arc<Connection>,
    pub(crate) linked: &'static ConnectorDescriptor,
    pub(crate) queue: QueueId,
    pub(crate) numbers: Numbers,
    pub(crate) activity: watch::Sender<Activity>,
    /// Cancelled when this connector's workers end, with or without the bus.
    pub(crate) stopping: CancellationToken,
    /// The delivery at which the external system was lost last; 0 for none.
    pub(crate) suspect: AtomicI64,
}

impl Worker {
    /// Works until the bus, or this connector, stops.
    pub(crate) async fn run(self) {
        let worker = Arc::new(self);
        let stopping = worker.stopping.clone();
        worker.activity.send_replace(Activity::StandingBy);
        tokio::select! {
            () = stopping.cancelled() => return,
            () = wait_until(worker.shared.owns_queues.subscribe(), |owns| *owns) => {}
        }
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
            match working.await {
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
        let mut queue = OwnedQueue::acquire(Arc::clone(&self.shared), &self.queue).await?;
        while !self.stopping.is_cancelled() {
            if !self.is_open() {
                self.activity.send_replace(Activity::Closed);
                tokio::select! {
                    () = self.stopping.cancelled() => return Ok(()),
                    () = self.gate_differs_from(false) => {}
                }
                self.activity.send_replace(Activity::Busy);
                continue;
            }
            let (rings, claim) = match self.connection.instance().await {
                Asked::NotBefore(at) => {
                    self.activity.send_replace(Activity::CutOff { until: at });
                    tokio::select! {
                        () = self.stopping.cancelled() => return Ok(()),
                        () = self.gate_differs_from(true) => {}
                        () = sleep_until(&self.shared, Some(at)) => {}
                    }
                    self.activity.send_replace(Activity::Busy);
                    continue;
                }
                Asked::Connected(instance) => match self.claim_and_process(&mut queue, &instance).await? {
                    Some(nothing_ready) => nothing_ready,
                    None => continue,
                },
            };
            self.activity.send_replace(Activity::Idle { rings, next_due: claim.next_due });
            tokio::select! {
                () = self.stopping.cancelled() => return Ok(()),
                () = self.gate_differs_from(true) => {}
                () = queue.wait(claim.next_due) => {}
            }
            self.activity.send_replace(Activity::Busy);
        }
        Ok(())
    }

    /// Works until nothing is ready, and answers the look that found nothing; `None` when the gate, or the connection,
    /// has to be looked at first.
    async fn claim_and_process(
        &self,
        queue: &mut OwnedQueue,
        instance: &Arc<Instance>,
    ) -> Result<Option<(u64, Claim)>, StoreError> {
        let mut next = queue.claim().await?;
        while !next.1.deliveries.is_empty() {
            match self.process(queue, instance, next.1.deliveries).await? {
                Some(claimed) => next = claimed,
                None => return Ok(None),
            }
        }
        Ok(Some(next))
    }

    fn is_open(&self) -> bool {
        is_open(&self.shared, &self.connection.enlisted, self.queue.direction)
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

    /// Answers what was claimed with the last outcomes, where something was.
    async fn process(
        &self,
        queue: &mut OwnedQueue,
        instance: &Arc<Instance>,
        claimed: Vec<Claimed>,
    ) -> Result<Option<(u64, Claim)>, StoreError> {
        match self.queue.direction {
            Direction::Outgoing => self.process_outgoing(queue, instance, claimed).await,
            Direction::Incoming => self.process_incoming(queue, instance, claimed).await.map(|()| None),
        }
    }

    /// What becomes of a delivery after a failure of the connector.
    ///
    /// A delivery at which the external system is lost twice in a row, although `connect` succeeded in between, may
    /// itself be the reason: others go first then.
    fn after_failure(&self, claimed: &Claimed, failure: &Failure) -> Outcome {
        let rules = self.rules();
        if failure.kind() != FailureKind::Disconnected {
            return rules.failed(claimed, failure);
        }
        if self.suspect.swap(claimed.delivery.0, Ordering::Relaxed) != claimed.delivery.0 {
            return rules.failed(claimed, failure);
        }
        let wait = retry::delay(rules.processing, claimed.attempt, rules.dice);
        Outcome::Released { due: rules.now.plus(wait), error: Some(failure.message()) }
    }

    fn rules(&self) -> Rules<'_> {
        Rules {
            processing: &self.connection.enlisted.processing,
            now: self.shared.now(),
            dice: self.shared.dice.roll(),
        }
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

async fn wait_until<T>(mut receiver: watch::Receiver<T>, is: impl FnMut(&T) -> bool) {
    if receiver.wait_for(is).await.is_err() {
        std::future::pending::<()>().await;
    }
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
