//! What the application's listeners say to an external object. Their panic is not that of whoever sends it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bus_core::{ExternalSummary, TaskId};

use crate::error::{BusError, BusErrorKind};
use crate::flow::listening::panicked;
use crate::shared::Shared;

/// Why something is not to be logged.
pub(crate) enum Refusal {
    /// A listener does not want it.
    Vetoed(BusError),
    /// A listener cannot say whether it wants it.
    Panicked(BusError),
}

impl Refusal {
    pub(super) fn into_error(self) -> BusError {
        let (Self::Vetoed(error) | Self::Panicked(error)) = self;
        error
    }
}

/// Asks each listener; the first that says no is the error.
pub(crate) fn ask(shared: &Shared, external: &ExternalSummary, what: &str) -> Result<(), Refusal> {
    for listener in shared.listeners.to_all() {
        let said = catch_unwind(AssertUnwindSafe(|| listener.before_logging_incoming(external)));
        match said {
            Ok(Ok(())) => {}
            Ok(Err(veto)) => {
                let message = format!("a listener of the application refuses {what}: {veto}");
                return Err(Refusal::Vetoed(BusError::new(BusErrorKind::Vetoed, message)));
            }
            Err(panic) => {
                let message = format!(
                    "a listener of the application refuses {what}: {}; mend it, then send it again",
                    panicked(&*panic)
                );
                return Err(Refusal::Panicked(BusError::new(BusErrorKind::Vetoed, message)));
            }
        }
    }
    Ok(())
}

/// Tells each listener.
pub(super) fn tell(shared: &Shared, external: &ExternalSummary, task: TaskId) {
    for listener in shared.listeners.to_all() {
        let told = catch_unwind(AssertUnwindSafe(|| listener.after_logging_incoming(external, task)));
        if told.is_err() {
            tracing::error!(connector = %external.connector, %task, "a listener panicked when it was told of a task");
        }
    }
}
