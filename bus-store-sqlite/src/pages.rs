//! The trees of the sites' pages.

mod write;

use bus_core::{Culture, ObjectType, SiteName};
use bus_store::pages::folded;
use bus_store::{NodeRecord, PageContent, PageRecord, Pages, StoreFuture};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;
use uuid::Uuid;

use crate::SqliteStore;
use crate::code::{
    Code, alias, count, culture, guid, key_of_delivery, limit as sql_limit, object_type, site_name_from,
};
use crate::error::Fault;

pub(crate) use write::write_page;

impl Pages for SqliteStore {
    fn node(&self, guid: Uuid) -> StoreFuture<'_, Option<NodeRecord>> {
        self.read("node", move |db| node(db, guid))
    }

    fn node_at(&self, site: &SiteName, path: &str) -> StoreFuture<'_, Option<NodeRecord>> {
        let (site, folded) = (site.clone(), folded(path));
        self.read("node at", move |db| {
            let sql = format!("SELECT {COLUMNS} FROM bus_page_node WHERE site = ?1 AND folded = ?2");
            let mut find = db.prepare_cached(&sql)?;
            let mut rows = find.query(params![site.as_str(), folded])?;
            rows.next()?.map(|row| record(db, row)).transpose()
        })
    }

    fn page(&self, guid: Uuid, culture: &Culture) -> StoreFuture<'_, Option<PageRecord>> {
        let culture = culture.clone();
        self.read("page", move |db| {
            let Some(node) = node(db, guid)? else { return Ok(None) };
            let content = content(db, guid, &culture)?;
            Ok(content.map(|content| PageRecord { node, content }))
        })
    }

    fn list_nodes(
        &self,
        site: &SiteName,
        beneath: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<NodeRecord>> {
        let (site, beneath) = (site.clone(), Beneath::of(&folded(beneath.unwrap_or_default())));
        let after = after.map_or_else(String::new, folded);
        self.read("list nodes", move |db| {
            let sql = format!(
                "SELECT {COLUMNS} FROM bus_page_node
                 WHERE site = ?1 AND folded > max(?2, ?3) AND folded < ?4 ORDER BY folded LIMIT ?5"
            );
            let mut list = db.prepare_cached(&sql)?;
            let Beneath { from, to } = &beneath;
            let mut rows = list.query(params![site.as_str(), from, after, to, sql_limit(limit)])?;
            let mut nodes = Vec::new();
            while let Some(row) = rows.next()? {
                nodes.push(record(db, row)?);
            }
            Ok(nodes)
        })
    }

    fn walk_nodes(
        &self,
        classes: &[ObjectType],
        after: u64,
        limit: usize,
    ) -> StoreFuture<'_, Vec<(u64, NodeRecord)>> {
        let classes: Vec<_> = classes.iter().map(|class| class.as_str().to_owned()).collect();
        self.read("walk nodes", move |db| {
            let sql = format!(
                "SELECT {COLUMNS}, position FROM bus_page_node
                 WHERE class_name IN (SELECT value FROM json_each(?1)) AND position > ?2 ORDER BY position LIMIT ?3"
            );
            let after = i64::try_from(after).unwrap_or(i64::MAX);
            let mut walk = db.prepare_cached(&sql)?;
            let mut rows = walk.query(params![Value::from(classes).to_string(), after, sql_limit(limit)])?;
            let mut nodes = Vec::new();
            while let Some(row) = rows.next()? {
                nodes.push((count(row.get(7)?), record(db, row)?));
            }
            Ok(nodes)
        })
    }
}

/// Between which texts the folded paths of a subtree lie: what is beneath `/news` comes after `/news/` and before `/news0`,
/// because `0` follows `/`. A range and no pattern, so that the index is used, and aliases may hold any character.
pub(super) struct Beneath {
    pub(super) from: String,
    pub(super) to: String,
}

impl Beneath {
    pub(super) fn of(folded: &str) -> Self {
        Self { from: format!("{folded}/"), to: format!("{folded}0") }
    }
}

const COLUMNS: &str = "guid, site, parent, alias, path, class_name, version";

/// A node with its cultures.
pub(super) fn node(db: &Connection, guid: Uuid) -> Result<Option<NodeRecord>, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM bus_page_node WHERE guid = ?1");
    let mut find = db.prepare_cached(&sql)?;
    let mut rows = find.query([guid.as_bytes()])?;
    rows.next()?.map(|row| record(db, row)).transpose()
}

fn record(db: &Connection, row: &Row<'_>) -> Result<NodeRecord, Fault> {
    let node = key_of_delivery(row, 0)?;
    let mut list = db.prepare_cached("SELECT culture FROM bus_page WHERE node = ?1 ORDER BY culture")?;
    let mut rows = list.query([node.as_bytes()])?;
    let mut cultures = Vec::new();
    while let Some(row) = rows.next()? {
        cultures.push(culture(row.get(0)?)?);
    }
    Ok(NodeRecord {
        guid: node,
        site: site_name_from(row.get(1)?)?,
        parent: guid(row, 2)?,
        alias: alias(row.get(3)?)?,
        path: row.get(4)?,
        class_name: object_type(row.get(5)?)?,
        cultures,
        version: row.get(6)?,
    })
}

fn content(db: &Connection, node: Uuid, wanted: &Culture) -> Result<Option<PageContent>, Fault> {
    let sql = "SELECT culture, name, state, data FROM bus_page WHERE node = ?1 AND culture = ?2";
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let found =
        db.prepare_cached(sql)?.query_row(params![node.as_bytes(), wanted.as_str()], read).optional()?;
    let Some((written, name, state, data)) = found else { return Ok(None) };
    Ok(Some(PageContent { culture: culture(written)?, name, state: Code::from_code(state)?, data }))
}
