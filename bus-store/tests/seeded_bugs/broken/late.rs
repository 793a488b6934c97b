//! Late references of a broken store.

use bus_core::{ConnectorName, ObjectKey};
use bus_store::{Commit, Identity, Late, StoreFuture};
use tokio::sync::watch;

use super::Broken;
use crate::Bug;

impl Broken {
    /// What becomes of what a commit leaves to be told, before it is made.
    pub(super) async fn spoil_late(&self, commit: &mut Commit) {
        match self.bug {
            Bug::ForgetsWhatIsLeftToBeTold => commit.late.clear(),
            Bug::KeepsWhatWasLeftToBeTold => commit.late.retain(|late| !late.unresolved.is_empty()),
            Bug::LooksForTheLateBeforehand => {
                for late in &mut commit.late {
                    let known = self.inner.external_ids(&late.connector, &late.unresolved).await;
                    let mut known = known.unwrap_or_default().into_iter();
                    late.unresolved
                        .retain(|_| known.next().flatten().is_none_or(|known| known.ended.is_some()));
                }
            }
            Bug::TellsAgainTwice => {
                let resolved = self.inner.resolved(None, usize::MAX).await.unwrap_or_default();
                commit.told_again.retain(|told| resolved.contains(told));
            }
            _ => {}
        }
    }
}

impl Late for Broken {
    fn resolved(
        &self,
        after: Option<(ConnectorName, ObjectKey)>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<(ConnectorName, ObjectKey)>> {
        self.inner.resolved(after, limit)
    }

    fn late_bell(&self) -> watch::Receiver<u64> {
        self.inner.late_bell()
    }

    fn ring_late(&self) {
        self.inner.ring_late();
    }
}
