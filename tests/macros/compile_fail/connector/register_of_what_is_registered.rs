#![allow(unused)]

use bus_core::connector;
use bus_tests_macros::{User, connects, delivers};

#[connector(name = "crm")]
#[outgoing(User)]
struct Crm;

connects!(Crm);
delivers!(Crm: User);

bus_core::register!(Crm);

fn main() {}
