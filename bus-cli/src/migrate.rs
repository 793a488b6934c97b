//! The tables of this version.

use std::path::PathBuf;

use bus_runtime::{Config, Configured, StoreConfig};
use bus_store_sqlite::{SqliteOptions, SqliteStore, migrations_sql};

use crate::answer::{Answer, Trouble};
use crate::words::{Migrate, Place};

/// Prints them, or makes them in the store.
pub(crate) fn migrate(place: &Place, how: &Migrate) -> Result<Answer, Trouble> {
    if how.print {
        return Ok(Answer::Said(migrations_sql()));
    }
    let file = file_of(place)?;
    if !file.is_file() {
        let file = file.display();
        return Err(Trouble(format!(
            "there is no store `{file}`; mend the path, or start the application, which makes it"
        )));
    }
    let opened = SqliteStore::open(&file, SqliteOptions::default());
    let store = opened
        .map_err(|error| Trouble(format!("the store {} cannot be migrated: {error}", file.display())))?;
    Ok(Answer::Said(format!("{} has the tables of this version", store.path().display())))
}

pub(crate) fn file_of(place: &Place) -> Result<PathBuf, Trouble> {
    let config = match place.configured() {
        Configured::File(path) => Config::from_file(path)?,
        Configured::Made(config) => *config,
    };
    match config.store {
        StoreConfig::Sqlite { path, .. } => Ok(path),
        _ => Err(Trouble("the configuration names no file: its store has no tables".to_owned())),
    }
}
