//! What a child does: runs a bus on a file, and writes down what it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bus_runtime::StoreConfig;
use bus_tests_crash::Manners;
use bus_tests_history::Dice;
use serde_json::{Value, json};

use crate::bench::{Place, Running, Start, brisk};
use crate::host_transaction::change_and_log;
use crate::processes::{self, Process, say};

/// What a child is to do.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) place: Place,
    pub(crate) who: String,
    pub(crate) seed: u64,
    pub(crate) work: Work,
    pub(crate) manners: Manners,
    pub(crate) max_attempts: u32,
    pub(crate) lease_ms: Option<u64>,
    /// Whether it keeps everything in memory.
    pub(crate) forgets: bool,
    /// The place at which it ends itself, and at which passing of it.
    pub(crate) ends_at: Option<(String, u64)>,
}

/// What it does besides working on the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Several write at random, for ever; each has items of its own from this number on.
    Writes { first: i64 },
    /// The same few changes each time, then everything ends.
    Scenario,
    /// A few changes of the application's own tables, each logged in their transaction, then everything ends.
    Transactions,
    /// Nothing: everything ends.
    Ends,
    /// Nothing, for ever.
    Stays,
}

const WRITERS: i64 = 3;
const ITEMS_EACH: i64 = 6;
/// Items that all writers save, and nobody deletes.
const SHARED: i64 = 2;

impl Plan {
    pub(crate) fn new(place: &Place, who: &str, work: Work) -> Self {
        Self {
            place: place.clone(),
            who: who.to_owned(),
            seed: 0,
            work,
            manners: Manners::default(),
            max_attempts: crate::bench::MANY_ATTEMPTS,
            lease_ms: None,
            forgets: false,
            ends_at: None,
        }
    }

    pub(crate) fn start(&self) -> Process {
        Process::start("child::child_that_runs_a_bus", &self.write())
    }

    fn write(&self) -> String {
        let Manners { retry_percent, reject_percent, panic_percent, deadly, stops, asks_for: _ } =
            &self.manners;
        let (work, first) = match self.work {
            Work::Writes { first } => ("writes", first),
            Work::Scenario => ("scenario", 0),
            Work::Transactions => ("transactions", 0),
            Work::Ends => ("ends", 0),
            Work::Stays => ("stays", 0),
        };
        json!({
            "place": self.place.0, "who": self.who, "seed": self.seed, "work": work, "first": first,
            "retry": retry_percent, "reject": reject_percent, "panic": panic_percent, "deadly": deadly, "stops": stops.as_ref().map(|at| at.0), "gate": stops.as_ref().map(|at| &at.1),
            "max_attempts": self.max_attempts, "lease_ms": self.lease_ms, "forgets": self.forgets,
            "point": self.ends_at.as_ref().map(|at| &at.0), "passing": self.ends_at.as_ref().map(|at| at.1),
        })
        .to_string()
    }

    fn read(text: &str) -> Self {
        let plan: Value = serde_json::from_str(text).expect("a plan");
        let number = |name: &str| plan[name].as_u64();
        let text = |name: &str| plan[name].as_str().map(str::to_owned);
        let first = plan["first"].as_i64().unwrap_or(0);
        Self {
            place: Place(text("place").expect("a place").into()),
            who: text("who").expect("a name"),
            seed: number("seed").unwrap_or(0),
            work: match text("work").as_deref() {
                Some("writes") => Work::Writes { first },
                Some("scenario") => Work::Scenario,
                Some("transactions") => Work::Transactions,
                Some("stays") => Work::Stays,
                _ => Work::Ends,
            },
            manners: Manners {
                retry_percent: number("retry").unwrap_or(0),
                reject_percent: number("reject").unwrap_or(0),
                panic_percent: number("panic").unwrap_or(0),
                asks_for: None,
                deadly: plan["deadly"].as_i64(),
                stops: plan["stops"].as_i64().zip(text("gate").map(Into::into)),
            },
            max_attempts: number("max_attempts").and_then(|most| u32::try_from(most).ok()).expect("a number"),
            lease_ms: number("lease_ms"),
            forgets: plan["forgets"] == true,
            ends_at: text("point").zip(number("passing")),
        }
    }
}

/// The places that every bus with work passes again and again.
pub(crate) const STORE_POINTS: [&str; 3] =
    ["sqlite-statement", "sqlite-before-commit", "sqlite-after-commit"];

/// All places at which a child can be made to end itself.
pub(crate) const POINTS: [&str; 6] =
    [STORE_POINTS[0], STORE_POINTS[1], STORE_POINTS[2], AFTER_CHANGE, BEFORE_HOST_COMMIT, AFTER_HOST_COMMIT];

// Those of the application itself, in a transaction of its own.
pub(crate) const AFTER_CHANGE: &str = "host-after-change";
pub(crate) const BEFORE_HOST_COMMIT: &str = "host-before-commit";
pub(crate) const AFTER_HOST_COMMIT: &str = "host-after-commit";

/// Counts how often each place is passed, and ends the process at the passing that is named.
pub(crate) fn count_points(at: Option<&(String, u64)>) -> Vec<Arc<AtomicU64>> {
    let count_point = |point: &&'static str| {
        let passed = Arc::new(AtomicU64::new(0));
        let ends_at = at.filter(|at| at.0 == *point).map(|at| at.1);
        let counted = Arc::clone(&passed);
        let pass = move || {
            if Some(counted.fetch_add(1, Ordering::SeqCst) + 1) == ends_at {
                std::process::abort();
            }
        };
        fail::cfg_callback(*point, pass).expect("the place is known");
        passed
    };
    POINTS.iter().map(count_point).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_runs_a_bus() {
    let Some(plan) = processes::plan() else { return };
    let plan = Plan::read(&plan);
    let passed = count_points(plan.ends_at.as_ref());
    say("begins");
    let mut start = Start::new(&plan.place, &plan.who);
    start.processing = brisk(plan.max_attempts);
    if let Some(lease_ms) = plan.lease_ms {
        start.processing.lease_ms = lease_ms;
        start.processing.call_timeout_ms = 200;
    }
    if plan.forgets {
        start.store = StoreConfig::Memory;
    }
    (start.manners, start.seed, start.said) = (plan.manners.clone(), plan.seed, Arc::new(say));
    let running = Arc::new(start.run().await.expect("the bus starts"));
    say("runs");
    match plan.work {
        Work::Writes { first } => write_for_ever(&running, first, plan.seed).await,
        Work::Scenario => scenario(&running).await,
        Work::Transactions => change_and_log(&running, &plan.place).await,
        Work::Stays => std::future::pending().await,
        Work::Ends => {}
    }
    let Ok(running) = Arc::try_unwrap(running).map_err(|_| "somebody still writes") else { return };
    running.finish().await;
    for (point, passed) in POINTS.iter().zip(passed) {
        say(&format!("passed {point} {}", passed.load(Ordering::SeqCst)));
    }
}

/// Creates, updates and deletes; one after the other, so that it is the same each time.
async fn scenario(running: &Running) {
    for (id, change) in [(1, "one"), (2, "two"), (1, "three"), (3, "four")] {
        running.save(id, &format!("{}.{change}", running.who)).await.expect("saved");
        running.until_settled().await;
    }
    running.delete(1).await;
}

async fn write_for_ever(running: &Arc<Running>, first: i64, seed: u64) {
    running.retry_parked().await;
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let running = Arc::clone(running);
        let begin = first + SHARED + writer * ITEMS_EACH;
        let own: Vec<i64> = (begin..begin + ITEMS_EACH).collect();
        let shared: Vec<i64> = (first..first + SHARED).collect();
        let mut dice = Dice::seeded(seed ^ writer.unsigned_abs().rotate_left(48));
        writers.push(tokio::spawn(async move {
            running.write_at_random(&writer.to_string(), &own, &shared, usize::MAX, &mut dice).await;
        }));
    }
    for writer in writers {
        writer.await.expect("it writes for ever");
    }
}
