//! The laws that every store keeps.
