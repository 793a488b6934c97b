//! Memory, start, and the cost of a change, with many tasks in the queue; and what an idle bus costs.
//!
//! Each is measured in a process of its own, which this one starts.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bus_runtime::{Bus, Config, ConnectorConfig, StoreConfig, Synchronous};
use bus_store::{Commit, ConnectorState};

use crate::host::{AT, Arrivals, Sinks, connector, fill, pause, start, task};
use crate::measure::{Plan, Ratio, Reading, float, median, micros, now, thousands};
use crate::queue;
use crate::report::{self, Report};

/// By this argument a process knows that it is to measure one thing and tell.
pub(crate) const CHILD: &str = "--child";

/// How often each is measured.
const RUNS: usize = 5;

/// How many changes are logged, one after the other, to see what one costs.
const LOGGED: usize = 1_000;

/// How many connectors an idle bus has.
const IDLE_CONNECTORS: usize = 50;

/// What a child is asked.
pub(crate) struct Asked {
    what: String,
    path: PathBuf,
}

/// What this process is asked, if it is a child.
pub(crate) fn asked() -> Option<Asked> {
    let mut arguments = env::args().skip_while(|argument| argument != CHILD).skip(1);
    Some(Asked { what: arguments.next()?, path: arguments.next()?.into() })
}

/// Measures what was asked, and prints numbers.
pub(crate) async fn answer(asked: Asked, plan: &Plan) {
    match asked.what.as_str() {
        "memory" => {
            let began = now();
            let bus = start(&asked.path, &["sink"], ConnectorState::Paused, Arrivals::new(None)).await;
            let started = micros(began.elapsed());
            bus.until_idle().await;
            let opened = resident_kib();
            let logged = log_some(&bus).await;
            println!("{started} {opened} {} {}", resident_kib(), logged.percentile(0.5));
            bus.shutdown().await;
        }
        "work" => queue::work(&asked.path).await,
        "stand-by" => queue::stand_by(&asked.path).await,
        "first" => {
            let arrivals = Arrivals::new(None);
            let began = now();
            let bus = start(&asked.path, &["sink"], ConnectorState::Enabled, arrivals.clone()).await;
            arrivals.first().await;
            println!("{}", micros(began.elapsed()));
            bus.shutdown().await;
        }
        _ => {
            let bus = idle_bus(&asked.path).await;
            bus.until_idle().await;
            // Past the first round of the upkeep, which reads all connectors once.
            pause(Duration::from_secs(11)).await;
            let (before, began) = (busy(), now());
            pause(plan.idle).await;
            let of_thread = |(thread, spent): (OsString, Duration)| {
                spent.saturating_sub(before.get(&thread).copied().unwrap_or_default())
            };
            let spent: Duration = busy().into_iter().map(of_thread).sum();
            let share = spent.as_secs_f64() / began.elapsed().as_secs_f64();
            println!("{share} {}", resident_kib());
            bus.shutdown().await;
        }
    }
}

pub(crate) async fn run(folder: &Path, plan: &Plan, report: &mut Report) {
    let (empty, small, large) = (folder.join("empty.db"), folder.join("small.db"), folder.join("large.db"));
    let sizes = [(&empty, 0), (&small, 1_000), (&large, plan.backlog)];
    for (path, tasks) in sizes {
        let bus = start(path, &["sink"], ConnectorState::Paused, Arrivals::new(None)).await;
        fill(&bus, 1, tasks).await;
        bus.shutdown().await;
    }
    // In turns, as everything is.
    let mut readings: Vec<Vec<[f64; 4]>> = vec![Vec::new(); sizes.len()];
    let mut first: Vec<Vec<f64>> = vec![Vec::new(); sizes.len()];
    for _ in 0..RUNS {
        for (place, (path, tasks)) in sizes.into_iter().enumerate() {
            let numbers = child("memory", path);
            readings[place].push([numbers[0], numbers[1], numbers[2], numbers[3]]);
            if tasks > 0 {
                first[place].push(child("first", path)[0]);
            }
        }
    }
    let of = |place: usize, number: usize| median(readings[place].iter().map(|run| run[number]).collect());

    let title = format!("With {} tasks in the queue", thousands(float(plan.backlog)));
    report::section(&title, &format!("Median of {RUNS} processes each, in turns"));
    let heads = [
        "queued",
        "file MB",
        "start ms",
        "to the first `deliver` ms",
        "resident MiB",
        "… after 1 000 changes",
        "one change, p50 µs",
    ];
    report::table(&heads);
    for (place, (path, tasks)) in sizes.into_iter().enumerate() {
        let bytes = fs::metadata(path).map_or(0, |file| file.len());
        let first =
            if tasks == 0 { "–".to_owned() } else { format!("{:.1}", median(first[place].clone()) / 1e3) };
        report::row(&[
            thousands(float(tasks)),
            thousands(float(usize::try_from(bytes / 1_000_000).unwrap_or(0))),
            format!("{:.1}", of(place, 0) / 1e3),
            first,
            format!("{:.1}", of(place, 1) / 1024.0),
            format!("{:.1}", of(place, 2) / 1024.0),
            thousands(of(place, 3)),
        ]);
    }
    let queued = thousands(float(plan.backlog));
    let costs = readings[2].iter().zip(&readings[1]).map(|(large, small)| large[3] / small[3]);
    let costs = Ratio::of(costs.collect());
    report.goal(
        "P7",
        &format!("one-row log at {queued} queued by 1 000 queued, p50"),
        "≤ 1.10",
        &costs,
        costs.median <= 1.1,
    );
    let memory = of(2, 2) / 1024.0;
    let what = format!("resident memory with {queued} queued");
    report.goal_of("P8", &what, "≤ 64 MiB", &format!("{memory:.1} MiB"), memory <= 64.0);
    let started = of(2, 0) / 1e3;
    report.goal_of(
        "P8",
        &format!("start with {queued} queued"),
        "≤ 10 ms",
        &format!("{started:.1} ms"),
        started <= 10.0,
    );

    idle(folder, plan, report);
}

fn idle(folder: &Path, plan: &Plan, report: &mut Report) {
    let idle = child("idle", &folder.join("idle-50.db"));
    report::section("An idle bus", &format!("{IDLE_CONNECTORS} connectors, {} s", plan.idle.as_secs_f64()));
    report::table(&["share of a core", "resident MiB"]);
    report::row(&[format!("{:.4} %", idle[0] * 100.0), format!("{:.1}", idle[1] / 1024.0)]);
    let what = format!("idle with {IDLE_CONNECTORS} connectors, share of a core");
    report.goal_of("P10", &what, "≤ 0.02 %", &format!("{:.4} %", idle[0] * 100.0), idle[0] <= 0.0002);
}

/// Starts this program once more; the numbers that it prints.
fn child(what: &str, path: &Path) -> Vec<f64> {
    let program = env::current_exe().expect("this program");
    let output = Command::new(program).arg(CHILD).arg(what).arg(path).output().expect("a process");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let numbers = String::from_utf8_lossy(&output.stdout);
    numbers.split_whitespace().map(|number| number.parse().expect("a number")).collect()
}

async fn log_some(bus: &Bus) -> Reading {
    let mut took = Vec::new();
    for id in 0..i64::try_from(LOGGED).expect("a small number") {
        let mut commit = Commit::at(AT);
        commit.tasks.push(task(-id - 1));
        let began = now();
        bus.store().commit(commit).await.expect("it is logged");
        took.push(micros(began.elapsed()));
    }
    Reading::timed(took)
}

async fn idle_bus(path: &Path) -> Bus {
    let mut config =
        Config::new(StoreConfig::Sqlite { path: path.to_owned(), synchronous: Synchronous::Full });
    config.strict = true;
    for number in 0..IDLE_CONNECTORS {
        config = config.connector(ConnectorConfig::new(connector(&format!("sink-{number}"))).uses("sink"));
    }
    Bus::builder(config).provide(Sinks(Arrivals::new(None))).start().await.expect("the bus starts")
}

/// The memory of this process that is not on disk.
fn resident_kib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("NaN");
    line.trim().trim_end_matches(" kB").parse().unwrap_or(f64::NAN)
}

/// How long each thread of this process has run.
fn busy() -> BTreeMap<OsString, Duration> {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let spent = threads.filter_map(|thread| {
        let spent = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        let nanos = spent.split_whitespace().next()?.parse().ok()?;
        Some((thread.file_name(), Duration::from_nanos(nanos)))
    });
    spent.collect()
}
