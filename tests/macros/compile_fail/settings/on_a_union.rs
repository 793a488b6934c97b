#![allow(unused)]

use bus_core::Settings;
use serde::Deserialize;

#[derive(Settings)]
union CrmSettings {
    number: u32,
}

impl<'de> Deserialize<'de> for CrmSettings {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        unimplemented!()
    }
}

fn main() {}
