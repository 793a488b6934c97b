#![allow(unused)]

use bus_core::BusObject;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "User")]
struct User {
    id: i64,
    #[object(parent)]
    manager: i64,
    #[object(nickname)]
    nick: String,
}

fn is_an_object<T: BusObject>() {}

fn main() {
    is_an_object::<User>();
}
