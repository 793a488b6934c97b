//! The short way from a change to its delivery: what is logged while a worker has time is claimed by the same commit and
//! handed to that worker at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bus_core::ConnectorName;
use bus_store::{
    Claimed, Commit, Committed, NewTask, Outcome, Ownership, QueueId, Settlement, StoreError, StoreErrorKind,
};
use tokio::sync::{mpsc, oneshot};

use super::call;
use super::recall::Recall;
use super::settlement::released;
use crate::shared::Shared;

/// The workers of this process that take what was claimed for them.
#[derive(Debug, Default)]
pub(crate) struct Desks(Mutex<HashMap<QueueId, Arc<Desk>>>);

/// Where a worker takes what was claimed for it.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) ownership: Ownership,
    /// Whether it has nothing to do.
    is_idle: AtomicBool,
    /// Whether it could begin with something now: connected, with a free slot.
    is_free: AtomicBool,
    /// How many were handed over that it has not begun to look at.
    handed: AtomicUsize,
    taking: mpsc::UnboundedSender<Handed>,
    recalling: mpsc::UnboundedSender<Recall>,
}

/// What a worker takes at its desk.
pub(crate) struct Trays {
    pub(crate) handed: mpsc::UnboundedReceiver<Handed>,
    pub(crate) recalls: mpsc::UnboundedReceiver<Recall>,
}

/// Something that was claimed for a worker.
#[derive(Debug)]
pub(crate) struct Handed {
    pub(crate) claimed: Claimed,
    /// Who waits for its outcome, which is written by then.
    pub(crate) answer: Option<oneshot::Sender<Outcome>>,
}

impl Desks {
    /// Opens a desk for a worker that owns this queue, until it is closed.
    pub(crate) fn open(&self, ownership: Ownership) -> (Arc<Desk>, Trays) {
        let (taking, handed) = mpsc::unbounded_channel();
        let (recalling, recalls) = mpsc::unbounded_channel();
        let queue = ownership.queue.clone();
        let (is_idle, is_free) = (AtomicBool::new(false), AtomicBool::new(false));
        let desk =
            Arc::new(Desk { ownership, is_idle, is_free, handed: AtomicUsize::new(0), taking, recalling });
        self.desks().insert(queue, Arc::clone(&desk));
        (desk, Trays { handed, recalls })
    }

    /// Closes it, unless another has taken its place.
    pub(crate) fn close(&self, desk: &Arc<Desk>) {
        let mut desks = self.desks();
        let queue = &desk.ownership.queue;
        if desks.get(queue).is_some_and(|open| Arc::ptr_eq(open, desk)) {
            desks.remove(queue);
        }
    }

    pub(super) fn get(&self, queue: &QueueId) -> Option<Arc<Desk>> {
        self.desks().get(queue).cloned()
    }

    /// The worker of this queue, if it has nothing to do; for one caller, until it says so again.
    fn idle(&self, queue: &QueueId) -> Option<Ownership> {
        let desk = self.get(queue)?;
        desk.is_idle.swap(false, Ordering::Relaxed).then(|| desk.ownership.clone())
    }

    /// The worker of this queue, if it could begin with something now; for one caller, until it says so again.
    fn free(&self, queue: &QueueId) -> Option<Ownership> {
        let desk = self.get(queue)?;
        desk.is_free.swap(false, Ordering::Relaxed).then(|| desk.ownership.clone())
    }

    /// Whether something was handed to the worker of this queue that it has not begun to look at.
    pub(crate) fn has_handed(&self, queue: &QueueId) -> bool {
        self.get(queue).is_some_and(|desk| desk.handed.load(Ordering::SeqCst) > 0)
    }

    fn desks(&self) -> std::sync::MutexGuard<'_, HashMap<QueueId, Arc<Desk>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// Its worker has taken one, and says that it is busy.
    pub(crate) fn taken(&self) {
        self.handed.fetch_sub(1, Ordering::SeqCst);
    }

    /// Puts something before its worker; `None` where that has gone.
    pub(super) fn recall(&self, recall: Recall) -> Option<()> {
        self.recalling.send(recall).ok()
    }

    /// Says what its worker could do now.
    pub(crate) fn show(&self, is_idle: bool, is_free: bool) {
        self.is_idle.store(is_idle, Ordering::Relaxed);
        self.is_free.store(is_free, Ordering::Relaxed);
    }
}

/// The workers of this process that have nothing to do and are about to be told of one of these tasks; of those who are to
/// be told before the logging call returns, all that could begin at once. Where that is made from within a connector's
/// call, nobody is told so.
pub(crate) fn owners<'t>(
    shared: &Shared,
    tasks: impl IntoIterator<Item = &'t NewTask>,
    synchronous: &BTreeSet<ConnectorName>,
) -> Vec<Ownership> {
    let is_nested = call::is_within_one();
    let owners = queues(tasks).filter_map(|queue| {
        if !is_nested && synchronous.contains(&queue.connector) {
            return shared.desks.free(&queue);
        }
        shared.desks.idle(&queue)
    });
    owners.collect()
}

fn queues<'t>(tasks: impl IntoIterator<Item = &'t NewTask>) -> impl Iterator<Item = QueueId> {
    tasks.into_iter().flat_map(|task| {
        task.deliveries.iter().map(|delivery| QueueId::new(delivery.connector.clone(), task.direction))
    })
}

/// Commits, hands what was claimed by that to its workers, and delivers it to those who are to be told before the logging
/// call returns; answers how that ended with each of them.
///
/// Where something may be claimed, this is done whether or not the caller goes on waiting: what is claimed and in
/// nobody's hands would never be worked on.
pub(crate) async fn commit(
    shared: &Arc<Shared>,
    commit: Commit,
    synchronous: BTreeSet<ConnectorName>,
) -> Result<(Committed, SyncEnds), StoreError> {
    if commit.claim_for.is_empty() {
        let committed = shared.store.commit(commit).await?;
        let ends = synchronous.into_iter().map(|connector| (connector, SyncEnd::Queued));
        return Ok((committed, ends.collect()));
    }
    let is_nested = call::is_within_one();
    let shared = Arc::clone(shared);
    let committing = tokio::spawn(async move {
        let mut committed = shared.store.commit(commit).await?;
        let claimed = std::mem::take(&mut committed.claimed);
        let ends = deliver_now(&shared, &synchronous, is_nested, claimed).await;
        Ok((committed, ends))
    });
    committing.await.unwrap_or_else(|error| {
        let message = "the commit broke off: look at what is there before you try again";
        Err(StoreError::new(StoreErrorKind::Unavailable, "commit", message).with_source(error))
    })
}

/// How synchronous deliveries ended, by connector.
pub(crate) type SyncEnds = Vec<(ConnectorName, SyncEnd)>;

/// Delivers what was claimed for those who are to be told now, in the order of their names; one that fails ends that, and
/// what is left is delivered by the way of the queue. What was claimed for others is handed over; from within a
/// connector's call, all of it.
async fn deliver_now(
    shared: &Shared,
    synchronous: &BTreeSet<ConnectorName>,
    is_nested: bool,
    claimed: Vec<(Ownership, Claimed)>,
) -> SyncEnds {
    let mut now: BTreeMap<ConnectorName, (Ownership, Claimed)> = BTreeMap::new();
    for (ownership, claimed) in claimed {
        let connector = ownership.queue.connector.clone();
        if !is_nested && synchronous.contains(&connector) {
            now.insert(connector, (ownership, claimed));
        } else {
            hand(shared, ownership, claimed, None).await;
        }
    }
    let mut goes_on = true;
    let mut ends = Vec::new();
    for connector in synchronous {
        let mut end = SyncEnd::Queued;
        if let Some((ownership, claimed)) = now.remove(connector) {
            if goes_on {
                let (answer, answered) = oneshot::channel();
                hand(shared, ownership, claimed, Some(answer)).await;
                // Whoever drops it has given it back.
                end = answered.await.map_or(SyncEnd::Queued, SyncEnd::of);
                goes_on = !matches!(end, SyncEnd::Failed { .. });
            } else {
                give_back(shared, ownership, &claimed).await;
            }
        }
        ends.push((connector.clone(), end));
    }
    ends
}

/// How a synchronous delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncEnd {
    /// The external system knows.
    Completed,
    /// The connector let others pass; it is tried again.
    SteppedAside,
    /// The connector wants it later.
    Deferred,
    /// It was tried, and is tried again, waits, or is parked, as an ordinary delivery.
    Failed {
        /// Why.
        error: String,
    },
    /// It was not tried on this path: something earlier of its object is open, or the connector was not able to run
    /// here and now. It is delivered as any other.
    Queued,
}

impl SyncEnd {
    fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Completed => Self::Completed,
            Outcome::Aside { .. } => Self::SteppedAside,
            Outcome::Deferred { .. } => Self::Deferred,
            Outcome::Released { error: None, .. } => Self::Queued,
            Outcome::Released { error: Some(error), .. }
            | Outcome::Retry { error, .. }
            | Outcome::Parked { error, .. }
            | Outcome::Discarded { error }
            | Outcome::Waiting { reason: error, .. } => Self::Failed { error },
        }
    }
}

/// Hands over one delivery, and has its outcome told to whoever waits for it.
async fn hand(
    shared: &Shared,
    ownership: Ownership,
    claimed: Claimed,
    answer: Option<oneshot::Sender<Outcome>>,
) {
    let desk = shared.desks.get(&ownership.queue).filter(|desk| desk.ownership == ownership);
    let refused = match desk {
        Some(desk) => {
            desk.handed.fetch_add(1, Ordering::SeqCst);
            desk.taking.send(Handed { claimed, answer }).err().map(|refused| refused.0.claimed)
        }
        None => Some(claimed),
    };
    if let Some(claimed) = refused {
        give_back(shared, ownership, &claimed).await;
    }
}

/// Gives back what is not begun here: it waits for its turn then.
pub(crate) async fn give_back(shared: &Shared, ownership: Ownership, claimed: &Claimed) {
    let settlements = vec![Settlement { delivery: claimed.delivery, outcome: released(None) }];
    let commit = Commit { settlements, ownership: Some(ownership), ..Commit::at(shared.now()) };
    match shared.store.commit(commit).await {
        Ok(_) => {}
        // Its new owner has it already.
        Err(error) if error.kind() == StoreErrorKind::Stale => {}
        Err(error) => {
            tracing::error!(delivery = %claimed.delivery, %error, "a delivery could not be given back; it is charged one attempt");
        }
    }
}
