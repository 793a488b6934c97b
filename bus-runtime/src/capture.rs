//! Capture of the application's own tables, as a bus watches over it: whether what was set up is still there.

use std::time::Duration;

use bus_store::{Drift, StoreError};

use crate::Result;
use crate::bus::Bus;
use crate::error::BusError;

/// How often a bus looks.
pub(crate) const LOOK_EVERY: Duration = Duration::from_mins(5);

impl Bus {
    /// How tables of the application that are captured differ from what they were when that was set up, so that changes there
    /// may go untold: triggers that were dropped or changed, columns that came or went. Empty where all is well, or nothing is
    /// captured. Each bus looks when it starts and every 5 minutes, and logs what it finds as an error; it goes on. Rows
    /// are not looked at: `bus capture check` does that.
    ///
    /// # Errors
    ///
    /// `Store`.
    pub async fn capture_drift(&self) -> Result<Vec<Drift>> {
        let drift = self.shared.store.capture_drift().await;
        drift.map_err(|error| BusError::store("look at what is captured", error))
    }

    /// Looks once; `known` is what was found before, which is not said again.
    pub(crate) async fn watch_capture(&self, known: &mut Vec<Drift>) -> Result<(), StoreError> {
        let found = self.shared.store.capture_drift().await?;
        for drift in found.iter().filter(|drift| !known.contains(drift)) {
            tracing::error!("{drift}");
        }
        *known = found;
        Ok(())
    }
}
