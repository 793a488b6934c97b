//! The bus as its users meet it: one story a file, each told in memory and on SQLite.

#[macro_use]
mod told;
mod gates;

mod always_failing;
mod any_objects;
mod bad_connectors;
mod bad_input;
mod blocking;
mod children;
mod circuit;
mod claimed;
mod deferring;
mod deleted_connector;
mod disabled_and_paused;
mod error_policies;
mod explain;
mod history;
mod idempotency;
mod in_queue_order;
mod incoming_objects;
mod incoming_references;
mod logged_while_idle;
mod long_words;
mod observer_and_veto;
mod operator_verbs;
mod other_processes;
mod outage;
mod outgoing_references;
mod rate;
mod redeliver;
mod restart;
mod sample_connector;
mod scheduled;
mod shutdown;
mod side_by_side;
mod stepping_aside;
mod stopped;
mod switches;
mod synchronous;
mod two_subscriptions;
mod two_systems;
mod waiting_in_a_circle;
mod wildcards;
mod without_order;
mod wrong_registration;
