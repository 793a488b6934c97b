use bus_core::BusObject;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.user")]
struct UserV1 {
    #[object(id)]
    id: i64,
}

#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.user", version = "2", from = UserV1)]
struct User {
    #[object(id)]
    id: i64,
}

impl From<UserV1> for User {
    fn from(was: UserV1) -> Self {
        Self { id: was.id }
    }
}

fn main() {}
