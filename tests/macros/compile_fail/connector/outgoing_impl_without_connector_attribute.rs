#![allow(unused)]

use bus_core::{Change, Cx, Failure, Outgoing};
use bus_tests_macros::{User, connects};

struct Crm;

connects!(Crm);

impl Outgoing<User> for Crm {
    async fn deliver(&self, _: Change<User>, _: &Cx) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {}
