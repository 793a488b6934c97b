//! Numbers for new objects, asked for together: each asked for alone would wait for a commit of the store.

use std::collections::VecDeque;
use std::sync::Arc;

use bus_store::{Store, StoreError, StoreErrorKind};
use tokio::sync::Mutex;

/// Numbers for the new objects of one claim.
///
/// They are not kept for the next: a number that lies about for long could be taken by an object whose id the host
/// chose. Where that happens nevertheless, the save meets a conflict and starts over.
#[derive(Debug, Default)]
pub(crate) struct Numbers(Mutex<Reserve>);

#[derive(Debug, Default)]
struct Reserve {
    numbers: VecDeque<i64>,
    at_once: usize,
}

impl Numbers {
    /// At most so many new objects are to be expected.
    pub(crate) async fn expect(&self, new_objects: usize) {
        *self.0.lock().await = Reserve { numbers: VecDeque::new(), at_once: new_objects };
    }

    /// The next one, in order.
    pub(crate) async fn next(&self, store: &Arc<dyn Store>) -> Result<i64, StoreError> {
        let mut reserve = self.0.lock().await;
        if reserve.numbers.is_empty() {
            reserve.numbers = store.new_object_numbers(reserve.at_once.max(1)).await?.into();
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
