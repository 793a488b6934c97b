//! From a change to `deliver`, on a bus that has nothing else to do.

use std::path::Path;
use std::time::Duration;

use bus_store::{Commit, ConnectorState};
use tokio::sync::mpsc;

use crate::host::{AT, Arrivals, Item, pause, start, task};
use crate::limits::{Log, RawLog};
use crate::measure::{Plan, Reading, Series, micros, now, thousands};
use crate::report::{self, Report};

/// How long the bus is left alone before each change.
const PAUSE: Duration = Duration::from_millis(4);

const SIDES: [&str; 7] = [
    "fdatasync of 4 KiB",
    "`store.commit`, the call",
    "start of `store.commit` → `deliver`",
    "end of `store.commit` → `deliver`",
    "`objects().save`, the call",
    "start of `objects().save` → `deliver`",
    "end of `objects().save` → `deliver`",
];

pub(crate) async fn run(folder: &Path, plan: &Plan, report: &mut Report) {
    let (times, mut delivered) = mpsc::unbounded_channel();
    let bus =
        start(&folder.join("idle.db"), &["sink"], ConnectorState::Enabled, Arrivals::new(Some(times))).await;
    let mut raw = RawLog::make(&folder.join("idle.raw"));
    let mut series = Series::new(SIDES.len(), &[]);
    let mut id = 1_000_000;
    for _ in 0..plan.rounds_max {
        let mut took = vec![Vec::new(); SIDES.len()];
        for _ in 0..plan.timed {
            pause(PAUSE).await;
            let began = now();
            raw.append(&[7; 4096]);
            raw.flush();
            took[0].push(micros(began.elapsed()));

            pause(PAUSE).await;
            id += 1;
            let mut commit = Commit::at(AT);
            commit.tasks.push(task(id));
            let began = now();
            bus.store().commit(commit).await.expect("it is logged");
            let ended = now();
            let arrived = delivered.recv().await.expect("it is delivered");
            took[1].push(micros(ended - began));
            took[2].push(micros(arrived - began));
            took[3].push(micros(arrived.saturating_duration_since(ended)));
            bus.until_idle().await;

            pause(PAUSE).await;
            id += 1;
            let began = now();
            bus.objects().save(&mut Item::new(id)).await.expect("it is saved");
            let ended = now();
            let arrived = delivered.recv().await.expect("it is delivered");
            took[4].push(micros(ended - began));
            took[5].push(micros(arrived - began));
            took[6].push(micros(arrived.saturating_duration_since(ended)));
            bus.until_idle().await;
        }
        for (side, took) in took.into_iter().enumerate() {
            series.add(side, Reading::timed(took));
        }
    }
    bus.shutdown().await;

    let remark =
        format!("{} rounds of {} changes, {} ms apart", plan.rounds_max, plan.timed, PAUSE.as_millis());
    report::section("From a change to `deliver` on an idle bus", &remark);
    report::table(&["what", "p50 µs", "p99 µs", "p50 by fdatasync", "p99 by fdatasync"]);
    for (side, name) in SIDES.into_iter().enumerate() {
        report::row(&[
            name.to_owned(),
            thousands(series.median(side, |reading| reading.percentile(0.5))),
            thousands(series.median(side, |reading| reading.percentile(0.99))),
            series.ratio(side, 0, |reading| reading.percentile(0.5)).to_string(),
            series.ratio(side, 0, |reading| reading.percentile(0.99)).to_string(),
        ]);
    }
    for (share, name, most) in [(0.5, "p50", 1.5), (0.99, "p99", 2.5)] {
        // `store.commit` by itself claims nothing; what the application calls does.
        let ratio = series.ratio(5, 0, |reading| reading.percentile(share));
        let what = format!("start of the logging call → `deliver`, {name} by fdatasync");
        report.goal("P6", &what, &format!("≤ {most}"), &ratio, ratio.median <= most);
    }
}
