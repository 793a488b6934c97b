//! References that a delivery may go without: of any object, parents and groups, under any name in JSON.

use bus_core::{BusObject, Ref};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.user")]
struct User {
    #[object(id)]
    id: i64,
    #[object(reference = late)]
    manager: Option<Ref<User>>,
    #[object(parent, reference = late)]
    team: std::option::Option<bus_core::Ref<Self>>,
    #[serde(rename = "a/b~c", default, skip_serializing_if = "Option::is_none")]
    #[object(reference = late)]
    friend: Option<Ref<User>>,
    company: Option<Ref<User>>,
}

fn main() {
    let late = |at: &str| User::REFERENCES.iter().any(|field| field.is_late && field.is_at(at));
    assert!(late("/manager") && late("/team") && late("/a~1b~0c"));
    assert!(!late("/company") && !late("/manager/0") && !late("manager") && !late("/a/b~c"));
}
