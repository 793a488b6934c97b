//! The store in memory keeps the laws.

use std::sync::Arc;

use bus_core::BoxFuture;
use bus_store::conformance::Rig;
use bus_store::{MemoryStore, Store};

struct InMemory;

impl Rig for InMemory {
    fn open(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        Box::pin(async { Arc::new(MemoryStore::new()) as Arc<dyn Store> })
    }
}

mod memory {
    bus_store::conformance!(super::InMemory);
}

/// Others than those of the law.
#[test]
fn ten_thousand_random_programs() {
    bus_store::conformance::programs::run_programs(&[&InMemory], 1_000, 10_000);
}
