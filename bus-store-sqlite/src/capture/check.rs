//! Whether what was applied is still there.

use std::collections::{BTreeMap, BTreeSet};

use bus_store::Drift;
use rusqlite::{Connection, OptionalExtension, Row};

use super::triggers::{columns, quoted};
use crate::error::Fault;

/// How closely is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// At the schema: cheap.
    Schema,
    /// At the key of each row, too.
    Rows,
}

/// A captured table, as it was when that was applied.
struct Applied {
    object_type: String,
    table: String,
    key: String,
    columns: BTreeSet<String>,
    triggers: BTreeMap<String, String>,
}

/// What is different.
pub(crate) fn drift(db: &Connection, depth: Depth) -> Result<Vec<Drift>, Fault> {
    let mut found = Vec::new();
    let is_own: bool =
        db.prepare_cached("SELECT EXISTS (SELECT 1 FROM bus_origin)")?.query_row([], |row| row.get(0))?;
    if is_own {
        let what = "a transaction was committed that had begun changes of its own and not ended them: nothing was captured \
                    since then; execute `DELETE FROM bus_origin`, then apply what is captured anew, and have it tell of all rows";
        found.push(Drift { object_type: None, what: what.to_owned() });
    }
    let sql =
        "SELECT object_type, table_name, key_column, columns, triggers FROM bus_capture ORDER BY object_type";
    let mut list = db.prepare_cached(sql)?;
    let mut rows = list.query([])?;
    while let Some(row) = rows.next()? {
        let applied = read(row)?;
        let mut tell = |what: String| {
            found.push(Drift { object_type: Some(applied.object_type.clone()), what });
        };
        of_schema(db, &applied, &mut tell)?;
        if depth == Depth::Rows {
            of_rows(db, &applied, &mut tell)?;
        }
    }
    Ok(found)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Applied> {
    let json = |column: usize| -> rusqlite::Result<serde_json::Value> {
        let text: String = row.get(column)?;
        serde_json::from_str(&text).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
        })
    };
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    Ok(Applied {
        object_type: row.get(0)?,
        table: row.get(1)?,
        key: row.get(2)?,
        columns: json(3)?.as_array().into_iter().flatten().map(text).collect(),
        triggers: json(4)?
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, sql)| (name.clone(), text(sql)))
            .collect(),
    })
}

fn of_schema(db: &Connection, applied: &Applied, tell: &mut impl FnMut(String)) -> Result<(), Fault> {
    let Applied { object_type, table, .. } = applied;
    let there: BTreeSet<_> = columns(db, table)?.into_iter().collect();
    if there.is_empty() {
        tell(format!(
            "table `{table}` is gone, and its triggers with it; end it with `bus capture remove {object_type}`, or apply it \
             anew to the table that stands for it"
        ));
        return Ok(());
    }
    for added in there.difference(&applied.columns) {
        tell(format!(
            "column `{added}` was added to `{table}` and is not told of; apply it anew, with the column or without it"
        ));
    }
    for gone in applied.columns.difference(&there) {
        tell(format!("column `{gone}` of `{table}` is gone, or has another name; apply it anew"));
    }
    for (name, made) in &applied.triggers {
        let sql = "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name = ?1";
        let found: Option<String> = db.prepare_cached(sql)?.query_row([name], |row| row.get(0)).optional()?;
        let what = match found {
            Some(found) if found == *made => continue,
            Some(_) => "is not as it was made",
            None => "is gone",
        };
        tell(format!(
            "the trigger `{name}` on `{table}` {what}: changes since then were not captured; apply it anew, and have it tell \
             of all rows"
        ));
    }
    Ok(())
}

fn of_rows(db: &Connection, applied: &Applied, tell: &mut impl FnMut(String)) -> Result<(), Fault> {
    let Applied { object_type, table, key, .. } = applied;
    if !columns(db, table)?.contains(key) {
        return Ok(());
    }
    let (name, key) = (quoted(table), quoted(key));
    let is_known =
        format!("EXISTS (SELECT 1 FROM bus_capture_key k WHERE k.object_type = ?1 AND k.id = +t.{key})");
    let is_there = format!("EXISTS (SELECT 1 FROM {name} t WHERE t.{key} = k.id)");
    let came = format!("SELECT count(*) FROM {name} t WHERE t.{key} IS NOT NULL AND NOT {is_known}");
    let went = format!("SELECT count(*) FROM bus_capture_key k WHERE k.object_type = ?1 AND NOT {is_there}");
    let tell_all = "apply it anew, and have it tell of all rows";
    let log = "log each as deleted (`Bus::log`), then apply it anew";
    for (sql, what, remedy) in [(came, "came into", tell_all), (went, "went from", log)] {
        let rows: i64 = db.query_row(&sql, [object_type], |row| row.get(0))?;
        if rows > 0 {
            tell(format!(
                "{rows} rows {what} `{table}` without a trigger (by `REPLACE`, or while it was not there): nobody was told; \
                 {remedy}"
            ));
        }
    }
    Ok(())
}
