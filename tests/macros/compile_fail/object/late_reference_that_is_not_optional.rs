#![allow(unused)]

use bus_core::{BusObject, Ref};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.user")]
struct User {
    #[object(id)]
    id: i64,
    #[object(reference = late)]
    manager: Ref<User>,
}

fn is_an_object<T: BusObject>() {}

fn main() {
    is_an_object::<User>();
}
