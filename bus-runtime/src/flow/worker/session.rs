//! Working on a queue through one living instance: claiming, starting what may start, and writing what came of it, until
//! there is a reason to end.
//!
//! One loop: it starts what has a free slot, writes outcomes when they have waited long enough or nothing else is to be
//! done, claims when a slot is free and nothing claimed can fill it, and then waits for whatever happens next. Where more is
//! ready than one claim brings, the outcomes of one claim and the claim after the next are written while the next is worked
//! on.

mod ahead;
mod begins;
mod claims;
mod outcomes;
mod overdue;
mod recalls;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bus_core::instance::Instance;
use bus_core::{DeliveryId, Failure, ObjectType, Timestamp};
use bus_store::{Claimed, Commit, Outcome, Settlement, StoreError};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::oneshot;

use super::backlog::Backlog;
use super::batch::Batch;
use super::incoming::Written;
use super::outgoing::Delivered;
use super::{Activity, Worker};
use crate::flow::apply::Applied;
use crate::flow::express::{Desk, Trays, give_back};
use crate::flow::queue::{CLAIM_MAX, OwnedQueue, sleep_until};
use crate::flow::settlement::released;
use crate::flow::translation::ExternalIds;
use ahead::{Ahead, landed};

/// The longest that an outcome waits for others to be written with it.
const SETTLE_AFTER: Duration = Duration::from_millis(20);

/// Why a session ends.
pub(super) enum End {
    /// The worker is told to stop.
    Stopped,
    /// The queue is not to be worked on any more: paused, stopped, disabled, or switched off.
    Closed,
    /// The external system cannot be reached.
    Lost(Failure),
    /// It runs by a schedule, and there is nothing left to do.
    Emptied,
}

/// What happened to something that is being worked on.
enum Event {
    Delivered {
        claimed: Claimed,
        answer: Option<oneshot::Sender<Outcome>>,
        delivered: Result<Delivered, StoreError>,
    },
    Applied {
        claimed: Claimed,
        applied: Result<(Box<Applied>, Option<Failure>), StoreError>,
    },
    Written {
        claimed: Claimed,
        own: Option<ExternalKey>,
        /// How many claims there had been when it was handed to the store.
        claims: u64,
        written: Result<(Written, Option<Failure>), StoreError>,
    },
}

/// Something that has a slot.
struct Begun {
    delivery: DeliveryId,
    at: Timestamp,
    /// How much had been written when it began.
    seen: u64,
}

/// The type and the external id of an external object.
type ExternalKey = (ObjectType, String);

type Working<'w> = Pin<Box<dyn Future<Output = Event> + Send + 'w>>;

/// What runs, and goes on when a session ends: nobody can end a call that blocks its thread.
pub(super) struct Left<'w> {
    /// Through which instance it was begun.
    instance: Option<Arc<Instance>>,
    /// Which keys it keeps.
    backlog: Backlog,
    /// How many claims there have been.
    claims: u64,
    events: FuturesUnordered<Working<'w>>,
    /// What has a slot.
    begun: Vec<Begun>,
    /// What was taken from a delivery while it ran, because an earlier one of its key did not last.
    displaced: Vec<DeliveryId>,
    /// What has been written while something was being applied, which may not have seen it; each with its number.
    written: VecDeque<(u64, ExternalKey)>,
    /// How much has been written.
    writes: u64,
    /// How many calls were known to have outlasted their time-out.
    overdue: usize,
}

impl Left<'_> {
    /// Nothing yet.
    pub(super) fn new(worker: &Worker) -> Self {
        Self {
            instance: None,
            backlog: Backlog::new(worker.shared.unbegun.of(&worker.queue)),
            events: FuturesUnordered::new(),
            begun: Vec::new(),
            displaced: Vec::new(),
            written: VecDeque::new(),
            claims: 0,
            writes: 0,
            overdue: 0,
        }
    }

    /// The instance through which something still runs.
    pub(super) fn instance(&self) -> Option<Arc<Instance>> {
        self.instance.clone()
    }
}

/// A session of a worker.
pub(super) struct Session<'w, 'q> {
    worker: &'w Worker,
    queue: &'q mut OwnedQueue,
    instance: Arc<Instance>,
    left: Left<'w>,
    desk: Arc<Desk>,
    trays: Trays,
    /// External objects that are being written, and tasks of other keys that are to write one of them, too.
    writing: Vec<ExternalKey>,
    again: Vec<Claimed>,
    batch: Batch,
    /// What is written, and claimed, meanwhile.
    ahead: Option<Ahead<'w>>,
    /// What is known for the last claim.
    known: Arc<ExternalIds>,
    /// Whether the last claim brought all that it may, so that there may be more.
    has_more: bool,
    /// What stepped aside at its first turn: due again when nothing else is ready.
    stood_aside: Vec<DeliveryId>,
    /// Whether a claim may bring something.
    look: bool,
    rings: u64,
    next_due: Option<Timestamp>,
    end: Option<End>,
    /// When the store was asked last, and knew this owner.
    confirmed: Timestamp,
    /// Whether the connector has answered a call, so that its external system is there.
    is_proven: bool,
}

impl<'w, 'q> Session<'w, 'q> {
    pub(super) fn begin(
        worker: &'w Worker,
        queue: &'q mut OwnedQueue,
        instance: &Arc<Instance>,
        left: Left<'w>,
    ) -> Self {
        queue.begin();
        let (desk, trays) = worker.shared.desks.open(queue.ownership.clone());
        Self {
            worker,
            queue,
            instance: Arc::clone(instance),
            left,
            desk,
            trays,
            writing: Vec::new(),
            again: Vec::new(),
            batch: Batch::default(),
            ahead: None,
            known: Arc::default(),
            has_more: false,
            stood_aside: Vec::new(),
            look: true,
            rings: 0,
            next_due: None,
            end: None,
            confirmed: worker.shared.now(),
            is_proven: false,
        }
    }

    /// Works until there is a reason to end, and what was begun has ended, but for calls that do not return in time.
    pub(super) async fn run(mut self) -> Result<(End, Left<'w>), StoreError> {
        let ended = self.work().await;
        if ended.is_err() && self.worker.connection.enlisted.blocks() {
            // The queue is acquired anew: whatever still runs and cannot be dropped must have ended before.
            while self.left.events.next().await.is_some() {}
        }
        if ended.is_err() {
            self.give_up().await;
        }
        self.desk.show(false, false);
        self.worker.shared.desks.close(&self.desk);
        // Whatever is handed over from now on finds the desk closed; what lies there is given back.
        self.trays.handed.close();
        while let Some(handed) = self.trays.handed.recv().await {
            give_back(&self.worker.shared, self.queue.ownership.clone(), &handed.claimed).await;
        }
        // An instance is dropped as soon as nothing runs through it.
        self.left.instance = (!self.left.events.is_empty()).then_some(self.instance);
        Ok((ended?, self.left))
    }

    /// After the store failed: what has not begun is given back, if it can be written by now, so that nothing is charged
    /// for it.
    async fn give_up(&mut self) {
        let ownership = Some(self.queue.ownership.clone());
        let items = self.left.backlog.take_firsts(self.worker.is_in_queue_order());
        let settlements: Vec<_> = items
            .into_iter()
            .map(|item| Settlement { delivery: item.claimed.delivery, outcome: released(None) })
            .collect();
        if !settlements.is_empty() {
            let commit = Commit { settlements, ownership, ..Commit::at(self.worker.shared.now()) };
            // Where it cannot, whoever acquires the queue next counts it as interrupted.
            let _ = self.worker.shared.store.commit(commit).await;
        }
    }

    async fn work(&mut self) -> Result<End, StoreError> {
        loop {
            if std::mem::take(&mut self.is_proven) {
                self.worker.connection.proven(&self.instance, self.worker.queue.direction).await;
            }
            if self.end.is_none() && !self.worker.may_start() {
                let is_stopped = self.worker.stopping.is_cancelled();
                self.end = Some(if is_stopped { End::Stopped } else { End::Closed });
            }
            if self.end.is_some() {
                self.put_back();
            } else {
                self.confirm().await?;
                self.start();
            }
            let can_claim = self.end.is_none() && self.ahead.is_none() && self.is_starved();
            if self.ahead.is_none() && (self.batch_is_due(can_claim) || self.may_go_ahead()) {
                self.write(can_claim && self.look).await?;
                continue;
            }
            if can_claim && self.look {
                let asked = self.worker.shared.now();
                match self.queue.claim().await {
                    Ok((rings, claim)) => {
                        self.confirmed = asked;
                        self.take(rings, claim).await?;
                    }
                    Err(error) if self.worker.is_tried_again(&error).await => {}
                    Err(error) => return Err(error),
                }
                continue;
            }
            self.note_overdue();
            if can_claim && self.is_idle() && !self.stood_aside.is_empty() {
                self.take_back_aside().await?;
                continue;
            }
            if self.batch.is_empty() && self.ahead.is_none() {
                match self.end.take() {
                    Some(end) if !self.waits_to_end(&end) => return Ok(end),
                    Some(end) => self.end = Some(end),
                    None if self.left.events.is_empty() && self.is_emptied() => return Ok(End::Emptied),
                    None => {}
                }
            }
            self.show(can_claim);
            self.wait(can_claim).await?;
        }
    }

    /// Whether something has to end first. Who stops waits for everything, until the grace is over; who does not, goes on
    /// without the calls that do not return.
    fn waits_to_end(&self, end: &End) -> bool {
        let running = self.left.events.len();
        match end {
            End::Stopped => running > 0,
            _ => running > self.overdue(),
        }
    }

    /// Waits for whatever happens next.
    async fn wait(&mut self, can_claim: bool) -> Result<(), StoreError> {
        let worker = self.worker;
        let shared = &worker.shared;
        let settle_at = self.batch.began().map(|began| began.plus(SETTLE_AFTER));
        let call_at = if self.left.backlog.has_startable() { self.not_before() } else { None };
        let overdue_at = self.overdue_next();
        let goes_on = self.end.is_none();
        tokio::select! {
            biased;
            // First, so that the store begins with it before anything is worked on.
            written = landed(&mut self.ahead), if self.ahead.is_some() => self.land(written?),
            Some(event) = self.left.events.next(), if !self.left.events.is_empty() => self.on(event)?,
            Some(handed) = self.trays.handed.recv() => self.take_handed(handed),
            Some(recall) = self.trays.recalls.recv(), if goes_on => self.recall(recall).await?,
            () = worker.stopping.cancelled(), if goes_on => {}
            () = worker.gate_differs_from(true), if goes_on => {}
            () = self.queue.wait(self.next_due), if can_claim => self.look = true,
            () = sleep_until(shared, settle_at), if settle_at.is_some() => {}
            () = sleep_until(shared, call_at), if goes_on && call_at.is_some() => {}
            () = sleep_until(shared, overdue_at), if overdue_at.is_some() => {}
        }
        Ok(())
    }

    /// Says what the worker is doing.
    fn show(&self, can_claim: bool) {
        let is_idle = can_claim && self.is_idle();
        self.desk.show(is_idle, self.is_free());
        let activity = if is_idle {
            Activity::Idle { rings: self.rings, next_due: self.next_due }
        } else if self.left.events.is_empty() && self.not_before().is_some() {
            Activity::Limited { until: self.not_before().unwrap_or(Timestamp::EPOCH) }
        } else {
            Activity::Busy
        };
        self.worker.activity.send_if_modified(|shown| {
            let is_new = *shown != activity;
            *shown = activity;
            is_new
        });
    }

    fn is_idle(&self) -> bool {
        self.left.events.is_empty()
            && self.batch.is_empty()
            && self.ahead.is_none()
            && self.left.backlog.len() == 0
    }

    /// Whether nothing is left to do until the schedule says so.
    fn is_emptied(&self) -> bool {
        self.worker.connection.enlisted.processing.schedule.is_some()
            && !self.look
            && self.left.backlog.len() == 0
    }
}
