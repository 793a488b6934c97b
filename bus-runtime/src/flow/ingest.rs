//! Takes external objects in: stored as received, or refused with the reason. Nothing is dropped in silence.

mod idempotency;

use bus_core::descriptor::IncomingRoute;
use bus_core::payload::JSON_DEPTH_MAX;
use bus_core::{ConnectorName, Direction, ExternalTask, Failure, ObjectOperation, SiteName, TaskId};
use bus_store::{Commit, NewDelivery, NewTask, StoreErrorKind, Travel};

pub(crate) use super::keys::external_id_of_key;
use super::keys::incoming_key;
use super::task_log::{check_size, is_unordered, shorten_title, words};
use crate::error::{BusError, BusErrorKind};
use crate::identity::EXTERNAL_ID_BYTES_MAX;
use crate::registry::Enlisted;
use crate::shared::Shared;
use crate::sites;

/// Logs an external object; it is durable when this returns.
pub(crate) async fn process_external_task(shared: &Shared, task: ExternalTask) -> Result<TaskId, BusError> {
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
    let what = format!("the {} for connector {name}", task.kind);
    let site = site_of(task.site.as_deref(), task.operation, &what)?;
    let body = task.body.map_err(|error| {
        BusError::new(BusErrorKind::Malformed, format!("{what} cannot be written as JSON: {error}"))
    })?;
    check_size(shared, &what, body.len())?;
    if task.content_type == "application/json" {
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
    let mut commit = Commit::at(now);
    commit.tasks.push(NewTask {
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
    });
    let committed = shared.store.commit(commit).await;
    let committed = match committed {
        Ok(committed) => committed,
        Err(error) => {
            return Err(match (error.kind(), &task.idempotency_key, &site) {
                (StoreErrorKind::KeyReused, Some(given), _) => idempotency::reused(&name, given),
                (StoreErrorKind::NotFound, _, Some(site)) => {
                    sites::unknown(shared, &format!("log {what}"), site).await
                }
                _ => BusError::store(&format!("log {what}"), error),
            });
        }
    };
    committed.tasks.first().copied().ok_or_else(|| {
        BusError::new(
            BusErrorKind::Store,
            format!("the store accepted {what} without giving it an id; report this"),
        )
    })
}

/// The site that it names; what is to be added to one, or removed from one, has to.
fn site_of(
    given: Option<&str>,
    operation: ObjectOperation,
    what: &str,
) -> Result<Option<SiteName>, BusError> {
    let wish = match operation {
        ObjectOperation::AddToSite => "added to",
        ObjectOperation::RemoveFromSite => "removed from",
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
    match key {
        Some(key) if key.len() > EXTERNAL_ID_BYTES_MAX => Err(BusError::new(
            BusErrorKind::TooLarge,
            format!(
                "the key of {what} is {} bytes, more than {EXTERNAL_ID_BYTES_MAX}; name a shorter field as its key",
                key.len()
            ),
        )),
        Some(key) if key.is_empty() => Err(BusError::new(
            BusErrorKind::Malformed,
            format!("the key of {what} is empty, so nothing tells it from others; send what identifies it"),
        )),
        key => Ok(key),
    }
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
