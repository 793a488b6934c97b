//! To which sites the objects of the application are added.

use bus_core::{BusObject, HostId, ObjectKey, ObjectOperation, SiteName};

use super::{CONFLICTS_MAX, ObjectStore, Saved};
use crate::Result;
use crate::error::{BusError, BusErrorKind};
use crate::flow::assignment;
use crate::flow::change::ChangeSet;
use crate::sites;

impl ObjectStore {
    /// Adds a global object to a site, and logs that for whoever subscribed, in one transaction; durable when it returns.
    /// An object may be added to any number of sites. `None` when it was added to this one already: then nothing is
    /// logged.
    ///
    /// # Errors
    ///
    /// `UnknownSite`; `NotFound` when there is no such object; `Malformed` when it belongs to a site; `BadName`,
    /// `Vetoed`, `UnknownKind`, `Conflict`, `Store`.
    pub async fn add_to_site<T: BusObject>(&self, id: &T::Id, site: &str) -> Result<Option<Saved>> {
        self.assign::<T>(id, site, ObjectOperation::AddToSite).await
    }

    /// Removes an object from a site that it was added to, and logs that for whoever subscribed, in one transaction.
    /// `None` when it was not added to it.
    ///
    /// # Errors
    ///
    /// As for [`ObjectStore::add_to_site`].
    pub async fn remove_from_site<T: BusObject>(&self, id: &T::Id, site: &str) -> Result<Option<Saved>> {
        self.assign::<T>(id, site, ObjectOperation::RemoveFromSite).await
    }

    /// The sites that an object was added to, by name; none for one that is not there, or belongs to a site.
    pub async fn sites_of<T: BusObject>(&self, id: &T::Id) -> Result<Vec<SiteName>> {
        let key = ObjectKey { object_type: self.object_type::<T>()?, id: id.to_id() };
        let sites = self.shared.store.sites_of(&key).await;
        sites.map_err(|error| BusError::store(&format!("list the sites of {key}"), error))
    }

    async fn assign<T: BusObject>(
        &self,
        id: &T::Id,
        site: &str,
        operation: ObjectOperation,
    ) -> Result<Option<Saved>> {
        let key = ObjectKey { object_type: self.object_type::<T>()?, id: id.to_id() };
        self.shared.host().check_built_in(&key.object_type, "assign it to sites")?;
        let site = sites::parse(site)?;
        let mut conflict = None;
        for _ in 0..CONFLICTS_MAX {
            let Some(stored) = self.stored(&key).await? else {
                let message = format!("{key} is not there, so that it is on no site; mend type or id");
                return Err(BusError::new(BusErrorKind::NotFound, message));
            };
            if let Some(own) = &stored.record.site {
                let message = format!(
                    "{key} belongs to site {own}; only global objects are added to sites, and removed from them"
                );
                return Err(BusError::new(BusErrorKind::Malformed, message));
            }
            let is_done = assignment::is_still_so(&self.shared, &key, operation, Some(&site)).await;
            if is_done.map_err(|error| BusError::store(&format!("list the sites of {key}"), error))? {
                return self.done_already(&key, operation, &site).await;
            }
            let set = ChangeSet::assigned(&stored, stored.record.version, operation, &site, None);
            match self.write(key.clone(), set).await {
                Ok(saved) => return Ok(Some(saved)),
                Err(error) if error.kind() == BusErrorKind::Conflict => conflict = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(conflict.unwrap_or_else(|| {
            BusError::new(BusErrorKind::Conflict, format!("the sites of {key} change again and again"))
        }))
    }

    /// There is nothing to be done; a site that is not registered is a mistake all the same.
    async fn done_already(
        &self,
        key: &ObjectKey,
        operation: ObjectOperation,
        site: &SiteName,
    ) -> Result<Option<Saved>> {
        let what = format!("{operation} {key}");
        let known = self.shared.store.sites().await.map_err(|error| BusError::store(&what, error))?;
        if known.iter().any(|known| known.name == *site) {
            return Ok(None);
        }
        Err(sites::unknown(&self.shared, &what, site).await)
    }
}
