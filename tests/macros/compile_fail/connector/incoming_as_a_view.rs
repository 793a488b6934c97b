#![allow(unused)]

use bus_core::{BusObject, Cx, Failure, Incoming, Prepared, Received, connector};
use bus_tests_macros::{Contact, connects};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.user", view)]
struct UserId {
    #[object(id)]
    id: i64,
}

#[connector(name = "crm")]
#[incoming(Contact, key = uid)]
struct Crm;

connects!(Crm);

impl Incoming<Contact> for Crm {
    type Object = UserId;
    async fn prepare_internal_object(
        &self,
        _: Received<Contact, UserId>,
        _: &Cx,
    ) -> Result<Prepared<UserId>, Failure> {
        unimplemented!()
    }
}

fn main() {}
