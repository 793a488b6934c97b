//! What a bus does besides working: says that it is alive, takes over what other processes have set, and forgets what
//! ended long ago.

use std::collections::BTreeMap;
use std::time::Duration;

use bus_core::descriptor::ConnectorDescriptor;
use bus_store::{QueueId, StoreError, StoreErrorKind};

use crate::Result;
use crate::bus::Bus;
use crate::capture::LOOK_EVERY;
use crate::config::Processing;
use crate::error::BusError;
use crate::flow::echo::ECHO_MAX;

/// How often finished deliveries are looked through.
const PRUNE_EVERY: Duration = Duration::from_mins(1);

/// How many are forgotten in one step of the store.
const PRUNE_BATCH: usize = 1_000;

/// How many steps one round takes for one queue; the rest is for the next round.
const PRUNE_BATCHES_MAX: usize = 100;

/// The bounds of how often a bus says that it is alive.
const HEARTBEAT_MIN: Duration = Duration::from_millis(300);
const HEARTBEAT_MAX: Duration = Duration::from_secs(10);

/// How many signs of life a lease has room for.
const HEARTBEATS_A_LEASE: u32 = 3;

/// Starts the upkeep of a bus; it ends with the bus.
pub(crate) fn start(bus: &Bus) {
    let bus = bus.clone();
    tokio::spawn(async move {
        let stopping = bus.shared.stopping.clone();
        // Side by side on one task: a long round of one does not silence the other.
        let upkeep = async {
            tokio::join!(bus.say_alive(), bus.keep_in_step(), bus.forget_the_old(), bus.look_at_capture());
        };
        tokio::select! {
            () = stopping.cancelled() => {}
            () = upkeep => {}
        }
    });
}

impl Bus {
    async fn say_alive(&self) {
        loop {
            self.sleep(self.heartbeat_pace()).await;
            if !goes_on("say that this process is alive", self.shared.store.heartbeat().await) {
                return;
            }
        }
    }

    async fn keep_in_step(&self) {
        let mut taken_over = None;
        loop {
            self.sleep(self.heartbeat_pace()).await;
            if !goes_on("read what other processes have set", self.reload(&mut taken_over).await) {
                return;
            }
        }
    }

    async fn forget_the_old(&self) {
        loop {
            self.sleep(PRUNE_EVERY).await;
            let pruned = self.prune_once().await;
            if !goes_on("forget finished deliveries", pruned.map(|pruned| tracing::debug!(pruned))) {
                return;
            }
        }
    }

    async fn look_at_capture(&self) {
        let mut known = Vec::new();
        while goes_on("look at what is captured", self.watch_capture(&mut known).await) {
            self.sleep(LOOK_EVERY).await;
        }
    }

    async fn sleep(&self, pause: Duration) {
        self.shared.clock.sleep_until(self.shared.now().plus(pause)).await;
    }

    /// Often enough for whoever has the least patience.
    fn heartbeat_pace(&self) -> Duration {
        let roster = self.shared.roster();
        let leases = roster.iter().map(|enlisted| enlisted.processing.lease_ms);
        let shortest = Duration::from_millis(leases.min().unwrap_or(u64::MAX));
        (shortest / HEARTBEATS_A_LEASE).clamp(HEARTBEAT_MIN, HEARTBEAT_MAX)
    }

    /// Forgets what ended longer ago than its connector's `history_retention_ms` says (for a connector that is not
    /// registered any more: 7 days), with its attempts, data and idempotency keys; at most 100,000 deliveries of each
    /// queue. Answers how many. The counters stay, and so does everything that is open. The bus does this by itself once
    /// a minute.
    pub async fn prune(&self) -> Result<u64> {
        self.prune_once().await.map_err(|error| BusError::store("forget finished deliveries", error))
    }

    async fn prune_once(&self) -> Result<u64, StoreError> {
        let roster = self.shared.roster();
        let of_roster =
            roster.iter().map(|known| (&known.record.name, known.processing.history_retention_ms));
        let retentions: BTreeMap<_, _> = of_roster.collect();
        let otherwise = Processing::default().history_retention_ms;
        let mut pruned = 0;
        for queue in self.shared.store.queues().await? {
            // How long it is to be kept is written in words that this program does not know: another one prunes it.
            if roster.get(&queue.connector).is_some_and(|known| !known.is_processing_read) {
                continue;
            }
            let retention = retentions.get(&queue.connector).copied().unwrap_or(otherwise);
            pruned += self.prune_queue(&queue, Duration::from_millis(retention)).await?;
        }
        if roster.iter().filter_map(|known| known.linked).any(goes_both_ways) {
            let sent_before = self.shared.now().minus(ECHO_MAX);
            self.shared.store.forget_sent(sent_before, PRUNE_BATCH * PRUNE_BATCHES_MAX).await?;
        }
        Ok(pruned)
    }

    async fn prune_queue(&self, queue: &QueueId, retention: Duration) -> Result<u64, StoreError> {
        let ended_before = self.shared.now().minus(retention);
        let mut pruned = 0;
        for _ in 0..PRUNE_BATCHES_MAX {
            let batch = self.shared.store.prune(queue, ended_before, PRUNE_BATCH).await?;
            pruned += u64::try_from(batch).unwrap_or(u64::MAX);
            if batch < PRUNE_BATCH {
                break;
            }
            // Others who write come in between.
            tokio::task::yield_now().await;
        }
        Ok(pruned)
    }
}

/// Whether anything can come back from where it was sent.
fn goes_both_ways(linked: &'static ConnectorDescriptor) -> bool {
    linked.incoming().next().is_some() && linked.outgoing().next().is_some()
}

/// Logs what went wrong; whether there is any use in going on: a closed store stays closed.
fn goes_on(doing: &str, done: Result<(), StoreError>) -> bool {
    let Err(error) = done else { return true };
    if error.kind() == StoreErrorKind::Closed {
        return false;
    }
    tracing::warn!(%error, "failed to {doing}; tried again soon");
    true
}
