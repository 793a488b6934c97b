//! The operator's records and switches.

use bus_core::{ConnectorName, Timestamp};
use bus_store::operate::shorten_error;
use bus_store::{
    Circuit, ConnectorRecord, ConnectorState, Connectors, StoreErrorKind, StoreFuture, Switches,
};
use rusqlite::{OptionalExtension, Row, params};
use serde_json::Value;

use crate::SqliteStore;
use crate::code::{Code, connector_name, corrupt, small_count};
use crate::error::{Fault, refusal};
use crate::exchange::forget_sent_to;
use crate::session::Session;
use crate::writer::{Progress, Write};

impl Connectors for SqliteStore {
    fn connectors(&self) -> StoreFuture<'_, Vec<ConnectorRecord>> {
        self.read("connectors", |db| {
            let sql = "SELECT name, display_name, uses, state, settings, processing, owner FROM bus_connector
                       ORDER BY name";
            let mut list = db.prepare_cached(sql)?;
            let mut rows = list.query([])?;
            let mut records = Vec::new();
            while let Some(row) = rows.next()? {
                records.push(record(row)?);
            }
            Ok(records)
        })
    }

    fn save_connector(&self, record: ConnectorRecord) -> StoreFuture<'_, ()> {
        self.write(SaveConnector(record))
    }

    fn set_connector_state(&self, name: &ConnectorName, state: ConnectorState) -> StoreFuture<'_, ()> {
        self.write(SetConnectorState { name: name.clone(), state })
    }

    fn delete_connector(&self, name: &ConnectorName) -> StoreFuture<'_, bool> {
        self.write(DeleteConnector { name: name.clone() })
    }

    fn set_circuit(&self, name: &ConnectorName, circuit: Option<Circuit>) -> StoreFuture<'_, ()> {
        self.write(SetCircuit { name: name.clone(), circuit })
    }

    fn circuits(&self) -> StoreFuture<'_, Vec<(ConnectorName, Circuit)>> {
        self.read("circuits", |db| {
            let sql =
                "SELECT connector, opened_at, probe_at, failures, error FROM bus_circuit ORDER BY connector";
            let mut list = db.prepare_cached(sql)?;
            let mut rows = list.query([])?;
            let mut circuits = Vec::new();
            while let Some(row) = rows.next()? {
                let circuit = Circuit {
                    opened_at: Timestamp::from_micros(row.get(1)?),
                    probe_at: Timestamp::from_micros(row.get(2)?),
                    failures: small_count(row.get(3)?),
                    error: row.get(4)?,
                };
                circuits.push((connector_name(row.get(0)?)?, circuit));
            }
            Ok(circuits)
        })
    }

    fn publish_subscriptions(&self, name: &ConnectorName, subscriptions: Value) -> StoreFuture<'_, ()> {
        self.write(PublishSubscriptions { name: name.clone(), subscriptions })
    }

    fn published_subscriptions(&self) -> StoreFuture<'_, Vec<(ConnectorName, Value)>> {
        self.read("published subscriptions", |db| {
            let mut list = db
                .prepare_cached("SELECT connector, subscriptions FROM bus_subscription ORDER BY connector")?;
            let mut rows = list.query([])?;
            let mut published = Vec::new();
            while let Some(row) = rows.next()? {
                let name = connector_name(row.get(0)?)?;
                let text: String = row.get(1)?;
                let said = serde_json::from_str(&text).map_err(|error| {
                    corrupt(format!("the subscriptions of connector `{name}` are not JSON: {error}"))
                })?;
                published.push((name, said));
            }
            Ok(published)
        })
    }

    fn switches(&self) -> StoreFuture<'_, Option<Switches>> {
        self.read("switches", |db| {
            let sql = "SELECT bus, log_outgoing, process_outgoing, log_incoming, process_incoming FROM bus_switches";
            let switches = |row: &Row<'_>| {
                Ok(Switches {
                    bus: row.get(0)?,
                    log_outgoing: row.get(1)?,
                    process_outgoing: row.get(2)?,
                    log_incoming: row.get(3)?,
                    process_incoming: row.get(4)?,
                })
            };
            Ok(db.prepare_cached(sql)?.query_row([], switches).optional()?)
        })
    }

    fn set_switches(&self, switches: Switches) -> StoreFuture<'_, ()> {
        self.write(SetSwitches(switches))
    }

    fn revision(&self) -> StoreFuture<'_, u64> {
        self.write(AskRevision)
    }
}

fn record(row: &Row<'_>) -> Result<ConnectorRecord, Fault> {
    let name = connector_name(row.get(0)?)?;
    let json = |column: usize| -> Result<serde_json::Value, Fault> {
        let text: String = row.get(column)?;
        serde_json::from_str(&text)
            .map_err(|error| corrupt(format!("the settings of connector `{name}` are not JSON: {error}")))
    };
    Ok(ConnectorRecord {
        display_name: row.get(1)?,
        uses: row.get(2)?,
        state: ConnectorState::from_code(row.get(3)?)?,
        settings: json(4)?,
        processing: json(5)?,
        owner: Code::from_code(row.get(6)?)?,
        name,
    })
}

struct PublishSubscriptions {
    name: ConnectorName,
    subscriptions: Value,
}

impl Write for PublishSubscriptions {
    type Answer = ();
    const OPERATION: &'static str = "publish subscriptions";

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<()>, Fault> {
        let sql = "INSERT INTO bus_subscription (connector, subscriptions) VALUES (?1, ?2)
                   ON CONFLICT (connector) DO UPDATE SET subscriptions = excluded.subscriptions";
        session.prepare(sql)?.execute(params![self.name.as_str(), self.subscriptions.to_string()])?;
        session.connectors_changed();
        Ok(Progress::Done(()))
    }
}

struct SaveConnector(ConnectorRecord);

impl Write for SaveConnector {
    type Answer = ();
    const OPERATION: &'static str = "save connector";

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<()>, Fault> {
        let record = &self.0;
        let sql = "INSERT OR REPLACE INTO bus_connector (name, display_name, uses, state, settings, processing, owner)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        session.prepare(sql)?.execute(params![
            record.name.as_str(),
            record.display_name,
            record.uses,
            record.state.to_code(),
            record.settings.to_string(),
            record.processing.to_string(),
            record.owner.to_code(),
        ])?;
        let sql = "DELETE FROM bus_deleted_connector WHERE name = ?1";
        session.prepare(sql)?.execute([record.name.as_str()])?;
        session.deletions_changed();
        session.connectors_changed();
        Ok(Progress::Done(()))
    }
}

struct SetConnectorState {
    name: ConnectorName,
    state: ConnectorState,
}

impl Write for SetConnectorState {
    type Answer = ();
    const OPERATION: &'static str = "set connector state";

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<()>, Fault> {
        let sql = "UPDATE bus_connector SET state = ?2 WHERE name = ?1";
        if session.prepare(sql)?.execute(params![self.name.as_str(), self.state.to_code()])? == 0 {
            let message = format!("there is no connector `{}`; register it first", self.name);
            return Err(refusal(StoreErrorKind::NotFound, message));
        }
        session.connectors_changed();
        Ok(Progress::Done(()))
    }
}

struct DeleteConnector {
    name: ConnectorName,
}

impl Write for DeleteConnector {
    type Answer = bool;
    const OPERATION: &'static str = "delete connector";

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<bool>, Fault> {
        let name = self.name.as_str();
        // What was counted in this transaction is not written yet.
        let sql = "SELECT (SELECT count(*) FROM bus_pending WHERE queue IN (SELECT id FROM bus_queue WHERE connector = ?1))
                        + (SELECT count(*) FROM bus_side WHERE queue IN (SELECT id FROM bus_queue WHERE connector = ?1))";
        let open: i64 = session.prepare(sql)?.query_row([name], |row| row.get(0))?;
        if open > 0 {
            let message = format!("{open} deliveries of connector `{name}` are open: end them first");
            return Err(refusal(StoreErrorKind::Conflict, message));
        }
        let known = session.prepare("DELETE FROM bus_connector WHERE name = ?1")?.execute([name])?;
        session.prepare("DELETE FROM bus_subscription WHERE connector = ?1")?.execute([name])?;
        session.prepare("DELETE FROM bus_circuit WHERE connector = ?1")?.execute([name])?;
        forget_sent_to(session, name)?;
        session.prepare("INSERT OR IGNORE INTO bus_deleted_connector (name) VALUES (?1)")?.execute([name])?;
        session.deletions_changed();
        session.connectors_changed();
        Ok(Progress::Done(known > 0))
    }
}

struct SetCircuit {
    name: ConnectorName,
    circuit: Option<Circuit>,
}

impl Write for SetCircuit {
    type Answer = ();
    const OPERATION: &'static str = "set circuit";

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<()>, Fault> {
        let name = self.name.as_str();
        let Some(Circuit { opened_at, probe_at, failures, error }) = &self.circuit else {
            session.prepare("DELETE FROM bus_circuit WHERE connector = ?1")?.execute([name])?;
            return Ok(Progress::Done(()));
        };
        let sql = "INSERT OR REPLACE INTO bus_circuit (connector, opened_at, probe_at, failures, error)
                   VALUES (?1, ?2, ?3, ?4, ?5)";
        session.prepare(sql)?.execute(params![
            name,
            opened_at.as_micros(),
            probe_at.as_micros(),
            failures,
            shorten_error(error.clone())
        ])?;
        Ok(Progress::Done(()))
    }
}

struct SetSwitches(Switches);

impl Write for SetSwitches {
    type Answer = ();
    const OPERATION: &'static str = "set switches";

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<()>, Fault> {
        let Switches { bus, log_outgoing, process_outgoing, log_incoming, process_incoming } = self.0;
        let sql = "INSERT OR REPLACE INTO bus_switches
                       (id, bus, log_outgoing, process_outgoing, log_incoming, process_incoming)
                   VALUES (1, ?1, ?2, ?3, ?4, ?5)";
        let parameters = params![bus, log_outgoing, process_outgoing, log_incoming, process_incoming];
        session.prepare(sql)?.execute(parameters)?;
        session.connectors_changed();
        Ok(Progress::Done(()))
    }
}

/// Asked of the writer, which looks for what other processes have written at the beginning of each transaction.
struct AskRevision;

impl Write for AskRevision {
    type Answer = u64;
    const OPERATION: &'static str = "revision";

    fn can_be_refused(&self) -> bool {
        false
    }

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<u64>, Fault> {
        Ok(Progress::Done(session.revision()))
    }
}
