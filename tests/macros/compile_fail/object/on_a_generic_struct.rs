#![allow(unused)]

use bus_core::BusObject;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.user")]
struct User<T> {
    #[object(id)]
    id: i64,
    more: T,
}

fn is_an_object<T: BusObject>() {}

fn main() {
    is_an_object::<User<String>>();
}
