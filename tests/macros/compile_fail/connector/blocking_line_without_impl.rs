#![allow(unused)]

use bus_core::connector;
use bus_tests_macros::{User, connects};

#[connector(name = "crm", blocking)]
#[outgoing(User)]
struct Crm;

connects!(Crm);

fn main() {}
