//! Numbers for new objects, asked for together: each asked for alone would wait for a commit of the store.

use std::collections::BTreeSet;
use std::sync::Arc;

use bus_store::{Store, StoreError, StoreErrorKind};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// Numbers for the new objects of one claim.
///
/// They are not kept for the next: a number that lies about for long could be taken by an object whose id the host
/// chose. Where that happens nevertheless, the save meets a conflict and starts over.
#[derive(Debug, Default)]
pub(crate) struct Numbers(Mutex<Reserve>);

#[derive(Debug, Default)]
struct Reserve {
    numbers: BTreeSet<i64>,
    at_once: usize,
}

impl Numbers {
    /// At most so many new objects are to be expected.
    pub(crate) async fn expect(&self, new_objects: usize) {
        *self.0.lock().await = Reserve { numbers: BTreeSet::new(), at_once: new_objects };
    }

    /// The next one, in order.
    pub(crate) async fn next(&self, store: &Arc<dyn Store>) -> Result<i64, StoreError> {
        let mut reserve = self.0.lock().await;
        if reserve.numbers.is_empty() {
            let mut asked: JoinSet<_> = (0..reserve.at_once.max(1))
                .map(|_| {
                    let store = Arc::clone(store);
                    async move { store.new_object_number().await }
                })
                .collect();
            while let Some(answer) = asked.join_next().await {
                let number = answer.map_err(|error| {
                    let message = "the question for a new object's number broke off";
                    StoreError::new(StoreErrorKind::Unavailable, "new object number", message)
                        .with_source(error)
                })?;
                reserve.numbers.insert(number?);
            }
        }
        reserve.numbers.pop_first().ok_or_else(|| {
            StoreError::new(
                StoreErrorKind::Unavailable,
                "new object number",
                "the store answered with no number",
            )
        })
    }
}
