#![allow(unused)]

use bus_core::{AnyObject, Cx, Failure, Incoming, Prepared, Received, connector};
use bus_tests_macros::{Contact, connects};

#[connector(name = "crm")]
#[incoming(Contact, key = uid, owns(login))]
struct Crm;

connects!(Crm);

impl Incoming<Contact> for Crm {
    type Object = AnyObject;
    async fn prepare_internal_object(
        &self,
        _: Received<Contact, AnyObject>,
        _: &Cx,
    ) -> Result<Prepared<AnyObject>, Failure> {
        unimplemented!()
    }
}

fn main() {}
