//! What a task about an object and a site says, set beside what is so by now.

use bus_core::{ObjectKey, ObjectOperation, SiteName};
use bus_store::StoreError;

use crate::shared::Shared;

/// Whether the object is on the site where the operation adds it to that, and is not where it removes it. Of any other
/// operation, and of no site, nothing is so.
pub(crate) async fn is_still_so(
    shared: &Shared,
    object: &ObjectKey,
    operation: ObjectOperation,
    site: Option<&SiteName>,
) -> Result<bool, StoreError> {
    let Some(site) = site.filter(|_| operation.is_of_site()) else { return Ok(false) };
    let is_on_it = shared.store.sites_of(object).await?.contains(site);
    Ok(is_on_it == (operation == ObjectOperation::AddToSite))
}
