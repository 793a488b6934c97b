#![allow(unused)]

use bus_core::{Cx, Failure, Incoming, Prepared, Received, connector};
use bus_tests_macros::{Contact, User, connects, delivers};

#[connector(name = "crm")]
#[outgoing(User)]
struct Crm;

connects!(Crm);
delivers!(Crm: User);

impl Incoming<Contact> for Crm {
    type Object = User;
    async fn prepare_internal_object(
        &self,
        _: Received<Contact, User>,
        _: &Cx,
    ) -> Result<Prepared<User>, Failure> {
        Ok(Prepared::Ignore)
    }
}

fn main() {}
