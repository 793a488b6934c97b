#![allow(unused)]

use bus_core::{AnyObject, connector};
use bus_tests_macros::{connects, delivers};

#[connector(name = "crm")]
#[outgoing(AnyObject)]
struct Crm;

connects!(Crm);
delivers!(Crm: AnyObject);

fn main() {}
