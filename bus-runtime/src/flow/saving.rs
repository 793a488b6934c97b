//! What the application changes in the built-in stores, together with its tasks.

use std::sync::Arc;

use bus_core::{ConnectorName, SiteName};
use bus_store::{Commit, StoreErrorKind};

use super::change::HostChange;
use super::express::{self, SyncEnd};
use super::{listening, task_log};
use crate::Result;
use crate::error::{BusError, BusErrorKind};
use crate::shared::Shared;
use crate::sites;

/// Commits the writes of `commit` with the tasks of these changes; answers how it ended with each connector that is told
/// before this returns. `what` is done, for errors; `site` is the only thing in it that need not be there.
pub(crate) async fn commit(
    shared: &Arc<Shared>,
    what: &str,
    site: Option<&SiteName>,
    mut commit: Commit,
    changes: &[HostChange],
) -> Result<Vec<(ConnectorName, SyncEnd)>> {
    let recorded = task_log::record(shared, changes).await?;
    commit.claim_for = express::owners(shared, &recorded.tasks, &recorded.synchronous);
    commit.tasks = recorded.tasks;
    let is_of_pages = !commit.pages.is_empty();
    let committed = express::commit(shared, commit, recorded.synchronous).await;
    let (committed, synchronous) = match (committed, site) {
        (Ok(committed), _) => committed,
        (Err(error), Some(site)) if error.kind() == StoreErrorKind::NotFound => {
            return Err(sites::unknown(shared, what, site).await);
        }
        (Err(error), _) if error.kind() == StoreErrorKind::Conflict => {
            return Err(BusError::store(&format!("{what}: {error}"), error));
        }
        // A path that is longer than paths may be.
        (Err(error), _) if is_of_pages && error.kind() == StoreErrorKind::Unsupported => {
            return Err(BusError::new(BusErrorKind::TooLarge, format!("{what}: {error}")).with_source(error));
        }
        (Err(error), _) => return Err(BusError::store(what, error)),
    };
    listening::tell(shared, &recorded.announced, &committed.tasks, None);
    Ok(synchronous)
}
