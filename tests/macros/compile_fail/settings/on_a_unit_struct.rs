#![allow(unused)]

use bus_core::Settings;
use serde::Deserialize;

#[derive(Deserialize, Settings)]
struct CrmSettings;

fn are_settings<T: Settings>() {}

fn main() {
    are_settings::<CrmSettings>();
}
