//! From the end of a process, without warning, to the first delivery by another.

use std::env;
use std::io::{BufRead, BufReader, stdin};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use bus_store::{ConnectorState, Store};

use crate::backlog::CHILD;
use crate::host::{Arrivals, pause, start};
use crate::measure::{Plan, Ratio, float, median, micros, now, thousands};
use crate::report::{self, Report};

use super::Owned;

/// How often each is measured.
const RUNS: usize = 5;

/// How long a process works before it is killed.
const WORKS_FOR: Duration = Duration::from_millis(200);

const WORKING: &str = "working";
const STANDING_BY: &str = "standing by";

const SIDES: [&str; 3] = [
    "limit: start of a process on a file that was closed in order → its first `deliver`",
    "kill of the only process → first `deliver` of the next, started then",
    "kill of the owner → first `deliver` of the process that stood by",
];

pub(super) async fn run(folder: &Path, plan: &Plan, report: &mut Report) {
    let path = folder.join("recovery.db");
    let mut filled = Owned::open(&path).await;
    // Each turn delivers some of them, so there are that many until the end.
    filled.fill(plan.recovered + plan.recovered / 2).await;
    filled.store.close().await;
    drop(filled);

    let mut readings = SIDES.map(|_| Vec::new());
    for _ in 0..RUNS {
        let began = now();
        let mut first = Process::start("work", &path);
        readings[0].push(first.says(WORKING, began));
        pause(WORKS_FOR).await;
        let killed = first.kill();
        let mut second = Process::start("work", &path);
        readings[1].push(second.says(WORKING, killed));
        let mut third = Process::start("stand-by", &path);
        third.says(STANDING_BY, now());
        pause(WORKS_FOR).await;
        let killed = second.kill();
        readings[2].push(third.says(WORKING, killed));
        third.end();
    }

    let remark = format!("{} are queued; median of {RUNS}, in turns", thousands(float(plan.recovered)));
    report::section("After an end without warning", &remark);
    report::table(&["what", "ms", "by the limit"]);
    for (name, times) in SIDES.into_iter().zip(&readings) {
        let ratios = times.iter().zip(&readings[0]).map(|(time, limit)| time / limit);
        let ratio = Ratio::of(ratios.collect());
        report::row(&[name.to_owned(), format!("{:.0}", median(times.clone()) / 1e3), ratio.to_string()]);
    }
    for side in [1, 2] {
        let worst = readings[side].iter().copied().fold(0.0, f64::max) / 1e3;
        let got = format!("{worst:.0} ms at worst");
        report.goal_of("recovery", SIDES[side], "≤ 2 s", &got, worst <= 2_000.0);
    }
}

/// A process of this program that works on a file.
struct Process {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Process {
    fn start(what: &str, path: &Path) -> Self {
        let program = env::current_exe().expect("this program");
        let mut command = Command::new(program);
        command.arg(CHILD).arg(what).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a process");
        let lines = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, lines }
    }

    /// Waits until it says this; how long that was after `since`, in microseconds.
    fn says(&mut self, what: &str, since: Instant) -> f64 {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("it says something");
        let time = micros(since.elapsed());
        assert_eq!(line.trim_end(), what);
        time
    }

    /// Kills it; when that was.
    fn kill(mut self) -> Instant {
        let at = now();
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
        at
    }

    /// Has it end in order.
    fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().expect("it ends").success());
    }
}

/// What a process does that is to be killed: it works, says so, and goes on until it is told to end.
pub(crate) async fn work(path: &Path) {
    let arrivals = Arrivals::new(None);
    let bus = start(path, &["sink"], ConnectorState::Enabled, arrivals.clone()).await;
    arrivals.first().await;
    println!("{WORKING}");
    told_to_end().await;
    bus.shutdown().await;
}

/// The same, having said before that another works.
pub(crate) async fn stand_by(path: &Path) {
    let arrivals = Arrivals::new(None);
    let bus = start(path, &["sink"], ConnectorState::Enabled, arrivals.clone()).await;
    bus.until_idle().await;
    assert_eq!(arrivals.count(), 0, "another works");
    println!("{STANDING_BY}");
    arrivals.first().await;
    println!("{WORKING}");
    told_to_end().await;
    bus.shutdown().await;
}

async fn told_to_end() {
    let end = tokio::task::spawn_blocking(|| stdin().read_line(&mut String::new()));
    let _ended = end.await;
}
