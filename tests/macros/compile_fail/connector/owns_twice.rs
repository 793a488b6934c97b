#![allow(unused)]

use bus_core::connector;
use bus_tests_macros::{Contact, connects, prepares};

#[connector(name = "crm")]
#[incoming(Contact, key = uid, owns(login, "login"))]
struct Crm;

connects!(Crm);
prepares!(Crm: Contact);

fn main() {}
