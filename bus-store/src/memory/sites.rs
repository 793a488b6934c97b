//! The tenants of the host, in memory.

use bus_core::{Site, SiteName};

use super::{MemoryStore, State};
use crate::sites::{SiteUse, Sites, unknown_site};
use crate::{StoreError, StoreErrorKind, StoreFuture};

impl Sites for MemoryStore {
    fn sites(&self) -> StoreFuture<'_, Vec<Site>> {
        self.with("sites", |state| Ok(state.sites.values().cloned().collect()))
    }

    fn save_site(&self, site: Site) -> StoreFuture<'_, ()> {
        self.with("save site", move |state| {
            state.sites.insert(site.name.clone(), site);
            Ok(())
        })
    }

    fn remove_site(&self, site: &SiteName) -> StoreFuture<'_, bool> {
        let site = site.clone();
        self.with("remove site", move |state| {
            let used = SiteUse { pages: state.pages.nodes_of(&site), ..state.objects.use_of(&site) };
            if !used.is_none() {
                let reason = used.refusal(&site);
                return Err(StoreError::new(StoreErrorKind::Conflict, "remove site", reason));
            }
            Ok(state.sites.remove(&site).is_some())
        })
    }
}

impl State {
    /// Refuses what names a site that is not registered.
    pub(super) fn check_site(&self, site: Option<&SiteName>) -> Result<(), StoreError> {
        match site.filter(|site| !self.sites.contains_key(site)) {
            Some(unknown) => Err(StoreError::new(StoreErrorKind::NotFound, "commit", unknown_site(unknown))),
            None => Ok(()),
        }
    }
}
