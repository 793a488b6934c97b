//! A clock that stands still until it is told otherwise.

use std::time::Duration;

use bus_core::{BoxFuture, Clock, Timestamp};
use tokio::sync::watch;

/// A clock that stands still until it is told otherwise. Whoever sleeps wakes when the clock is moved past their time.
#[derive(Debug, Clone)]
pub struct ManualClock(watch::Sender<Timestamp>);

impl ManualClock {
    /// Standing at 2026-01-01T00:00:00Z.
    pub fn new() -> Self {
        Self::at(Timestamp::from_micros(1_767_225_600_000_000))
    }

    /// Standing here.
    pub fn at(now: Timestamp) -> Self {
        Self(watch::Sender::new(now))
    }

    /// Moves forward.
    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|now| *now = now.plus(by));
    }

    /// Moves anywhere, backwards too: clocks jump.
    pub fn set(&self, to: Timestamp) {
        self.0.send_replace(to);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'_, ()> {
        let mut moved = self.0.subscribe();
        Box::pin(async move {
            // The sender lives as long as `self`, so this ends only when the time has come.
            let _time = moved.wait_for(|now| *now >= at).await;
        })
    }
}
