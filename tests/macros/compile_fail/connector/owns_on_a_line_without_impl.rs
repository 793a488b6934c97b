#![allow(unused)]

use bus_core::connector;
use bus_tests_macros::{Contact, connects};

#[connector(name = "crm")]
#[incoming(Contact, key = uid, owns(login))]
struct Crm;

connects!(Crm);

fn main() {}
