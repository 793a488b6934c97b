//! The way of a change, a file for each step; each step's output is the next one's input.
//!
//! Outgoing: `change` → `subscription` → `task_log` → (store) → `queue` → `worker` → `translation` → `delivery` →
//! `settlement`. Incoming: `poll` or whoever else logs → `ingest` → (store) → `queue` → `worker` → `apply` (which prepares, translates, and starts
//! the outgoing way for what it changed) → `settlement`.

pub(crate) mod again;
pub(crate) mod apply;
pub(crate) mod assignment;
pub(crate) mod begun;
pub(crate) mod call;
pub(crate) mod change;
pub(crate) mod children;
pub(crate) mod conflict;
pub(crate) mod create_once;
pub(crate) mod delivery;
pub(crate) mod echo;
pub(crate) mod entry;
pub(crate) mod express;
pub(crate) mod ingest;
pub(crate) mod keys;
pub(crate) mod listening;
pub(crate) mod numbers;
pub(crate) mod page;
pub(crate) mod poll;
pub(crate) mod queue;
pub(crate) mod raw;
pub(crate) mod recall;
pub(crate) mod saving;
pub(crate) mod settlement;
pub(crate) mod subscription;
pub(crate) mod task_log;
pub(crate) mod translation;
pub(crate) mod versions;
pub(crate) mod worker;
