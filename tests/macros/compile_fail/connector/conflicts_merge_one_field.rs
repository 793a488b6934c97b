#![allow(unused)]

use bus_core::connector;
use bus_tests_macros::{Contact, User, connects, delivers, prepares};

#[connector(name = "crm")]
#[outgoing(User)]
#[incoming(Contact, key = uid, conflicts(login = merge_fields))]
struct Crm;

connects!(Crm);
delivers!(Crm: User);
prepares!(Crm: Contact);

fn main() {}
