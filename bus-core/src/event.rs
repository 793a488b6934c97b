//! What the host may say before something is logged, and hears after: a change of its own, or an external object.

mod typed;

use std::fmt;

use crate::change::ChangeSummary;
use crate::delivery::TaskId;
use crate::name::{ConnectorName, SiteName};
use crate::operation::Operation;

pub use typed::{Event, ListenerOf};

/// A listener of the host's: may veto what is about to be logged, and sees the task after. To see the
/// object itself, be a [`ListenerOf`] its type.
///
/// It runs on the path of whoever saves the object, or sends the external one: keep it short.
///
/// ```
/// use bus_core::{ExternalSummary, Listener, Veto};
///
/// /// Takes in nothing for a site that is closed.
/// struct Closed;
///
/// impl Listener for Closed {
///     fn before_logging_incoming(&self, external: &ExternalSummary) -> Result<(), Veto> {
///         match &external.site {
///             Some(site) if site.as_str() == "museum" => Err(Veto::because("the museum is closed")),
///             _ => Ok(()),
///         }
///     }
/// }
/// ```
pub trait Listener: Send + Sync + 'static {
    /// Before a change is logged. A veto leaves nothing behind: neither the object's change, nor a task, nor anything that was
    /// to be written with it. A panic is a veto, too, with the text of the panic for its reason.
    fn before_logging(&self, change: &ChangeSummary) -> Result<(), Veto> {
        let _ = change;
        Ok(())
    }

    /// After a change was logged durably. A panic changes nothing.
    fn after_logging(&self, change: &ChangeSummary, task: TaskId) {
        let _ = (change, task);
    }

    /// Before an external object is logged as an incoming task. A veto leaves nothing behind: whoever sent it is told the
    /// reason. A panic is a veto, too. What it becomes of the host's objects is a change, which is asked about when it is
    /// applied.
    fn before_logging_incoming(&self, external: &ExternalSummary) -> Result<(), Veto> {
        let _ = external;
        Ok(())
    }

    /// After an external object was logged durably. Not called for one that repeats an idempotency key. A panic changes
    /// nothing.
    fn after_logging_incoming(&self, external: &ExternalSummary, task: TaskId) {
        let _ = (external, task);
    }
}

/// What is known of an external object before anybody looks into it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExternalSummary {
    /// The registered connector that it is for.
    pub connector: ConnectorName,
    /// Its kind.
    pub kind: String,
    /// What happened to it in the external system.
    pub operation: Operation,
    /// Its key there; `None` where it has none that can be read.
    pub key: Option<String>,
    /// The site that it names.
    pub site: Option<SiteName>,
    /// What its bytes are.
    pub content_type: String,
}

impl ExternalSummary {
    /// Of an object of this kind, for this connector, in JSON.
    pub fn new(connector: ConnectorName, kind: impl Into<String>, operation: Operation) -> Self {
        let content_type = "application/json".to_owned();
        Self { connector, kind: kind.into(), operation, key: None, site: None, content_type }
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
