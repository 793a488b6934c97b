#![allow(unused)]

use bus_core::connector;
use bus_tests_macros::{User, connects, delivers_blocking};

#[connector(name = "crm", blocking = true)]
#[outgoing(User)]
struct Crm;

connects!(Crm);
delivers_blocking!(Crm: User);

fn main() {}
