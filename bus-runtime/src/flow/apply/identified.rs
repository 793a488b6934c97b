//! The object that is written: what was prepared, laid over what is there, with the identity that it keeps or is given.

use bus_core::parts::{Identified, ObjectParts};
use bus_core::payload::Payload;
use bus_core::{ListRule, ObjectType, ReferenceTarget};
use bus_store::Claimed;

use super::{Application, NotApplied, ended};
use crate::flow::change::Stored;
use crate::flow::children::{GivenList, take_lists};

impl Application<'_> {
    /// The object as it will be: laid over what is there, of which only what the connector owns is changed, with the
    /// identity of what is there, or a new one. And the child objects that come with it.
    pub(super) async fn identified(
        &self,
        claimed: &Claimed,
        mut parts: ObjectParts,
        existing: Option<&Stored>,
        own: Option<&(ObjectType, String)>,
        owned: Option<&[&str]>,
    ) -> Result<(Stored, Vec<GivenList>), NotApplied> {
        let unwritable =
            |error: String| ended(claimed, format!("the prepared object cannot be written: {error}"));
        let object_type =
            ObjectType::parse(parts.object_type).map_err(|error| unwritable(error.to_string()))?;
        if let (None, Some(repository)) = (existing, self.repository(&object_type)) {
            let new = repository.new_object(&parts.payload, self.shared.new_uuid());
            let new = new.map_err(|error| unwritable(error.to_string()))?;
            let new =
                Stored::of(&self.shared.registry, new).map_err(|error| unwritable(error.to_string()))?;
            return Ok((new, Vec::new()));
        }
        if let (Some(stored), Some(owned)) = (existing, owned) {
            parts.payload = parts.payload.owned_over(stored.payload.clone(), owned);
        }
        parts.payload = self.bound_by_rule(parts.object_type, parts.payload, existing);
        let identity = if let Some(stored) = existing {
            parts.payload = parts.payload.laid_over(stored.payload.clone());
            Identified::Existing { id: stored.record.key.id.clone(), guid: stored.record.guid }
        } else {
            Identified::New {
                number: self.numbers.next(&self.shared.store).await?,
                guid: self.shared.new_uuid(),
            }
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
        let lists = take_lists(&self.shared.registry, after.object_type, &mut after.payload);
        Ok((Stored::of(&self.shared.registry, after).map_err(|error| unwritable(error.to_string()))?, lists))
    }

    /// The prepared object with the bindings that it has by the rule of each list: those that it names, besides those that
    /// are there, or none of its own.
    fn bound_by_rule(&self, object_type: &str, mut payload: Payload, existing: Option<&Stored>) -> Payload {
        let declared = self.shared.registry.object_type(object_type);
        for list in declared.map_or(&[][..], |declared| declared.bindings) {
            match (list.rule, existing) {
                (ListRule::None, _) => payload.drop_list(list.field),
                (ListRule::Incremental, Some(stored)) => {
                    payload = payload.united_with(&stored.payload, list.field);
                }
                (ListRule::Incremental, None) | (ListRule::Complete, _) => {}
            }
        }
        payload
    }
}
