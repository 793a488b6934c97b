#![allow(unused)]

use bus_core::Settings;
use serde::Deserialize;

#[derive(Deserialize, Settings)]
#[serde(tag = "type")]
enum Schedule {
    Never,
    Daily,
}

fn main() {}
