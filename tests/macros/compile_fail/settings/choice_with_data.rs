#![allow(unused)]

use bus_core::Settings;
use serde::Deserialize;

#[derive(Deserialize, Settings)]
enum Schedule {
    Never,
    Every(u32),
}

fn main() {}
