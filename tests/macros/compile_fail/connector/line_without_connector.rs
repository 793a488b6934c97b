#![allow(unused)]

use bus_core::{incoming, outgoing};
use bus_tests_macros::{Contact, User};

#[outgoing(User)]
#[incoming(Contact, key = uid)]
struct Crm;

fn main() {}
