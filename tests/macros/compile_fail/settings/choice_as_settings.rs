#![allow(unused)]

use bus_core::Settings;
use serde::Deserialize;

#[derive(Deserialize, Settings)]
enum CrmSettings {
    Never,
    Daily,
}

fn are_settings<T: Settings>() {}

fn main() {
    are_settings::<CrmSettings>();
}
