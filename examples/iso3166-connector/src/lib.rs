//! Brings the ISO 3166 countries and their subdivisions onto the bus.
//!
//! A project of its own, as somebody else would publish it: it depends on `bus-core` for what a connector is, on
//! `serde`, and on the system that it knows. An application uses it by depending on it, naming it once in its code so
//! that it is linked, and registering `[connectors.iso3166]` in its `bus.toml`.
//!
//! | What ISO publishes | What it becomes in the host | Found again by |
//! |---|---|---|
//! | [`IsoCountry`] | [`Country`] | its alpha-2 code |
//! | [`IsoSubdivision`] | [`Subdivision`], which refers to its [`Country`] | its code |
//!
//! They may arrive in any order: a subdivision whose country is not there yet waits for it.

mod connector;
mod objects;
mod published;

pub use connector::Iso3166;
pub use objects::{Country, Subdivision};
pub use published::{IsoCountry, IsoSubdivision, countries, subdivisions};
