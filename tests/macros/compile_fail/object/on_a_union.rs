#![allow(unused)]

use bus_core::BusObject;
use serde::{Deserialize, Serialize};

#[derive(BusObject)]
#[object(type = "app.user")]
union User {
    #[object(id)]
    id: i64,
}

impl Serialize for User {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        unimplemented!()
    }
}

impl<'de> Deserialize<'de> for User {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        unimplemented!()
    }
}

fn main() {}
