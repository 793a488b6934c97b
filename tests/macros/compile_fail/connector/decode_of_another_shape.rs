#![allow(unused)]

use bus_core::connector;
use bus_tests_macros::{Contact, connects, prepares};

fn read_contact(text: &str) -> Contact {
    unimplemented!()
}

#[connector(name = "crm")]
#[incoming(Contact, key = uid, decode = read_contact)]
struct Crm;

connects!(Crm);
prepares!(Crm: Contact);

fn main() {}
