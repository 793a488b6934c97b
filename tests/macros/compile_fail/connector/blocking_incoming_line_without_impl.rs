#![allow(unused)]

use bus_core::connector;
use bus_tests_macros::{Contact, connects};

#[connector(name = "crm", blocking)]
#[incoming(Contact, key = uid)]
struct Crm;

connects!(Crm);

fn main() {}
