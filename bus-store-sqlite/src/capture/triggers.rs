//! The text of the triggers, from the table as it is.

use bus_core::ObjectType;
use bus_store::StoreErrorKind;
use rusqlite::{Connection, OptionalExtension};

use super::{COLUMNS_MAX, Capture, Reading, unfit};
use crate::error::{Fault, refusal};

/// What is made for a table.
pub(super) struct Plan {
    /// All columns of the table.
    pub(super) columns: Vec<String>,
    /// The name and the text of each.
    pub(super) triggers: Vec<(String, String)>,
    /// Leaves an entry for each row that is there.
    pub(super) tell: String,
    /// Writes down the keys that are there; its parameter is the object type.
    pub(super) seed: String,
}

const EVENTS: [&str; 3] = ["insert", "update", "delete"];

/// The names of the triggers of a type.
pub(super) fn names(object_type: &ObjectType) -> [String; 3] {
    EVENTS.map(|event| format!("bus_capture_{object_type}_{event}"))
}

/// An identifier.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// All columns of a table; none where it is not there.
pub(super) fn columns(db: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    // 1 is a column of a virtual table that `SELECT *` does not show.
    let mut list = db.prepare("SELECT name FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid")?;
    list.query_map([table], |row| row.get(0))?.collect()
}

/// What is to be made, if this can be captured.
pub(super) fn plan(db: &Connection, capture: &Capture) -> Result<Plan, Fault> {
    let Capture { object_type, table, key, .. } = capture;
    check_table(db, table)?;
    let columns = columns(db, table)?;
    check_columns(capture, &columns)?;
    check_key(db, table, key)?;
    let told: Vec<&str> =
        columns.iter().map(String::as_str).filter(|column| !capture.without.contains(*column)).collect();
    if told.len() > COLUMNS_MAX {
        return Err(unfit(format!(
            "table `{table}` has {} columns, and at most {COLUMNS_MAX} can be told of; leave some out",
            told.len()
        )));
    }
    let text = Text { capture, told: &told };
    let bodies = [text.insert(), text.update(), text.delete()];
    let triggers = names(object_type).into_iter().zip(EVENTS).zip(bodies).map(|((name, event), body)| {
        let when = if event == "update" { text.when_changed() } else { String::new() };
        let head = format!(
            "CREATE TRIGGER {} AFTER {} ON {}{when}",
            quoted(&name),
            event.to_ascii_uppercase(),
            quoted(table)
        );
        (name, format!("{head} BEGIN\n{body}END"))
    });
    let triggers = triggers.collect();
    let tell = text.tell();
    let (table, key) = (quoted(table), quoted(key));
    let seed = format!(
        "INSERT INTO bus_capture_key (object_type, id) SELECT ?1, {key} FROM {table} WHERE {key} IS NOT NULL"
    );
    Ok(Plan { columns, triggers, tell, seed })
}

fn check_table(db: &Connection, table: &str) -> Result<(), Fault> {
    let lower = table.to_ascii_lowercase();
    if lower.starts_with("bus_") || lower.starts_with("sqlite_") {
        return Err(unfit(format!("table `{table}` is not the application's: capture one of its own")));
    }
    let sql =
        "SELECT type, sql FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE AND type IN ('table', 'view')";
    let found: Option<(String, String)> =
        db.query_row(sql, [table], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    match found {
        None => Err(refusal(
            StoreErrorKind::NotFound,
            format!(
                "there is no table `{table}` in the store's file; name one of the application's tables there"
            ),
        )),
        Some((kind, sql)) if kind == "view" || sql.to_ascii_uppercase().starts_with("CREATE VIRTUAL") => {
            Err(unfit(format!("`{table}` is no table that triggers can watch; capture the tables behind it")))
        }
        Some(_) => Ok(()),
    }
}

fn check_columns(capture: &Capture, columns: &[String]) -> Result<(), Fault> {
    let Capture { table, key, fields, readings, without, .. } = capture;
    let mentioned = std::iter::once(key).chain(fields.keys()).chain(readings.keys()).chain(without);
    if let Some(unknown) = mentioned.into_iter().find(|column| !columns.contains(column)) {
        return Err(refusal(
            StoreErrorKind::NotFound,
            format!("table `{table}` has no column `{unknown}`; it has {}", columns.join(", ")),
        ));
    }
    if without.contains(key) {
        return Err(unfit(format!(
            "column `{key}` of `{table}` is the id of what is told, and cannot be left out"
        )));
    }
    let told = || columns.iter().filter(|column| !without.contains(*column));
    for (place, column) in told().enumerate() {
        let field = capture.field(column);
        if let Some(other) = told().take(place).find(|other| capture.field(other) == field) {
            return Err(unfit(format!(
                "columns `{other}` and `{column}` of `{table}` would both be the field `{field}`; leave one out, or name it"
            )));
        }
    }
    Ok(())
}

/// Two rows of one id would be one object.
fn check_key(db: &Connection, table: &str, key: &str) -> Result<(), Fault> {
    let sql = "SELECT (SELECT count(*) FROM pragma_table_xinfo(?1) WHERE pk > 0) = 1
                  AND EXISTS (SELECT 1 FROM pragma_table_xinfo(?1) WHERE pk > 0 AND name = ?2)
               OR EXISTS (SELECT 1 FROM pragma_index_list(?1) l
                          WHERE l.\"unique\" AND NOT l.partial
                            AND (SELECT count(*) FROM pragma_index_info(l.name)) = 1
                            AND EXISTS (SELECT 1 FROM pragma_index_info(l.name) WHERE name = ?2))";
    if db.query_row(sql, [table, key], |row| row.get(0))? {
        return Ok(());
    }
    Err(unfit(format!(
        "column `{key}` of `{table}` is not unique; name the primary key, or make a unique index on it"
    )))
}

/// Writes the statements of the triggers.
struct Text<'a> {
    capture: &'a Capture,
    told: &'a [&'a str],
}

/// What the transaction tells of itself is not told once more.
const UNLESS_OWN: &str = "NOT EXISTS (SELECT 1 FROM bus_origin)";

impl Text<'_> {
    fn insert(&self) -> String {
        self.leave(&self.arrival("NEW"), false, true, "") + &self.remember()
    }

    /// What the arrival of a row is: of a key that is known, that it takes another one's place.
    fn arrival(&self, row: &str) -> String {
        let known = self.known(row);
        format!(
            "CASE WHEN EXISTS (SELECT 1 FROM bus_capture_key WHERE {known}) THEN 'replace' ELSE 'insert' END"
        )
    }

    /// The key of this row, among those that are told of.
    fn known(&self, row: &str) -> String {
        let of_type = literal(self.capture.object_type.as_str());
        // `+` takes the column's affinity away: with it, the keys would be looked through one by one.
        format!("object_type = {of_type} AND id = +{}", self.key(row))
    }

    /// Each row that is there, as if it arrived now.
    fn tell(&self) -> String {
        let of_type = literal(self.capture.object_type.as_str());
        format!(
            "INSERT INTO bus_outbox (entry) SELECT json_object('v', 1, 'raw', json_object('type', {of_type}, 'op', {}, 'new', \
             {}))\nFROM {} AS t WHERE {} IS NOT NULL ORDER BY {}",
            self.arrival("t"),
            self.fields("t"),
            quoted(&self.capture.table),
            self.key("t"),
            self.key("t")
        )
    }

    fn delete(&self) -> String {
        self.leave("'delete'", true, false, "") + &self.forget()
    }

    /// Another key is another object.
    fn update(&self) -> String {
        let (old, new) = (self.key("OLD"), self.key("NEW"));
        let moved = format!(" AND {old} IS NOT {new} COLLATE BINARY");
        let stayed = format!(" AND {old} IS {new} COLLATE BINARY");
        self.leave("'update'", true, true, &stayed)
            + &self.leave("'delete'", true, false, &moved)
            + &self.leave("'insert'", false, true, &moved)
            + &self.forget()
            + &self.remember()
    }

    /// An update that changes nothing is none. A column may take texts of another case for equal.
    fn when_changed(&self) -> String {
        let changed = self.told.iter().map(|column| {
            let column = quoted(column);
            format!("OLD.{column} IS NOT NEW.{column} COLLATE BINARY")
        });
        format!("\nWHEN {}", changed.collect::<Vec<_>>().join("\n  OR "))
    }

    fn key(&self, row: &str) -> String {
        format!("{row}.{}", quoted(&self.capture.key))
    }

    /// Leaves an entry, with the row as it was and as it is.
    fn leave(&self, operation: &str, was: bool, is: bool, condition: &str) -> String {
        let of_type = literal(self.capture.object_type.as_str());
        let mut parts = vec![format!("'type', {of_type}, 'op', {operation}")];
        for (row, name, is_there) in [("OLD", "old", was), ("NEW", "new", is)] {
            if is_there {
                parts.push(format!("'{name}', {}", self.fields(row)));
            }
        }
        let parts = parts.join(",\n    ");
        format!(
            "  INSERT INTO bus_outbox (entry) SELECT json_object('v', 1, 'raw', json_object({parts}))\n  WHERE \
             {UNLESS_OWN}{condition};\n"
        )
    }

    fn remember(&self) -> String {
        let (of_type, key) = (literal(self.capture.object_type.as_str()), self.key("NEW"));
        format!("  INSERT OR IGNORE INTO bus_capture_key (object_type, id) VALUES ({of_type}, {key});\n")
    }

    fn forget(&self) -> String {
        format!("  DELETE FROM bus_capture_key WHERE {};\n", self.known("OLD"))
    }

    fn fields(&self, row: &str) -> String {
        let field = |column: &&str| {
            let place = format!("{row}.{}", quoted(column));
            // JSON has no bytes: an entry that held some would fail the application's own statement.
            let plain = format!("CASE typeof({place}) WHEN 'blob' THEN hex({place}) ELSE {place} END");
            let value = match self.capture.readings.get(*column) {
                None => plain,
                Some(Reading::Boolean) => format!(
                    "CASE {place} WHEN 0 THEN json('false') WHEN 1 THEN json('true') ELSE {plain} END"
                ),
                Some(Reading::Json) => format!(
                    "CASE WHEN typeof({place}) = 'text' AND json_valid({place}) THEN json({place}) ELSE {plain} END"
                ),
            };
            format!("{}, {value}", literal(self.capture.field(column)))
        };
        format!("json_object({})", self.told.iter().map(field).collect::<Vec<_>>().join(", "))
    }
}
