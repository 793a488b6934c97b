//! The built-in object store.

use bus_core::{ObjectId, ObjectKey, ObjectType, SiteName, Timestamp};
use bus_store::{
    Expected, FoundBy, ObjectQuery, ObjectRecord, ObjectWrite, Objects, StoreErrorKind, StoreFuture,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;

use crate::SqliteStore;
use crate::code::{
    count, guid, id_from_text, id_text, limit as sql_limit, object_type, site_name, site_name_from,
};
use crate::error::{Fault, refusal};
use crate::session::Session;
use crate::sites::{assign, check_site, check_unassigned, unassign};
use crate::writer::{Progress, Write};

impl Objects for SqliteStore {
    fn object(&self, key: &ObjectKey) -> StoreFuture<'_, Option<ObjectRecord>> {
        let key = key.clone();
        self.read("object", move |db| {
            let sql = format!("SELECT {COLUMNS} FROM bus_object WHERE object_type = ?1 AND object_id = ?2");
            let mut find = db.prepare_cached(&sql)?;
            let mut rows = find.query(params![key.object_type.as_str(), id_text(&key.id)])?;
            rows.next()?.map(record).transpose()
        })
    }

    fn find_object(&self, query: &ObjectQuery) -> StoreFuture<'_, Option<ObjectRecord>> {
        let query = query.clone();
        self.read("find object", move |db| {
            let Some(position) = find_object(db, &query)? else {
                return Ok(None);
            };
            let sql = format!("SELECT {COLUMNS} FROM bus_object WHERE position = ?1");
            let mut find = db.prepare_cached(&sql)?;
            let mut rows = find.query([position])?;
            rows.next()?.map(record).transpose()
        })
    }

    fn list_objects(
        &self,
        object_type: &ObjectType,
        after: Option<ObjectId>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<ObjectRecord>> {
        let object_type = object_type.clone();
        self.read("list objects", move |db| {
            let after = after.map(|id| ObjectKey { object_type: object_type.clone(), id });
            let after = after.map_or(Ok(0), |key| position_after(db, &key, None))?;
            let sql = format!(
                "SELECT {COLUMNS} FROM bus_object WHERE object_type = ?1 AND position > ?2 ORDER BY position LIMIT ?3"
            );
            let mut page = db.prepare_cached(&sql)?;
            let mut rows = page.query(params![object_type.as_str(), after, sql_limit(limit)])?;
            let mut records = Vec::new();
            while let Some(row) = rows.next()? {
                records.push(record(row)?);
            }
            Ok(records)
        })
    }

    fn walk_objects(
        &self,
        types: &[ObjectType],
        after: u64,
        limit: usize,
    ) -> StoreFuture<'_, Vec<(u64, ObjectRecord)>> {
        let types: Vec<_> = types.iter().map(|one| one.as_str().to_owned()).collect();
        self.read("walk objects", move |db| {
            let sql = format!(
                "SELECT {COLUMNS}, position FROM bus_object
                 WHERE object_type IN (SELECT value FROM json_each(?1)) AND position > ?2 ORDER BY position LIMIT ?3"
            );
            let types = Value::from(types).to_string();
            let after = i64::try_from(after).unwrap_or(i64::MAX);
            let mut page = db.prepare_cached(&sql)?;
            let mut rows = page.query(params![types, after, sql_limit(limit)])?;
            let mut records = Vec::new();
            while let Some(row) = rows.next()? {
                records.push((count(row.get(10)?), record(row)?));
            }
            Ok(records)
        })
    }

    fn list_children(
        &self,
        child_type: &ObjectType,
        parent: &ObjectId,
        after: Option<ObjectId>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<ObjectRecord>> {
        let (child_type, parent) = (child_type.clone(), id_text(parent));
        self.read("list children", move |db| {
            let after = after.map(|id| ObjectKey { object_type: child_type.clone(), id });
            let after = after.map_or(Ok(0), |key| position_after(db, &key, Some(&parent)))?;
            let sql = format!(
                "SELECT {COLUMNS} FROM bus_object
                 WHERE object_type = ?1 AND parent = ?2 AND position > ?3 ORDER BY position LIMIT ?4"
            );
            let mut page = db.prepare_cached(&sql)?;
            let mut rows = page.query(params![child_type.as_str(), parent, after, sql_limit(limit)])?;
            let mut records = Vec::new();
            while let Some(row) = rows.next()? {
                records.push(record(row)?);
            }
            Ok(records)
        })
    }

    fn count_objects(&self, object_type: &ObjectType) -> StoreFuture<'_, u64> {
        let object_type = object_type.clone();
        self.read("count objects", move |db| {
            let sql = "SELECT count(*) FROM bus_object WHERE object_type = ?1";
            Ok(count(db.prepare_cached(sql)?.query_row([object_type.as_str()], |row| row.get(0))?))
        })
    }

    fn sites_of(&self, object: &ObjectKey) -> StoreFuture<'_, Vec<SiteName>> {
        let object = object.clone();
        self.read("sites of", move |db| {
            let sql =
                "SELECT site FROM bus_object_site WHERE object_type = ?1 AND object_id = ?2 ORDER BY site";
            let mut list = db.prepare_cached(sql)?;
            let mut rows = list.query(params![object.object_type.as_str(), id_text(&object.id)])?;
            let mut sites = Vec::new();
            while let Some(row) = rows.next()? {
                sites.push(site_name_from(row.get(0)?)?);
            }
            Ok(sites)
        })
    }

    fn changed_at(&self, key: &ObjectKey) -> StoreFuture<'_, Option<Timestamp>> {
        let key = key.clone();
        self.read("changed at", move |db| {
            let sql = "SELECT changed_at FROM bus_object WHERE object_type = ?1 AND object_id = ?2";
            let parameters = params![key.object_type.as_str(), id_text(&key.id)];
            let at: Option<Option<i64>> =
                db.prepare_cached(sql)?.query_row(parameters, |row| row.get(0)).optional()?;
            Ok(at.flatten().map(Timestamp::from_micros))
        })
    }

    fn live_elsewhere(&self, object_type: &ObjectType) -> StoreFuture<'_, ()> {
        self.write(LiveElsewhere(object_type.clone()))
    }

    fn new_object_numbers(&self, count: usize) -> StoreFuture<'_, Vec<i64>> {
        self.write(NewNumbers(count))
    }
}

struct LiveElsewhere(ObjectType);

impl Write for LiveElsewhere {
    type Answer = ();
    const OPERATION: &'static str = "live elsewhere";

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<()>, Fault> {
        let sql = "INSERT INTO bus_elsewhere (object_type) VALUES (?1) ON CONFLICT DO NOTHING";
        session.prepare(sql)?.execute([self.0.as_str()])?;
        Ok(Progress::Done(()))
    }
}

struct NewNumbers(usize);

impl Write for NewNumbers {
    type Answer = Vec<i64>;
    const OPERATION: &'static str = "new object numbers";

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<Vec<i64>>, Fault> {
        let mut numbers = Vec::with_capacity(self.0);
        for _ in 0..self.0 {
            numbers.push(session.next_object_number()?.ok_or_else(|| {
                let message = "an object has the largest number there is; give new objects an id yourself";
                refusal(StoreErrorKind::Unsupported, message)
            })?);
        }
        Ok(Progress::Done(numbers))
    }
}

const COLUMNS: &str =
    "object_type, object_id, version, guid, code_name, display_name, site, parent, \"group\", data";

fn record(row: &Row<'_>) -> Result<ObjectRecord, Fault> {
    let id = |column: usize| -> Result<Option<ObjectId>, Fault> {
        Ok(row.get::<_, Option<String>>(column)?.map(id_from_text))
    };
    Ok(ObjectRecord {
        key: ObjectKey { object_type: object_type(row.get(0)?)?, id: id_from_text(row.get(1)?) },
        version: row.get(2)?,
        guid: guid(row, 3)?,
        code_name: row.get(4)?,
        display_name: row.get(5)?,
        site: site_name(row.get(6)?)?,
        parent: id(7)?,
        group: id(8)?,
        data: row.get(9)?,
    })
}

/// The position of an object, which must have this parent if one is given.
fn position_after(db: &Connection, key: &ObjectKey, parent: Option<&str>) -> Result<i64, Fault> {
    let sql = "SELECT position FROM bus_object
               WHERE object_type = ?1 AND object_id = ?2 AND (?3 IS NULL OR parent = ?3)";
    let parameters = params![key.object_type.as_str(), id_text(&key.id), parent];
    let position = db.prepare_cached(sql)?.query_row(parameters, |row| row.get(0)).optional()?;
    position.ok_or_else(|| {
        let message = format!("`{key}`, after which to go on, is gone; begin again");
        refusal(StoreErrorKind::NotFound, message)
    })
}

/// The position of the object that this describes.
pub(crate) fn find_object(db: &Connection, query: &ObjectQuery) -> Result<Option<i64>, Fault> {
    let object_type = query.object_type.as_str();
    let position = match &query.by {
        FoundBy::Guid(guid) => {
            let sql = "SELECT position FROM bus_object WHERE object_type = ?1 AND guid = ?2";
            db.prepare_cached(sql)?
                .query_row(params![object_type, guid.as_bytes()], |row| row.get(0))
                .optional()?
        }
        FoundBy::CodeName(code_name) => {
            let sql = "SELECT position FROM bus_object
                       WHERE object_type = ?1 AND code_name = ?2
                         AND coalesce(site, '') = coalesce(?3, '') AND coalesce(parent, x'') = coalesce(?4, x'')
                         AND (?5 IS NULL OR \"group\" = ?5)";
            let site = query.site.as_ref().map(AsRef::as_ref);
            let (parent, group) = (query.parent.as_ref().map(id_text), query.group.as_ref().map(id_text));
            let parameters = params![object_type, code_name, site as Option<&str>, parent, group];
            db.prepare_cached(sql)?.query_row(parameters, |row| row.get(0)).optional()?
        }
    };
    Ok(position)
}

/// Makes a write to the object store, if what is there is what the writer believes.
pub(crate) fn write_object(
    session: &mut Session<'_>,
    write: &ObjectWrite,
    now: Timestamp,
) -> Result<(), Fault> {
    match write {
        ObjectWrite::Save { record, expected } => save(session, record, *expected, now),
        ObjectWrite::Delete { key, expected } => {
            check_version(session, key, *expected)?;
            let sql = "DELETE FROM bus_object WHERE object_type = ?1 AND object_id = ?2";
            session.prepare(sql)?.execute(params![key.object_type.as_str(), id_text(&key.id)])?;
            let sql = "DELETE FROM bus_object_site WHERE object_type = ?1 AND object_id = ?2";
            session.prepare(sql)?.execute(params![key.object_type.as_str(), id_text(&key.id)])?;
            Ok(())
        }
        ObjectWrite::Check { key, expected } => check_version(session, key, *expected),
        ObjectWrite::Assign { key, site, version } => assign(session, key, site, *version),
        ObjectWrite::Unassign { key, site, version } => unassign(session, key, site, *version),
        ObjectWrite::Touch { key, version } => {
            check_version(session, key, Expected::Version(*version))?;
            let sql = "UPDATE bus_object SET version = version + 1 WHERE object_type = ?1 AND object_id = ?2";
            session.prepare(sql)?.execute(params![key.object_type.as_str(), id_text(&key.id)])?;
            Ok(())
        }
    }
}

fn save(
    session: &mut Session<'_>,
    record: &ObjectRecord,
    expected: Expected,
    now: Timestamp,
) -> Result<(), Fault> {
    check_version(session, &record.key, expected)?;
    check_site(session, record.site.as_ref())?;
    check_unassigned(session, record)?;
    check_names(session, record)?;
    let sql = match expected {
        Expected::Absent => {
            "INSERT INTO bus_object (object_type, object_id, version, guid, code_name, display_name, site, parent,
                 \"group\", data, changed_at)
             VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
        }
        Expected::Version(_) => {
            "UPDATE bus_object SET version = version + 1, guid = ?3, code_name = ?4, display_name = ?5, site = ?6,
                 parent = ?7, \"group\" = ?8, data = ?9, changed_at = ?10
             WHERE object_type = ?1 AND object_id = ?2"
        }
    };
    session.prepare(sql)?.execute(params![
        record.key.object_type.as_str(),
        id_text(&record.key.id),
        record.guid.as_ref().map(uuid::Uuid::as_bytes),
        record.code_name,
        record.display_name,
        record.site.as_ref().map(bus_core::SiteName::as_str),
        record.parent.as_ref().map(id_text),
        record.group.as_ref().map(id_text),
        record.data,
        now.as_micros(),
    ])?;
    // Ids are compared by their text, so a text can be a number, too.
    if let ObjectId::Number(number) = id_from_text(id_text(&record.key.id)) {
        session.raise_object_number(number)?;
    }
    Ok(())
}

pub(crate) fn check_version(session: &Session<'_>, key: &ObjectKey, expected: Expected) -> Result<(), Fault> {
    let sql = "SELECT version FROM bus_object WHERE object_type = ?1 AND object_id = ?2";
    let parameters = params![key.object_type.as_str(), id_text(&key.id)];
    let there: Option<i64> = session.prepare(sql)?.query_row(parameters, |row| row.get(0)).optional()?;
    let message = match (expected, there) {
        (Expected::Absent, None) => return Ok(()),
        (Expected::Version(expected), Some(there)) if expected == there => return Ok(()),
        (Expected::Absent, Some(there)) => {
            format!("`{key}` is there already, in version {there}; read it again")
        }
        (Expected::Version(expected), None) => {
            format!("`{key}` is gone, not in version {expected}; read it again")
        }
        (Expected::Version(expected), Some(there)) => {
            format!("`{key}` is in version {there}, not {expected}; read it again")
        }
    };
    Err(refusal(StoreErrorKind::Conflict, message))
}

/// Refuses a GUID or a code name that another object has, and names that one.
fn check_names(session: &Session<'_>, record: &ObjectRecord) -> Result<(), Fault> {
    let key = &record.key;
    if let Some(guid) = record.guid
        && let Some(other) = holder(session, record, FoundBy::Guid(guid))?
    {
        let message = format!("`{key}` cannot have the GUID {guid}: `{other}` has it");
        return Err(refusal(StoreErrorKind::Conflict, message));
    }
    if let Some(code_name) = &record.code_name
        && let Some(other) = holder(session, record, FoundBy::CodeName(code_name.clone()))?
    {
        let message = format!(
            "`{key}` cannot have the code name `{code_name}`: `{other}` has it, on the same site, beneath the same parent"
        );
        return Err(refusal(StoreErrorKind::Conflict, message));
    }
    Ok(())
}

/// The other object that has what this record wants.
fn holder(session: &Session<'_>, record: &ObjectRecord, by: FoundBy) -> Result<Option<ObjectKey>, Fault> {
    let query = ObjectQuery {
        object_type: record.key.object_type.clone(),
        by,
        site: record.site.clone(),
        parent: record.parent.clone(),
        group: None,
    };
    let Some(position) = find_object(session.db, &query)? else {
        return Ok(None);
    };
    let sql = "SELECT object_id FROM bus_object WHERE position = ?1";
    let id: String = session.prepare(sql)?.query_row([position], |row| row.get(0))?;
    let other = ObjectKey { object_type: query.object_type, id: id_from_text(id) };
    Ok((other != record.key).then_some(other))
}
