//! Drain of a queue by a connector that does nothing, through the whole runtime.

use std::path::Path;

use bus_store::ConnectorState;

use crate::host::{Arrivals, connector, fill, outgoing, payload, start};
use crate::limits::{BareStore, Log};
use crate::measure::{Plan, Reading, Series, float, now, thousands};
use crate::report::{self, Report};

const BARE: usize = 0;
const KEEPING: usize = 1;
const BUS: usize = 2;

pub(crate) async fn run(folder: &Path, plan: &Plan, report: &mut Report) {
    let arrivals = Arrivals::new(None);
    let bus = start(&folder.join("drain.db"), &["sink"], ConnectorState::Paused, arrivals.clone()).await;
    let mut bare = BareStore::make(&folder.join("drain-bare.db"));
    let mut keeping = BareStore::make(&folder.join("drain-keeping.db"));
    let data = payload(7);
    let drain_bare = |bare: &mut BareStore, drain: fn(&mut BareStore) -> usize| {
        for row in 1..=plan.drained {
            bare.append(&data);
            if row % 1_000 == 0 {
                bare.flush();
            }
        }
        bare.flush();
        let began = now();
        let drained = drain(bare);
        assert_eq!(drained, plan.drained);
        Reading::of(drained, began.elapsed(), Vec::new())
    };
    let mut series = Series::new(3, &[BARE]);
    let mut next = 1;
    while series.goes_on(plan) {
        series.add(BARE, drain_bare(&mut bare, BareStore::drain));
        series.add(KEEPING, drain_bare(&mut keeping, BareStore::drain_keeping));

        fill(&bus, next, plan.drained).await;
        next += i64::try_from(plan.drained).expect("a small number");
        let before = arrivals.count();
        let began = now();
        let set = bus.set_connector_state(&connector("sink"), ConnectorState::Enabled).await;
        set.expect("it is registered");
        bus.until_idle().await;
        let time = began.elapsed();
        assert_eq!(arrivals.count() - before, plan.drained, "each once");
        let counters = bus.store().counters(&outgoing("sink")).await.expect("the store counts");
        assert_eq!(counters.open, 0, "each settled");
        series.add(BUS, Reading::of(plan.drained, time, Vec::new()));
        let set = bus.set_connector_state(&connector("sink"), ConnectorState::Paused).await;
        set.expect("it is registered");
    }
    series.add(BARE, drain_bare(&mut bare, BareStore::drain));
    bus.shutdown().await;

    let title = format!("Drain of {} deliveries", thousands(float(plan.drained)));
    report::section(&title, &series.quality());
    report::table(&["what", "per second", "by bare SQLite", "by bare SQLite that keeps what has ended"]);
    let rate = |reading: &Reading| reading.rate;
    for (side, name) in [
        (BARE, "bare SQLite: read 100, delete 100"),
        (KEEPING, "bare SQLite: read 100, keep 100 as history"),
        (BUS, "the bus, which keeps them, too"),
    ] {
        report::row(&[
            name.to_owned(),
            thousands(series.median(side, rate)),
            series.ratio(side, BARE, rate).to_string(),
            series.ratio(side, KEEPING, rate).to_string(),
        ]);
    }
    let ratio = series.ratio(BUS, BARE, rate);
    let what = "drain by the bare read-100/delete-100 loop (moonshot)";
    report.goal("P4", what, "≥ 0.5", &ratio, ratio.median >= 0.5);
}
