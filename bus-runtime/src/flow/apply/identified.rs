//! The object that is written: what was prepared, laid over what is there, with the identity that it keeps or is given.

use bus_core::parts::{Identified, ObjectParts};
use bus_core::{ObjectType, ReferenceTarget};
use bus_store::Claimed;

use super::{Application, NotApplied, ended};
use crate::flow::change::Stored;

impl Application<'_> {
    /// The object as it will be: laid over what is there, of which only what the connector owns is changed, with the
    /// identity of what is there, or a new one.
    pub(super) async fn identified(
        &self,
        claimed: &Claimed,
        mut parts: ObjectParts,
        existing: Option<&Stored>,
        own: Option<&(ObjectType, String)>,
        owned: Option<&[&str]>,
    ) -> Result<Stored, NotApplied> {
        let unwritable =
            |error: String| ended(claimed, format!("the prepared object cannot be written: {error}"));
        let identity = match existing {
            Some(stored) => {
                if let Some(owned) = owned {
                    parts.payload = parts.payload.owned_over(stored.payload.clone(), owned);
                }
                parts.payload = parts.payload.laid_over(stored.payload.clone());
                Identified::Existing { id: stored.record.key.id.clone(), guid: stored.record.guid }
            }
            None => Identified::New {
                number: self.numbers.next(&self.shared.store).await?,
                guid: self.shared.new_uuid(),
            },
        };
        let mut after =
            (parts.identify)(&parts.payload, identity).map_err(|error| unwritable(error.to_string()))?;
        if let (Some((own_type, own_id)), Some(id)) = (own, after.id.clone()) {
            let mut to_itself = false;
            for reference in &mut after.payload.references {
                let is_own = reference.object_type == *own_type
                    && reference.target == ReferenceTarget::External(own_id.clone());
                if is_own {
                    reference.target = ReferenceTarget::Host(id.clone());
                    to_itself = true;
                }
            }
            if to_itself {
                let payload = after.payload.with_targets_written();
                let identity = Identified::Existing { id, guid: after.guid };
                after =
                    (parts.identify)(&payload, identity).map_err(|error| unwritable(error.to_string()))?;
            }
        }
        Stored::of(&self.shared.registry, after).map_err(|error| unwritable(error.to_string()))
    }
}
