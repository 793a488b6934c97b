//! A connector whose code blocks, and one that is told before the caller goes on; both at once, too.

use bus_core::{AnyObject, connector};
use bus_tests_macros::{Contact, User, connects, delivers, delivers_blocking, prepares, prepares_blocking};

#[connector(name = "ledger", blocking)]
#[outgoing(User, on(create))]
#[outgoing(User, on(delete), sync)]
#[incoming(Contact, key = uid)]
struct Ledger;

connects!(Ledger);
delivers_blocking!(Ledger: User);
prepares_blocking!(Ledger: Contact);

#[connector(name = "door")]
#[outgoing(User, on(update), sync, site = "hq", code_name = "a%")]
#[outgoing(AnyObject, type = "cms.%", sync)]
#[incoming(Contact, unordered)]
struct Door;

connects!(Door);
delivers!(Door: User);
delivers!(Door: AnyObject);
prepares!(Door: Contact);

fn main() {}
