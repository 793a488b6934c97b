#![allow(unused)]

use bus_core::connector;
use bus_tests_macros::{Contact, connects, prepares};

#[connector(name = "crm", create_once = find)]
#[incoming(Contact, key = uid)]
struct Crm;

connects!(Crm);
prepares!(Crm: Contact);

fn main() {}
