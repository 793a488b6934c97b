//! What a broken store keeps of what was exchanged.

use bus_core::Timestamp;
use bus_store::{Binding, Commit, Exchange, Exchanged, Said, StoreFuture};

use super::Broken;
use crate::Bug;

impl Broken {
    /// What becomes of what was exchanged before it is written down.
    pub(super) fn spoil_exchange(&self, commit: &mut Commit) {
        if self.bug == Bug::HearsForEver {
            commit.exchanged.retain(|write| !matches!(write.said, Said::Heard { .. }));
        }
    }
}

impl Exchange for Broken {
    fn exchanged(&self, binding: &Binding, key: &str) -> StoreFuture<'_, Exchanged> {
        let exchanged = self.inner.exchanged(binding, key);
        match self.bug {
            Bug::HidesWhatIsClaimed => {
                Box::pin(async { Ok(Exchanged { claimed: Vec::new(), ..exchanged.await? }) })
            }
            _ => exchanged,
        }
    }

    fn forget_sent(&self, before: Timestamp, limit: usize) -> StoreFuture<'_, usize> {
        self.inner.forget_sent(before, limit)
    }
}
