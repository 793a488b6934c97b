//! What the application has logged in transactions of its own.

use bus_runtime::Bus;
use serde_json::{Value, json};

use crate::answer::{Answer, Trouble};

pub(crate) async fn look(bus: &Bus) -> Result<Answer, Trouble> {
    let outbox = bus.outbox().await?;
    let parked: Vec<_> = outbox
        .parked_entries
        .iter()
        .map(|entry| {
            let text = String::from_utf8_lossy(&entry.text);
            json!({ "id": entry.id, "parked_at": entry.parked_at.to_string(), "error": entry.error, "text": text })
        })
        .collect();
    Ok(Answer::One(vec![
        ("entries", outbox.entries.into()),
        ("parked", outbox.parked.into()),
        ("parked_entries", if parked.is_empty() { Value::Null } else { parked.into() }),
    ]))
}
