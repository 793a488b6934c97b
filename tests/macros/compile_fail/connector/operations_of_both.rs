#![allow(unused)]

use bus_core::{AnyPage, connector};
use bus_tests_macros::{Article, User, connects, delivers};

#[connector(name = "crm")]
#[outgoing(Article, on(add_to_site, publish))]
struct Crm;

connects!(Crm);
delivers!(Crm: Article);

fn main() {}
