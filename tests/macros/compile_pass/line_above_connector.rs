//! The order of the attributes does not matter.

use bus_core::descriptor::DescribedConnector;
use bus_core::{connector, incoming, outgoing};
use bus_tests_macros::{Contact, Lead, User, connects, delivers, prepares};

#[outgoing(User, on(create))]
#[incoming(Contact, key = uid)]
#[connector(name = "crm")]
#[outgoing(User, on(delete), data = simple)]
#[bus_core::incoming(Lead, unordered)]
struct Crm;

connects!(Crm);
delivers!(Crm: User);
prepares!(Crm: Contact);
prepares!(Crm: Lead);

fn main() {
    assert_eq!(Crm::DESCRIPTOR.outgoing().count(), 2);
    assert_eq!(Crm::DESCRIPTOR.incoming().count(), 2);
}
