#![allow(unused)]

use bus_core::connector;
use bus_tests_macros::{Contact, connects, prepares};

#[connector(name = "crm")]
#[incoming(Contact, key = uid, conflict = host_wins)]
struct Crm;

connects!(Crm);
prepares!(Crm: Contact);

fn main() {}
