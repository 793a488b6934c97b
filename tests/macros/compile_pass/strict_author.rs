//! An author who forbids unsafe code and takes warnings for errors. Below `#[connector]` a line needs no import.

#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]

use bus_core::{BusObject, Children, Ref, Settings, connector};
use bus_tests_macros::{Contact, User, connects, delivers, prepares};
use serde::{Deserialize, Serialize};

/// A team.
#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.team")]
pub struct Team {
    /// Its id.
    #[object(id)]
    pub id: String,
    /// Its lead.
    pub lead: Option<Ref<User>>,
    /// Its rooms.
    #[object(children)]
    pub rooms: Children<String>,
}

/// Settings.
#[derive(Deserialize, Settings)]
pub struct ChatSettings {
    /// Where it answers.
    pub url: String,
}

/// A chat.
#[connector(name = "chat")]
#[outgoing(Team, filter = wants)]
#[incoming(Contact, key = uid)]
pub struct Chat;

fn wants(_: &bus_core::ChangeSummary, _: &bus_core::NoSettings) -> bool {
    true
}

connects!(Chat);
delivers!(Chat: Team);
prepares!(Chat: Contact);

fn main() {}
