//! What the host may say before a change is logged, and hears after.

use std::fmt;

use crate::change::ChangeSummary;
use crate::delivery::TaskId;

/// A listener of the host's: may veto a change before it is logged, and sees the task after.
///
/// It runs on the path of whoever saves the object: keep it short.
pub trait Listener: Send + Sync + 'static {
    /// Before a change is logged. A veto leaves nothing behind: neither the object's change nor a task.
    fn before_logging(&self, change: &ChangeSummary) -> Result<(), Veto> {
        let _ = change;
        Ok(())
    }

    /// After a change was logged durably.
    fn after_logging(&self, change: &ChangeSummary, task: TaskId) {
        let _ = (change, task);
    }
}

/// Why a change may not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Veto(String);

impl Veto {
    /// With the reason that the caller is told.
    pub fn because(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for Veto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
