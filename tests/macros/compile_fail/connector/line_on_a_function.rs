#![allow(unused)]

use bus_core::outgoing;
use bus_tests_macros::User;

#[outgoing(User)]
fn deliver() {}

fn main() {}
