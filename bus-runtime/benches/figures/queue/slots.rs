//! Drain through the whole runtime with several slots, in order of objects.

use std::path::Path;

use bus_runtime::{Bus, ConnectorConfig, Processing};
use bus_store::ConnectorState;
use tokio::task::JoinSet;

use crate::host::{Arrivals, PEER_ANSWERS_AFTER, connector, fill_store, outgoing, pause, start_with};
use crate::measure::{Plan, Reading, Series, float, now, thousands};
use crate::report;

const SLOTS: [usize; 3] = [1, 4, 16];

/// What answers, and whether that takes a while.
const PEERS: [(&str, bool, &str); 2] = [
    ("sink", false, "a connector that answers at once"),
    ("peer", true, "one that answers after about 1 ms"),
];

pub(super) async fn run(folder: &Path, plan: &Plan) {
    let arrivals = Arrivals::new(None);
    let connectors = PEERS.into_iter().flat_map(|(linked, ..)| {
        SLOTS.into_iter().map(move |slots| {
            let mut processing = Processing::default();
            processing.concurrency = u32::try_from(slots).expect("a small number");
            ConnectorConfig::new(connector(&name(linked, slots)))
                .uses(linked)
                .state(ConnectorState::Paused)
                .processing(processing)
        })
    });
    let bus = start_with(&folder.join("slots.db"), connectors.collect(), arrivals.clone()).await;
    let mut next = 1;
    for (linked, takes_a_while, title) in PEERS {
        let count = if takes_a_while { plan.rows / 2 } else { plan.rows * 10 };
        // One slot first: its readings before and after a round tell whether the machine was steady.
        let mut series = Series::new(SLOTS.len() * 2, &[0]);
        while series.goes_on(plan) {
            for (side, slots) in SLOTS.into_iter().enumerate() {
                series.add(side, drain(&bus, &arrivals, &name(linked, slots), &mut next, count).await);
                let bare = if takes_a_while { calls(slots, count).await } else { Reading::default() };
                series.add(SLOTS.len() + side, bare);
            }
        }
        series.add(0, drain(&bus, &arrivals, &name(linked, 1), &mut next, count).await);
        let heading = format!("Drain of {} deliveries to {title}", thousands(float(count)));
        report::section(&heading, &series.quality());
        let rate = |reading: &Reading| reading.rate;
        report::table(&["concurrency", "per second", "by concurrency 1", "by the same calls without a bus"]);
        for (side, slots) in SLOTS.into_iter().enumerate() {
            let by_bare = if takes_a_while {
                series.ratio(side, SLOTS.len() + side, rate).to_string()
            } else {
                "–".into()
            };
            let by_one = series.ratio(side, 0, rate).to_string();
            report::row(&[slots.to_string(), thousands(series.median(side, rate)), by_one, by_bare]);
        }
    }
    bus.shutdown().await;
}

fn name(linked: &str, slots: usize) -> String {
    format!("{linked}-{slots}")
}

async fn drain(bus: &Bus, arrivals: &Arrivals, name: &str, next: &mut i64, count: usize) -> Reading {
    fill_store(bus.store().as_ref(), name, (*next..).take(count)).await;
    *next += i64::try_from(count).expect("a small number");
    let before = arrivals.count();
    let began = now();
    bus.set_connector_state(&connector(name), ConnectorState::Enabled).await.expect("it is registered");
    bus.until_idle().await;
    let time = began.elapsed();
    assert_eq!(arrivals.count() - before, count, "each once");
    let counters = bus.store().counters(&outgoing(name)).await.expect("the store counts");
    assert_eq!(counters.open, 0, "each settled");
    bus.set_connector_state(&connector(name), ConnectorState::Paused).await.expect("it is registered");
    Reading::of(count, time, Vec::new())
}

/// So many calls of the peer, so many side by side, and nothing else.
async fn calls(slots: usize, count: usize) -> Reading {
    let began = now();
    let mut running = JoinSet::new();
    for _ in 0..slots {
        running.spawn(async move {
            for _ in 0..count / slots {
                pause(PEER_ANSWERS_AFTER).await;
            }
        });
    }
    running.join_all().await;
    Reading::of(count / slots * slots, began.elapsed(), Vec::new())
}
