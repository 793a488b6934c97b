//! One answer of a poll, as it is logged.

use bus_core::poll::{CURSOR_BYTES_MAX, POLL_BYTES_MAX, POLL_TASKS_MAX};
use bus_core::{ConnectorName, ExternalTask, Failure, Poll};

use crate::error::BusError;
use crate::flow::ingest::heard::Refusal;
use crate::flow::ingest::{self, Checked};
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
/// keep what comes after it. What a listener refuses is left out; what cannot be logged at all keeps the cursor where it
/// is, for a person to see.
pub(super) fn tasks(shared: &Shared, tasks: Vec<ExternalTask>) -> Result<Vec<Checked>, Failure> {
    let mut logged = Vec::with_capacity(tasks.len());
    for task in tasks {
        let key = task.key.clone();
        let failed = |error: BusError| {
            let key = key.as_deref().map(|key| format!(" `{key}`")).unwrap_or_default();
            Failure::retry(format!("what was polled cannot be logged{key}: {error}"))
        };
        let checked = ingest::checked(shared, ingest::kept_as_bytes(task)).map_err(failed)?;
        let what = ingest::named(&checked.task.subject, Some(&checked.external.connector));
        match ingest::heard::ask(shared, &checked.external, &what) {
            Ok(()) => logged.push(checked),
            Err(Refusal::Vetoed(error)) => {
                tracing::info!(connector = %checked.external.connector, ?key, %error, "what was polled is left out");
            }
            Err(Refusal::Panicked(error)) => return Err(failed(error)),
        }
    }
    Ok(logged)
}
