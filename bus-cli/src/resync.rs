//! Resyncs: asked for here, done by a process that contains the connector.

use bus_runtime::{Bus, Resync, ResyncId};

use crate::answer::{Answer, Trouble, maybe, text};
use crate::words::{By, WhichObjects};

const COLUMNS: &[&str] =
    &["resync", "connector", "types", "state", "logged", "skipped", "by", "begun_at", "reason"];

pub(crate) async fn begin(bus: &Bus, which: WhichObjects) -> Result<Answer, Trouble> {
    let what = Resync::of_types(which.types.as_str());
    let resync = bus.resync(&which.connector, what, &which.by.operator()).await?;
    Ok(Answer::One(vec![
        ("resync", resync.0.into()),
        ("connector", text(&which.connector)),
        ("types", text(&which.types)),
        ("note", text("a process that contains the connector does it; `bus resyncs` shows how far that is")),
    ]))
}

pub(crate) async fn list(bus: &Bus) -> Result<Answer, Trouble> {
    let rows = bus.resyncs().await?.into_iter().map(|known| {
        vec![
            known.resync.0.into(),
            text(&known.what.connector),
            text(&known.what.types),
            text(known.state),
            known.logged.into(),
            known.skipped.into(),
            text(&known.what.by),
            text(known.what.begun_at),
            maybe(known.what.reason.as_ref()),
        ]
    });
    Ok(Answer::Rows { columns: COLUMNS, rows: rows.collect(), none: "there was none" })
}

pub(crate) async fn cancel(bus: &Bus, id: i64, by: By) -> Result<Answer, Trouble> {
    let was_running = bus.cancel_resync(ResyncId(id), &by.operator()).await?;
    Ok(Answer::Said(if was_running {
        format!("resync {id} is cancelled; what it has logged stays")
    } else {
        format!("resync {id} does not run")
    }))
}
