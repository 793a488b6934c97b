//! Writes to the trees, if what is there is what the writer believes.

use bus_core::{Alias, Culture, SiteName};
use bus_store::pages::{
    beneath_itself, changed, depth, folded, has_children, no_such_culture, other_site, path_beneath,
    path_taken, there_already, too_long,
};
use bus_store::{NewNode, NodeRecord, PageContent, PageWrite, ParentNode, StoreErrorKind};
use rusqlite::{OptionalExtension, params};
use uuid::Uuid;

use super::{Beneath, node};
use crate::code::{Code, count};
use crate::error::{Fault, refusal};
use crate::session::Session;
use crate::sites::check_site;

/// Makes a write to the trees.
pub(crate) fn write_page(session: &mut Session<'_>, write: &PageWrite) -> Result<(), Fault> {
    match write {
        PageWrite::Create { node, page } => {
            create(session, node)?;
            put(session, node.guid, page)
        }
        PageWrite::Save { node, page, version } => {
            existing(session, *node, *version)?;
            put(session, *node, page)?;
            raise(session, *node)
        }
        PageWrite::Move { node, parent, alias, version } => {
            let node = existing(session, *node, *version)?;
            move_to(session, &node, *parent, alias)
        }
        PageWrite::Delete { node, culture, version } => {
            let node = existing(session, *node, *version)?;
            delete(session, &node, culture.as_ref())
        }
    }
}

fn create(session: &mut Session<'_>, new: &NewNode) -> Result<(), Fault> {
    let NewNode { guid, site, parent, alias, class_name } = new;
    if let Some(there) = node(session.db, *guid)? {
        return conflict(there_already(*guid, there.version));
    }
    check_site(session, Some(site))?;
    let path = new_path(session, *guid, site, *parent, alias)?;
    check_length(&path, path.chars().count(), depth(&path))?;
    let sql = "INSERT INTO bus_page_node (guid, site, parent, alias, path, folded, class_name, version, position)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, (SELECT coalesce(max(position), 0) + 1 FROM bus_page_node))";
    session.prepare(sql)?.execute(params![
        guid.as_bytes(),
        site.as_str(),
        parent.as_ref().map(|parent| parent.guid.as_bytes()),
        alias.as_str(),
        path,
        folded(&path),
        class_name.as_str(),
    ])?;
    Ok(())
}

/// This is what the node is in the page's culture now.
fn put(session: &Session<'_>, node: Uuid, page: &PageContent) -> Result<(), Fault> {
    let sql =
        "INSERT OR REPLACE INTO bus_page (node, culture, name, state, data) VALUES (?1, ?2, ?3, ?4, ?5)";
    let PageContent { culture, name, state, data } = page;
    session.prepare(sql)?.execute(params![node.as_bytes(), culture.as_str(), name, state.to_code(), data])?;
    Ok(())
}

fn raise(session: &Session<'_>, node: Uuid) -> Result<(), Fault> {
    let sql = "UPDATE bus_page_node SET version = version + 1 WHERE guid = ?1";
    session.prepare(sql)?.execute([node.as_bytes()])?;
    Ok(())
}

fn move_to(
    session: &Session<'_>,
    node: &NodeRecord,
    parent: Option<ParentNode>,
    alias: &Alias,
) -> Result<(), Fault> {
    let path = new_path(session, node.guid, &node.site, parent, alias)?;
    let (old_folded, new_folded) = (folded(&node.path), folded(&path));
    if new_folded.starts_with(&format!("{old_folded}/")) {
        return conflict(beneath_itself(&node.path, &path));
    }
    let Beneath { from, to } = Beneath::of(&old_folded);
    let (old_chars, new_chars) = (node.path.chars().count(), path.chars().count());
    // What lies beneath keeps the part of its path that follows the node's own.
    let sql = "SELECT coalesce(max(length(path)), ?4) - ?4, coalesce(max(length(path) - length(replace(path, '/', ''))), ?5) - ?5
               FROM bus_page_node WHERE site = ?1 AND folded > ?2 AND folded < ?3";
    let parameters = params![node.site.as_str(), from, to, small(old_chars), small(depth(&node.path))];
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let (chars, levels) = session.prepare(sql)?.query_row(parameters, read)?;
    let longest = new_chars.saturating_add(usize::try_from(chars).unwrap_or_default());
    let deepest = depth(&path).saturating_add(usize::try_from(levels).unwrap_or_default());
    check_length(&path, longest, deepest)?;
    let sql = "UPDATE bus_page_node
               SET path = ?4 || substr(path, ?5), folded = ?6 || substr(folded, ?7), version = version + 1
               WHERE site = ?1 AND folded > ?2 AND folded < ?3";
    session.prepare(sql)?.execute(params![
        node.site.as_str(),
        from,
        to,
        path,
        small(old_chars + 1),
        new_folded,
        small(old_folded.chars().count() + 1),
    ])?;
    let sql = "UPDATE bus_page_node SET parent = ?2, alias = ?3, path = ?4, folded = ?5, version = version + 1 WHERE guid = ?1";
    session.prepare(sql)?.execute(params![
        node.guid.as_bytes(),
        parent.as_ref().map(|parent| parent.guid.as_bytes()),
        alias.as_str(),
        path,
        new_folded,
    ])?;
    Ok(())
}

fn delete(session: &Session<'_>, node: &NodeRecord, culture: Option<&Culture>) -> Result<(), Fault> {
    if let Some(culture) = culture.filter(|culture| !node.cultures.contains(culture)) {
        return conflict(no_such_culture(&node.path, culture));
    }
    if let Some(culture) = culture.filter(|_| node.cultures.len() > 1) {
        let sql = "DELETE FROM bus_page WHERE node = ?1 AND culture = ?2";
        session.prepare(sql)?.execute(params![node.guid.as_bytes(), culture.as_str()])?;
        return raise(session, node.guid);
    }
    let sql = "SELECT EXISTS (SELECT 1 FROM bus_page_node WHERE parent = ?1)";
    if session.prepare(sql)?.query_row([node.guid.as_bytes()], |row| row.get(0))? {
        let Beneath { from, to } = Beneath::of(&folded(&node.path));
        let sql = "SELECT count(*) FROM bus_page_node WHERE site = ?1 AND folded > ?2 AND folded < ?3";
        let beneath =
            session.prepare(sql)?.query_row(params![node.site.as_str(), from, to], |row| row.get(0))?;
        return conflict(has_children(&node.path, count(beneath)));
    }
    session.prepare("DELETE FROM bus_page WHERE node = ?1")?.execute([node.guid.as_bytes()])?;
    session.prepare("DELETE FROM bus_page_node WHERE guid = ?1")?.execute([node.guid.as_bytes()])?;
    Ok(())
}

/// The path that a node gets beneath this parent, unless another one has it.
fn new_path(
    session: &Session<'_>,
    guid: Uuid,
    site: &SiteName,
    parent: Option<ParentNode>,
    alias: &Alias,
) -> Result<String, Fault> {
    let parent = parent.map(|parent| existing(session, parent.guid, parent.version)).transpose()?;
    if let Some(parent) = parent.as_ref().filter(|parent| parent.site != *site) {
        return conflict(other_site(guid, site, parent.guid, &parent.site));
    }
    let path = path_beneath(parent.as_ref().map(|parent| parent.path.as_str()), alias);
    let sql = "SELECT guid FROM bus_page_node WHERE site = ?1 AND folded = ?2";
    let holder: Option<[u8; 16]> = session
        .prepare(sql)?
        .query_row(params![site.as_str(), folded(&path)], |row| row.get(0))
        .optional()?;
    match holder.map(Uuid::from_bytes) {
        Some(other) if other != guid => conflict(path_taken(guid, site, &path, other)),
        _ => Ok(path),
    }
}

/// The node, if it is in the version in which whoever writes believes it to be.
fn existing(session: &Session<'_>, guid: Uuid, version: i64) -> Result<NodeRecord, Fault> {
    match node(session.db, guid)? {
        Some(node) if node.version == version => Ok(node),
        other => conflict(changed(guid, version, other.map(|node| node.version))),
    }
}

fn check_length(path: &str, chars: usize, levels: usize) -> Result<(), Fault> {
    match too_long(path, chars, levels) {
        Some(message) => Err(refusal(StoreErrorKind::Unsupported, message)),
        None => Ok(()),
    }
}

fn conflict<T>(message: String) -> Result<T, Fault> {
    Err(refusal(StoreErrorKind::Conflict, message))
}

/// Lengths of paths are far below what a column holds.
fn small(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
