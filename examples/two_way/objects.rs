//! What the application knows.

use bus_core::{BusObject, Ref};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A company.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "app.company", display = "Company")]
pub(crate) struct Company {
    /// Given by the bus.
    #[object(id)]
    pub(crate) id: i64,
    /// Given by the bus.
    #[object(guid)]
    pub(crate) guid: Uuid,
    #[object(display_name)]
    pub(crate) name: String,
}

/// A person, who may be with a company.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "app.person", display = "Person")]
pub(crate) struct Person {
    /// Given by the bus.
    #[object(id)]
    pub(crate) id: i64,
    /// Given by the bus.
    #[object(guid)]
    pub(crate) guid: Uuid,
    #[object(display_name)]
    pub(crate) name: String,
    pub(crate) email: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) company: Option<Ref<Company>>,
    /// What only the application knows.
    pub(crate) note: Option<String>,
}

impl Company {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}

impl Person {
    pub(crate) fn new(name: &str, phone: &str) -> Self {
        Self { name: name.to_owned(), phone: Some(phone.to_owned()), ..Self::default() }
    }
}
