#![allow(unused)]

use bus_core::Settings;
use serde::Deserialize;

use std::time::Duration;

#[derive(Deserialize, Settings)]
struct CrmSettings {
    /// When to call.
    at: Duration,
}

fn are_settings<T: Settings>() {}

fn main() {
    are_settings::<CrmSettings>();
}
