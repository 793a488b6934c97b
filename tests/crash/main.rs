//! The bus under kills, stops, full disks and jumping clocks: what everybody did is written down outside of it, and
//! judged afterwards.
//!
//! `BUS_TEST_LONG=1` runs more of everything; `BUS_TEST_SEED` repeats what failed.

mod attempts;
mod bench;
mod child;
mod clocks;
mod create_once;
mod faults;
mod heartbeats;
mod host_transaction;
mod kills;
mod points;
mod polls;
mod processes;
mod repository;
mod spoil;
mod stress;
mod two_processes;
