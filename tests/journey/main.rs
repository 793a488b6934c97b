//! The bus as its users meet it: one story a file, each told in memory and on SQLite.

#[macro_use]
mod told;

mod always_failing;
mod any_objects;
mod bad_connectors;
mod bad_input;
mod children;
mod disabled_and_paused;
mod error_policies;
mod incoming_objects;
mod incoming_references;
mod observer_and_veto;
mod outage;
mod outgoing_references;
mod restart;
mod sample_connector;
mod shutdown;
mod switches;
mod two_subscriptions;
mod two_systems;
mod wildcards;
mod wrong_registration;
