//! Sites of a broken store, and what is assigned to them.

use bus_core::{ObjectKey, Site, SiteName};
use bus_store::{Commit, Expected, ObjectWrite, Objects, Sites, StoreFuture};

use super::{Broken, lock};
use crate::Bug;

impl Broken {
    /// What becomes of a commit's objects and sites before it is made.
    pub(super) async fn spoil_sites(&self, commit: &mut Commit) {
        for write in &mut commit.objects {
            match write {
                ObjectWrite::Save { record, expected } => {
                    if let (Bug::RaisesNoVersion, Expected::Version(version)) = (self.bug, expected) {
                        *version += self.assignments_of(&record.key);
                    }
                    self.register(record.site.as_ref()).await;
                }
                ObjectWrite::Assign { key, site, version } => {
                    self.register(Some(site)).await;
                    if self.bug == Bug::AssignsWhateverIsThere
                        && let Ok(Some(there)) = self.inner.object(key).await
                    {
                        *version = there.version;
                    }
                    *version += if self.bug == Bug::RaisesNoVersion { self.assignments_of(key) } else { 0 };
                    lock(&self.assigned).insert((key.clone(), site.clone()));
                }
                ObjectWrite::Delete { .. }
                | ObjectWrite::Unassign { .. }
                | ObjectWrite::Check { .. }
                | ObjectWrite::Touch { .. } => {}
            }
        }
        for task in &commit.tasks {
            self.register(task.site.as_ref()).await;
        }
    }

    async fn register(&self, site: Option<&SiteName>) {
        if self.bug == Bug::TakesAnySite
            && let Some(site) = site.and_then(|site| Site::new(site.as_str()).ok())
        {
            // It fails when the store is closed, and then the commit does, too.
            let _ = self.inner.save_site(site).await;
        }
    }

    /// How often this object was assigned to something new.
    pub(super) fn assignments_of(&self, object: &ObjectKey) -> i64 {
        lock(&self.assigned).iter().filter(|(key, _)| key == object).map(|_| 1).sum()
    }
}

impl Sites for Broken {
    fn sites(&self) -> StoreFuture<'_, Vec<Site>> {
        self.inner.sites()
    }

    fn save_site(&self, site: Site) -> StoreFuture<'_, ()> {
        self.inner.save_site(site)
    }

    fn remove_site(&self, site: &SiteName) -> StoreFuture<'_, bool> {
        let removed = self.inner.remove_site(site);
        match self.bug {
            Bug::RemovesSitesInUse => Box::pin(async { Ok(removed.await.unwrap_or(true)) }),
            _ => removed,
        }
    }
}
