//! Places where a test can end the process, or let the disk fail. Nothing without the feature `failpoints`.

use rusqlite::Connection;

/// Before a transaction is committed. A test can let the commit fail here with a code of `SQLite`.
pub(crate) const BEFORE_COMMIT: &str = "sqlite-before-commit";

/// After a transaction was committed, before anybody is told.
pub(crate) const AFTER_COMMIT: &str = "sqlite-after-commit";

/// Passes a place by its name.
#[cfg_attr(not(feature = "failpoints"), expect(clippy::unnecessary_wraps, reason = "a test can let it fail"))]
pub(crate) fn reached(point: &str) -> rusqlite::Result<()> {
    #[cfg(feature = "failpoints")]
    fail::fail_point!(point, |code| Err(failure(code.as_deref())));
    let _ = point;
    Ok(())
}

/// Lets every statement of this connection pass the place `sqlite-statement` before it is carried out.
#[cfg_attr(
    not(feature = "failpoints"),
    expect(
        clippy::unnecessary_wraps,
        clippy::needless_pass_by_ref_mut,
        reason = "it is set up for tests only"
    )
)]
pub(crate) fn watch(db: &mut Connection) -> rusqlite::Result<()> {
    #[cfg(feature = "failpoints")]
    {
        use rusqlite::trace::{TraceEvent, TraceEventCodes};
        let statement = |_: TraceEvent<'_>| fail::fail_point!("sqlite-statement");
        db.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(statement))?;
    }
    let _ = db;
    Ok(())
}

/// `SQLite`'s failure with this code; an error of the disk where it is none.
#[cfg(feature = "failpoints")]
fn failure(code: Option<&str>) -> rusqlite::Error {
    let code = code.and_then(|code| code.parse().ok()).unwrap_or(rusqlite::ffi::SQLITE_IOERR);
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)
}
