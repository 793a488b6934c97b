#![allow(unused)]

use bus_core::connector;
use bus_tests_macros::User;

#[connector(name = "crm")]
#[outgoing(User)]
fn deliver() {}

fn main() {}
