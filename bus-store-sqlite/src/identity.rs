//! Which external id belongs to which object of the host.

use std::collections::BTreeSet;

use bus_core::{ConnectorName, ObjectId, ObjectKey, ObjectType, TaskId, Timestamp};
use bus_store::{Binding, ExternalId, Identity, Missing, StoreErrorKind, StoreFuture};
use rusqlite::{OptionalExtension, Row, params};

use crate::SqliteStore;
use crate::code::{connector_name, id_from_text, id_text, limit as sql_limit, object_type};
use crate::error::{Fault, refusal};
use crate::exchange::end_exchange;
use crate::session::Session;

impl Identity for SqliteStore {
    fn external_ids(
        &self,
        connector: &ConnectorName,
        objects: &[ObjectKey],
    ) -> StoreFuture<'_, Vec<Option<ExternalId>>> {
        let (connector, objects) = (connector.clone(), objects.to_vec());
        self.read("external ids", move |db| {
            let sql = "SELECT external_id, ended, since FROM bus_binding
                       WHERE object_type = ?1 AND object_id = ?2 AND connector = ?3";
            let mut find = db.prepare_cached(sql)?;
            let find = |object: &ObjectKey| {
                let parameters =
                    params![object.object_type.as_str(), id_text(&object.id), connector.as_str()];
                let read = |row: &Row<'_>| {
                    let (ended, since): (Option<i64>, Option<i64>) = (row.get(1)?, row.get(2)?);
                    Ok(ExternalId { id: row.get(0)?, ended: ended.map(TaskId), since: since.map(TaskId) })
                };
                Ok(find.query_row(parameters, read).optional()?)
            };
            objects.iter().map(find).collect()
        })
    }

    fn host_ids(
        &self,
        connector: &ConnectorName,
        external: &[(ObjectType, String)],
    ) -> StoreFuture<'_, Vec<Option<ObjectId>>> {
        let (connector, external) = (connector.clone(), external.to_vec());
        self.read("host ids", move |db| {
            let mut find = db.prepare_cached(FIND_HOST_ID)?;
            let find = |(object_type, external_id): &(ObjectType, String)| {
                let parameters = params![connector.as_str(), object_type.as_str(), external_id];
                let found: Option<String> = find.query_row(parameters, |row| row.get(0)).optional()?;
                Ok(found.map(id_from_text))
            };
            external.iter().map(find).collect()
        })
    }

    fn gone_host_id(
        &self,
        connector: &ConnectorName,
        object_type: &ObjectType,
        external_id: &str,
    ) -> StoreFuture<'_, Option<ObjectId>> {
        let (connector, object_type, external_id) =
            (connector.clone(), object_type.clone(), external_id.to_owned());
        self.read("gone host id", move |db| {
            let sql = "SELECT object_id FROM bus_binding
                       WHERE connector = ?1 AND object_type = ?2 AND external_id = ?3 AND ended IS NOT NULL";
            let parameters = params![connector.as_str(), object_type.as_str(), external_id];
            let found: Option<String> =
                db.prepare_cached(sql)?.query_row(parameters, |row| row.get(0)).optional()?;
            Ok(found.map(id_from_text))
        })
    }

    fn bindings(
        &self,
        connector: &ConnectorName,
        after: Option<(ObjectType, String)>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<Binding>> {
        let connector = connector.clone();
        self.read("bindings", move |db| {
            let sql = "SELECT object_type, external_id, object_id FROM bus_binding
                       WHERE connector = ?1 AND (object_type, external_id) > (?2, ?3)
                       ORDER BY object_type, external_id LIMIT ?4";
            // Before everything: no object type is empty.
            let (after_type, after_id) =
                after.as_ref().map_or(("", ""), |(object_type, id)| (object_type.as_str(), id.as_str()));
            let mut page = db.prepare_cached(sql)?;
            let mut rows = page.query(params![connector.as_str(), after_type, after_id, sql_limit(limit)])?;
            let mut bindings = Vec::new();
            while let Some(row) = rows.next()? {
                let object =
                    ObjectKey { object_type: object_type(row.get(0)?)?, id: id_from_text(row.get(2)?) };
                bindings.push(Binding { connector: connector.clone(), object, external_id: row.get(1)? });
            }
            Ok(bindings)
        })
    }

    fn missing(
        &self,
        connector: &ConnectorName,
        object_type: &ObjectType,
        present: BTreeSet<String>,
        before: Timestamp,
    ) -> StoreFuture<'_, Missing> {
        let (connector, object_type) = (connector.clone(), object_type.clone());
        self.read("missing", move |db| {
            let sql = "SELECT external_id FROM bus_binding
                       WHERE connector = ?1 AND object_type = ?2 AND ended IS NULL AND made_at < ?3
                       ORDER BY external_id";
            let mut bound = db.prepare_cached(sql)?;
            let mut rows =
                bound.query(params![connector.as_str(), object_type.as_str(), before.as_micros()])?;
            let mut found = Missing::default();
            while let Some(row) = rows.next()? {
                found.bound += 1;
                let external_id: String = row.get(0)?;
                found.missing.extend((!present.contains(&external_id)).then_some(external_id));
            }
            Ok(found)
        })
    }
}

/// Whether what a binding `b` is of counts: the store has it, an object or a page, or it lives elsewhere. What the identity map
/// calls a page is its node's GUID, a `/`, and its culture.
macro_rules! may_be_there {
    () => {
        "EXISTS (SELECT 1 FROM bus_object o WHERE o.object_type = b.object_type AND o.object_id = b.object_id)
         OR EXISTS (SELECT 1 FROM bus_elsewhere e WHERE e.object_type = b.object_type)
         OR (b.object_type = 'page' AND EXISTS (
             SELECT 1 FROM bus_page p WHERE p.node = unhex(replace(substr(b.object_id, 1, 36), '-', ''))
                                        AND p.culture = substr(b.object_id, 38)))"
    };
}

/// The object that an external id is bound to, if it exists.
pub(crate) const FIND_HOST_ID: &str = concat!(
    "SELECT b.object_id FROM bus_binding b
     WHERE b.connector = ?1 AND b.object_type = ?2 AND b.external_id = ?3 AND b.ended IS NULL AND (",
    may_be_there!(),
    ")"
);

/// What was known of an object before it is bound anew.
struct Former {
    external_id: String,
    /// Until which task the id was a former object's, if it ever was.
    since: Option<i64>,
    made_at: i64,
    has_ended: bool,
}

/// Ends a binding; answers what it said.
fn unbind(
    session: &Session<'_>,
    connector: &ConnectorName,
    object: &ObjectKey,
) -> Result<Option<Former>, Fault> {
    let parameters = params![object.object_type.as_str(), id_text(&object.id), connector.as_str()];
    let sql = "SELECT external_id, coalesce(ended, since), made_at, ended IS NOT NULL FROM bus_binding
               WHERE object_type = ?1 AND object_id = ?2 AND connector = ?3";
    let read = |row: &Row<'_>| {
        let (since, made_at, has_ended) = (row.get(1)?, row.get(2)?, row.get(3)?);
        Ok(Former { external_id: row.get(0)?, since, made_at, has_ended })
    };
    let former = session.prepare(sql)?.query_row(parameters, read).optional()?;
    if former.is_some() {
        let sql = "DELETE FROM bus_binding WHERE object_type = ?1 AND object_id = ?2 AND connector = ?3";
        session.prepare(sql)?.execute(parameters)?;
    }
    Ok(former)
}

/// Writes a binding in the place of whatever contradicts it.
pub(crate) fn bind(session: &Session<'_>, binding: &Binding, now: Timestamp) -> Result<(), Fault> {
    let Binding { connector, object, external_id } = binding;
    let former = unbind(session, connector, object)?;
    // What says the same as before is as old as it was.
    let known = former.as_ref().filter(|former| !former.has_ended && former.external_id == *external_id);
    let made_at = known.map_or(now.as_micros(), |known| known.made_at);
    let since = former.and_then(|former| former.since);
    let sql = "INSERT INTO bus_binding (connector, object_type, external_id, object_id, since, made_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT (connector, object_type, external_id)
               DO UPDATE SET object_id = excluded.object_id, ended = NULL, since = excluded.since,
                             made_at = excluded.made_at";
    let (object_type, object_id) = (object.object_type.as_str(), id_text(&object.id));
    let parameters = params![connector.as_str(), object_type, external_id, object_id, since, made_at];
    session.prepare(sql)?.execute(parameters)?;
    Ok(())
}

/// Writes a binding, unless it contradicts one of an object that is not gone.
pub(crate) fn bind_if_free(session: &Session<'_>, binding: &Binding, now: Timestamp) -> Result<(), Fault> {
    let Binding { connector, object, external_id } = binding;
    let sql = concat!(
        "SELECT object_id, external_id FROM bus_binding b
               WHERE ended IS NULL AND (object_id = ?3 OR ",
        may_be_there!(),
        ")
               AND connector = ?1 AND object_type = ?2
                 AND ((object_id = ?3 AND external_id <> ?4) OR (object_id <> ?3 AND external_id = ?4))
               ORDER BY object_id = ?3 DESC LIMIT 1"
    );
    let parameters =
        params![connector.as_str(), object.object_type.as_str(), id_text(&object.id), external_id];
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let known: Option<(String, String)> = session.prepare(sql)?.query_row(parameters, read).optional()?;
    let Some((id, external_id)) = known else { return bind(session, binding, now) };
    let object = ObjectKey { object_type: object.object_type.clone(), id: id_from_text(id) };
    let known = Binding { connector: connector.clone(), object, external_id };
    Err(refusal(StoreErrorKind::Conflict, known.refusal_of(binding)))
}

/// Ends a binding, if it is still what is known.
pub(crate) fn unbind_exactly(session: &Session<'_>, binding: &Binding) -> Result<(), Fault> {
    let Binding { connector, object, external_id } = binding;
    let sql = "DELETE FROM bus_binding
               WHERE object_type = ?1 AND object_id = ?2 AND connector = ?3 AND external_id = ?4";
    let parameters =
        params![object.object_type.as_str(), id_text(&object.id), connector.as_str(), external_id];
    if session.prepare(sql)?.execute(parameters)? > 0 {
        end_exchange(session, object, Some(connector))?;
    }
    Ok(())
}

/// The object is gone, or was already: its bindings are those of the tasks that were logged up to now.
pub(crate) fn end_bindings(
    session: &mut Session<'_>,
    object: &ObjectKey,
    was_gone: bool,
) -> Result<(), Fault> {
    let last = session.sequence()?.task;
    let sql = "UPDATE bus_binding SET ended = ?3
               WHERE object_type = ?1 AND object_id = ?2 AND (?4 OR ended IS NULL)";
    let parameters = params![object.object_type.as_str(), id_text(&object.id), last, was_gone];
    if session.prepare(sql)?.execute(parameters)? > 0 {
        end_exchange(session, object, None)?;
    }
    Ok(())
}

/// The external ids that an object is bound to, with their connectors.
pub(crate) fn bindings_of(
    session: &Session<'_>,
    object: &ObjectKey,
) -> Result<Vec<(ConnectorName, String)>, Fault> {
    let sql = "SELECT connector, external_id FROM bus_binding WHERE object_type = ?1 AND object_id = ?2";
    let mut find = session.prepare(sql)?;
    let mut rows = find.query(params![object.object_type.as_str(), id_text(&object.id)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((connector_name(row.get(0)?)?, row.get(1)?));
    }
    Ok(found)
}
