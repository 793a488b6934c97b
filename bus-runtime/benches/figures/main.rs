//! The figures of `docs/performance.md`: what the bus does beside what the same disk and the same SQLite do without it.
//!
//! ```text
//! cargo bench -p bus-runtime --bench figures                   everything
//! cargo bench -p bus-runtime --bench figures -- drain latency  only these
//! BUS_BENCH_QUICK=1 cargo bench -p bus-runtime --bench figures seconds, only to see that it works
//! ```
//!
//! `BUS_BENCH_BACKLOG` sets how many tasks are queued for memory and start, `BUS_BENCH_DIR` the folder that is written.

mod backlog;
mod draining;
mod host;
mod importing;
mod latency;
mod limits;
mod logging;
mod measure;
mod queue;
mod report;
mod typing;

use std::env;
use std::path::PathBuf;

use measure::{Plan, now};
use report::Report;
use tempfile::TempDir;
use tokio::runtime::Builder;

fn main() {
    let mut plan = if env::var_os("BUS_BENCH_QUICK").is_some() { Plan::quick() } else { Plan::full() };
    if let Some(backlog) = env::var("BUS_BENCH_BACKLOG").ok().and_then(|number| number.parse().ok()) {
        plan.backlog = backlog;
    }
    let runtime = Builder::new_multi_thread().enable_all().build().expect("an executor");
    if let Some(asked) = backlog::asked() {
        return runtime.block_on(backlog::answer(asked, &plan));
    }
    // In the target folder: the system's temporary folder may be in memory.
    let parent =
        env::var_os("BUS_BENCH_DIR").map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
    let folder = TempDir::new_in(parent).expect("a folder that can be written");
    let wanted: Vec<_> = env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let mut report = Report::default();
    let began = now();
    println!("SQLite {}, WAL, synchronous = FULL on all sides, read back.", rusqlite::version());
    runtime.block_on(async {
        if is_wanted("log") {
            logging::run(folder.path(), &plan, &mut report).await;
        }
        if is_wanted("drain") {
            draining::run(folder.path(), &plan, &mut report).await;
        }
        if is_wanted("latency") {
            latency::run(folder.path(), &plan, &mut report).await;
        }
        if is_wanted("import") {
            importing::run(folder.path(), &plan).await;
        }
        if is_wanted("typing") {
            typing::run(&plan, &mut report);
        }
        if is_wanted("queue") {
            queue::run(folder.path(), &plan, &mut report).await;
        }
        if is_wanted("backlog") {
            backlog::run(folder.path(), &plan, &mut report).await;
        }
    });
    report.end();
    println!("\nIt took {:.0} s.", began.elapsed().as_secs_f64());
}
