//! What the host may say of changes of one type of its objects, with the object in its hands.

use crate::change::ChangeSummary;
use crate::delivery::TaskId;
use crate::event::Veto;
use crate::operation::Direction;

/// A listener to the changes of objects of type `T`, or of pages of class `T`: those that the host makes, and those that external objects make when
/// they are applied. It may veto a change before it is written, and hears of it after.
///
/// A change of the host's is asked about where somebody is told of it, as with a [`Listener`](crate::Listener); one that
/// an external object makes always, whether anybody else is told or not. It runs on the path of whoever saves, or of the
/// worker that applies: keep it short. A view of `T` does, where a part of the object is enough. Pages are listened to by
/// their class, with the page in one culture for the object.
///
/// ```
/// use bus_core::{BusObject, Event, ListenerOf, Veto};
/// # #[derive(serde::Serialize, serde::Deserialize, BusObject)]
/// # #[object(type = "app.user", display = "User")]
/// # struct User { #[object(id)] id: i64, #[object(code_name)] login: String }
///
/// /// Nobody is renamed.
/// struct NamesAreKept;
///
/// impl ListenerOf<User> for NamesAreKept {
///     fn before(&self, event: &Event<User>) -> Result<(), Veto> {
///         match (event.before(), event.after()) {
///             (Some(was), Some(is)) if was.login != is.login => {
///                 Err(Veto::because(format!("{} is not renamed", was.login)))
///             }
///             _ => Ok(()),
///         }
///     }
/// }
/// ```
pub trait ListenerOf<T>: Send + Sync + 'static {
    /// Before a change is written. A veto leaves nothing behind: neither the change, nor a task, nor anything that was to be
    /// written with it; an incoming task is parked with the reason. A panic is a veto, too. It may be asked again about a
    /// change that somebody else was faster than.
    fn before(&self, event: &Event<T>) -> Result<(), Veto> {
        let _ = event;
        Ok(())
    }

    /// After a change was written durably: with the task that tells of it, or, where an external object made it, with that
    /// object's task. It cannot be undone any more, and a panic changes nothing. Not told if the process ends before that.
    fn after(&self, event: &Event<T>, task: TaskId) {
        let _ = (event, task);
    }
}

/// A change of an object of type `T`.
#[derive(Debug, Clone)]
pub struct Event<T> {
    change: ChangeSummary,
    before: Option<T>,
    object: T,
}

impl<T> Event<T> {
    /// Of a change which made this of the object that was `before`; the object is what it was, where it is deleted.
    pub fn new(change: ChangeSummary, before: Option<T>, object: T) -> Self {
        Self { change, before, object }
    }

    /// What there is to know of it apart from the fields.
    pub fn change(&self) -> &ChangeSummary {
        &self.change
    }

    /// Incoming, where an external object makes the change; `change().origin` is the connector that it came by.
    pub fn direction(&self) -> Direction {
        if self.change.origin.is_some() { Direction::Incoming } else { Direction::Outgoing }
    }

    /// The object as it is after the change, or, where it is deleted, as it was. A new one that a repository saves has no id
    /// unless it brings one.
    pub fn object(&self) -> &T {
        &self.object
    }

    /// The object as it was. `None` where it is new, and where that is not known: of a captured row that took the place of
    /// another; and, in [`ListenerOf::after`], of an update that was logged in a transaction of the application's own, which
    /// is told by whoever relays it.
    pub fn before(&self) -> Option<&T> {
        if self.is_deleted() { Some(&self.object) } else { self.before.as_ref() }
    }

    /// The object as it is after the change. `None` where it is deleted. Lists of child objects are in it as far as they
    /// were given.
    pub fn after(&self) -> Option<&T> {
        (!self.is_deleted()).then_some(&self.object)
    }

    fn is_deleted(&self) -> bool {
        self.change.operation.is_delete()
    }
}
