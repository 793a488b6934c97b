#![allow(unused)]

use bus_core::{Change, Cx, Failure, Outgoing, connector};
use bus_tests_macros::{Contact, User, connects, delivers};

#[connector(name = "crm")]
#[outgoing(User)]
struct Crm;

connects!(Crm);
delivers!(Crm: User);

impl Outgoing<Contact> for Crm {
    async fn deliver(&self, _: Change<Contact>, _: &Cx) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {}
