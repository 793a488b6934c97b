//! The doorbell: something may be ready.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::queue::QueueId;

/// Where owners of queues listen.
pub trait Wake {
    /// Rings whenever the queue may have something to do: something was logged, woken, or made due, by whichever
    /// process. The number grows with each ring, and has grown before the commit that caused it returns to its
    /// caller; rings may be coalesced, never lost.
    fn doorbell(&self, queue: &QueueId) -> watch::Receiver<u64>;

    /// Rings it by hand.
    fn ring(&self, queue: &QueueId);
}

/// The doorbells of a store within one process.
#[derive(Debug, Default)]
pub struct Doorbell(Mutex<HashMap<QueueId, watch::Sender<u64>>>);

impl Doorbell {
    /// The listening end for a queue.
    pub fn listen(&self, queue: &QueueId) -> watch::Receiver<u64> {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bells.entry(queue.clone()).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    /// Rings for a queue.
    pub fn ring(&self, queue: &QueueId) {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bells.entry(queue.clone()).or_insert_with(|| watch::Sender::new(0)).send_modify(|rings| *rings += 1);
    }

    /// Rings for every queue that somebody listens to.
    pub fn ring_all(&self) {
        let bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for bell in bells.values() {
            bell.send_modify(|rings| *rings += 1);
        }
    }
}
