#![allow(unused)]

use bus_core::connector;
use bus_tests_macros::{Contact, User, connects, delivers, prepares};

#[connector(name = "CRM", need(Pool))]
#[outgoing(User, on(created), data = all)]
#[incoming(Contact)]
struct Crm;

connects!(Crm);
delivers!(Crm: User);
prepares!(Crm: Contact);

fn main() {}
