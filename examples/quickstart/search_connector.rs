//! The application's own connector: keeps the full-text index in step with the host's objects.

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus_core::failure::classify_by_source;
use bus_core::{
    Change, Clock, Connector, Cx, Failure, FailureKind, NoSettings, ObjectKey, ObjectOperation, Outgoing,
    Timestamp, connector,
};
use bus_runtime::SystemClock;
use iso3166_connector::{Country, Subdivision};
use tantivy::TantivyError;

use crate::search::{Entry, Kind, Search, Writer};

/// The least time between two commits. Each one costs the index a dozen of files and syncs of the disk, so in a stream
/// of changes they are spread out: what arrives in between shares the next. A single change is committed at once.
const COMMIT_EVERY: Duration = Duration::from_millis(50);

/// Keeps the full-text index in step with countries and subdivisions.
///
/// A delivery may come more than once: each one puts the whole entry in the place of what was there, so repeats change
/// nothing. Nothing is settled before `flush` has committed, so a kill loses nothing either.
#[connector(name = "search-index", create_once = repeatable, needs(Search))]
#[outgoing(Country)]
#[outgoing(Subdivision)]
pub(crate) struct SearchIndex {
    writer: Arc<Mutex<Writer>>,
    committed_at: Mutex<Timestamp>,
}

impl SearchIndex {
    fn writer(&self) -> MutexGuard<'_, Writer> {
        lock(&self.writer)
    }

    /// Returns when the last commit was long enough ago.
    async fn pace(&self) {
        let now = SystemClock.now();
        let ago = now.since(*lock(&self.committed_at));
        SystemClock.sleep_until(now.plus(COMMIT_EVERY.saturating_sub(ago))).await;
        *lock(&self.committed_at) = SystemClock.now();
    }
}

impl Connector for SearchIndex {
    type Settings = NoSettings;

    async fn connect(_settings: NoSettings, cx: &Cx) -> Result<Self, Failure> {
        let search = cx.handle::<Search>()?;
        let writer = Arc::new(Mutex::new(search.writer()?));
        Ok(Self { writer, committed_at: Mutex::default() })
    }

    /// One commit for a whole batch of deliveries, off the threads that everybody shares: it waits for the disk.
    async fn flush(&self, _cx: &Cx) -> Result<(), Failure> {
        self.pace().await;
        let writer = Arc::clone(&self.writer);
        tokio::task::spawn_blocking(move || lock(&writer).commit()).await??;
        Ok(())
    }

    /// A writer that failed is of no more use. *Disconnected* throws it away, with all that it had not committed, and
    /// `connect` opens another; what was lost with it is delivered again, and no attempt is charged.
    fn classify(error: &(dyn Error + 'static)) -> FailureKind {
        if error.is::<TantivyError>() { FailureKind::Disconnected } else { classify_by_source(error) }
    }
}

impl Outgoing<Country> for SearchIndex {
    async fn deliver(&self, change: Change<Country>, _cx: &Cx) -> Result<(), Failure> {
        let id = entry_id(change.key());
        let country = &change.object;
        match change.operation() {
            ObjectOperation::Delete => self.writer().remove(&id),
            _ => self.writer().put_country(&id, &country.alpha2, &country.name)?,
        }
        change.bind(id);
        Ok(())
    }
}

impl Outgoing<Subdivision> for SearchIndex {
    async fn deliver(&self, change: Change<Subdivision>, _cx: &Cx) -> Result<(), Failure> {
        let id = entry_id(change.key());
        if change.operation() == ObjectOperation::Delete {
            self.writer().remove(&id);
            return Ok(());
        }
        let Subdivision { code, name, category, country, .. } = &change.object;
        // The bus has translated the reference: it is what `change.bind` said when the country was delivered. A
        // subdivision whose country was not delivered yet would have waited.
        let country = country.external_id().unwrap_or_default();
        let mut writer = self.writer();
        let Some(country) = writer.country(country) else {
            return Err(Failure::retry(format!("the index has no entry `{country}`, the country of {code}")));
        };
        writer.put(&Entry {
            id: id.clone(),
            kind: Kind::Subdivision,
            category: category.clone(),
            code: code.clone(),
            name: name.clone(),
            country: Some(country),
        })?;
        change.bind(id);
        Ok(())
    }
}

/// What the index calls an object. Made of what never changes: a code may be given to another object later.
fn entry_id(key: &ObjectKey) -> String {
    format!("{}/{}", key.object_type, key.id)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
