//! What the standard's records become in the host.

use bus_core::{BusObject, Ref};
use serde::{Deserialize, Serialize};

/// A country, as ISO 3166-1 knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "geo.country", display = "Country")]
pub struct Country {
    /// The host's id.
    #[object(id)]
    pub id: i64,
    /// The alpha-2 code, `DE`.
    #[object(code_name)]
    pub alpha2: String,
    /// The English short name, `Germany`.
    #[object(display_name)]
    pub name: String,
    /// The alpha-3 code, `DEU`.
    pub alpha3: String,
    /// The numeric code, 276.
    pub numeric: u16,
}

/// A part of a country, as ISO 3166-2 knows it: a state, a province, a municipality.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "geo.subdivision", display = "Subdivision")]
pub struct Subdivision {
    /// The host's id.
    #[object(id)]
    pub id: i64,
    /// The code, `DE-BY`.
    #[object(code_name)]
    pub code: String,
    /// The name, `Bayern`.
    #[object(display_name)]
    pub name: String,
    /// What it is to its country: `Land`, `Province`, `Canton`.
    pub category: String,
    /// The country that it is a part of. Not a parent in the bus's sense: the code is unique in the whole world.
    pub country: Ref<Country>,
}
