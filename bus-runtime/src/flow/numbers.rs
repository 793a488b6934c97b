//! Numbers for new objects, asked for together: each asked for alone would wait for a commit of the store.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bus_store::{Store, StoreError, StoreErrorKind};
use tokio::sync::Mutex;

/// Numbers for the new objects of one claim.
///
/// They are not kept for the next: a number that lies about for long could be taken by an object whose id the host
/// chose. Where that happens nevertheless, the save meets a conflict and starts over.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// How many claims there were, and how many new objects are to be expected of the last. Whoever claims must not
    /// wait for those who ask: he is the one who lets them go on.
    claims: AtomicU64,
    at_once: AtomicUsize,
    reserve: Mutex<Reserve>,
}

#[derive(Debug, Default)]
struct Reserve {
    of_claim: u64,
    numbers: VecDeque<i64>,
}

impl Numbers {
    /// At most so many new objects are to be expected.
    pub(crate) fn expect(&self, new_objects: usize) {
        self.at_once.store(new_objects, Ordering::Relaxed);
        self.claims.fetch_add(1, Ordering::Relaxed);
    }

    /// The next one, in order.
    pub(crate) async fn next(&self, store: &Arc<dyn Store>) -> Result<i64, StoreError> {
        let mut reserve = self.reserve.lock().await;
        let claims = self.claims.load(Ordering::Relaxed);
        if reserve.numbers.is_empty() || reserve.of_claim != claims {
            let at_once = self.at_once.load(Ordering::Relaxed).max(1);
            let numbers = store.new_object_numbers(at_once).await?.into();
            *reserve = Reserve { of_claim: claims, numbers };
        }
        reserve.numbers.pop_front().ok_or_else(no_number)
    }
}

/// A new number for one object.
pub(crate) async fn new_number(store: &Arc<dyn Store>) -> Result<i64, StoreError> {
    store.new_object_numbers(1).await?.first().copied().ok_or_else(no_number)
}

fn no_number() -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, "new object numbers", "the store answered with no number")
}
