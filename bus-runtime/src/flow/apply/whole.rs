//! Objects with their children, as what was told of them is compared with what has come.

use bus_core::Subject;
use bus_store::Claimed;

use super::{Application, NotApplied, refused};
use crate::flow::change::{ChangeSet, Stored};
use crate::flow::children::{Pending, snapshot};
use crate::flow::echo::travels_both_ways;

impl Application<'_> {
    /// The object as it is, and as it will be, each with the children beneath it. `None` where its type has none, or where
    /// nothing that was told can come back.
    pub(super) async fn with_children(
        &self,
        claimed: &Claimed,
        existing: Option<&Stored>,
        after: &Stored,
        beneath: &ChangeSet,
    ) -> Result<Option<(Option<Stored>, Stored)>, NotApplied> {
        let object_type = &after.record.key.object_type;
        if self.shared.registry.child_lists(object_type.as_str()).is_empty()
            || !travels_both_ways(self.linked, Subject::Objects, object_type.as_str())
        {
            return Ok(None);
        }
        let was = match existing {
            Some(stored) => Some(self.whole(claimed, stored, &Pending::default()).await?),
            None => None,
        };
        Ok(Some((was, self.whole(claimed, after, &Pending::of(&beneath.writes)).await?)))
    }

    async fn whole(
        &self,
        claimed: &Claimed,
        stored: &Stored,
        pending: &Pending,
    ) -> Result<Stored, NotApplied> {
        let payload = snapshot(self.shared, &stored.record.key, stored.payload.clone(), pending).await;
        let payload = payload.map_err(|error| refused(claimed, error))?;
        Ok(Stored { record: stored.record.clone(), payload })
    }
}
