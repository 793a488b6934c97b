#![allow(unused)]

use bus_core::connector;
use bus_tests_macros::{connects, prepares};

struct Plain {
    uid: String,
}

#[connector(name = "crm")]
#[incoming(Plain, key = uid)]
struct Crm;

connects!(Crm);
prepares!(Crm: Plain);

fn main() {}
