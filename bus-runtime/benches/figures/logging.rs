//! Durable logging of one change per call, from 1, 8 and 64 tasks at once.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bus_core::ExternalTask;
use bus_runtime::Bus;
use bus_store::{Commit, ConnectorState};
use tokio::task::JoinSet;

use crate::host::{AT, Arrivals, Article, Item, Sink, payload, start, task};
use crate::limits::{BareStore, BareTable, Grouped, Log, RawLog};
use crate::measure::{Plan, Ratio, Reading, Series, micros, now, thousands};
use crate::report::{self, Report};

const CALLERS: [usize; 3] = [1, 8, 64];

/// What is compared, in the order in which it takes turns.
const SIDES: [&str; 7] = [
    "raw: write + fdatasync",
    "bare SQLite, one table",
    "bare SQLite, the store's tables",
    "`store.commit`",
    "`process_external_task`",
    "`objects().save` of a changed object",
    "`objects().save` of a new object",
];
const RAW: usize = 0;
const BARE: usize = 2;
const COMMIT: usize = 3;

struct Sides {
    raw_direct: RawLog,
    raw: Grouped,
    table: Grouped,
    bare: Grouped,
    bus: Bus,
    /// Ids that nobody else has.
    next: Arc<AtomicI64>,
}

pub(crate) async fn run(folder: &Path, plan: &Plan, report: &mut Report) {
    // Paused: what is logged stays where it is.
    let bus = start(&folder.join("log.db"), &["sink"], ConnectorState::Paused, Arrivals::new(None)).await;
    let mut sides = Sides {
        raw_direct: RawLog::make(&folder.join("log-direct.raw")),
        raw: Grouped::start(RawLog::make(&folder.join("log.raw"))),
        table: Grouped::start(BareTable::make(&folder.join("log-table.db"))),
        bare: Grouped::start(BareStore::make(&folder.join("log-bare.db"))),
        bus,
        next: Arc::new(AtomicI64::new(1_000_000_000)),
    };
    // Caches, log files and threads as in the middle of a day.
    for side in 0..SIDES.len() {
        sides.measure(side, 8, plan.slice / 2).await;
    }
    let mut all = CALLERS.map(|_| Series::new(SIDES.len(), &[RAW, BARE]));
    while all.iter().any(|series| series.goes_on(plan)) {
        for (series, callers) in all.iter_mut().zip(CALLERS) {
            for side in 0..SIDES.len() {
                series.add(side, sides.measure(side, callers, plan.slice).await);
            }
        }
    }
    for (series, callers) in all.iter_mut().zip(CALLERS) {
        for side in [RAW, BARE] {
            series.add(side, sides.measure(side, callers, plan.slice).await);
        }
    }
    sides.bus.shutdown().await;
    tell(&all, report);
}

fn tell(all: &[Series; CALLERS.len()], report: &mut Report) {
    let quality = all.iter().zip(CALLERS).map(|(series, callers)| format!("{callers}: {}", series.quality()));
    let quality: Vec<_> = quality.collect();
    report::section("Durable logging of one change per call", &format!("Callers {}", quality.join("; ")));
    report::table(&["callers", "what", "per second", "p50 µs", "p99 µs", "by raw", "by bare SQLite"]);
    for (series, callers) in all.iter().zip(CALLERS) {
        for (side, name) in SIDES.into_iter().enumerate() {
            report::row(&[
                callers.to_string(),
                name.to_owned(),
                thousands(series.median(side, |reading| reading.rate)),
                thousands(series.median(side, |reading| reading.percentile(0.5))),
                thousands(series.median(side, |reading| reading.percentile(0.99))),
                series.ratio(side, RAW, |reading| reading.rate).to_string(),
                series.ratio(side, BARE, |reading| reading.rate).to_string(),
            ]);
        }
    }
    let [one, _, many] = all;
    let log_one = one.ratio(COMMIT, RAW, |reading| reading.rate);
    report.goal(
        "P1",
        "one durable log by raw append + fdatasync",
        "≥ 0.65",
        &log_one,
        log_one.median >= 0.65,
    );
    let group = many.ratio(COMMIT, BARE, |reading| reading.rate);
    let what = "64 callers by a bare writer thread on the same tables";
    report.goal("P2", what, "≥ 0.80", &group, group.median >= 0.8);
    let scale = many.across(one, COMMIT, |reading| reading.rate);
    report.goal("P2", "64 callers by one caller, rate", "≥ 20", &scale, scale.median >= 20.0);
    let slower = many.across(one, COMMIT, |reading| reading.percentile(0.5));
    report.goal("P2", "64 callers by one caller, p50", "≤ 3", &slower, slower.median <= 3.0);
    for (series, callers) in all.iter().zip(CALLERS) {
        let tail = series.each(COMMIT, |reading| reading.percentile(0.99) / reading.percentile(0.5));
        let tail = Ratio::of(tail);
        report.goal("P11", &format!("p99 by p50, {callers} callers"), "≤ 4", &tail, tail.median <= 4.0);
    }
}

impl Sides {
    async fn measure(&mut self, side: usize, callers: usize, time: Duration) -> Reading {
        let bus = self.bus.clone();
        let next = Arc::clone(&self.next);
        match side {
            0 if callers == 1 => self.raw_alone(time),
            0 => drive(callers, time, grouped(&self.raw)).await,
            1 => drive(callers, time, grouped(&self.table)).await,
            2 => drive(callers, time, grouped(&self.bare)).await,
            3 => drive(callers, time, committed(bus, next)).await,
            4 => drive(callers, time, received(bus, next)).await,
            5 => drive(callers, time, changed(bus, next)).await,
            _ => drive(callers, time, saved(bus, next)).await,
        }
    }

    /// One caller needs no thread but its own.
    fn raw_alone(&mut self, time: Duration) -> Reading {
        let data = payload(7);
        let mut took = Vec::new();
        let began = now();
        while began.elapsed() < time {
            let at = now();
            self.raw_direct.append(&data);
            self.raw_direct.flush();
            took.push(micros(at.elapsed()));
        }
        Reading::of(took.len(), began.elapsed(), took)
    }
}

fn grouped(log: &Grouped) -> impl Fn(usize) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + use<> {
    let log = log.clone();
    let data = payload(7);
    move |_| {
        let (log, data) = (log.clone(), data.clone());
        Box::pin(async move { log.append(data).await })
    }
}

type Call = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

fn committed(bus: Bus, next: Arc<AtomicI64>) -> impl Fn(usize) -> Call {
    move |_| {
        let (bus, id) = (bus.clone(), next.fetch_add(1, Ordering::Relaxed));
        Box::pin(async move {
            let mut commit = Commit::at(AT);
            commit.tasks.push(task(id));
            bus.store().commit(commit).await.expect("it is logged");
        })
    }
}

fn received(bus: Bus, next: Arc<AtomicI64>) -> impl Fn(usize) -> Call {
    move |_| {
        let (bus, number) = (bus.clone(), next.fetch_add(1, Ordering::Relaxed).unsigned_abs());
        Box::pin(async move {
            let Item { name, note, .. } = Item::new(0);
            let task = ExternalTask::create::<Sink, _>("sink", &Article { number, name, note });
            bus.process_external_task(task).await.expect("it is logged");
        })
    }
}

/// Each caller changes an object of its own.
fn changed(bus: Bus, next: Arc<AtomicI64>) -> impl Fn(usize) -> Call {
    move |caller| {
        let (bus, turn) = (bus.clone(), next.fetch_add(1, Ordering::Relaxed));
        Box::pin(async move {
            let id = i64::try_from(caller).expect("a small number") + 1;
            let mut item = Item { name: format!("an item, {turn}"), ..Item::new(id) };
            bus.objects().save(&mut item).await.expect("it is saved");
        })
    }
}

fn saved(bus: Bus, _next: Arc<AtomicI64>) -> impl Fn(usize) -> Call {
    move |_| {
        let bus = bus.clone();
        Box::pin(async move {
            bus.objects().save(&mut Item::new(0)).await.expect("it is saved");
        })
    }
}

/// So many tasks, each of which calls and waits for the answer, again and again.
async fn drive(
    callers: usize,
    time: Duration,
    call: impl Fn(usize) -> Call + Send + Sync + 'static,
) -> Reading {
    let call = Arc::new(call);
    let began = now();
    let mut running = JoinSet::new();
    for caller in 0..callers {
        let call = Arc::clone(&call);
        running.spawn(async move {
            let mut took = Vec::new();
            while began.elapsed() < time {
                let at = now();
                call(caller).await;
                took.push(micros(at.elapsed()));
            }
            took
        });
    }
    let took: Vec<_> = running.join_all().await.into_iter().flatten().collect();
    Reading::of(took.len(), began.elapsed(), took)
}
