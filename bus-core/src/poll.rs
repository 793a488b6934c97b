//! What a connector finds when it asks its external system.

use crate::connector::Connector;
use crate::declared::Accepts;
use crate::task::ExternalTask;

/// The most bytes of a cursor.
pub const CURSOR_BYTES_MAX: usize = 64 * 1024;

/// The most tasks of one answer; `more` brings the next.
pub const POLL_TASKS_MAX: usize = 1_000;

/// The most bytes of the tasks of one answer: 64 MiB.
pub const POLL_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The most keys of a complete pull, over all of its answers.
pub const POLL_KEYS_MAX: usize = 100_000;

/// What [`Connector::poll`] answers: what has changed since the cursor that it was given, and where to go on next time.
///
/// The tasks and the cursor are written together, so that none is lost in between, whatever happens. A poll may be
/// repeated from the same cursor, after a crash for one: bring everything once more then.
///
/// ```no_run
/// # use bus_core::{Accepts, Connector, ExternalTask, Poll};
/// # fn f<Crm: Connector + Accepts<Contact>, Contact: serde::Serialize>(changed: Vec<Contact>, contact: &Contact) {
/// // What has changed:
/// let page = Poll::new("2026-11-23T10:00:00Z#17")
///     .tasks(changed.iter().map(|contact| ExternalTask::update::<Crm, _>("crm-eu", contact)))
///     .task(ExternalTask::gone("crm-eu", "contact", "003xx"))
///     .more();
/// // All there is: what is bound to none of these is gone.
/// let whole = Poll::new("2026-11-23").complete::<Crm, Contact>(["003xx", "003yy"]);
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
#[must_use = "it is what `poll` answers"]
pub struct Poll {
    /// Where the next poll begins; at most [`CURSOR_BYTES_MAX`] bytes.
    pub cursor: String,
    /// What has changed, for the connector that was asked; at most [`POLL_TASKS_MAX`].
    pub tasks: Vec<ExternalTask>,
    /// Of a complete pull: the external ids that there are, by kind.
    pub complete: Vec<(String, Vec<String>)>,
    /// Whether there is more: the connector is asked again at once.
    pub has_more: bool,
}

impl Poll {
    /// Nothing has changed so far; the next poll begins here.
    pub fn new(cursor: impl Into<String>) -> Self {
        Self { cursor: cursor.into(), tasks: Vec::new(), complete: Vec::new(), has_more: false }
    }

    /// This has changed, too. Tasks are logged in the order given.
    pub fn task(mut self, task: ExternalTask) -> Self {
        self.tasks.push(task);
        self
    }

    /// These have changed, too.
    pub fn tasks(mut self, tasks: impl IntoIterator<Item = ExternalTask>) -> Self {
        self.tasks.extend(tasks);
        self
    }

    /// These are all external objects `E` that there are, by the ids that they are bound to: the host's objects of that
    /// type that are bound to none of them are deleted, as by [`ExternalTask::gone`].
    ///
    /// A list may be as long as several answers: then each but the last says that there is `more`, and their ids count
    /// together, at most [`POLL_KEYS_MAX`]. Nothing is deleted unless all of these answers arrive, one after the other:
    /// after a failure in between the list begins anew, from the cursor before it. What was bound while the list was
    /// made is spared. If more is missing than `poll_delete_percent_max` of what is bound (10 objects in any case), or
    /// the list is empty, nothing is deleted until an operator accepts it; the cursor stays.
    pub fn complete<C: Connector + Accepts<E>, E>(
        mut self,
        external_ids: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let external_ids = external_ids.into_iter().map(Into::into).collect();
        self.complete.push((C::KIND.to_owned(), external_ids));
        self
    }

    /// There is more: the connector is asked again at once, with this answer's cursor.
    pub fn more(mut self) -> Self {
        self.has_more = true;
        self
    }
}
