#![allow(unused)]

use bus_core::connector;
use bus_tests_macros::{User, connects, delivers};

#[connector(name = "crm")]
#[outgoing(User, filter = wants)]
struct Crm;

connects!(Crm);
delivers!(Crm: User);

fn wants(login: &str) -> bool {
    login.is_empty()
}

fn main() {}
