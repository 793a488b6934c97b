//! What becomes of a create whose answer is lost stands in the descriptor.

use bus_core::descriptor::DescribedConnector;
use bus_core::{CreateOnce, connector};
use bus_tests_macros::{User, connects, delivers};

#[connector(name = "finder", create_once = find)]
#[outgoing(User)]
struct Finder;

#[connector(create_once = repeatable, name = "repeater")]
#[outgoing(User)]
struct Repeater;

#[connector(name = "doubter", create_once = in_doubt)]
#[outgoing(User)]
struct Doubter;

#[connector(name = "silent")]
#[outgoing(User)]
struct Silent;

connects!(Finder);
delivers!(Finder: User);
connects!(Repeater);
delivers!(Repeater: User);
connects!(Doubter);
delivers!(Doubter: User);
connects!(Silent);
delivers!(Silent: User);

fn main() {
    assert_eq!(Finder::DESCRIPTOR.create_once, Some(CreateOnce::Find));
    assert_eq!(Repeater::DESCRIPTOR.create_once, Some(CreateOnce::Repeatable));
    assert_eq!(Doubter::DESCRIPTOR.create_once, Some(CreateOnce::InDoubt));
    assert_eq!(Silent::DESCRIPTOR.create_once, None);
}
