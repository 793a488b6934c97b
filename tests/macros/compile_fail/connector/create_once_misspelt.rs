#![allow(unused)]

use bus_core::connector;
use bus_tests_macros::{User, connects, delivers};

#[connector(name = "crm", create_once = repeatible)]
#[outgoing(User)]
struct Crm;

connects!(Crm);
delivers!(Crm: User);

fn main() {}
