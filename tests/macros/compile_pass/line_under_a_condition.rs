//! A line can depend on a feature, like its impl.

use bus_core::connector;
use bus_core::descriptor::DescribedConnector;
use bus_tests_macros::{Contact, User, connects, delivers};

#[connector(name = "crm")]
#[outgoing(User)]
#[cfg_attr(any(), incoming(Contact, key = uid))]
#[cfg_attr(all(), outgoing(User, on(delete)))]
struct Crm;

connects!(Crm);
delivers!(Crm: User);

#[cfg(any())]
prepares!(Crm: Contact);

fn main() {
    let _: Option<Contact> = None;
    assert_eq!(Crm::DESCRIPTOR.outgoing().count(), 2);
    assert_eq!(Crm::DESCRIPTOR.incoming().count(), 0);
}
