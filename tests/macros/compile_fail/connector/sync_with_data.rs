#![allow(unused)]

use bus_core::connector;
use bus_tests_macros::{User, connects, delivers};

#[connector(name = "crm")]
#[outgoing(User, sync, data = simple)]
struct Crm;

connects!(Crm);
delivers!(Crm: User);

fn main() {}
