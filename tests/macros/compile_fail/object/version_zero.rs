use bus_core::BusObject;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.user")]
struct UserV1 {
    #[object(id)]
    id: i64,
}

#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.user", version = 0)]
struct User {
    #[object(id)]
    id: i64,
}

fn main() {}
