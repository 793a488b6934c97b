#![allow(unused)]

use bus_core::Settings;
use serde::Deserialize;

#[derive(Deserialize, Settings)]
struct Connection {
    /// Where it answers.
    url: String,
}

#[derive(Deserialize, Settings)]
struct CrmSettings {
    /// How to reach it.
    #[serde(flatten)]
    connection: Connection,
}

fn are_settings<T: Settings>() {}

fn main() {
    are_settings::<CrmSettings>();
}
