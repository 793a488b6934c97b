//! The tenants of the host.

use bus_core::{Culture, ObjectKey, Site, SiteName};
use bus_store::objects::{assigned_already, belongs_already};
use bus_store::sites::unknown_site;
use bus_store::{Expected, ObjectRecord, SiteUse, Sites, StoreErrorKind, StoreFuture};
use rusqlite::{OptionalExtension, params};

use crate::SqliteStore;
use crate::code::{corrupt, count, id_text, site_name_from};
use crate::error::{Fault, refusal};
use crate::objects::check_version;
use crate::session::Session;
use crate::writer::{Progress, Write};

impl Sites for SqliteStore {
    fn sites(&self) -> StoreFuture<'_, Vec<Site>> {
        self.read("sites", |db| {
            let mut list =
                db.prepare_cached("SELECT name, display_name, cultures FROM bus_site ORDER BY name")?;
            let mut rows = list.query([])?;
            let mut sites = Vec::new();
            while let Some(row) = rows.next()? {
                let name = site_name_from(row.get(0)?)?;
                let cultures: String = row.get(2)?;
                let cultures: Vec<Culture> = serde_json::from_str(&cultures).map_err(|error| {
                    corrupt(format!("the cultures of site `{name}` cannot be read: {error}"))
                })?;
                sites.push(Site { name, display_name: row.get(1)?, cultures });
            }
            Ok(sites)
        })
    }

    fn save_site(&self, site: Site) -> StoreFuture<'_, ()> {
        self.write(SaveSite(site))
    }

    fn remove_site(&self, site: &SiteName) -> StoreFuture<'_, bool> {
        self.write(RemoveSite(site.clone()))
    }
}

struct SaveSite(Site);

impl Write for SaveSite {
    type Answer = ();
    const OPERATION: &'static str = "save site";

    fn weight(&self) -> usize {
        1 + self.0.display_name.len()
    }

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<()>, Fault> {
        let Site { name, display_name, cultures } = &self.0;
        let cultures = serde_json::to_string(cultures)
            .map_err(|error| corrupt(format!("the cultures of site `{name}` are no JSON: {error}")))?;
        let sql = "INSERT INTO bus_site (name, display_name, cultures) VALUES (?1, ?2, ?3)
                   ON CONFLICT (name) DO UPDATE
                   SET display_name = excluded.display_name, cultures = excluded.cultures";
        session.prepare(sql)?.execute(params![name.as_str(), display_name, cultures])?;
        session.sites_changed();
        Ok(Progress::Done(()))
    }
}

struct RemoveSite(SiteName);

impl Write for RemoveSite {
    type Answer = bool;
    const OPERATION: &'static str = "remove site";

    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<bool>, Fault> {
        let site = &self.0;
        let counted = |sql| -> Result<u64, Fault> {
            Ok(count(session.prepare(sql)?.query_row([site.as_str()], |row| row.get(0))?))
        };
        let used = SiteUse {
            objects: counted("SELECT count(*) FROM bus_object WHERE site = ?1")?,
            assignments: counted("SELECT count(*) FROM bus_object_site WHERE site = ?1")?,
            pages: counted("SELECT count(*) FROM bus_page_node WHERE site = ?1")?,
        };
        if !used.is_none() {
            return Err(refusal(StoreErrorKind::Conflict, used.refusal(site)));
        }
        let removed = session.prepare("DELETE FROM bus_site WHERE name = ?1")?.execute([site.as_str()])?;
        session.sites_changed();
        Ok(Progress::Done(removed > 0))
    }
}

/// Refuses what names a site that is not registered.
pub(crate) fn check_site(session: &mut Session<'_>, site: Option<&SiteName>) -> Result<(), Fault> {
    match site {
        Some(site) if !session.has_site(site)? => Err(refusal(StoreErrorKind::NotFound, unknown_site(site))),
        _ => Ok(()),
    }
}

/// Assigns an object to a site, if it is in this version and belongs to none.
pub(crate) fn assign(
    session: &mut Session<'_>,
    key: &ObjectKey,
    site: &SiteName,
    version: i64,
) -> Result<(), Fault> {
    check_site(session, Some(site))?;
    let sql = "SELECT site FROM bus_object WHERE object_type = ?1 AND object_id = ?2";
    let parameters = params![key.object_type.as_str(), id_text(&key.id)];
    let own: Option<Option<String>> =
        session.prepare(sql)?.query_row(parameters, |row| row.get(0)).optional()?;
    if let Some(own) = own.flatten() {
        return Err(refusal(StoreErrorKind::Conflict, belongs_already(key, &site_name_from(own)?)));
    }
    let sql = "INSERT OR IGNORE INTO bus_object_site (object_type, object_id, site) VALUES (?1, ?2, ?3)";
    write_assignment(session, key, site, version, sql)
}

/// Ends the assignment of an object to a site, if it is in this version.
pub(crate) fn unassign(
    session: &Session<'_>,
    key: &ObjectKey,
    site: &SiteName,
    version: i64,
) -> Result<(), Fault> {
    let sql = "DELETE FROM bus_object_site WHERE object_type = ?1 AND object_id = ?2 AND site = ?3";
    write_assignment(session, key, site, version, sql)
}

/// Whoever is assigned, or not any more, is written, too: so that who saw the object as it was is noticed.
fn write_assignment(
    session: &Session<'_>,
    key: &ObjectKey,
    site: &SiteName,
    version: i64,
    sql: &str,
) -> Result<(), Fault> {
    check_version(session, key, Expected::Version(version))?;
    let (object_type, object_id) = (key.object_type.as_str(), id_text(&key.id));
    session.prepare(sql)?.execute(params![object_type, object_id, site.as_str()])?;
    let sql = "UPDATE bus_object SET version = version + 1 WHERE object_type = ?1 AND object_id = ?2";
    session.prepare(sql)?.execute(params![object_type, object_id])?;
    Ok(())
}

/// Refuses a site of its own for an object that is assigned to one.
pub(crate) fn check_unassigned(session: &Session<'_>, record: &ObjectRecord) -> Result<(), Fault> {
    if record.site.is_none() {
        return Ok(());
    }
    let key = &record.key;
    let sql =
        "SELECT site FROM bus_object_site WHERE object_type = ?1 AND object_id = ?2 ORDER BY site LIMIT 1";
    let parameters = params![key.object_type.as_str(), id_text(&key.id)];
    let assigned: Option<String> =
        session.prepare(sql)?.query_row(parameters, |row| row.get(0)).optional()?;
    match assigned {
        Some(assigned) => {
            Err(refusal(StoreErrorKind::Conflict, assigned_already(key, &site_name_from(assigned)?)))
        }
        None => Ok(()),
    }
}
