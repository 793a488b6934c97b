//! Logs external objects, many at once, and waits until everything that comes of them is done.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus_core::{Clock, Direction, ExternalTask};
use bus_runtime::{Bus, SystemClock};
use tokio::task::JoinSet;

use crate::Failing;
use crate::report::Progress;

/// How many tasks are logged side by side: the store writes those that arrive together in one transaction.
const LOGGERS: usize = 64;

/// How often the progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What became of a run.
pub(crate) struct Outcome {
    /// How many external objects were logged.
    pub(crate) logged: usize,
    /// How long the logging took.
    pub(crate) logging: Duration,
    /// How long everything took, until the index was in step.
    pub(crate) everything: Duration,
    /// What each queue did in this run.
    pub(crate) queues: Tallies,
}

/// By connector and direction.
pub(crate) type Tallies = BTreeMap<(String, Direction), Tally>;

/// What a queue did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// Deliveries that were logged.
    pub(crate) logged: u64,
    /// Deliveries that were completed.
    pub(crate) completed: u64,
    /// How often one began to wait for what it refers to.
    pub(crate) waited: u64,
    /// How often one was tried again after a failure.
    pub(crate) retried: u64,
    /// How many wait for a reference at the end.
    pub(crate) waiting: u64,
    /// How many wait for a person at the end.
    pub(crate) parked: u64,
    /// How many the bus can still do by itself.
    pub(crate) unfinished: u64,
}

impl Tally {
    fn since(self, before: Self) -> Self {
        Self {
            logged: self.logged - before.logged,
            completed: self.completed - before.completed,
            waited: self.waited - before.waited,
            retried: self.retried - before.retried,
            ..self
        }
    }
}

/// Logs these, and returns when there is nothing left that the bus could do by itself.
pub(crate) async fn run(bus: &Bus, tasks: Vec<ExternalTask>) -> Failing<Outcome> {
    let clock = SystemClock;
    let before = tallies(bus).await?;
    let [imported_before, indexed_before] = completed(bus).await?;
    let began = clock.now();
    let all = tasks.len();
    let logged = Arc::new(AtomicUsize::new(0));
    let mut logging = spawn_loggers(bus, tasks, &logged);
    let mut logging_ended = None;
    let mut progress = Progress::begin(all);
    loop {
        let next_look = clock.now().plus(LOOK_EVERY);
        tokio::select! {
            ended = logging.join_next(), if logging_ended.is_none() => match ended {
                Some(ended) => ended??,
                None => logging_ended = Some(clock.now()),
            },
            () = bus.until_idle(), if logging_ended.is_some() => {
                if tallies(bus).await?.values().all(|tally| tally.unfinished == 0) {
                    break;
                }
                // Something failed and is tried again later.
                clock.sleep_until(next_look).await;
            }
            () = clock.sleep_until(next_look) => {}
        }
        let [imported, indexed] = completed(bus).await?;
        progress.show(logged.load(Ordering::Relaxed), imported - imported_before, indexed - indexed_before);
    }
    progress.end();
    let ended = clock.now();
    Ok(Outcome {
        logged: all,
        logging: logging_ended.unwrap_or(ended).since(began),
        everything: ended.since(began),
        queues: since(&tallies(bus).await?, &before),
    })
}

fn spawn_loggers(
    bus: &Bus,
    tasks: Vec<ExternalTask>,
    logged: &Arc<AtomicUsize>,
) -> JoinSet<bus_runtime::Result<()>> {
    let tasks = Arc::new(Mutex::new(tasks.into_iter()));
    let next = move |tasks: &Mutex<std::vec::IntoIter<ExternalTask>>| {
        tasks.lock().unwrap_or_else(PoisonError::into_inner).next()
    };
    (0..LOGGERS)
        .map(|_| {
            let (bus, tasks, logged) = (bus.clone(), Arc::clone(&tasks), Arc::clone(logged));
            async move {
                while let Some(task) = next(&tasks) {
                    // It is durable when this returns.
                    bus.process_external_task(task).await?;
                    logged.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            }
        })
        .collect()
}

async fn tallies(bus: &Bus) -> bus_runtime::Result<Tallies> {
    let queues = bus.queues().await?;
    let tally = |status: bus_runtime::QueueStatus| {
        let bus_runtime::QueueStatus { queue, counters, open, .. } = status;
        let tally = Tally {
            logged: counters.logged,
            completed: counters.completed,
            waited: counters.waited,
            retried: counters.retried,
            waiting: open.waiting,
            parked: open.parked,
            unfinished: open.available + open.running + open.retryable,
        };
        ((queue.connector.to_string(), queue.direction), tally)
    };
    Ok(queues.into_iter().map(tally).collect())
}

fn since(now: &Tallies, before: &Tallies) -> Tallies {
    let before = |queue| before.get(queue).copied().unwrap_or_default();
    now.iter().map(|(queue, tally)| (queue.clone(), tally.since(before(queue)))).collect()
}

/// How many deliveries were ever completed: incoming, outgoing.
async fn completed(bus: &Bus) -> bus_runtime::Result<[u64; 2]> {
    let mut completed = [0, 0];
    for (queue, counters) in bus.counters().await? {
        match queue.direction {
            Direction::Incoming => completed[0] += counters.completed,
            Direction::Outgoing => completed[1] += counters.completed,
        }
    }
    Ok(completed)
}
