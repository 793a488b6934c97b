#![allow(unused)]

use bus_core::connector;
use bus_tests_macros::{Contact, Lead, connects, prepares};

#[connector(name = "crm")]
#[incoming(Contact, key = uid)]
#[incoming(Lead, key = uid, kind = "contact")]
struct Crm;

connects!(Crm);
prepares!(Crm: Contact);
prepares!(Crm: Lead);

fn main() {}
