#![allow(unused)]

use bus_core::{Change, Cx, Failure, blocking, connector};
use bus_tests_macros::{Contact, User, connects, delivers_blocking};

#[connector(name = "crm", blocking)]
#[outgoing(User)]
struct Crm;

connects!(Crm);
delivers_blocking!(Crm: User);

impl blocking::Outgoing<Contact> for Crm {
    fn deliver(&self, _: Change<Contact>, _: &Cx) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {}
