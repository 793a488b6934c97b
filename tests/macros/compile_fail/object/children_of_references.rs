#![allow(unused)]

use bus_core::{BusObject, Children, Ref};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.user")]
struct User {
    #[object(id)]
    id: i64,
    #[object(children)]
    friends: Children<Ref<User>>,
}

fn is_an_object<T: BusObject>() {}

fn main() {
    is_an_object::<User>();
}
