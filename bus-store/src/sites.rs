//! The tenants of the host.

use bus_core::{Site, SiteName};

use crate::StoreFuture;

/// Which sites there are. Objects are assigned to them by [`TaskLog::commit`](crate::TaskLog::commit).
pub trait Sites {
    /// The sites by name.
    fn sites(&self) -> StoreFuture<'_, Vec<Site>>;

    /// This is the site of its name now, whether there was one or not.
    fn save_site(&self, site: Site) -> StoreFuture<'_, ()>;

    /// Removes a site; whether there was one.
    ///
    /// # Errors
    ///
    /// `Conflict` while objects belong or are assigned to it, or pages stand on it ([`SiteUse`]): nothing is removed.
    fn remove_site(&self, site: &SiteName) -> StoreFuture<'_, bool>;
}

/// What keeps a site from being removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SiteUse {
    /// How many objects belong to it.
    pub objects: u64,
    /// How many objects are assigned to it.
    pub assignments: u64,
    /// How many nodes its tree of pages has.
    pub pages: u64,
}

impl SiteUse {
    /// Whether nothing does.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Why a site that is used like this is not removed.
    pub fn refusal(&self, site: &SiteName) -> String {
        let Self { objects, assignments, pages } = self;
        format!(
            "site {site} has {objects} objects of its own, and {assignments} are assigned to it, and {pages} pages stand on \
             it; take these away first"
        )
    }
}

/// Why something that names a site is refused, where there is none of that name.
pub fn unknown_site(site: &SiteName) -> String {
    format!("site `{site}` is not registered; register it, or mend the name")
}
