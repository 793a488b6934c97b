//! What the application's listeners say to a change before it is written, and are told of it after. A panic of theirs is
//! a veto before, and changes nothing after.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bus_core::payload::PayloadError;
use bus_core::{ChangeSummary, ObjectOperation, TaskId, Veto};

use super::call::panic_message;
use super::change::HostChange;
use super::task_log::{name, words};
use super::versions;
use crate::error::{BusError, BusErrorKind};
use crate::listeners::Forms;
use crate::shared::Shared;

/// A change that listeners are told of once it is durable.
#[derive(Debug)]
pub(crate) struct Announcement {
    change: ChangeSummary,
    /// The place of its first task; `None` where nobody subscribes to it.
    first: Option<usize>,
    /// For those who listen to its type, if there are any.
    forms: Option<Forms>,
}

impl Announcement {
    /// Of a change whose first task stands there, if it has any; `None` where nobody is to hear of it.
    pub(crate) fn of(change: &HostChange, first: Option<usize>, forms: Option<Forms>) -> Option<Self> {
        let is_for_somebody = first.is_some() || forms.is_some();
        is_for_somebody.then(|| Self { change: change.summary.clone(), first, forms })
    }

    /// Of a change that was logged in a transaction of the application's own, with the data of its first task.
    pub(crate) fn relayed(shared: &Shared, change: ChangeSummary, data: Option<&[u8]>) -> Self {
        let is_shown = change.page.is_none() && is_listened_to(shared, &change);
        let object_type = change.object_type.as_str();
        let object =
            data.filter(|_| is_shown).map(|data| versions::read(&shared.registry, object_type, data));
        let forms = match object.transpose() {
            Ok(object) => object.map(|object| Forms { before: None, object }),
            Err(error) => {
                tracing::error!(change = %name(&change), %error, "listeners cannot be shown a change that was logged");
                None
            }
        };
        Self { change, first: Some(0), forms }
    }

    /// The object that it is about, for messages.
    pub(crate) fn name(&self) -> String {
        name(&self.change)
    }
}

/// What those who listen to the type of a change are shown; `None` where nobody does.
pub(crate) fn forms(shared: &Shared, change: &HostChange) -> Option<Forms> {
    if !is_listened_to(shared, &change.summary) {
        return None;
    }
    let object = change.payload.clone();
    let operation = change.summary.operation;
    let is_of_site = operation == ObjectOperation::AddToSite || operation == ObjectOperation::RemoveFromSite;
    // To be on a site is none of its fields.
    let before = if is_of_site { Some(object.clone()) } else { change.was.clone() };
    Some(Forms { before, object })
}

fn is_listened_to(shared: &Shared, change: &ChangeSummary) -> bool {
    shared.listeners.to(change).next().is_some()
}

/// Asks each listener; the first that says no is the error. `forms` is for those who listen to the type; `is_logged` says
/// whether somebody is told of the change, which is when all others are asked.
pub(crate) fn ask(
    shared: &Shared,
    change: &ChangeSummary,
    forms: Option<&Forms>,
    is_logged: bool,
) -> Result<(), BusError> {
    if is_logged {
        for listener in shared.listeners.to_all() {
            judged(change, || Ok(listener.before_logging(change)))?;
        }
    }
    if let Some(forms) = forms {
        for listener in shared.listeners.to(change) {
            judged(change, || listener.before(change, forms))?;
        }
    }
    Ok(())
}

/// What a listener's answer comes to.
fn judged(
    change: &ChangeSummary,
    ask: impl FnOnce() -> Result<Result<(), Veto>, PayloadError>,
) -> Result<(), BusError> {
    let reason = match catch_unwind(AssertUnwindSafe(ask)) {
        Ok(Ok(Ok(()))) => return Ok(()),
        Ok(Ok(Err(veto))) => veto.to_string(),
        Ok(Err(error)) => {
            let message = format!(
                "{} cannot be shown to a listener: {error}; let it listen with a struct that such an object can be read as",
                name(change)
            );
            return Err(BusError::new(BusErrorKind::Malformed, message));
        }
        Err(panic) => format!("{}; mend it, then try again", panicked(&*panic)),
    };
    let message = format!(
        "a listener of the application refuses to {} {}: {reason}",
        words(change.operation),
        name(change)
    );
    Err(BusError::new(BusErrorKind::Vetoed, message))
}

/// That a listener panicked, and what it said, on one line.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> String {
    let said = panic_message(panic).lines().map(str::trim).collect::<Vec<_>>().join("; ");
    format!("it panicked ({said})")
}

/// Tells the listeners what was written. It is durable by then: who panics over it must not make it look as if it were
/// not. `applied` is the incoming task that made the changes, if one did: what those who listen to a type are told of it is
/// that task.
pub(crate) fn tell(shared: &Shared, announced: &[Announcement], tasks: &[TaskId], applied: Option<TaskId>) {
    for Announcement { change, first, forms } in announced {
        let logged = first.and_then(|first| tasks.get(first)).copied();
        if let Some(task) = logged {
            for listener in shared.listeners.to_all() {
                told(change, task, || {
                    listener.after_logging(change, task);
                    Ok(())
                });
            }
        }
        let task = if change.origin.is_some() { applied } else { logged };
        if let (Some(forms), Some(task)) = (forms, task) {
            for listener in shared.listeners.to(change) {
                told(change, task, || listener.after(change, forms, task));
            }
        }
    }
}

fn told(change: &ChangeSummary, task: TaskId, tell: impl FnOnce() -> Result<(), PayloadError>) {
    match catch_unwind(AssertUnwindSafe(tell)) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::error!(change = %name(change), %task, %error, "a listener cannot be shown a change that was written");
        }
        Err(panic) => {
            let reason = panicked(&*panic);
            tracing::error!(change = %name(change), %task, reason, "a listener could not be told of a change");
        }
    }
}
