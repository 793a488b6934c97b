#![allow(unused)]

use bus_core::{BusObject, Children};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.user")]
struct User {
    #[object(id)]
    id: i64,
    #[object(children, rule = complete)]
    addresses: Children<String>,
}

fn is_an_object<T: BusObject>() {}

fn main() {
    is_an_object::<User>();
}
