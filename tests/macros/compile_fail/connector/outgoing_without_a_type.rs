#![allow(unused)]

use bus_core::connector;
use bus_tests_macros::connects;

#[connector(name = "crm")]
#[outgoing]
struct Crm;

connects!(Crm);

fn main() {}
