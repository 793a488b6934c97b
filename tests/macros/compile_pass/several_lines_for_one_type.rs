//! Several lines for one type are several subscriptions of the one impl.

use bus_core::connector;
use bus_core::descriptor::DescribedConnector;
use bus_tests_macros::{User, connects, delivers};

#[connector(name = "crm")]
#[outgoing(User, on(create, update), data = snapshot)]
#[outgoing(User, on(delete), data = simple)]
#[outgoing(User, site = "lab")]
struct Crm;

connects!(Crm);
delivers!(Crm: User);

fn main() {
    assert_eq!(Crm::DESCRIPTOR.outgoing().count(), 3);
}
