#![allow(unused)]

use bus_core::connector;
use bus_tests_macros::{connects, delivers};

struct Plain;

#[connector(name = "crm")]
#[outgoing(Plain)]
struct Crm;

connects!(Crm);
delivers!(Crm: Plain);

fn main() {}
