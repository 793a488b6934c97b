#![allow(unused)]

use bus_core::connector;
use bus_tests_macros::User;

#[connector(name = "crm")]
#[outgoing(User)]
struct Crm<'h> {
    http: &'h str,
}

fn main() {}
