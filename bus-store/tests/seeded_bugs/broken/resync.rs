//! Resyncs of a broken store.

use bus_core::ConnectorName;
use bus_store::{Commit, NewResync, ObjectWrite, ResyncId, ResyncRecord, Resyncs, StoreFuture};

use super::Broken;
use crate::Bug;

impl Broken {
    /// What becomes of a commit's chunk and its checks before it is made.
    pub(super) async fn spoil_resync(&self, commit: &mut Commit) {
        match self.bug {
            Bug::LogsAChunkWithoutItsPlace => commit.resynced = None,
            Bug::ResyncsFromAnyPlace => {
                if let (Some(chunk), Ok(known)) = (&mut commit.resynced, self.inner.resyncs().await) {
                    let known = known.into_iter().find(|known| known.resync == chunk.resync);
                    chunk.from = known.map_or(chunk.from, |known| known.place);
                }
            }
            Bug::ChecksNothing => {
                commit.objects.retain(|write| !matches!(write, ObjectWrite::Check { .. }));
            }
            _ => {}
        }
    }

    /// Those of a deleted connector that are told of still.
    pub(super) async fn keep_resyncs(&self, connector: &ConnectorName) {
        if self.bug == Bug::KeepsResyncsOfTheDeleted
            && let Ok(known) = self.inner.resyncs().await
        {
            let mut kept = super::lock(&self.resyncs);
            kept.extend(known.into_iter().filter(|known| known.what.connector == *connector));
        }
    }
}

impl Resyncs for Broken {
    fn begin_resync(&self, new: NewResync) -> StoreFuture<'_, ResyncId> {
        self.inner.begin_resync(new)
    }

    fn resyncs(&self) -> StoreFuture<'_, Vec<ResyncRecord>> {
        Box::pin(async {
            let mut resyncs = super::lock(&self.resyncs).clone();
            resyncs.extend(self.inner.resyncs().await?);
            Ok(resyncs)
        })
    }

    fn cancel_resync(&self, resync: ResyncId) -> StoreFuture<'_, bool> {
        self.inner.cancel_resync(resync)
    }
}
