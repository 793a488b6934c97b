//! The registered connectors.

use bus_core::Direction;
use bus_runtime::{Bus, QueueId};

use crate::answer::{Answer, Trouble, text};

const COLUMNS: &[&str] = &[
    "connector",
    "uses",
    "state",
    "owner",
    "outgoing_open",
    "outgoing_parked",
    "incoming_open",
    "incoming_parked",
];

pub(crate) async fn connectors(bus: &Bus) -> Result<Answer, Trouble> {
    let queues = bus.queues().await?;
    let counts = |queue: QueueId| {
        let known = queues.iter().find(|known| known.queue == queue);
        known.map_or((0, 0), |known| (known.counters.open, known.open.parked))
    };
    let rows = bus.connectors().into_iter().map(|known| {
        let mut row = vec![
            text(&known.name),
            text(&known.uses),
            text(known.state.as_str()),
            text(match known.owner {
                bus_runtime::RecordOwner::File => "file",
                bus_runtime::RecordOwner::Operator => "operator",
            }),
        ];
        for direction in Direction::ALL {
            let (open, parked) = counts(QueueId::new(known.name.clone(), direction));
            row.extend([open.into(), parked.into()]);
        }
        row
    });
    Ok(Answer::Rows { columns: COLUMNS, rows: rows.collect(), none: "no connector is registered" })
}
