//! Drain of a queue by a connector that does nothing, through the whole runtime.

use std::path::Path;

use bus_store::ConnectorState;

use crate::host::{Arrivals, connector, fill, outgoing, payload, start};
use crate::limits::{BareStore, Log};
use crate::measure::{Plan, Reading, Series, float, now, thousands};
use crate::report::{self, Report};

const BARE: usize = 0;
const BUS: usize = 1;

pub(crate) async fn run(folder: &Path, plan: &Plan, report: &mut Report) {
    let arrivals = Arrivals::new(None);
    let bus = start(&folder.join("drain.db"), &["sink"], ConnectorState::Paused, arrivals.clone()).await;
    let mut bare = BareStore::make(&folder.join("drain-bare.db"));
    let data = payload(7);
    let mut drain_bare = || {
        for row in 1..=plan.drained {
            bare.append(&data);
            if row % 1_000 == 0 {
                bare.flush();
            }
        }
        bare.flush();
        let began = now();
        let drained = bare.drain();
        assert_eq!(drained, plan.drained);
        Reading::of(drained, began.elapsed(), Vec::new())
    };
    let mut series = Series::new(2, &[BARE]);
    let mut next = 1;
    while series.goes_on(plan) {
        series.add(BARE, drain_bare());

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
    series.add(BARE, drain_bare());
    bus.shutdown().await;

    let title = format!("Drain of {} deliveries", thousands(float(plan.drained)));
    report::section(&title, &series.quality());
    report::table(&["what", "per second", "by bare SQLite"]);
    let ratio = series.ratio(BUS, BARE, |reading| reading.rate);
    let bare_rate = thousands(series.median(BARE, |reading| reading.rate));
    report::row(&["bare SQLite: read 100, delete 100".to_owned(), bare_rate, "1".to_owned()]);
    let bus_rate = thousands(series.median(BUS, |reading| reading.rate));
    report::row(&["the bus".to_owned(), bus_rate, ratio.to_string()]);
    let what = "drain by the bare read-100/delete-100 loop (moonshot)";
    report.goal("P4", what, "≥ 0.5", &ratio, ratio.median >= 0.5);
}
