#![allow(unused)]

use bus_core::{AnyPage, connector};
use bus_tests_macros::{Article, User, connects, delivers};

#[connector(name = "crm")]
#[outgoing(AnyPage, type = "app.%")]
struct Crm;

connects!(Crm);
delivers!(Crm: AnyPage);

fn main() {}
