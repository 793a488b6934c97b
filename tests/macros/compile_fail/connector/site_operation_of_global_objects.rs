#![allow(unused)]

use bus_core::connector;
use bus_tests_macros::{User, connects, delivers};

#[connector(name = "crm")]
#[outgoing(User, on(create, add_to_site), global)]
struct Crm;

connects!(Crm);
delivers!(Crm: User);

fn main() {}
