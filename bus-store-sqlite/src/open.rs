//! Opening a file: what is asked of it, of the folder, of the disk, and of `SQLite` itself.

mod disk;

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bus_store::{Durability, StoreError, StoreErrorKind};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::checkpoint::PAGES_BEFORE_BACKSTOP;
use crate::error::told;
use crate::failpoint;
use crate::schema;

/// How many prepared statements a connection keeps; more than the store has.
const STATEMENTS_KEPT: usize = 256;

/// How long a connection waits for a lock before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How a store is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// When a commit counts as written.
    pub synchronous: Synchronous,
    /// The most pages (of 4 KiB) that the database may have, so that it is full before the disk is: a full disk
    /// also stops what would make room, a full quota does not. `None` for no quota.
    pub pages_max: Option<u32>,
    /// Opens only what is there, as it is: makes no file, and changes no tables.
    pub as_it_is: bool,
}

/// When a commit counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Synchronous {
    /// When the disk has it: what was acknowledged survives a power loss.
    #[default]
    Full,
    /// When the operating system has it: what was acknowledged survives the end of the process, but the last of it
    /// may be lost with the power.
    Normal,
}

impl Synchronous {
    /// What an acknowledged task survives.
    pub const fn durability(self) -> Durability {
        match self {
            Self::Full => Durability::PowerLoss,
            Self::Normal => Durability::ProcessKill,
        }
    }

    const fn code(self) -> i64 {
        match self {
            Self::Normal => 1,
            Self::Full => 2,
        }
    }
}

impl SqliteOptions {
    /// With this answer to when a commit counts as written.
    pub const fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// Only what is there, as it is: for tools that look into a store which others work on.
    pub const fn as_it_is(mut self) -> Self {
        self.as_it_is = true;
        self
    }

    /// With a quota, in pages of 4 KiB.
    pub const fn pages_max(mut self, pages: u32) -> Self {
        self.pages_max = Some(pages);
        self
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Writing,
    Reading,
    Checkpoints,
}

/// The file, opened for the first time: checked, and with the tables of this version. Answers the full path, too.
pub(crate) fn prepare(path: &Path, options: SqliteOptions) -> Result<(PathBuf, Connection), StoreError> {
    check_version(rusqlite::version_number())?;
    if options.as_it_is && !path.is_file() {
        let message = format!(
            "there is no store `{}`; mend the path, or start the application, which makes it",
            path.display()
        );
        return Err(StoreError::new(StoreErrorKind::Unavailable, "open", message));
    }
    let path = full_path(path)?;
    disk::check(&path)?;
    let mut db = connect(&path, options, Purpose::Writing)?;
    failpoint::watch(&mut db).map_err(|error| told(&error, "open"))?;
    if options.as_it_is {
        schema::check_current(&db, &path.display().to_string())?;
    } else {
        schema::migrate(&mut db, &path.display().to_string())?;
    }
    Ok((path, db))
}

/// One more connection to a file that was prepared.
pub(crate) fn connect(
    path: &Path,
    options: SqliteOptions,
    purpose: Purpose,
) -> Result<Connection, StoreError> {
    let mut flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, !options.as_it_is);
    let _one_at_a_time = opening(path);
    let db = Connection::open_with_flags(path, flags).map_err(|error| cannot_open(path, &error))?;
    set_up(&db, options, purpose).map_err(|error| match error {
        Trouble::Sqlite(error) => cannot_open(path, &error),
        Trouble::NotTaken { pragma, asked, got } => StoreError::new(
            StoreErrorKind::Unsupported,
            "open",
            format!(
                "`{}` was opened with {pragma} = {got}, not {asked}: another connection, the file system or the build \
                 of SQLite prevents it",
                path.display()
            ),
        ),
        Trouble::ReadOnly => StoreError::new(
            StoreErrorKind::Unavailable,
            "open",
            format!("`{}` cannot be written: allow this user to write to the file and its folder", path.display()),
        ),
    })?;
    Ok(db)
}

/// Keeps others from opening the same file meanwhile: two that switch a new file to write-ahead logging at once stand in
/// each other's way, and SQLite tells one of them so at once, whatever its busy time-out. Where the lock cannot be had
/// (a folder that cannot be written), SQLite says what is wrong with better words.
fn opening(path: &Path) -> Option<File> {
    let mut name = path.as_os_str().to_owned();
    name.push("-opening");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(name).ok()?;
    file.lock().ok()?;
    Some(file)
}

enum Trouble {
    Sqlite(rusqlite::Error),
    NotTaken { pragma: &'static str, asked: String, got: String },
    ReadOnly,
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Sets what is asked of a connection, and reads all of it back: `SQLite` says nothing when it does not comply.
fn set_up(db: &Connection, options: SqliteOptions, purpose: Purpose) -> Result<(), Trouble> {
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    // The plan does not depend on what is bound: without this, some statements are compiled anew each time.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    if db.is_readonly("main")? {
        return Err(Trouble::ReadOnly);
    }
    let journal_mode: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if !journal_mode.eq_ignore_ascii_case("wal") {
        return Err(Trouble::NotTaken { pragma: "journal_mode", asked: "wal".to_owned(), got: journal_mode });
    }
    let autocheckpoint = if purpose == Purpose::Writing { PAGES_BEFORE_BACKSTOP } else { 0 };
    let pragmas = [
        ("synchronous", options.synchronous.code()),
        ("busy_timeout", i64::try_from(BUSY_TIMEOUT.as_millis()).unwrap_or(i64::MAX)),
        ("wal_autocheckpoint", autocheckpoint),
        ("mmap_size", 0),
        ("foreign_keys", 0),
        ("query_only", i64::from(purpose == Purpose::Reading)),
    ];
    for (pragma, asked) in pragmas {
        // Some answer to being set, some do not.
        db.prepare(&format!("PRAGMA {pragma} = {asked}"))?.query([])?.next()?;
        let got: i64 = db.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))?;
        if got != asked {
            return Err(Trouble::NotTaken { pragma, asked: asked.to_string(), got: got.to_string() });
        }
    }
    if let Some(pages) = options.pages_max {
        // A database that is larger already is full: SQLite answers with its size.
        db.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
    }
    Ok(())
}

fn cannot_open(path: &Path, error: &rusqlite::Error) -> StoreError {
    let kind = told(error, "open").kind();
    let path = path.display();
    let message = match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => {
            format!("`{path}` is not an SQLite database: choose another file for the store")
        }
        Some(rusqlite::ErrorCode::CannotOpen) => {
            format!("`{path}` cannot be opened: it must be a file, in a folder that this user may write")
        }
        Some(rusqlite::ErrorCode::ReadOnly | rusqlite::ErrorCode::PermissionDenied) => {
            format!("`{path}` cannot be written: allow this user to write to the file and its folder")
        }
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
            format!("`{path}` is kept locked by another program: end its long transaction, then try again")
        }
        Some(rusqlite::ErrorCode::DatabaseCorrupt) => {
            format!(
                "`{path}` is a damaged database: restore it from a copy, or recover it with the `sqlite3` tool"
            )
        }
        _ => format!("`{path}` cannot be opened as a store"),
    };
    StoreError::new(kind, "open", message).with_source(error.to_string())
}

/// The path without links and relative parts, so that every process uses the same name for the files beside it. The
/// folder is made if it is missing.
fn full_path(path: &Path) -> Result<PathBuf, StoreError> {
    let refuse = |message: String, error: std::io::Error| {
        StoreError::new(StoreErrorKind::Unavailable, "open", message).with_source(error)
    };
    if let Ok(there) = fs::canonicalize(path) {
        if there.is_dir() {
            let message = format!("`{}` is a folder: name a file in it, such as `bus.db`", there.display());
            return Err(StoreError::new(StoreErrorKind::Unsupported, "open", message));
        }
        return Ok(there);
    }
    let Some(name) = path.file_name() else {
        let message = format!("`{}` names no file: name one, such as `bus.db`", path.display());
        return Err(StoreError::new(StoreErrorKind::Unsupported, "open", message));
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(|error| {
        let message = format!(
            "the folder `{}` cannot be made: make it, or choose a folder that this user may write",
            folder.display()
        );
        refuse(message, error)
    })?;
    let folder = fs::canonicalize(folder)
        .map_err(|error| refuse(format!("the folder `{}` cannot be read", folder.display()), error))?;
    Ok(folder.join(name))
}

/// Refuses a `SQLite` that can damage a write-ahead log.
pub(crate) fn check_version(version: i32) -> Result<(), StoreError> {
    if is_sound_version(version) {
        return Ok(());
    }
    let (major, minor, patch) = (version / 1_000_000, version / 1_000 % 1_000, version % 1_000);
    Err(StoreError::new(
        StoreErrorKind::Unsupported,
        "open",
        format!(
            "this program is linked with SQLite {major}.{minor}.{patch}, which can damage a database in WAL mode when two \
             connections write and checkpoint at once (mended in 3.51.3): build it with `rusqlite` 0.39 or later and its \
             feature `bundled`"
        ),
    ))
}

/// Whether a version of `SQLite`, as the number that it gives itself, is without the WAL-reset defect.
/// <https://www.sqlite.org/wal.html#the_wal_reset_bug>
const fn is_sound_version(version: i32) -> bool {
    match version {
        3_044_006..3_045_000 | 3_050_007..3_051_000 => true,
        _ => version >= 3_051_003,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sqlite_that_can_damage_its_log_is_refused() {
        for sound in [3_044_006, 3_044_099, 3_050_007, 3_051_003, 3_052_000, 3_054_001, 4_000_000] {
            assert!(check_version(sound).is_ok(), "{sound}");
        }
        for unsound in [3_007_000, 3_040_001, 3_044_005, 3_045_000, 3_050_006, 3_051_000, 3_051_002] {
            assert!(check_version(unsound).is_err(), "{unsound}");
        }
        let error = check_version(3_040_001).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unsupported);
        assert!(error.to_string().contains("SQLite 3.40.1"), "{error}");
        assert!(error.to_string().contains("`bundled`"), "{error}");
    }

    #[test]
    fn a_connection_is_as_durable_as_was_asked() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bus.db");
        for (synchronous, code) in [(Synchronous::Full, 2), (Synchronous::Normal, 1)] {
            for purpose in [Purpose::Writing, Purpose::Reading, Purpose::Checkpoints] {
                let options = SqliteOptions::default().synchronous(synchronous);
                let db = connect(&file, options, purpose).unwrap();
                let number = |sql| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
                assert_eq!(number("PRAGMA synchronous"), code);
                assert_eq!(number("PRAGMA busy_timeout"), 5_000);
                assert_eq!(number("PRAGMA query_only"), i64::from(purpose == Purpose::Reading));
            }
        }
    }
}
