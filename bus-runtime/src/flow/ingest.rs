//! Takes external objects in: stored as received, or refused with the reason. Nothing is dropped in silence.

pub(crate) mod heard;
mod idempotency;

use bus_core::descriptor::IncomingRoute;
use bus_core::payload::JSON_DEPTH_MAX;
use bus_core::task::GONE;
use bus_core::{
    ConnectorName, Direction, ExternalSummary, ExternalTask, Failure, ObjectOperation, Operation, SiteName,
    Subject, TaskId,
};
use bus_store::{Commit, Committed, NewDelivery, NewTask, StoreErrorKind, Travel};

use self::heard::Refusal;
pub(crate) use super::keys::external_id_of_key;
use super::keys::incoming_key;
use super::task_log::{check_size, is_unordered, shorten_title, words};
use crate::error::{BusError, BusErrorKind};
use crate::identity::Unfit;
use crate::registry::Enlisted;
use crate::shared::Shared;
use crate::sites;

const JSON: &str = "application/json";

/// An external object that can be logged.
pub(crate) struct Checked {
    pub(crate) task: NewTask,
    /// What listeners are told of it.
    pub(crate) external: ExternalSummary,
}

/// Logs an external object; it is durable when this returns.
pub(crate) async fn process_external_task(shared: &Shared, task: ExternalTask) -> Result<TaskId, BusError> {
    let given = task.idempotency_key.clone();
    let Checked { task, external } = checked(shared, task)?;
    let site = task.site.clone();
    let what = named(&task.subject, Some(&external.connector));
    heard::ask(shared, &external, &what).map_err(Refusal::into_error)?;
    let mut commit = Commit::at(task.logged_at);
    commit.tasks.push(task);
    let committed = match shared.store.commit(commit).await {
        Ok(committed) => committed,
        Err(error) => {
            return Err(match (error.kind(), &given, &site) {
                (StoreErrorKind::KeyReused, Some(given), _) => {
                    idempotency::reused(&external.connector, given)
                }
                (StoreErrorKind::NotFound, _, Some(site)) => {
                    sites::unknown(shared, &format!("log {what}"), site).await
                }
                _ => BusError::store(&format!("log {what}"), error),
            });
        }
    };
    let Some(task) = committed.tasks.first().copied() else {
        let message = format!("the store accepted {what} without giving it an id; report this");
        return Err(BusError::new(BusErrorKind::Store, message));
    };
    tell(shared, &committed, &[external]);
    Ok(task)
}

/// Tells listeners of what was logged, in the order of the commit, but for what had been logged before.
pub(crate) fn tell(shared: &Shared, committed: &Committed, logged: &[ExternalSummary]) {
    for (external, task) in logged.iter().zip(&committed.tasks) {
        if !committed.repeated.contains(task) {
            heard::tell(shared, external, *task);
        }
    }
}

/// An external object as the task that it becomes, or why it is none.
pub(crate) fn checked(shared: &Shared, task: ExternalTask) -> Result<Checked, BusError> {
    let switches = *shared.switches.borrow();
    if !(switches.bus && switches.log_incoming) {
        return Err(BusError::new(
            BusErrorKind::SwitchedOff,
            format!(
                "the logging of incoming tasks is switched off; switch `log_incoming` (and `bus`) on, then send the {} again",
                task.kind
            ),
        ));
    }
    let roster = shared.roster();
    let name = ConnectorName::parse(task.connector.as_str())
        .map_err(|error| BusError::new(BusErrorKind::BadName, error.to_string()))?;
    let Some(enlisted) = roster.get(&name) else {
        let known: Vec<_> = roster.iter().map(|known| known.record.name.to_string()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(BusError::new(
            BusErrorKind::UnknownConnector,
            format!(
                "no connector `{name}` is registered; add [connectors.{name}] to bus.toml (registered: {known})"
            ),
        ));
    };
    let route = route_of(enlisted, &task.kind)?;
    let what = named(&task.kind, Some(&name));
    check_operation(&task, route, &what)?;
    let site = site_of(task.site.as_deref(), task.operation, &what)?;
    if task.content_type == GONE {
        check_gone(&task, route, &what)?;
    }
    let body = task.body.map_err(|error| {
        BusError::new(BusErrorKind::Malformed, format!("{what} cannot be written as JSON: {error}"))
    })?;
    check_size(shared, &what, body.len())?;
    if task.content_type == JSON {
        check_json(&body)
            .map_err(|fault| BusError::new(BusErrorKind::Malformed, format!("{what} {fault}")))?;
    }
    let key = key_of(task.key, route, &body, &what)?;
    let idempotency = idempotency::of(
        task.idempotency_key.as_deref(),
        &what,
        &idempotency::Sent {
            kind: &task.kind,
            operation: task.operation,
            content_type: &task.content_type,
            site: site.as_ref(),
            data_type: task.data_type,
            policy: task.error_policy,
            key: key.as_deref(),
            body: &body,
        },
    )?;
    let mut external = ExternalSummary::new(name.clone(), task.kind.as_str(), task.operation);
    external.key.clone_from(&key);
    external.site.clone_from(&site);
    external.content_type.clone_from(&task.content_type);
    let now = shared.now();
    let delivery = NewDelivery {
        connector: name.clone(),
        data_type: task.data_type,
        policy: task.error_policy,
        idempotency_key: shared.new_uuid(),
    };
    let named = key.as_deref().unwrap_or("without a key");
    // One without a key, or of a connector that keeps no order, keeps nobody waiting.
    let own = (key.is_none() || is_unordered(enlisted)).then_some(delivery.idempotency_key);
    let task = NewTask {
        direction: Direction::Incoming,
        title: shorten_title(&format!("{} {} {named}", words(task.operation), task.kind)),
        key: incoming_key(&task.kind, key.as_deref(), own),
        subject: task.kind,
        operation: task.operation,
        data: body,
        content_type: task.content_type,
        site: site.clone(),
        origin: Some(name.clone()),
        logged_at: now,
        redelivers: None,
        idempotency,
        travel: Travel { echo: task.echo, ..Travel::default() },
        deliveries: vec![delivery],
    };
    Ok(Checked { task, external })
}

/// What people call it.
pub(crate) fn named(kind: &str, connector: Option<&ConnectorName>) -> String {
    let connector = connector.map(|name| format!(" for connector {name}")).unwrap_or_default();
    format!("the {kind}{connector}")
}

/// What is said to be JSON and is none, as the bytes that it is: to be kept, and parked when its turn comes.
pub(crate) fn kept_as_bytes(mut task: ExternalTask) -> ExternalTask {
    let is_json = task.content_type == JSON;
    if is_json && task.body.as_deref().is_ok_and(|body| check_json(body).is_err()) {
        task.content_type = "application/octet-stream".to_owned();
    }
    task
}

/// What happened to it is what happens to an object, or to a page.
fn check_operation(task: &ExternalTask, route: &IncomingRoute, what: &str) -> Result<(), BusError> {
    let fault = match (route.of, task.operation) {
        (Subject::Objects, Operation::Page(operation)) => {
            format!("becomes an object, and `{operation}` is said of a page; send an operation on objects")
        }
        (Subject::Pages, operation) if operation.is_of_site() => {
            "becomes a page, which stands on one site and is not added to any; send an operation on pages"
                .to_owned()
        }
        _ => return Ok(()),
    };
    Err(BusError::new(BusErrorKind::Malformed, format!("{what} {fault}")))
}

/// What is gone needs a key by which it is found, and a type that it is found in.
fn check_gone(task: &ExternalTask, route: &IncomingRoute, what: &str) -> Result<(), BusError> {
    let fault = if !task.operation.is_delete() {
        "is said to be gone, and not to be deleted; make it with `ExternalTask::gone`"
    } else if task.key.is_none() {
        "is said to be gone, without a key; say which it is"
    } else if route.object_type.is_none() {
        "may become any object, so nobody knows which is gone; send a delete with the object"
    } else {
        return Ok(());
    };
    Err(BusError::new(BusErrorKind::Malformed, format!("{what} {fault}")))
}

/// The site that it names; what is to be added to one, or removed from one, has to.
fn site_of(given: Option<&str>, operation: Operation, what: &str) -> Result<Option<SiteName>, BusError> {
    let wish = match operation {
        Operation::Object(ObjectOperation::AddToSite) => "added to",
        Operation::Object(ObjectOperation::RemoveFromSite) => "removed from",
        _ => return given.map(sites::parse).transpose(),
    };
    let given = given.ok_or_else(|| {
        let message = format!("{what} is to be {wish} a site, and names none; add `.site(...)`");
        BusError::new(BusErrorKind::Malformed, message)
    });
    sites::parse(given?).map(Some)
}

/// What identifies it. `None` where it does not decode to the declared type: it is kept, and parked when its turn comes,
/// so that nothing is lost; once the mapping is mended it can be retried. Without a key it keeps nobody waiting.
fn key_of(
    given: Option<String>,
    route: &IncomingRoute,
    body: &[u8],
    what: &str,
) -> Result<Option<String>, BusError> {
    let key = match given {
        Some(key) => Some(key),
        None => read_key(route, body).unwrap_or(None),
    };
    let Some(unfit) = key.as_deref().and_then(Unfit::of) else { return Ok(key) };
    let remedy = match unfit {
        Unfit::Empty => ", so nothing tells it from others; send what identifies it",
        Unfit::TooLong(_) => "; name a shorter field as its key",
        Unfit::Control(_) => "; send it without, or name another field as its key",
    };
    Err(BusError::new(unfit.kind(), format!("the key of {what} {unfit}{remedy}")))
}

fn route_of(enlisted: &Enlisted, kind: &str) -> Result<&'static IncomingRoute, BusError> {
    let name = &enlisted.record.name;
    let Some(linked) = enlisted.linked else {
        let problem = enlisted.problem.as_ref();
        return Err(BusError::new(
            BusErrorKind::ConnectorUnable,
            format!(
                "connector `{name}` is not registered correctly: {}; {}",
                problem.map_or_else(|| "it is not linked".to_owned(), ToString::to_string),
                problem.map_or_else(|| "link its crate".to_owned(), super::super::registry::Problem::remedy),
            ),
        ));
    };
    if !enlisted.logs() {
        return Err(BusError::new(
            BusErrorKind::ConnectorUnable,
            format!("connector `{name}` is disabled; enable it, then send the {kind} again"),
        ));
    }
    linked.incoming().find(|route| route.kind == kind).ok_or_else(|| {
        let known: Vec<_> = linked.incoming().map(|route| route.kind).collect();
        let known = if known.is_empty() { "no kind at all".to_owned() } else { known.join(", ") };
        BusError::new(
            BusErrorKind::UnknownKind,
            format!("connector `{name}` does not accept `{kind}`; it accepts {known}: add an `#[incoming]` line, or mend the name"),
        )
    })
}

/// Reads the key from the bytes. Code of the connector's runs here, on the path of whoever logs: its panic is an object
/// that cannot be read.
fn read_key(route: &IncomingRoute, body: &[u8]) -> Result<Option<String>, Failure> {
    std::panic::catch_unwind(|| (route.key)(body))
        .unwrap_or_else(|_| Err(Failure::reject("the connector panicked when it read the key")))
}

/// Checks syntax and depth without building a tree.
fn check_json(bytes: &[u8]) -> Result<(), String> {
    let mut depth = 0_usize;
    let mut in_text = false;
    let mut escaped = false;
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                if depth > JSON_DEPTH_MAX {
                    return Err(format!("is nested deeper than {JSON_DEPTH_MAX} levels; send a flatter one"));
                }
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes)
        .map(|_| ())
        .map_err(|error| format!("is not JSON: {error}; send JSON, or say what it is with `content_type`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_checked_for_syntax_and_depth_without_a_tree() {
        assert!(check_json(br#"{"a":"[[[[\"{{{"}"#).is_ok());
        assert!(check_json(b"{").unwrap_err().contains("is not JSON"));
        assert!(check_json(b"").is_err());
        assert!(check_json(&[0xff, 0xfe]).is_err());
        let deep = "[".repeat(100_000);
        assert!(check_json(deep.as_bytes()).unwrap_err().contains("deeper than 64"));
    }
}
