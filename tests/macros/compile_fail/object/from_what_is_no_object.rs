use bus_core::BusObject;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.user")]
struct UserV1 {
    #[object(id)]
    id: i64,
}

#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.user", version = 2, from = String)]
struct User {
    #[object(id)]
    id: i64,
}

impl From<String> for User {
    fn from(_: String) -> Self {
        Self { id: 0 }
    }
}

fn main() {}
