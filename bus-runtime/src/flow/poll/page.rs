//! One answer of a poll, as it is logged.

use bus_core::poll::{CURSOR_BYTES_MAX, POLL_BYTES_MAX, POLL_TASKS_MAX};
use bus_core::{ConnectorName, ExternalTask, Failure, Poll};
use bus_store::NewTask;

use crate::flow::ingest;
use crate::shared::Shared;

/// Checks an answer as a whole.
pub(super) fn check(connector: &ConnectorName, since: Option<&str>, poll: &Poll) -> Result<(), Failure> {
    let refuse = |message: String| Err(Failure::reject(message));
    if poll.cursor.len() > CURSOR_BYTES_MAX {
        return refuse(format!(
            "the poll answers a cursor of {} bytes, more than {CURSOR_BYTES_MAX}; answer a shorter one",
            poll.cursor.len()
        ));
    }
    if poll.tasks.len() > POLL_TASKS_MAX {
        return refuse(format!(
            "the poll answers {} tasks at once, more than {POLL_TASKS_MAX}; answer fewer, and `more`",
            poll.tasks.len()
        ));
    }
    let bytes: usize = poll.tasks.iter().flat_map(|task| &task.body).map(Vec::len).sum();
    if bytes > POLL_BYTES_MAX {
        return refuse(format!(
            "the poll answers {bytes} bytes at once, more than {POLL_BYTES_MAX}; answer fewer tasks, and `more`"
        ));
    }
    if let Some(foreign) = poll.tasks.iter().find(|task| task.connector != connector.as_str()) {
        return refuse(format!(
            "the poll answers a {} for connector `{}`; it can log for the connector that was asked only, `{connector}`: \
             name it by `cx.connector()`",
            foreign.kind, foreign.connector
        ));
    }
    let is_at_rest = poll.tasks.is_empty() && poll.complete.is_empty() && since == Some(poll.cursor.as_str());
    if poll.has_more && is_at_rest {
        return refuse(format!(
            "the poll answers `more` without anything new, at the cursor `{}` again; answer without `more` at the end",
            poll.cursor.chars().take(100).collect::<String>()
        ));
    }
    Ok(())
}

/// The tasks of an answer. What is no JSON is kept as the bytes that it is, and parked when its turn comes: it must not
/// keep what comes after it. What cannot be logged at all keeps the cursor where it is, for a person to see.
pub(super) fn tasks(shared: &Shared, tasks: Vec<ExternalTask>) -> Result<Vec<NewTask>, Failure> {
    let logged = |task: ExternalTask| {
        let key = task.key.clone();
        ingest::checked(shared, ingest::kept_as_bytes(task)).map_err(|error| {
            let key = key.map(|key| format!(" `{key}`")).unwrap_or_default();
            Failure::retry(format!("what was polled cannot be logged{key}: {error}"))
        })
    };
    tasks.into_iter().map(logged).collect()
}
