#![allow(unused)]

use bus_core::Settings;
use serde::Deserialize;

#[derive(Deserialize, Settings)]
#[settings]
struct CrmSettings {
    /// Where the CRM answers.
    url: String,
}

fn are_settings<T: Settings>() {}

fn main() {
    are_settings::<CrmSettings>();
}
