//! What the typed way costs: the derived types, their JSON, and the translation of what an object refers to, beside
//! `serde_json` with the same object and none of that.

use std::collections::HashMap;
use std::hint::black_box;

use bus_core::payload::Payload;
use bus_core::{BusObject, ObjectId, Ref, ReferenceTarget};
use serde::{Deserialize, Serialize};

use crate::host::Item;
use crate::measure::{Plan, Reading, Series, now};
use crate::report::{self, Report};

/// How many objects are written and read in one round.
const OBJECTS: usize = 20_000;

const BARE: usize = 0;
const TYPED: usize = 1;

/// Refers to three others.
#[derive(Debug, Clone, Serialize, Deserialize, BusObject)]
#[object(type = "bench.order", display = "Order")]
struct Order {
    #[object(id)]
    id: i64,
    #[object(display_name)]
    name: String,
    note: String,
    buyer: Ref<Item>,
    seller: Ref<Item>,
    article: Option<Ref<Item>>,
}

/// The same, with the bare ids that stand in its JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct BareOrder {
    id: i64,
    name: String,
    note: String,
    buyer: i64,
    seller: i64,
    article: Option<i64>,
}

pub(crate) fn run(plan: &Plan, report: &mut Report) {
    let Item { name, note, .. } = Item::new(1);
    let bare =
        BareOrder { id: 7, name: name.clone(), note: note.clone(), buyer: 1, seller: 2, article: Some(3) };
    let reference = Ref::<Item>::host;
    let typed =
        Order { id: 7, name, note, buyer: reference(1), seller: reference(2), article: Some(reference(3)) };
    let known: HashMap<ObjectId, String> =
        (1..=3).map(|id| (ObjectId::Number(id), format!("external-{id}"))).collect();
    let mut series = Series::new(2, &[BARE]);
    while series.goes_on(plan) {
        series.add(BARE, timed(|| there_and_back(&bare)));
        series.add(TYPED, timed(|| translated(&typed, &known)));
    }
    series.add(BARE, timed(|| there_and_back(&bare)));
    report::section("The typed way of one object with three references", &series.quality());
    report::table(&["what", "µs an object", "by `serde_json`"]);
    let took = |reading: &Reading| 1e6 / reading.rate;
    for (side, name) in [
        (BARE, "`serde_json`: written and read"),
        (TYPED, "payload written, kept as bytes, read, translated, read as its type"),
    ] {
        let micros = format!("{:.2}", series.median(side, took));
        report::row(&[name.to_owned(), micros, series.ratio(side, BARE, took).to_string()]);
    }
    let ratio = series.ratio(TYPED, BARE, took);
    report.goal("P13", "the typed way by bare `serde_json`", "≤ 2", &ratio, ratio.median <= 2.0);
}

fn timed(one: impl Fn()) -> Reading {
    let began = now();
    (0..OBJECTS).for_each(|_| one());
    Reading::of(OBJECTS, began.elapsed(), Vec::new())
}

fn there_and_back(order: &BareOrder) {
    let bytes = serde_json::to_vec(black_box(order)).expect("it is JSON");
    let read: BareOrder = serde_json::from_slice(black_box(&bytes)).expect("it was written so");
    black_box(read);
}

/// As the bus does it, but for the store, and for the connector that is asked about what nobody knows.
fn translated(order: &Order, known: &HashMap<ObjectId, String>) {
    let payload = Payload::of(black_box(order)).expect("it is an object");
    let bytes = serde_json::to_vec(&payload).expect("it is JSON");
    let mut payload: Payload = serde_json::from_slice(black_box(&bytes)).expect("it was written so");
    for reference in &mut payload.references {
        if let ReferenceTarget::Host(id) = &reference.target {
            reference.target = ReferenceTarget::External(known[id].clone());
        }
    }
    let read: Order = payload.read().expect("it is an order");
    assert!(read.buyer.external_id().is_some(), "it was translated");
    black_box(read);
}
