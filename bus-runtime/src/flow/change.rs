//! What happened to one of the host's objects, found by comparing what was with what is.

use bus_core::parts::ObjectParts;
use bus_core::payload::Payload;
use bus_core::{
    ChangeSummary, ConnectorName, DataType, ObjectId, ObjectKey, ObjectOperation, ObjectType,
    ReferenceTarget, SiteName,
};
use bus_store::{ObjectRecord, ObjectWrite, Travel};

use super::versions;
use crate::error::{BusError, BusErrorKind};
use crate::registry::Registry;

/// An object as it is stored, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) record: ObjectRecord,
    pub(crate) payload: Payload,
}

impl Stored {
    /// What a connector is handed of an object that is there.
    pub(crate) fn called_with(&self) -> (ObjectKey, Payload) {
        (self.record.key.clone(), self.payload.clone())
    }

    /// Reads a record of the built-in object store.
    pub(crate) fn read(registry: &Registry, record: ObjectRecord) -> Result<Self, BusError> {
        let object_type = record.key.object_type.as_str();
        let payload = versions::read(registry, object_type, &record.data).map_err(|error| {
            let message = format!("the stored object {} cannot be read: {error}", record.key);
            BusError::new(BusErrorKind::Malformed, message)
        })?;
        Ok(Self { record, payload })
    }

    /// The record of an object that has its identity.
    pub(crate) fn of(registry: &Registry, parts: ObjectParts) -> Result<Self, BusError> {
        let object_type = parts.object_type;
        let malformed = |what: &str, error: String| {
            BusError::new(
                BusErrorKind::Malformed,
                format!("an object of type {object_type} has {what}: {error}"),
            )
        };
        versions::check(registry, object_type, parts.payload.version)
            .map_err(|error| malformed("a former version", error))?;
        let id = parts
            .id
            .ok_or_else(|| malformed("no id", "save it through the bus, or give it one".to_owned()))?;
        let object_type = ObjectType::parse(parts.object_type)
            .map_err(|error| malformed("a bad type", error.to_string()))?;
        let site = parts.site.map(SiteName::parse).transpose();
        let site = site.map_err(|error| malformed("a bad site", error.to_string()))?;
        let data = serde_json::to_vec(&parts.payload)
            .map_err(|error| malformed("fields that JSON cannot hold", error.to_string()))?;
        let record = ObjectRecord {
            key: ObjectKey { object_type, id },
            guid: parts.guid,
            code_name: parts.code_name,
            display_name: parts.display_name,
            site,
            parent: host_id(parts.parent.as_ref()),
            group: host_id(parts.group.as_ref()),
            data,
            version: 0,
        };
        Ok(Self { record, payload: parts.payload })
    }

    /// What is told of it before anybody looks into it.
    pub(crate) fn summary(
        &self,
        operation: ObjectOperation,
        origin: Option<&ConnectorName>,
    ) -> ChangeSummary {
        ChangeSummary {
            object_type: self.record.key.object_type.clone(),
            id: self.record.key.id.clone(),
            operation: operation.into(),
            code_name: self.record.code_name.clone(),
            display_name: self.record.display_name.clone(),
            site: self.record.site.clone(),
            page: None,
            origin: origin.cloned(),
        }
    }
}

/// Where one of the host's objects refers to something by an external id, which it may not.
pub(crate) fn has_external_reference(payload: &Payload) -> Option<&str> {
    let external = |target: &ReferenceTarget| matches!(target, ReferenceTarget::External(_));
    payload.references.iter().find(|reference| external(&reference.target)).map(|found| found.at.as_str())
}

fn host_id(target: Option<&ReferenceTarget>) -> Option<ObjectId> {
    match target {
        Some(ReferenceTarget::Host(id) | ReferenceTarget::Unresolved(id)) => Some(id.clone()),
        Some(ReferenceTarget::External(_)) | None => None,
    }
}

/// What is written together, and what is told of it, in this order.
#[derive(Debug, Default)]
pub(crate) struct ChangeSet {
    pub(crate) writes: Vec<ObjectWrite>,
    pub(crate) changes: Vec<HostChange>,
}

impl ChangeSet {
    /// One write, and the one change that it is.
    pub(crate) fn of(write: ObjectWrite, change: HostChange) -> Self {
        Self { writes: vec![write], changes: vec![change] }
    }

    /// An object, which is in this version when it is written, is added to a site, or removed from it.
    pub(crate) fn assigned(
        stored: &Stored,
        version: i64,
        operation: ObjectOperation,
        site: &SiteName,
        origin: Option<&ConnectorName>,
    ) -> Self {
        let (key, site) = (stored.record.key.clone(), site.clone());
        let change = HostChange::assigned(stored, operation, &site, origin);
        let write = match operation {
            ObjectOperation::RemoveFromSite => ObjectWrite::Unassign { key, site, version },
            _ => ObjectWrite::Assign { key, site, version },
        };
        Self::of(write, change)
    }

    /// This, and then that.
    pub(crate) fn and(mut self, next: Self) -> Self {
        self.writes.extend(next.writes);
        self.changes.extend(next.changes);
        self
    }

    /// Whether there is nothing to be written.
    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// The site that is written: the only thing in it that need not be there.
    pub(crate) fn site(&self) -> Option<&SiteName> {
        self.writes.iter().find_map(|write| match write {
            ObjectWrite::Save { record, .. } => record.site.as_ref(),
            ObjectWrite::Assign { site, .. } => Some(site),
            ObjectWrite::Delete { .. }
            | ObjectWrite::Unassign { .. }
            | ObjectWrite::Check { .. }
            | ObjectWrite::Touch { .. } => None,
        })
    }
}

/// A change of one of the host's objects, before anybody was asked whether they want to know.
#[derive(Debug, Clone)]
pub(crate) struct HostChange {
    /// The object as it was, where it existed: what an update is matched on besides what is.
    pub(crate) before: Option<ChangeSummary>,
    /// The object's fields as they were, where it was updated.
    pub(crate) was: Option<Payload>,
    /// Of a page that was moved: where its pages and those beneath it stood and stand, which it is matched on, too.
    pub(crate) places: Vec<ChangeSummary>,
    pub(crate) summary: ChangeSummary,
    /// The object as it is, or, after a delete, was.
    pub(crate) payload: Payload,
    fields_changed: bool,
    /// Where it stands on its way through several systems; what the host does by itself begins one.
    pub(crate) travel: Travel,
}

impl HostChange {
    /// An object was written. `None` when nothing about it is different.
    pub(crate) fn saved(
        before: Option<&Stored>,
        after: &Stored,
        origin: Option<&ConnectorName>,
    ) -> Option<Self> {
        let Some(before) = before else {
            return Some(Self {
                before: None,
                was: None,
                places: Vec::new(),
                summary: after.summary(ObjectOperation::Create, origin),
                payload: after.payload.clone(),
                fields_changed: true,
                travel: Travel::default(),
            });
        };
        if before.payload == after.payload {
            return None;
        }
        let own_fields = |stored: &Stored| stored.payload.clone().reduced_to(DataType::SimpleSnapshot);
        Some(Self {
            before: Some(before.summary(ObjectOperation::Update, origin)),
            was: Some(before.payload.clone()),
            places: Vec::new(),
            summary: after.summary(ObjectOperation::Update, origin),
            payload: after.payload.clone(),
            fields_changed: own_fields(before) != own_fields(after),
            travel: Travel::default(),
        })
    }

    /// An object was deleted.
    pub(crate) fn deleted(before: &Stored, origin: Option<&ConnectorName>) -> Self {
        Self {
            before: None,
            was: None,
            places: Vec::new(),
            summary: before.summary(ObjectOperation::Delete, origin),
            payload: before.payload.clone(),
            fields_changed: true,
            travel: Travel::default(),
        }
    }

    /// Something beneath an object is different, and nothing of its own: that only concerns those who are told of
    /// children.
    pub(crate) fn beneath(stored: &Stored, origin: Option<&ConnectorName>) -> Self {
        Self {
            before: Some(stored.summary(ObjectOperation::Update, origin)),
            was: Some(stored.payload.clone()),
            places: Vec::new(),
            summary: stored.summary(ObjectOperation::Update, origin),
            payload: stored.payload.clone(),
            fields_changed: false,
            travel: Travel::default(),
        }
    }

    /// An object was added to a site, or removed from it: that site is what it is matched on.
    pub(crate) fn assigned(
        stored: &Stored,
        operation: ObjectOperation,
        site: &SiteName,
        origin: Option<&ConnectorName>,
    ) -> Self {
        let summary = ChangeSummary { site: Some(site.clone()), ..stored.summary(operation, origin) };
        Self {
            before: None,
            was: None,
            places: Vec::new(),
            summary,
            payload: stored.payload.clone(),
            fields_changed: true,
            travel: Travel::default(),
        }
    }

    /// An object as it is, for somebody who is told of it once more.
    pub(crate) fn again(stored: &Stored, operation: ObjectOperation) -> Self {
        let summary = stored.summary(operation, None);
        Self {
            before: None,
            was: None,
            places: Vec::new(),
            summary,
            payload: stored.payload.clone(),
            fields_changed: true,
            travel: Travel::default(),
        }
    }

    /// Something happened to a page, which is this now, or, after a delete, was.
    pub(crate) fn of_page(summary: ChangeSummary, payload: Payload) -> Self {
        Self {
            before: None,
            was: None,
            places: Vec::new(),
            summary,
            payload,
            fields_changed: true,
            travel: Travel::default(),
        }
    }

    /// The page was moved from this path, and these places of its subtree are what it is matched on, too.
    pub(crate) fn moved(mut self, from: &str, places: Vec<ChangeSummary>) -> Self {
        self.places = places;
        self.payload.page = self.payload.page.map(|node| Box::new(node.having_moved(from)));
        self
    }

    /// Whether it concerns somebody who is told this much: a change of the children alone only concerns those who
    /// are told of children.
    pub(crate) fn concerns(&self, data_type: DataType) -> bool {
        self.fields_changed || data_type.has_children()
    }
}
