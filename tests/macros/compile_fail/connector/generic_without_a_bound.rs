#![allow(unused)]

use bus_core::{Change, Connector, Cx, Failure, NoSettings, Outgoing, connector};
use bus_tests_macros::User;

#[connector(name = "crm")]
#[outgoing(User)]
struct Crm<Http> {
    http: Http,
}

impl<Http: Send + Sync + 'static> Connector for Crm<Http> {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        unimplemented!()
    }
}

impl<Http: Send + Sync + 'static> Outgoing<User> for Crm<Http> {
    async fn deliver(&self, _: Change<User>, _: &Cx) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {}
