#![allow(unused)]

use bus_core::BusObject;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.user", view = "short")]
struct User {
    #[object(id)]
    id: i64,
}

fn is_an_object<T: BusObject>() {}

fn main() {
    is_an_object::<User>();
}
