#![allow(unused)]

use bus_core::connector;
use bus_tests_macros::{Contact, connects, prepares_blocking};

#[connector(name = "crm")]
#[incoming(Contact, key = uid)]
struct Crm;

connects!(Crm);
prepares_blocking!(Crm: Contact);

fn main() {}
