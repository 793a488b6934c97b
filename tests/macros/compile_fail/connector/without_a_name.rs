#![allow(unused)]

use bus_core::connector;
use bus_tests_macros::{User, connects, delivers};

#[connector]
#[outgoing(User)]
struct AcmeCrm;

connects!(AcmeCrm);
delivers!(AcmeCrm: User);

fn main() {}
