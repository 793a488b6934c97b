#![allow(unused)]

use bus_core::connector;
use bus_tests_macros::User;

struct Crm;

#[connector(name = "crm")]
#[outgoing(User)]
impl Crm {}

fn main() {}
