#![allow(unused)]

use bus_core::{Bindings, BusObject, Children, Ref};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.role")]
struct Role {
    #[object(id)]
    id: i64,
}

#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.user")]
struct User {
    #[object(id)]
    id: i64,
    #[object(rule = complete)]
    role: Option<Ref<Role>>,
}

fn is_an_object<T: BusObject>() {}

fn main() {
    is_an_object::<User>();
}
