//! What the application's listeners say to an external object. Their panic is not that of whoever sends it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bus_core::{ExternalSummary, TaskId, Veto};

use crate::error::{BusError, BusErrorKind};
use crate::shared::Shared;

/// Asks each listener; the first that says no is the error.
pub(super) fn ask(shared: &Shared, external: &ExternalSummary, what: &str) -> Result<(), BusError> {
    for listener in &shared.listeners {
        let said = catch_unwind(AssertUnwindSafe(|| listener.before_logging_incoming(external)));
        let said = said.unwrap_or_else(|_| Err(Veto::because("it panicked; mend it, then send it again")));
        said.map_err(|veto| {
            let message = format!("a listener of the application refuses {what}: {veto}");
            BusError::new(BusErrorKind::Vetoed, message)
        })?;
    }
    Ok(())
}

/// Tells each listener.
pub(super) fn tell(shared: &Shared, external: &ExternalSummary, task: TaskId) {
    for listener in &shared.listeners {
        let told = catch_unwind(AssertUnwindSafe(|| listener.after_logging_incoming(external, task)));
        if told.is_err() {
            tracing::error!(connector = %external.connector, %task, "a listener panicked when it was told of a task");
        }
    }
}
