#![allow(unused)]

use bus_core::{Connector, Cx, Failure, connector};
use bus_tests_macros::{User, delivers};

#[derive(serde::Deserialize)]
struct CrmSettings {}

#[connector(name = "crm")]
#[outgoing(User)]
struct Crm;

impl Connector for Crm {
    type Settings = CrmSettings;
    async fn connect(_: CrmSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Crm)
    }
}
delivers!(Crm: User);

fn main() {}
