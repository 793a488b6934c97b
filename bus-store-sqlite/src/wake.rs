//! The doorbell, and who waits for what.
//!
//! Within the process a bell rings after the commit and before its caller is answered. What another process commits
//! is noticed by looking: the writer reads `SQLite`'s `data_version` in each transaction, and once a second while it is
//! idle, and then rings all bells. That is a periodic wake-up of one thread; events of the file system would save it,
//! but they come before the commit can be seen.

use std::collections::BTreeSet;

use bus_core::page::{PAGE, page_id};
use bus_core::{ConnectorName, Culture, DeliveryId, ObjectId, ObjectKey, ObjectType, SiteName};
use bus_store::{Awaited, Binding, FoundBy, ObjectQuery, QueueId, Wake};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use crate::SqliteStore;
use crate::code::{connector_name, corrupt, culture, id_from_text, id_text, object_type, site_name};
use crate::error::Fault;
use crate::identity::{FIND_HOST_ID, bindings_of};
use crate::objects::find_object;
use crate::queue::lane::refresh_lane;
use crate::session::Session;

impl Wake for SqliteStore {
    fn doorbell(&self, queue: &QueueId) -> watch::Receiver<u64> {
        self.0.status.doorbell.listen(queue)
    }

    fn ring(&self, queue: &QueueId) {
        self.0.status.doorbell.ring(queue);
    }
}

/// A delivery that waits: its queue's number, and its own.
pub(crate) type Waiter = (i64, i64);

/// Writes down what a delivery waits for.
pub(crate) fn begin_waiting(
    session: &mut Session<'_>,
    waiter: Waiter,
    awaited: &[Awaited],
) -> Result<(), Fault> {
    let mut insert =
        session.prepare("INSERT OR IGNORE INTO bus_wait (what, queue, seq) VALUES (?1, ?2, ?3)")?;
    for awaited in awaited {
        insert.execute(params![what(awaited), waiter.0, waiter.1])?;
    }
    session.waits_changed();
    Ok(())
}

/// Forgets what a delivery waits for; `awaited` is what its row says.
pub(crate) fn end_waiting(session: &mut Session<'_>, waiter: Waiter, awaited: &str) -> Result<(), Fault> {
    let mut delete = session.prepare("DELETE FROM bus_wait WHERE what = ?1 AND queue = ?2 AND seq = ?3")?;
    for awaited in read_awaited(awaited)? {
        delete.execute(params![what(&awaited), waiter.0, waiter.1])?;
    }
    session.waits_changed();
    Ok(())
}

/// Who may be waiting for these bindings, and for these objects: under their GUID, their code name, or an external id
/// that is bound to them already.
pub(crate) fn waiters_for<'b>(
    session: &mut Session<'_>,
    bindings: impl Iterator<Item = &'b Binding>,
    objects: &[ObjectKey],
) -> Result<BTreeSet<Waiter>, Fault> {
    let mut bindings = bindings.peekable();
    if (bindings.peek().is_none() && objects.is_empty()) || !session.anything_waits()? {
        return Ok(BTreeSet::new());
    }
    let mut arrived = Vec::new();
    for Binding { connector, object, external_id } in bindings {
        arrived.push(bound(connector, &object.object_type, &object.id));
        arrived.push(known(connector, &object.object_type, external_id));
    }
    for object in objects {
        for (connector, external_id) in bindings_of(session, object)? {
            arrived.push(known(&connector, &object.object_type, &external_id));
        }
        arrived.extend(names_of(session, object)?);
    }
    registered_under(session, arrived)
}

/// Who may be waiting for these pages: for themselves, for their nodes, or under an external id that is bound to them already.
pub(crate) fn waiters_for_pages<'p>(
    session: &mut Session<'_>,
    pages: impl Iterator<Item = (Uuid, &'p Culture)>,
) -> Result<BTreeSet<Waiter>, Fault> {
    let mut pages = pages.peekable();
    if pages.peek().is_none() || !session.anything_waits()? {
        return Ok(BTreeSet::new());
    }
    let mut arrived = Vec::new();
    for (node, culture) in pages {
        arrived.push(paged(node));
        let object =
            ObjectKey { object_type: object_type(PAGE.to_owned())?, id: page_id(node, culture.as_str()) };
        for (connector, external_id) in bindings_of(session, &object)? {
            arrived.push(known(&connector, &object.object_type, &external_id));
        }
    }
    registered_under(session, arrived)
}

/// Who may be waiting for the outcomes of these deliveries.
pub(crate) fn waiters_for_outcomes(
    session: &mut Session<'_>,
    deliveries: impl Iterator<Item = DeliveryId>,
) -> Result<BTreeSet<Waiter>, Fault> {
    if !session.anything_waits()? {
        return Ok(BTreeSet::new());
    }
    registered_under(session, deliveries.map(settled))
}

fn registered_under(
    session: &Session<'_>,
    arrived: impl IntoIterator<Item = String>,
) -> Result<BTreeSet<Waiter>, Fault> {
    let mut waiters = BTreeSet::new();
    let mut find = session.prepare("SELECT queue, seq FROM bus_wait WHERE what = ?1")?;
    for what in arrived {
        let found = find.query_map([what], |row| Ok((row.get(0)?, row.get(1)?)))?;
        for waiter in found {
            waiters.insert(waiter?);
        }
    }
    Ok(waiters)
}

/// Makes those ready for whom something has arrived.
pub(crate) fn wake_if_met(session: &mut Session<'_>, waiters: BTreeSet<Waiter>) -> Result<(), Fault> {
    for waiter in waiters {
        let (queue, seq) = waiter;
        let sql = "SELECT key, awaited FROM bus_side WHERE queue = ?1 AND seq = ?2 AND state = 4";
        let found: Option<(String, String)> =
            session.prepare(sql)?.query_row([queue, seq], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((key, awaited)) = found else { continue };
        let mut is_met = false;
        for awaited in read_awaited(&awaited)? {
            is_met = is_met || is_there(session.db, &awaited)?;
        }
        if !is_met {
            continue;
        }
        end_waiting(session, waiter, &awaited)?;
        let sql = "UPDATE bus_side SET state = 3, due = 0, awaited = NULL WHERE queue = ?1 AND seq = ?2";
        session.prepare(sql)?.execute([queue, seq])?;
        refresh_lane(session, queue, &key)?;
        session.ring(queue)?;
    }
    Ok(())
}

/// Whether what is awaited is there.
fn is_there(db: &Connection, awaited: &Awaited) -> Result<bool, Fault> {
    match awaited {
        Awaited::Bound { connector, object_type, object } => {
            let sql = "SELECT EXISTS (SELECT 1 FROM bus_binding
                       WHERE object_type = ?1 AND object_id = ?2 AND connector = ?3 AND ended IS NULL)";
            let parameters = params![object_type.as_str(), id_text(object), connector.as_str()];
            Ok(db.prepare_cached(sql)?.query_row(parameters, |row| row.get(0))?)
        }
        Awaited::Known { connector, object_type, external_id } => {
            let parameters = params![connector.as_str(), object_type.as_str(), external_id];
            Ok(db.prepare_cached(FIND_HOST_ID)?.exists(parameters)?)
        }
        Awaited::Exists(query) => Ok(find_object(db, query)?.is_some()),
        Awaited::Settled { delivery } => {
            let sql = "SELECT NOT EXISTS (SELECT 1 FROM bus_queue q JOIN bus_side s ON s.queue = q.id
                                          WHERE s.seq = ?1 AND (s.state = 1 OR s.doubt > 0))
                          AND NOT EXISTS (SELECT 1 FROM bus_queue q JOIN bus_pending p ON p.queue = q.id
                                          WHERE p.seq = ?1 AND p.seq <= q.claimed_to)";
            Ok(db.prepare_cached(sql)?.query_row([delivery.0], |row| row.get(0))?)
        }
        Awaited::Page { node, culture } => {
            let sql =
                "SELECT EXISTS (SELECT 1 FROM bus_page WHERE node = ?1 AND (?2 IS NULL OR culture = ?2))";
            let parameters = params![node.as_bytes(), culture.as_ref().map(Culture::as_str)];
            Ok(db.prepare_cached(sql)?.query_row(parameters, |row| row.get(0))?)
        }
    }
}

// Under what a wait is registered: equal texts for equal things, so that an arrival finds its waiters by index. The
// group is left out; whoever is found is asked again exactly.

fn what(awaited: &Awaited) -> String {
    match awaited {
        Awaited::Bound { connector, object_type, object } => bound(connector, object_type, object),
        Awaited::Known { connector, object_type, external_id } => known(connector, object_type, external_id),
        Awaited::Exists(ObjectQuery { object_type, by, site, parent, .. }) => {
            let site = site.as_ref().map(SiteName::as_str);
            match by {
                FoundBy::Guid(guid) => json!(["guid", object_type, guid]).to_string(),
                FoundBy::CodeName(code_name) => {
                    code_named(object_type, code_name, site, parent.as_ref().map(id_text).as_deref())
                }
            }
        }
        Awaited::Settled { delivery } => settled(*delivery),
        Awaited::Page { node, .. } => paged(*node),
    }
}

/// Whatever the culture.
fn paged(node: Uuid) -> String {
    json!(["page", node]).to_string()
}

fn settled(delivery: DeliveryId) -> String {
    json!(["settled", delivery]).to_string()
}

fn bound(connector: &ConnectorName, object_type: &ObjectType, object: &ObjectId) -> String {
    json!(["bound", connector, object_type, id_text(object)]).to_string()
}

fn known(connector: &ConnectorName, object_type: &ObjectType, external_id: &str) -> String {
    json!(["known", connector, object_type, external_id]).to_string()
}

fn code_named(object_type: &ObjectType, code_name: &str, site: Option<&str>, parent: Option<&str>) -> String {
    json!(["code_name", object_type, code_name, site, parent]).to_string()
}

/// Under what an object as it is stored now may be awaited.
fn names_of(session: &Session<'_>, object: &ObjectKey) -> Result<Vec<String>, Fault> {
    let sql =
        "SELECT guid, code_name, site, parent FROM bus_object WHERE object_type = ?1 AND object_id = ?2";
    let mut find = session.prepare(sql)?;
    let mut rows = find.query(params![object.object_type.as_str(), id_text(&object.id)])?;
    let Some(row) = rows.next()? else {
        return Ok(Vec::new());
    };
    let guid = crate::code::guid(row, 0)?;
    let code_name: Option<String> = row.get(1)?;
    let (site, parent): (Option<String>, Option<String>) = (row.get(2)?, row.get(3)?);
    let guid = guid.map(|guid| json!(["guid", object.object_type, guid]).to_string());
    let code_name = code_name
        .map(|code_name| code_named(&object.object_type, &code_name, site.as_deref(), parent.as_deref()));
    Ok(guid.into_iter().chain(code_name).collect())
}

// How what is awaited stands in a delivery's row: in full, with ids as the text that they are compared by.

pub(crate) fn write_awaited(awaited: &[Awaited]) -> String {
    let one = |awaited: &Awaited| match awaited {
        Awaited::Bound { connector, object_type, object } => {
            json!({ "bound": [connector, object_type, id_text(object)] })
        }
        Awaited::Known { connector, object_type, external_id } => {
            json!({ "known": [connector, object_type, external_id] })
        }
        Awaited::Exists(ObjectQuery { object_type, by, site, parent, group }) => {
            let (how, name) = match by {
                FoundBy::Guid(guid) => ("guid", guid.to_string()),
                FoundBy::CodeName(code_name) => ("code_name", code_name.clone()),
            };
            json!({ how: [object_type, name, site, parent.as_ref().map(id_text), group.as_ref().map(id_text)] })
        }
        Awaited::Settled { delivery } => json!({ "settled": [delivery] }),
        Awaited::Page { node, culture } => json!({ "page": [node, culture] }),
    };
    Value::from(awaited.iter().map(one).collect::<Vec<_>>()).to_string()
}

pub(crate) fn read_awaited(text: &str) -> Result<Vec<Awaited>, Fault> {
    let all: Vec<serde_json::Map<String, Value>> = serde_json::from_str(text)
        .map_err(|error| corrupt(format!("what is awaited is not readable: {error}")))?;
    all.iter().flatten().map(|(how, fields)| read_one(how, fields)).collect()
}

fn read_one(how: &str, fields: &Value) -> Result<Awaited, Fault> {
    let optional = |place: usize| fields.get(place).and_then(Value::as_str).map(str::to_owned);
    let text = |place: usize| {
        optional(place).ok_or_else(|| corrupt(format!("what is awaited lacks field {place} of `{how}`")))
    };
    let by = match how {
        "bound" => {
            return Ok(Awaited::Bound {
                connector: connector_name(text(0)?)?,
                object_type: object_type(text(1)?)?,
                object: id_from_text(text(2)?),
            });
        }
        "known" => {
            return Ok(Awaited::Known {
                connector: connector_name(text(0)?)?,
                object_type: object_type(text(1)?)?,
                external_id: text(2)?,
            });
        }
        "settled" => {
            let delivery = fields.get(0).and_then(Value::as_i64);
            let delivery = delivery.ok_or_else(|| corrupt("what is awaited names no delivery".to_owned()))?;
            return Ok(Awaited::Settled { delivery: DeliveryId(delivery) });
        }
        "page" => {
            let node =
                text(0)?.parse().map_err(|error| corrupt(format!("what is awaited is no GUID: {error}")))?;
            return Ok(Awaited::Page { node, culture: optional(1).map(culture).transpose()? });
        }
        "guid" => {
            let guid =
                text(1)?.parse().map_err(|error| corrupt(format!("what is awaited is no GUID: {error}")))?;
            FoundBy::Guid(guid)
        }
        "code_name" => FoundBy::CodeName(text(1)?),
        other => return Err(corrupt(format!("`{other}` is nothing that can be awaited"))),
    };
    Ok(Awaited::Exists(ObjectQuery {
        object_type: object_type(text(0)?)?,
        by,
        site: site_name(optional(2))?,
        parent: optional(3).map(id_from_text),
        group: optional(4).map(id_from_text),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_awaited_is_read_as_it_was_written() {
        let connector = ConnectorName::parse("crm").unwrap();
        let object_type = ObjectType::parse("app.user").unwrap();
        let query = |by| ObjectQuery {
            object_type: object_type.clone(),
            by,
            site: Some("corp".parse().unwrap()),
            parent: Some(ObjectId::Text("017".to_owned())),
            group: None,
        };
        let shouting = "9F2D6C2E-0000-4000-8000-000000000001";
        let awaited = vec![
            Awaited::Bound {
                connector: connector.clone(),
                object_type: object_type.clone(),
                object: ObjectId::Text(shouting.to_owned()),
            },
            Awaited::Known { connector, object_type: object_type.clone(), external_id: "\"[003]".to_owned() },
            Awaited::Exists(query(FoundBy::CodeName("admin".to_owned()))),
            Awaited::Exists(query(FoundBy::Guid(shouting.parse().unwrap()))),
            Awaited::Settled { delivery: DeliveryId(i64::MAX) },
            Awaited::Page { node: shouting.parse().unwrap(), culture: None },
            Awaited::Page { node: shouting.parse().unwrap(), culture: Some("de-DE".parse().unwrap()) },
        ];
        assert_eq!(read_awaited(&write_awaited(&awaited)).unwrap(), awaited);
    }

    #[test]
    fn a_wait_is_registered_by_what_finds_it() {
        let object_type = ObjectType::parse("app.user").unwrap();
        let query = |group| ObjectQuery {
            object_type: object_type.clone(),
            by: FoundBy::CodeName("admin".to_owned()),
            site: None,
            parent: None,
            group,
        };
        let with_group = Awaited::Exists(query(Some(ObjectId::Number(3))));
        assert_eq!(what(&with_group), what(&Awaited::Exists(query(None))));
        assert_ne!(what(&with_group), code_named(&object_type, "admin", Some("corp"), None));
    }
}
