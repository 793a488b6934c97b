//! Triggers on the application's own tables. They work on the file alone: no bus need run.

use bus_core::ObjectType;
use bus_store::Drift;
use bus_store_sqlite::capture::{self, Capture, Reading};
use bus_store_sqlite::{SqliteOptions, SqliteStore};

use crate::answer::{Answer, Trouble};
use crate::migrate::file_of;
use crate::words::{CaptureWords, CapturedTable, Place};

pub(crate) async fn capture(place: &Place, words: CaptureWords) -> Result<Answer, Trouble> {
    let file = file_of(place)?;
    let opened = SqliteStore::open(&file, SqliteOptions::default().as_it_is());
    let store =
        opened.map_err(|error| Trouble(format!("the store {} cannot be opened: {error}", file.display())))?;
    let answer = match words {
        CaptureWords::Ddl(table) => ddl(&store, &table).await,
        CaptureWords::Apply { table, tell } => apply(&store, &table, tell).await,
        CaptureWords::Check => check(&store).await,
        CaptureWords::Remove { object_type } => remove(&store, &object_type).await,
    };
    bus_store::Store::close(&store).await;
    answer
}

async fn ddl(store: &SqliteStore, table: &CapturedTable) -> Result<Answer, Trouble> {
    let ddl = capture::ddl(store, &described(table)).await;
    Ok(Answer::Said(ddl.map_err(|error| trouble(table, &error))?))
}

async fn apply(store: &SqliteStore, table: &CapturedTable, tell: bool) -> Result<Answer, Trouble> {
    let described = if tell { described(table).telling_all() } else { described(table) };
    capture::apply(store, described).await.map_err(|error| trouble(table, &error))?;
    let CapturedTable { object_type, table, .. } = table;
    Ok(Answer::Said(format!("{object_type} is captured from `{table}` from now on")))
}

async fn check(store: &SqliteStore) -> Result<Answer, Trouble> {
    let checked = capture::check(store).await;
    let drift = checked.map_err(|error| Trouble(format!("what is captured cannot be checked: {error}")))?;
    if drift.is_empty() {
        return Ok(Answer::Said("what is captured is as it was applied".to_owned()));
    }
    Err(Trouble(drift.iter().map(Drift::to_string).collect::<Vec<_>>().join("\n")))
}

async fn remove(store: &SqliteStore, object_type: &ObjectType) -> Result<Answer, Trouble> {
    let removed = capture::remove(store, object_type).await;
    let removed =
        removed.map_err(|error| Trouble(format!("{object_type} cannot be removed from capture: {error}")))?;
    Ok(Answer::Said(if removed {
        format!("{object_type} is captured no more; what its triggers have left is still told of")
    } else {
        format!("{object_type} was not captured")
    }))
}

fn described(table: &CapturedTable) -> Capture {
    let mut capture = Capture::new(table.object_type.clone(), &table.table, &table.key);
    for (column, field) in &table.column {
        capture = capture.named(column, field);
    }
    for column in &table.boolean {
        capture = capture.reading(column, Reading::Boolean);
    }
    for column in &table.json_text {
        capture = capture.reading(column, Reading::Json);
    }
    table.without.iter().fold(capture, Capture::without)
}

fn trouble(table: &CapturedTable, error: &bus_store::StoreError) -> Trouble {
    Trouble(format!("{} cannot be captured: {error}", table.object_type))
}
