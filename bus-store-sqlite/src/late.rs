//! Late references that were delivered unresolved.

use bus_core::{ConnectorName, ObjectKey};
use bus_store::{Binding, Late, LateReferences, StoreErrorKind, StoreFuture};
use rusqlite::params;
use tokio::sync::watch;

use crate::SqliteStore;
use crate::code::{connector_name, id_from_text, id_text, limit as sql_limit, object_type};
use crate::error::{Fault, refusal};
use crate::session::Session;

impl Late for SqliteStore {
    fn resolved(
        &self,
        after: Option<(ConnectorName, ObjectKey)>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<(ConnectorName, ObjectKey)>> {
        self.read("resolved", move |db| {
            let sql = "SELECT DISTINCT connector, object_type, object_id FROM bus_late
                       WHERE resolved = 1 AND (connector, object_type, object_id) > (?1, ?2, ?3)
                       ORDER BY connector, object_type, object_id LIMIT ?4";
            let (connector, kind, id) =
                after.as_ref().map_or(("", "", String::new()), |(connector, object)| {
                    (connector.as_str(), object.object_type.as_str(), id_text(&object.id))
                });
            let mut list = db.prepare_cached(sql)?;
            let mut rows = list.query(params![connector, kind, id, sql_limit(limit)])?;
            let mut resolved = Vec::new();
            while let Some(row) = rows.next()? {
                let object =
                    ObjectKey { object_type: object_type(row.get(1)?)?, id: id_from_text(row.get(2)?) };
                resolved.push((connector_name(row.get(0)?)?, object));
            }
            Ok(resolved)
        })
    }

    fn late_bell(&self) -> watch::Receiver<u64> {
        self.0.status.late_bell.subscribe()
    }

    fn ring_late(&self) {
        self.0.status.ring_late();
    }
}

/// Writes what is left to be told, in the place of what was.
pub(crate) fn remember(session: &mut Session<'_>, late: &LateReferences) -> Result<(), Fault> {
    if late.unresolved.is_empty() && !session.is_anything_late()? {
        return Ok(());
    }
    let LateReferences { connector, object, unresolved } = late;
    let (connector, kind, id) = (connector.as_str(), object.object_type.as_str(), id_text(&object.id));
    let sql = "DELETE FROM bus_late WHERE connector = ?1 AND object_type = ?2 AND object_id = ?3";
    session.prepare(sql)?.execute(params![connector, kind, id])?;
    let sql = "INSERT OR IGNORE INTO bus_late
                   (connector, object_type, object_id, awaited_type, awaited_id, resolved)
               VALUES (?1, ?2, ?3, ?4, ?5, EXISTS (
                   SELECT 1 FROM bus_binding
                   WHERE object_type = ?4 AND object_id = ?5 AND connector = ?1 AND ended IS NULL
               )) RETURNING resolved";
    let mut insert = session.prepare(sql)?;
    for awaited in unresolved {
        let parameters = params![connector, kind, id, awaited.object_type.as_str(), id_text(&awaited.id)];
        for is_resolved in insert.query_map(parameters, |row| row.get(0))? {
            if is_resolved? {
                session.ring_late();
            }
        }
    }
    session.late_changed();
    Ok(())
}

/// A connector is told of an object again, with all that it refers to by then, unless somebody else has seen to that.
pub(crate) fn tell_again(
    session: &mut Session<'_>,
    connector: &ConnectorName,
    object: &ObjectKey,
) -> Result<(), Fault> {
    let sql = "SELECT EXISTS (SELECT 1 FROM bus_late
                              WHERE connector = ?1 AND object_type = ?2 AND object_id = ?3 AND resolved = 1)";
    let parameters = params![connector.as_str(), object.object_type.as_str(), id_text(&object.id)];
    let is_resolved: bool = session.prepare(sql)?.query_row(parameters, |row| row.get(0))?;
    if !is_resolved {
        let message = format!("`{connector}` is not to be told of {object} again any more; look again");
        return Err(refusal(StoreErrorKind::Conflict, message));
    }
    let sql = "DELETE FROM bus_late WHERE connector = ?1 AND object_type = ?2 AND object_id = ?3";
    session.prepare(sql)?.execute(parameters)?;
    session.late_changed();
    Ok(())
}

/// These objects are bound: whoever was told of something without one of them is to be told again.
pub(crate) fn resolve<'b>(
    session: &mut Session<'_>,
    bindings: impl Iterator<Item = &'b Binding>,
) -> Result<(), Fault> {
    let mut bindings = bindings.peekable();
    if bindings.peek().is_none() || !session.is_anything_late()? {
        return Ok(());
    }
    let sql = "UPDATE bus_late SET resolved = 1
               WHERE awaited_type = ?1 AND awaited_id = ?2 AND connector = ?3 AND resolved = 0";
    let mut update = session.prepare(sql)?;
    for Binding { connector, object, .. } in bindings {
        let parameters = params![object.object_type.as_str(), id_text(&object.id), connector.as_str()];
        if update.execute(parameters)? > 0 {
            session.ring_late();
        }
    }
    Ok(())
}

/// Nothing is left to be told to this connector.
pub(crate) fn forget(session: &mut Session<'_>, connector: &ConnectorName) -> Result<(), Fault> {
    session.prepare("DELETE FROM bus_late WHERE connector = ?1")?.execute([connector.as_str()])?;
    session.late_changed();
    Ok(())
}
