//! Free deliveries behind keys that are held.

use std::path::Path;

use bus_store::{Outcome, Store, TaskLog};

use crate::host::{fill_store, payload};
use crate::limits::{BareStore, Log};
use crate::measure::{Plan, Reading, Series, float, median, micros, now, thousands};
use crate::report::{self, Report};

use super::{BATCH, Owned};

/// How many more of each held key are set aside in one round.
const MORE: usize = 10;

/// How many free ones stand behind them.
const FREE: usize = 1_000;

const LIMIT: usize = 0;
const FREELY: usize = 1;
const BEHIND: usize = 2;
/// Of the second comparison.
const ASIDE: usize = 1;

pub(super) async fn run(folder: &Path, plan: &Plan, report: &mut Report) {
    let mut free = Owned::open(&folder.join("free.db")).await;
    let mut blocked = Owned::open(&folder.join("blocked.db")).await;
    let held = block(&mut blocked, plan.blocked).await;
    let mut bare = BareStore::make(&folder.join("blocked-bare.db"));
    let mut series = Series::new(3, &[LIMIT]);
    let mut firsts = [Vec::new(), Vec::new()];
    let mut first_free = Vec::new();
    for round in 0.. {
        if !series.goes_on(plan) {
            break;
        }
        series.add(LIMIT, drain_bare(&mut bare, plan.rows * 10));
        let mut sides = [FREELY, BEHIND];
        if round % 2 == 1 {
            sides.reverse();
        }
        for side in sides {
            let owned = if side == FREELY { &mut free } else { &mut blocked };
            owned.fill(plan.rows * 10).await;
            let drained = owned.drain(plan.rows * 10, BATCH).await;
            firsts[side - FREELY].push(micros(drained.first));
            series.add(side, drained.reading);
        }
    }
    series.add(LIMIT, drain_bare(&mut bare, plan.rows * 10));
    // Then, and not between: what is set aside stays there.
    let further = plan.blocked * MORE;
    let mut moves = Series::new(2, &[LIMIT]);
    while moves.goes_on(plan) {
        moves.add(LIMIT, drain_bare(&mut bare, plan.rows * 10));
        for _ in 0..MORE {
            fill_store(&blocked.store, "sink", held.clone()).await;
        }
        blocked.fill(FREE).await;
        let began = now();
        let claim = blocked.claim(BATCH).await;
        let time = began.elapsed();
        assert_eq!(claim.deliveries.len(), BATCH, "the free ones");
        first_free.push(micros(time));
        moves.add(ASIDE, Reading::of(further, time, Vec::new()));
        let settled = blocked.settled(&claim, &Outcome::Completed);
        blocked.store.commit(settled).await.expect("it is the owner");
        blocked.drain(FREE - BATCH, BATCH).await;
    }
    moves.add(LIMIT, drain_bare(&mut bare, plan.rows * 10));
    free.store.close().await;
    blocked.store.close().await;

    let keys = thousands(float(plan.blocked));
    let remark = format!("Drain: {}; set aside: {}", series.quality(), moves.quality());
    report::section(&format!("Behind {keys} blocked keys"), &remark);
    report::table(&["what", "rows per second", "by bare SQLite", "first claim, ms"]);
    let rate = |reading: &Reading| reading.rate;
    let row = |name: String, series: &Series, side: usize, first: String| {
        let by_limit = series.ratio(side, LIMIT, rate).to_string();
        report::row(&[name, thousands(series.median(side, rate)), by_limit, first]);
    };
    let millis = |times: Vec<f64>| format!("{:.1}", median(times) / 1e3);
    let [freely, behind] = firsts;
    row("bare SQLite: read 100, delete 100".to_owned(), &series, LIMIT, "–".to_owned());
    row("claim 100, settle 100: no key blocked".to_owned(), &series, FREELY, millis(freely));
    row(format!("the same behind {keys} parked rows"), &series, BEHIND, millis(behind));
    let what = format!("{} further rows of these keys set aside", thousands(float(further)));
    row(what, &moves, ASIDE, millis(first_free));
    let ratio = series.ratio(BEHIND, FREELY, rate);
    let what = format!("drain behind {keys} blocked keys by the same without them");
    report.goal("P12", &what, "≥ 0.95", &ratio, ratio.median >= 0.95);
}

/// Parks one delivery of each of so many keys; their ids.
async fn block(owned: &mut Owned, keys: usize) -> std::ops::Range<i64> {
    let from = owned.next;
    owned.fill(keys).await;
    let parked = Outcome::Parked { error: "it is refused".to_owned(), aside: false };
    loop {
        let claim = owned.claim(BATCH).await;
        if claim.deliveries.is_empty() {
            return from..owned.next;
        }
        let settled = owned.settled(&claim, &parked);
        owned.store.commit(settled).await.expect("it is the owner");
    }
}

fn drain_bare(bare: &mut BareStore, rows: usize) -> Reading {
    let data = payload(7);
    for row in 1..=rows {
        bare.append(&data);
        if row % 1_000 == 0 {
            bare.flush();
        }
    }
    bare.flush();
    let began = now();
    assert_eq!(bare.drain(), rows);
    Reading::of(rows, began.elapsed(), Vec::new())
}
