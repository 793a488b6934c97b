//! What a row costs however many are queued.

use std::path::Path;

use bus_store::Store;

use crate::host::payload;
use crate::limits::{BareStore, Log, RawLog};
use crate::measure::{Plan, Reading, Series, float, micros, now, thousands};
use crate::report::{self, Report};

use super::{BATCH, Owned};

struct Job {
    name: &'static str,
    /// How many rows one call takes.
    at_once: usize,
    limit: &'static str,
    most: f64,
}

const JOBS: [Job; 4] = [
    Job { name: "log 1", at_once: 1, limit: "write + fdatasync", most: 1.1 },
    Job { name: "claim 1, settle 1", at_once: 1, limit: "write + fdatasync", most: 1.1 },
    Job { name: "log 100", at_once: BATCH, limit: "bare SQLite, the store's tables", most: 1.3 },
    Job {
        name: "claim 100, settle 100",
        at_once: BATCH,
        limit: "bare SQLite: read 100, delete 100",
        most: 1.3,
    },
];

/// Of so many rows, one is logged, and drained, by itself.
const SINGLE: usize = 4;

const LIMIT: usize = 0;
const SMALLEST: usize = 1;

pub(super) async fn run(folder: &Path, plan: &Plan, report: &mut Report) {
    let mut stores = Vec::new();
    for size in plan.sizes {
        let mut owned = Owned::open(&folder.join(format!("size-{size}.db"))).await;
        owned.fill(size).await;
        stores.push(owned);
    }
    let mut limits = Limits {
        raw: RawLog::make(&folder.join("size.raw")),
        bare: BareStore::make(&folder.join("size-bare.db")),
    };
    let mut all = JOBS.map(|_| Series::new(stores.len() + 1, &[LIMIT]));
    // All rounds: of single calls a few hundred are not many.
    for round in 0..plan.rounds_max {
        for (series, reading) in all.iter_mut().zip(limits.measure(plan.rows)) {
            series.add(LIMIT, reading);
        }
        for turn in 0..stores.len() {
            // Another one follows the limit in each round.
            let place = (turn + round) % stores.len();
            let (owned, single) = (&mut stores[place], plan.rows / SINGLE);
            let readings = [
                owned.log(single, 1).await,
                owned.drain(single, 1).await.reading,
                owned.log(plan.rows, BATCH).await,
                owned.drain(plan.rows, BATCH).await.reading,
            ];
            for (series, reading) in all.iter_mut().zip(readings) {
                series.add(SMALLEST + place, reading);
            }
        }
    }
    for (series, reading) in all.iter_mut().zip(limits.measure(plan.rows)) {
        series.add(LIMIT, reading);
    }
    for owned in stores {
        owned.store.close().await;
    }
    tell(&all, plan, report);
}

fn tell(all: &[Series; JOBS.len()], plan: &Plan, report: &mut Report) {
    let quality = all.iter().zip(JOBS).map(|(series, job)| format!("{}: {}", job.name, series.quality()));
    report::section("What a row costs, by how many are queued", &quality.collect::<Vec<_>>().join("; "));
    let smallest = thousands(float(plan.sizes[0]));
    let by_mean = format!("by {smallest} queued");
    let by_p50 = format!("by {smallest} queued, p50");
    report::table(&["what", "queued", "µs a row", "p50 of a call, µs", &by_mean, &by_p50, "by the limit"]);
    let cost = |reading: &Reading| 1.0 / reading.rate;
    let p50 = |reading: &Reading| reading.percentile(0.5);
    for (series, job) in all.iter().zip(JOBS) {
        let micros_a_row = |side| format!("{:.1}", series.median(side, cost) * 1e6);
        let name = format!("limit of {}: {}", job.name, job.limit);
        report::row(&[name, "–".into(), micros_a_row(LIMIT), "–".into(), "–".into(), "–".into(), "1".into()]);
        for (place, size) in plan.sizes.into_iter().enumerate() {
            let side = SMALLEST + place;
            report::row(&[
                job.name.to_owned(),
                thousands(float(size)),
                micros_a_row(side),
                thousands(series.median(side, p50)),
                series.ratio(side, SMALLEST, cost).to_string(),
                series.ratio(side, SMALLEST, p50).to_string(),
                series.ratio(side, LIMIT, cost).to_string(),
            ]);
            if place > 0 {
                let what = format!("{} at {} queued by {smallest}", job.name, thousands(float(size)));
                // Of single calls the median: a checkpoint that falls into a few of them is not their price.
                let ratio =
                    series.ratio(
                        side,
                        SMALLEST,
                        |reading| {
                            if job.at_once == 1 { p50(reading) } else { cost(reading) }
                        },
                    );
                report.goal("P7", &what, &format!("≤ {:.2}", job.most), &ratio, ratio.median <= job.most);
            }
        }
    }
}

struct Limits {
    raw: RawLog,
    bare: BareStore,
}

impl Limits {
    /// The limit of each job.
    fn measure(&mut self, rows: usize) -> [Reading; JOBS.len()] {
        let data = payload(7);
        let mut took = Vec::new();
        for _ in 0..rows / SINGLE {
            let began = now();
            self.raw.append(&data);
            self.raw.flush();
            took.push(micros(began.elapsed()));
        }
        let single = Reading::timed(took);
        let began = now();
        for row in 1..=rows {
            self.bare.append(&data);
            if row % BATCH == 0 {
                self.bare.flush();
            }
        }
        let logged = Reading::of(rows, began.elapsed(), Vec::new());
        let began = now();
        assert_eq!(self.bare.drain(), rows);
        let drained = Reading::of(rows, began.elapsed(), Vec::new());
        [single.clone(), single, logged, drained]
    }
}
