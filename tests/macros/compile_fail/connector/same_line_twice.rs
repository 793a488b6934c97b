#![allow(unused)]

use bus_core::connector;
use bus_tests_macros::{User, connects, delivers};

#[connector(name = "crm")]
#[outgoing(User, on(create, update), data = simple)]
#[outgoing(User, data = simple, on(update, create))]
struct Crm;

connects!(Crm);
delivers!(Crm: User);

fn main() {}
