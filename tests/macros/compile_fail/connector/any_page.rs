#![allow(unused)]

use bus_core::connector;
use bus_tests_macros::connects;

struct AnyPage;

#[connector(name = "crm")]
#[outgoing(AnyPage, on(create))]
struct Crm;

connects!(Crm);

fn main() {}
