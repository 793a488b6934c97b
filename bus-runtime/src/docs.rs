//! The pages for people say what is there: states, tests and defaults.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, time::Duration};

use bus_core::DeliveryState;
use serde_json::{Map, Value, json};

use crate::config::{Limits, Processing, Rate};

const STATES: &str = "docs/states.md";
const CONTRACT: &str = "docs/delivery-contract.md";
const ACCEPTANCE: &str = "docs/acceptance.md";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_state_is_in_the_diagram_and_in_a_table() {
    let page = read(STATES);
    let (diagram, tables) = page.split_once("## Open").unwrap();
    for state in DeliveryState::OPEN.into_iter().chain(DeliveryState::FINAL) {
        assert!(diagram.contains(&format!("--> {state}:")), "the diagram leads nowhere to {state}");
        assert!(tables.contains(&format!("\n| `{state}` |")), "no table says what {state} means");
    }
}

/// A law is named as `file::law`, a test as `path.rs::test`.
#[test]
fn every_test_that_a_page_names_is_there() {
    let mut named = 0;
    for page in [STATES, CONTRACT, ACCEPTANCE, "ARCHITECTURE.md"] {
        let text = read(page);
        for code in text.split('`').skip(1).step_by(2) {
            let Some((place, name)) = code.split_once("::") else {
                let is_path = ["bus-", "docs/", "tests/"].iter().any(|folder| code.starts_with(folder));
                assert!(!is_path || root().join(code).exists(), "{page} names `{code}`, which is not there");
                continue;
            };
            let file = match place {
                _ if place.contains('/') => place.to_owned(),
                _ if place.starts_with(char::is_lowercase) && !place.starts_with("bus_") => {
                    format!("bus-store/src/conformance/{place}.rs")
                }
                _ => continue,
            };
            let is_there = read(file).contains(&format!("fn {name}("));
            assert!(is_there, "{page} names `{code}`, which is not there");
            named += 1;
        }
    }
    assert!(named > 50, "{named}");
}

/// A story is one that is told on every store, and a scenario without one does not stand in the table.
#[test]
fn every_scenario_is_shown_by_stories() {
    let page = read(ACCEPTANCE);
    let (_, table) = page.split_once("|---|---|\n").unwrap();
    let scenarios: Vec<_> = table.lines().take_while(|line| line.starts_with('|')).collect();
    assert_eq!(scenarios.len(), 16, "{scenarios:#?}");
    for scenario in scenarios {
        let shown_by = scenario.rsplit('|').nth(1).unwrap();
        let named: Vec<_> = shown_by.split('`').filter_map(|code| code.split_once("::")).collect();
        assert!(!named.is_empty(), "no story shows: {scenario}");
        for (file, story) in named {
            let text = read(file);
            let told = text.split_once("stories!(").and_then(|(_, told)| told.split_once(");"));
            let (told, _) = told.unwrap_or_else(|| panic!("{file} tells no stories"));
            let is_told = told.split(',').any(|name| name.trim() == story);
            assert!(is_told, "{file} does not tell {story} on every store");
        }
    }
}

/// The rows of the contract's tables that begin with a key: the default and the limits.
fn rows() -> BTreeMap<String, (String, String)> {
    let page = read(CONTRACT);
    let (_, tables) = page.split_once("## Defaults and limits").unwrap();
    let cells = tables.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let rows = cells.filter(|cells| cells.len() == 6 && cells[1].starts_with('`'));
    rows.map(|cells| (cells[1].trim_matches('`').to_owned(), (cells[2].to_owned(), cells[3].to_owned())))
        .collect()
}

#[test]
fn the_contract_says_what_the_defaults_are() {
    let rows = rows();
    let number = |key: &str| rows[key].0.replace(',', "").parse::<f64>().ok();
    let Value::Object(defaults) = serde_json::to_value(Processing::default()).unwrap() else { panic!() };
    for (key, default) in &defaults {
        if let Some(default) = default.as_f64() {
            assert_eq!(number(key), Some(default), "{key}");
        }
    }
    assert_eq!(rows["ordering"].0, format!("`{}`", defaults["ordering"]));
    assert!(defaults["rate"].is_null() && rows["rate_calls_max"].0 == "no limit");
    assert!(defaults["schedule"].is_null() && rows["schedule`, `time_zone"].0.starts_with("at once"));
    assert_eq!(
        number("rate_interval_ms").map(|ms| ms.to_string()),
        Some(Rate::per_second(1).interval_ms.to_string())
    );
    let limits = Limits::default();
    let ms = |key: &str| number(key).map(|ms| Duration::from_secs_f64(ms / 1_000.0));
    assert_eq!(
        number("payload_bytes_max").map(|bytes| bytes.to_string()),
        Some(limits.payload_bytes_max.to_string())
    );
    assert_eq!(ms("shutdown_grace_ms"), Some(limits.shutdown_grace));
    assert_eq!(ms("due_max_ms"), Some(limits.due_max));
    assert!(limits.store_bytes_max.is_none() && rows["store_bytes_max"].0 == "no limit");
}

#[test]
fn the_contract_says_what_the_limits_are() {
    let Value::Object(defaults) = serde_json::to_value(Processing::default()).unwrap() else { panic!() };
    let mut too_much: Map<String, Value> = defaults
        .into_iter()
        .map(|(key, value)| match value {
            Value::Number(_) if key.ends_with("_ms") => (key, json!(u64::MAX)),
            Value::Number(_) => (key, json!(u32::MAX)),
            value => (key, value),
        })
        .collect();
    too_much.insert("rate".to_owned(), json!({ "calls_max": u32::MAX, "interval_ms": u64::MAX }));
    let processing: Processing = serde_json::from_value(Value::Object(too_much)).unwrap();
    let faults = processing.check().unwrap_err();
    let rows = rows();
    for fault in &faults {
        // `key` is 4,294,967,295; write 1 to 256 (in words)
        let (key, limits) = fault.split_once("; write ").unwrap();
        let key = key.split('`').nth(1).unwrap();
        let limits = limits.split(" (").next().unwrap();
        assert_eq!(rows[key].1, limits, "{key}");
    }
    let of_the_bus = ["payload_bytes_max", "shutdown_grace_ms", "due_max_ms", "store_bytes_max"];
    let told: BTreeSet<_> =
        rows.iter().filter(|(_, (_, limits))| limits.contains(" to ")).map(|(key, _)| key).collect();
    assert_eq!(told.len(), faults.len() + of_the_bus.len(), "{told:?}");
}
