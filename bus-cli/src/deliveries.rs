//! Deliveries: lists of them, and one with all that is known of it.

use bus_core::{DeliveryId, DeliveryState, Direction};
use bus_runtime::{Bus, DeliveryFilter};
use serde_json::{Value, json};

use crate::answer::{Answer, Trouble, maybe, text};
use crate::words::{Way, Which};

const COLUMNS: &[&str] = &["delivery", "queue", "state", "attempts", "title", "reason"];

pub(crate) async fn list(bus: &Bus, which: &Which) -> Result<Answer, Trouble> {
    let state = which.state.as_deref().map(parse_state).transpose()?;
    if let Some(name) = &which.connector
        && !bus.connectors().iter().any(|known| known.name == *name)
    {
        return Err(Trouble(format!(
            "no connector {name} is registered; `bus connectors` lists those that are"
        )));
    }
    let filter = DeliveryFilter {
        state,
        after: which.after.map(DeliveryId),
        limit: usize::from(which.limit),
        ..DeliveryFilter::default()
    };
    let mut rows = Vec::new();
    for (queue, _) in bus.counters().await? {
        let is_way = match which.direction {
            None => true,
            Some(Way::Outgoing) => queue.direction == Direction::Outgoing,
            Some(Way::Incoming) => queue.direction == Direction::Incoming,
        };
        if !is_way || which.connector.as_ref().is_some_and(|name| *name != queue.connector) {
            continue;
        }
        for known in bus.deliveries(&queue, &filter).await? {
            rows.push(vec![
                known.delivery.0.into(),
                text(&queue),
                text(known.state),
                known.attempts.into(),
                text(&known.title),
                maybe(known.reason),
            ]);
        }
    }
    Ok(Answer::Rows { columns: COLUMNS, rows, none: "there is none" })
}

pub(crate) async fn detail(bus: &Bus, id: i64) -> Result<Answer, Trouble> {
    let detail = bus.delivery(DeliveryId(id)).await?;
    let known = &detail.summary;
    let data = serde_json::from_slice(&detail.data)
        .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&detail.data)));
    let attempts: Vec<_> = detail
        .attempts
        .iter()
        .map(|tried| json!({ "at": tried.at.to_string(), "charged": tried.charged, "error": tried.error }))
        .collect();
    let done: Vec<_> = detail
        .interventions
        .iter()
        .map(|done| json!({ "by": done.by, "reason": done.reason, "at": done.at.to_string() }))
        .collect();
    let awaited: Vec<_> = detail.awaited.iter().map(|awaited| text(format!("{awaited:?}"))).collect();
    Ok(Answer::One(vec![
        ("delivery", known.delivery.0.into()),
        ("task", known.task.0.into()),
        ("queue", text(&known.queue)),
        ("title", text(&known.title)),
        ("key", text(&known.key)),
        ("state", text(known.state)),
        ("reason", maybe(known.reason.as_ref())),
        ("due", maybe(known.due)),
        ("ended_at", maybe(known.ended_at)),
        ("logged_at", text(detail.logged_at)),
        ("operation", text(detail.operation)),
        ("site", maybe(detail.site.as_ref())),
        ("origin", maybe(detail.origin.as_ref())),
        ("blocked_by", detail.blocked_by.map_or(Value::Null, |by| by.0.into())),
        ("awaited", some(awaited)),
        ("charged_attempts", known.attempts.into()),
        ("attempts", some(attempts)),
        ("interventions", some(done)),
        ("content_type", text(&detail.content_type)),
        ("data", data),
    ]))
}

fn some(list: Vec<Value>) -> Value {
    if list.is_empty() { Value::Null } else { Value::Array(list) }
}

fn parse_state(word: &str) -> Result<DeliveryState, Trouble> {
    let mut all = DeliveryState::OPEN.into_iter().chain(DeliveryState::FINAL);
    all.find(|state| state.as_str() == word).ok_or_else(|| {
        let all = DeliveryState::OPEN.into_iter().chain(DeliveryState::FINAL);
        let all: Vec<_> = all.map(DeliveryState::as_str).collect();
        Trouble(format!("`{word}` is no state of a delivery; write one of {}", all.join(", ")))
    })
}
