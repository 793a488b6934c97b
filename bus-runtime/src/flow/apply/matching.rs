//! Which of the host's objects an external one is, where no binding says so: one on the same site, with the same parent,
//! and the same GUID or code name; the GUID wins.

use std::slice;

use bus_core::parts::{Identified, ObjectParts};
use bus_core::{ObjectId, ObjectKey, ObjectType, ReferenceTarget, SiteName};
use bus_store::{Claimed, ExternalId, FoundBy, ObjectQuery};
use uuid::Uuid;

use super::assigned::takes_away;
use super::{Application, NotApplied, ended, unreadable};
use crate::flow::change::Stored;

/// What tells an object from others, apart from its id.
#[derive(Debug, Clone, PartialEq)]
struct Known {
    site: Option<SiteName>,
    parent: Option<ObjectId>,
    /// What the external system calls it; `None` where nothing does.
    external_id: Option<String>,
}

/// By what the host's object was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Guid,
    /// Within site and parent.
    CodeName,
}

/// Whether the object that was found is the prepared one; the reason, where it only looks like it.
fn is_the_same(prepared: &Known, key: &ObjectKey, found: &Known, by: By) -> Result<(), String> {
    if by == By::Guid && found.site != prepared.site {
        let of = |site: &Option<SiteName>| site.as_ref().map_or("none".to_owned(), ToString::to_string);
        return Err(format!(
            "it has the GUID of {key}, whose site is {}, not {}; mend the GUID, or the site",
            of(&found.site),
            of(&prepared.site)
        ));
    }
    if by == By::Guid && found.parent != prepared.parent {
        let of = |parent: &Option<ObjectId>| parent.as_ref().map_or("none".to_owned(), ToString::to_string);
        return Err(format!(
            "it has the GUID of {key}, whose parent is {}, not {}; mend the GUID, or the parent",
            of(&found.parent),
            of(&prepared.parent)
        ));
    }
    match (&found.external_id, &prepared.external_id) {
        (Some(theirs), Some(ours)) if theirs != ours => Err(format!(
            "it matches {key}, which the external system calls `{theirs}` already; unlink that, or mend what identifies \
             one of them"
        )),
        _ => Ok(()),
    }
}

impl Application<'_> {
    /// The existing object that the external one is; what only looks like it ends the task with the reason.
    pub(super) async fn matching(
        &self,
        claimed: &Claimed,
        parts: &ObjectParts,
        external_id: Option<&str>,
    ) -> Result<Option<Stored>, NotApplied> {
        let object_type =
            ObjectType::parse(parts.object_type).map_err(|error| ended(claimed, error.to_string()))?;
        let translated = if let Some(repository) = self.repository(&object_type) {
            repository.new_object(&parts.payload, Uuid::max())
        } else {
            let identity = Identified::New { number: i64::MAX, guid: Uuid::max() };
            (parts.identify)(&parts.payload, identity)
        };
        let translated = translated
            .map_err(|error| ended(claimed, format!("the prepared object cannot be written: {error}")))?;
        let site = translated.site.map(SiteName::parse).transpose();
        let site = site.map_err(|error| ended(claimed, error.to_string()))?;
        let parent = match translated.parent {
            Some(ReferenceTarget::Host(id)) => Some(id),
            _ => None,
        };
        let ways = [
            (By::Guid, parts.guid.map(FoundBy::Guid)),
            (By::CodeName, translated.code_name.map(FoundBy::CodeName)),
        ];
        for (by, found_by) in ways {
            let Some(found_by) = found_by else { continue };
            let query = ObjectQuery {
                object_type: object_type.clone(),
                by: found_by,
                site: site.clone(),
                parent: parent.clone(),
                group: None,
            };
            let Some(record) = self.shared.host().find(&query).await? else { continue };
            let key = record.key.clone();
            let bound = self.shared.store.external_ids(&self.enlisted.record.name, slice::from_ref(&key));
            let found = Known {
                site: record.site.clone(),
                parent: record.parent.clone(),
                external_id: bound.await?.into_iter().flatten().find_map(ExternalId::of_living),
            };
            let external_id = external_id.map(str::to_owned);
            let judged = is_the_same(&Known { site, parent, external_id }, &key, &found, by);
            return match judged {
                Ok(()) => {
                    Stored::read(&self.shared.registry, record).map(Some).map_err(|error| unreadable(&error))
                }
                // What is to be deleted, or to leave a site, is not this one: it is not there.
                Err(_) if takes_away(claimed.operation) => Ok(None),
                Err(reason) => Err(ended(claimed, reason)),
            };
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(site: &str, parent: i64, external_id: &str) -> Known {
        Known {
            site: (!site.is_empty()).then(|| SiteName::parse(site).unwrap()),
            parent: (parent != 0).then_some(ObjectId::Number(parent)),
            external_id: (!external_id.is_empty()).then(|| external_id.to_owned()),
        }
    }

    #[test]
    fn what_looks_the_same_is_the_same_only_where_nothing_contradicts_it() {
        let key = ObjectKey { object_type: "app.user".parse().unwrap(), id: ObjectId::Number(17) };
        let same = "";
        for (by, prepared, found, reason) in [
            (By::Guid, known("", 0, "003"), known("", 0, ""), same),
            (By::Guid, known("", 0, "003"), known("", 0, "003"), same),
            (By::Guid, known("", 0, ""), known("", 0, "004"), same),
            (By::Guid, known("corp", 5, "003"), known("corp", 5, ""), same),
            (By::Guid, known("branch", 0, "003"), known("corp", 0, ""), "whose site is corp, not branch"),
            (By::Guid, known("", 0, "003"), known("corp", 0, ""), "whose site is corp, not none"),
            (By::Guid, known("corp", 0, "003"), known("", 0, ""), "whose site is none, not corp"),
            (By::Guid, known("", 5, "003"), known("", 6, ""), "whose parent is 6, not 5"),
            (By::Guid, known("", 0, "003"), known("", 6, ""), "whose parent is 6, not none"),
            (By::Guid, known("", 0, "003"), known("", 0, "004"), "calls `004` already"),
            (By::CodeName, known("", 0, "003"), known("", 0, ""), same),
            (By::CodeName, known("corp", 5, "003"), known("corp", 5, "003"), same),
            (By::CodeName, known("", 0, "003"), known("", 0, "004"), "calls `004` already"),
            (By::CodeName, known("", 0, ""), known("", 0, "004"), same),
        ] {
            let judged = is_the_same(&prepared, &key, &found, by);
            let said = judged.err().unwrap_or_default();
            assert_eq!(said.is_empty(), reason.is_empty(), "{by:?} {prepared:?} {found:?}: {said}");
            assert!(said.contains(reason), "{by:?} {prepared:?} {found:?}: {said}");
        }
    }
}
