//! An update of an object that its external system has deleted before it was told.

use bus_core::{ObjectKey, ObjectOperation};
use bus_store::{Binding, Claimed, Outcome, StoreError};

use super::Worker;
use super::batch::Effect;
use crate::flow::translation::ExternalIds;

/// The most deliveries behind it that are looked at.
const LOOKED_AT_MAX: usize = 1_000;

impl Worker {
    /// What becomes of an update whose object is gone without its connector being told of that: the external system has
    /// deleted it itself, so that nobody there is left to be told. `None` for any other delivery.
    pub(super) async fn told_to_nobody(
        &self,
        claimed: &Claimed,
        key: &ObjectKey,
        known: &ExternalIds,
    ) -> Result<Option<(Outcome, Vec<Effect>)>, StoreError> {
        if claimed.operation != ObjectOperation::Update {
            return Ok(None);
        }
        let Some(external_id) = known.of_gone(key, claimed.task) else { return Ok(None) };
        let store = &self.shared.store;
        let open = store.open_of_key(&self.queue, &claimed.key, LOOKED_AT_MAX).await?;
        let last = open.into_iter().next_back().filter(|last| *last != claimed.delivery);
        if let Some(last) = last
            && store.delivery(last).await?.is_some_and(|last| last.operation.is_delete())
        {
            return Ok(None);
        }
        let connector = self.queue.connector.clone();
        let error = format!("{key} was deleted at {connector} before this was told there");
        // Those behind it are to find the same.
        let binding = Binding { connector, object: key.clone(), external_id };
        let effects = if last.is_none() { vec![Effect::Unbound(binding)] } else { Vec::new() };
        Ok(Some((Outcome::Discarded { error }, effects)))
    }
}
