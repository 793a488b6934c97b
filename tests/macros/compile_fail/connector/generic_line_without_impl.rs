#![allow(unused)]

use bus_core::{Connector, Cx, Failure, NoSettings, connector};
use bus_tests_macros::User;

trait Transport: Send + Sync + 'static {}

#[connector(name = "crm")]
#[outgoing(User)]
struct Crm<T: Transport> {
    transport: T,
}

impl<T: Transport> Connector for Crm<T> {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        unimplemented!()
    }
}

fn main() {}
