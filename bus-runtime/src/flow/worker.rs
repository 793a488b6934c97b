//! Works on one queue: one registered connector, one direction. One delivery after the other, oldest first within each
//! key; outcomes are written in batches.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bus_core::descriptor::{ConnectorDescriptor, Instance};
use bus_core::{Direction, Failure, FailureKind, ObjectKey, ObjectOperation, Timestamp};
use bus_store::{Binding, Claim, Claimed, Commit, ConnectorState, Outcome, QueueId, Settlement, StoreError, StoreErrorKind};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::apply::{Application, Applied, NotApplied};
use super::call::CallEnd;
use super::delivery::{self, Addressed};
use super::numbers::Numbers;
use super::queue::{OwnedQueue, sleep_until};
use super::settlement::{Rules, ended, released};
use super::task_log::{announce, object_of_key};
use super::translation::{ExternalIds, Translator, Untranslated, referenced};
use crate::connection::{Asked, Connection};
use crate::registry::Enlisted;
use crate::shared::Shared;

/// The longest that a success waits for others to be written with it.
const SETTLE_AFTER: Duration = Duration::from_millis(20);

/// How soon after the store failed it is asked again.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// How often an apply starts over when somebody else changed the same object, before it counts as failed.
const CONFLICTS_MAX: usize = 10;

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
}

/// Why the worker stopped working on what it had claimed.
enum Interrupted {
    /// The store failed: what was claimed is charged and found again when the queue is acquired again.
    Store(StoreError),
}

impl From<StoreError> for Interrupted {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Worker {
    /// Works until the bus, or this connector, stops.
    pub(crate) async fn run(self) {
        let stopping = self.stopping.clone();
        self.activity.send_replace(Activity::StandingBy);
        tokio::select! {
            () = stopping.cancelled() => return,
            () = wait_until(self.shared.owns_queues.subscribe(), |owns| *owns) => {}
        }
        while !stopping.is_cancelled() {
            self.activity.send_replace(Activity::Busy);
            let Err(Interrupted::Store(error)) = self.work().await else { return };
            if error.kind() == StoreErrorKind::Closed {
                return;
            }
            tracing::error!(queue = %self.queue, error = %report(&error), "the store failed; the queue is acquired again");
            let again = self.shared.now().plus(STORE_RETRY);
            tokio::select! {
                () = stopping.cancelled() => return,
                () = self.shared.clock.sleep_until(again) => {}
            }
        }
    }

    /// Acquires the queue and works on it until it is told to stop.
    async fn work(&self) -> Result<(), Interrupted> {
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
    ) -> Result<Option<(u64, Claim)>, Interrupted> {
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
    ) -> Result<Option<(u64, Claim)>, Interrupted> {
        match self.queue.direction {
            Direction::Outgoing => self.process_outgoing(queue, instance, claimed).await,
            Direction::Incoming => self.process_incoming(queue, instance, claimed).await.map(|()| None),
        }
    }

    fn rules(&self) -> Rules<'_> {
        Rules {
            processing: &self.connection.enlisted.processing,
            now: self.shared.now(),
            dice: self.shared.dice.roll(),
        }
    }
}

/// Outcomes that are not written yet.
struct Batch<'a> {
    outcomes: Vec<(&'a Claimed, Outcome)>,
    bindings: Vec<Binding>,
    unbound: Vec<ObjectKey>,
    /// Keys that an outcome holds: what else was claimed of them is put back by the store.
    held: HashSet<&'a str>,
    began: Timestamp,
}

impl<'a> Batch<'a> {
    fn begin(now: Timestamp) -> Self {
        Self { outcomes: Vec::new(), bindings: Vec::new(), unbound: Vec::new(), held: HashSet::new(), began: now }
    }

    fn settle(&mut self, claimed: &'a Claimed, outcome: Outcome) {
        if holds(&outcome) {
            self.held.insert(&claimed.key);
        }
        self.outcomes.push((claimed, outcome));
    }

    fn has_successes(&self) -> bool {
        self.outcomes.iter().any(|(_, outcome)| *outcome == Outcome::Completed)
    }

    /// The flush failed: nothing that it was to make durable has happened.
    fn fail_successes(&mut self, rules: &Rules<'_>, failure: &Failure) {
        let outcomes = std::mem::take(&mut self.outcomes);
        self.held.clear();
        // The bindings of deletes that did not happen stay.
        self.unbound.clear();
        for (claimed, outcome) in outcomes {
            // The store puts back what stands behind an outcome that holds its key; it must not be settled then.
            if self.held.contains(claimed.key.as_str()) {
                continue;
            }
            let outcome = if outcome == Outcome::Completed { rules.failed(claimed, failure) } else { outcome };
            self.settle(claimed, outcome);
        }
    }

    fn into_commit(self, queue: &OwnedQueue, now: Timestamp) -> Commit {
        let connector = &queue.ownership.queue.connector;
        let settlement = |(claimed, outcome): (&Claimed, Outcome)| Settlement { delivery: claimed.delivery, outcome };
        Commit {
            settlements: self.outcomes.into_iter().map(settlement).collect(),
            ownership: Some(queue.ownership.clone()),
            bindings: self.bindings,
            unbound: self.unbound.into_iter().map(|object| (connector.clone(), object)).collect(),
            ..Commit::at(now)
        }
    }
}

/// Whether later deliveries of the key have to wait.
fn holds(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Completed | Outcome::Discarded { .. } | Outcome::Aside { .. } => false,
        Outcome::Parked { aside, .. } => !aside,
        Outcome::Retry { .. } | Outcome::Released { .. } | Outcome::Waiting { .. } => true,
    }
}

// Outgoing.
impl Worker {
    async fn process_outgoing(
        &self,
        queue: &mut OwnedQueue,
        instance: &Arc<Instance>,
        claimed: Vec<Claimed>,
    ) -> Result<Option<(u64, Claim)>, Interrupted> {
        let payloads: Vec<_> = claimed.iter().map(|claimed| serde_json::from_slice(&claimed.data)).collect();
        let objects = claimed
            .iter()
            .zip(&payloads)
            .flat_map(|(claimed, payload): (_, &Result<bus_core::payload::Payload, _>)| {
                let own = object_of_key(&claimed.subject, &claimed.key);
                own.into_iter().chain(payload.iter().flat_map(referenced))
            })
            .collect();
        let connector = &self.queue.connector;
        let mut known = ExternalIds::read(&self.shared, connector, objects).await?;
        let mut batch = Batch::begin(self.shared.now());
        let mut lost = None;
        for (claimed, payload) in claimed.iter().zip(payloads) {
            if batch.held.contains(claimed.key.as_str()) {
                continue;
            }
            if lost.is_some() || !self.may_start() {
                batch.settle(claimed, released(None));
                continue;
            }
            let (outcome, failure) = match payload {
                Ok(payload) => self.deliver(instance, claimed, payload, &mut known, &mut batch).await?,
                Err(error) => (parked(format!("the task's data cannot be read: {error}; its bytes are kept")), None),
            };
            lost = failure;
            batch.settle(claimed, outcome);
            let now = self.shared.now();
            if now.since(batch.began) >= SETTLE_AFTER {
                let full = std::mem::replace(&mut batch, Batch::begin(now));
                let (full, failure) = self.flushed(instance, full).await;
                // What is held stays so for the rest of what was claimed.
                batch.held.clone_from(&full.held);
                lost = failure.or(lost);
                self.write(queue, full).await?;
            }
        }
        let (batch, failure) = self.flushed(instance, batch).await;
        lost = failure.or(lost);
        if let Some(failure) = lost {
            self.write(queue, batch).await?;
            self.connection.lost(instance, &failure).await;
            return Ok(None);
        }
        if batch.outcomes.is_empty() || !self.may_start() {
            self.write(queue, batch).await?;
            return Ok(None);
        }
        let commit = batch.into_commit(queue, self.shared.now());
        Ok(Some(queue.settle_and_claim(commit).await?))
    }

    /// One delivery: what becomes of it, and, where the external system is out of reach, why.
    async fn deliver(
        &self,
        instance: &Arc<Instance>,
        claimed: &Claimed,
        payload: bus_core::payload::Payload,
        known: &mut ExternalIds,
        batch: &mut Batch<'_>,
    ) -> Result<(Outcome, Option<Failure>), StoreError> {
        let enlisted = &self.connection.enlisted;
        let connector = &self.queue.connector;
        let Some(route) = delivery::route_of(self.linked, &claimed.subject) else {
            let error = format!(
                "connector {connector} does not deliver {} any more; put its `#[outgoing]` line back, or end the task",
                claimed.subject
            );
            return Ok((parked(error), None));
        };
        let Some(key) = object_of_key(&claimed.subject, &claimed.key) else {
            return Ok((parked(format!("`{}` is not the key of an object", claimed.key)), None));
        };
        let mut translator = Translator {
            shared: &self.shared,
            enlisted,
            linked: self.linked,
            instance,
            learned: Vec::new(),
        };
        let payload = payload.reduced_to(claimed.data_type);
        let translated =
            translator.outgoing(payload, &key, claimed.operation, claimed.data_type, known).await;
        // What the connector answered is kept whatever becomes of this delivery.
        batch.bindings.append(&mut translator.learned);
        let rules = self.rules();
        let change = match translated {
            Ok(change) => change,
            Err(Untranslated::Missing { awaited, reason }) => {
                return Ok((rules.missing(claimed, awaited, reason), None));
            }
            Err(Untranslated::Unanswerable(reason)) => return Ok((ended(claimed, reason), None)),
            Err(Untranslated::Failed(failure)) => return Ok(failed(&rules, claimed, failure)),
            Err(Untranslated::Store(error)) => return Err(error),
            Err(Untranslated::Aborted) => return Ok((released(None), None)),
        };
        let addressed = Addressed {
            claimed,
            route,
            external_id: known.get(&key).map(str::to_owned),
            key: key.clone(),
        };
        let delivered = delivery::deliver(&self.shared, enlisted, instance, change, addressed).await;
        if let Some(external_id) = delivered.bound {
            known.bind(key.clone(), external_id.clone());
            batch.bindings.push(Binding { connector: connector.clone(), object: key.clone(), external_id });
        }
        Ok(match delivered.end {
            CallEnd::Answered(Ok(())) => {
                if claimed.operation == ObjectOperation::Delete {
                    known.forget(&key);
                    batch.bindings.retain(|binding| binding.object != key);
                    batch.unbound.push(key);
                }
                (Outcome::Completed, None)
            }
            // The rules are of after the call: its time counts.
            CallEnd::Answered(Err(failure)) => failed(&self.rules(), claimed, failure),
            CallEnd::Aborted => (released(None), None),
        })
    }

    /// Flushes a batch: what succeeded only counts once the flush has. Answers what is to be written, and, where the
    /// external system was out of reach for the flush, why.
    async fn flushed<'a>(&self, instance: &Arc<Instance>, mut batch: Batch<'a>) -> (Batch<'a>, Option<Failure>) {
        let mut lost = None;
        if batch.has_successes() {
            match self.flush(instance).await {
                Ok(()) => self.connection.proven().await,
                Err(failure) => {
                    batch.fail_successes(&self.rules(), &failure);
                    lost = (failure.kind() == FailureKind::Disconnected).then_some(failure);
                }
            }
        }
        (batch, lost)
    }

    async fn write(&self, queue: &OwnedQueue, batch: Batch<'_>) -> Result<(), StoreError> {
        if !batch.outcomes.is_empty() {
            self.shared.store.commit(batch.into_commit(queue, self.shared.now())).await?;
        }
        Ok(())
    }

    async fn flush(&self, instance: &Arc<Instance>) -> Result<(), Failure> {
        let instance = Arc::clone(instance);
        let cx = self.shared.cx(&self.queue.connector);
        let call = async move { instance.flush(&cx).await };
        match super::call::run(&self.shared, &self.connection.enlisted.processing, call).await {
            CallEnd::Answered(answer) => answer,
            // The bus stops before the flush is proven: as if nothing had been delivered.
            CallEnd::Aborted => Err(Failure::disconnected("the bus stopped before the flush")),
        }
    }
}

fn parked(error: String) -> Outcome {
    Outcome::Parked { error, aside: false }
}

fn failed(rules: &Rules<'_>, claimed: &Claimed, failure: Failure) -> (Outcome, Option<Failure>) {
    let outcome = rules.failed(claimed, &failure);
    let lost = (failure.kind() == FailureKind::Disconnected).then_some(failure);
    (outcome, lost)
}

// Incoming.
impl Worker {
    /// Prepares one after the other, and lets the commits of different keys share a transaction of the store.
    async fn process_incoming(
        &self,
        queue: &OwnedQueue,
        instance: &Arc<Instance>,
        claimed: Vec<Claimed>,
    ) -> Result<(), Interrupted> {
        self.numbers.expect(claimed.len()).await;
        let mut writing = JoinSet::new();
        let mut keys = HashSet::new();
        let mut held = HashSet::new();
        let mut lost = None;
        for claimed in claimed {
            // The next of a key begins where the one before it ended.
            if !keys.insert(claimed.key.clone()) {
                self.finish(queue, instance, &mut writing, &mut held).await?;
                keys = HashSet::from([claimed.key.clone()]);
            }
            if held.contains(&claimed.key) {
                continue;
            }
            let application = self.application(queue, instance);
            if lost.is_some() || !self.may_start() {
                let commit = application.settled(&claimed, released(None));
                self.shared.store.commit(commit).await?;
                held.insert(claimed.key);
                continue;
            }
            let applied = match application.apply(&claimed).await {
                Ok(applied) => applied,
                Err(NotApplied::Store(error)) => return Err(error.into()),
                Err(NotApplied::Outcome(outcome)) => {
                    Applied { commit: application.settled(&claimed, outcome), change: None }
                }
                Err(NotApplied::Disconnected(failure)) => {
                    let outcome = application.rules.failed(&claimed, &failure);
                    lost = Some(failure);
                    Applied { commit: application.settled(&claimed, outcome), change: None }
                }
            };
            let shared = Arc::clone(&self.shared);
            writing.spawn(async move {
                let holds = holds_key(&applied.commit);
                let committed = shared.store.commit(applied.commit).await;
                if let (Ok(committed), Some(change)) = (&committed, &applied.change)
                    && let Some(task) = committed.tasks.first()
                {
                    announce(&shared, change, *task);
                }
                (claimed, holds, committed.map(|_| ()))
            });
        }
        self.finish(queue, instance, &mut writing, &mut held).await?;
        match lost {
            Some(failure) => self.connection.lost(instance, &failure).await,
            None => self.connection.proven().await,
        }
        Ok(())
    }

    fn application<'a>(&'a self, queue: &'a OwnedQueue, instance: &'a Arc<Instance>) -> Application<'a> {
        Application {
            shared: &self.shared,
            enlisted: &self.connection.enlisted,
            linked: self.linked,
            instance,
            ownership: &queue.ownership,
            numbers: &self.numbers,
            rules: self.rules(),
        }
    }

    /// Waits for what is being written; what met a change of somebody else's starts over.
    async fn finish(
        &self,
        queue: &OwnedQueue,
        instance: &Arc<Instance>,
        writing: &mut JoinSet<(Claimed, bool, Result<(), StoreError>)>,
        held: &mut HashSet<String>,
    ) -> Result<(), Interrupted> {
        let mut conflicted = Vec::new();
        let mut failure = None;
        while let Some(written) = writing.join_next().await {
            match written {
                Ok((claimed, holds, Ok(()))) => {
                    if holds {
                        held.insert(claimed.key);
                    }
                }
                Ok((claimed, _, Err(error))) if error.kind() == StoreErrorKind::Conflict => conflicted.push(claimed),
                Ok((_, _, Err(error))) => failure = Some(error),
                Err(error) => {
                    failure = Some(
                        StoreError::new(StoreErrorKind::Unavailable, "commit", "the commit of an applied task broke off")
                            .with_source(error),
                    );
                }
            }
        }
        if let Some(error) = failure {
            return Err(error.into());
        }
        conflicted.sort_by_key(|claimed| claimed.delivery);
        for claimed in conflicted {
            if self.start_over(queue, instance, &claimed).await? {
                held.insert(claimed.key);
            }
        }
        Ok(())
    }

    /// Applies once more, alone, as long as somebody else is faster. Whether the outcome holds the key.
    async fn start_over(
        &self,
        queue: &OwnedQueue,
        instance: &Arc<Instance>,
        claimed: &Claimed,
    ) -> Result<bool, Interrupted> {
        let mut last = None;
        for _ in 0..CONFLICTS_MAX {
            let application = self.application(queue, instance);
            let applied = match application.apply(claimed).await {
                Ok(applied) => applied,
                Err(NotApplied::Store(error)) => return Err(error.into()),
                Err(NotApplied::Outcome(outcome)) => {
                    Applied { commit: application.settled(claimed, outcome), change: None }
                }
                Err(NotApplied::Disconnected(failure)) => {
                    let outcome = application.rules.failed(claimed, &failure);
                    Applied { commit: application.settled(claimed, outcome), change: None }
                }
            };
            let holds = holds_key(&applied.commit);
            match self.shared.store.commit(applied.commit).await {
                Ok(committed) => {
                    if let (Some(change), Some(task)) = (&applied.change, committed.tasks.first()) {
                        announce(&self.shared, change, *task);
                    }
                    return Ok(holds);
                }
                Err(error) if error.kind() == StoreErrorKind::Conflict => last = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        let reason = last.map_or_else(String::new, |error| report(&error));
        let failure = Failure::retry(format!("it cannot be applied: {reason}"));
        let application = self.application(queue, instance);
        let commit = application.settled(claimed, application.rules.failed(claimed, &failure));
        let holds = holds_key(&commit);
        self.shared.store.commit(commit).await?;
        Ok(holds)
    }
}

fn holds_key(commit: &Commit) -> bool {
    commit.settlements.iter().any(|settlement| holds(&settlement.outcome))
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
