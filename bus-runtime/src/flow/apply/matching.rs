//! Which of the host's objects an external one is.

use bus_core::parts::{Identified, ObjectParts};
use bus_core::{ObjectType, ReferenceTarget, SiteName};
use bus_store::{Claimed, FoundBy, ObjectQuery};

use super::{Application, NotApplied, ended, unreadable};
use crate::flow::change::Stored;

impl Application<'_> {
    /// The existing object that the external one is, where no binding says so: same site, same parent, and the same
    /// GUID or code name; the GUID wins.
    pub(super) async fn matching(
        &self,
        claimed: &Claimed,
        parts: &ObjectParts,
    ) -> Result<Option<Stored>, NotApplied> {
        let translated =
            (parts.identify)(&parts.payload, Identified::New { number: i64::MAX, guid: uuid::Uuid::max() })
                .map_err(|error| ended(claimed, format!("the prepared object cannot be written: {error}")))?;
        let object_type =
            ObjectType::parse(parts.object_type).map_err(|error| ended(claimed, error.to_string()))?;
        let site = translated.site.map(SiteName::parse).transpose();
        let site = site.map_err(|error| ended(claimed, error.to_string()))?;
        let host_id = |target: Option<ReferenceTarget>| match target {
            Some(ReferenceTarget::Host(id)) => Some(id),
            _ => None,
        };
        let parent = host_id(translated.parent);
        let by_guid = parts.guid.map(FoundBy::Guid);
        let by_code_name = translated.code_name.map(FoundBy::CodeName);
        for by in [by_guid, by_code_name].into_iter().flatten() {
            let query = ObjectQuery {
                object_type: object_type.clone(),
                by,
                site: site.clone(),
                parent: parent.clone(),
                group: None,
            };
            if let Some(record) = self.shared.store.find_object(&query).await? {
                return Stored::read(record).map(Some).map_err(|error| unreadable(&error));
            }
        }
        Ok(None)
    }
}
