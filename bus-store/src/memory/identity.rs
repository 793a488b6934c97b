//! The identity map, in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bus_core::{ConnectorName, ObjectId, ObjectKey, ObjectType, TaskId, Timestamp};

use super::MemoryStore;
use crate::StoreFuture;
use crate::identity::{Binding, ExternalId, Identity, Missing};

impl Identity for MemoryStore {
    fn external_ids(
        &self,
        connector: &ConnectorName,
        objects: &[ObjectKey],
    ) -> StoreFuture<'_, Vec<Option<ExternalId>>> {
        let (connector, objects) = (connector.clone(), objects.to_vec());
        self.with("external ids", move |state| {
            let known = |object| state.bindings.external_id(&connector, object).cloned();
            Ok(objects.iter().map(known).collect())
        })
    }

    fn host_ids(
        &self,
        connector: &ConnectorName,
        external: &[(ObjectType, String)],
    ) -> StoreFuture<'_, Vec<Option<ObjectId>>> {
        let (connector, external) = (connector.clone(), external.to_vec());
        self.with("host ids", move |state| {
            let known = |external| {
                let object = state.bindings.living(&connector, external)?;
                state.may_be_there(&object).then_some(object.id)
            };
            Ok(external.iter().map(known).collect())
        })
    }

    fn gone_host_id(
        &self,
        connector: &ConnectorName,
        object_type: &ObjectType,
        external_id: &str,
    ) -> StoreFuture<'_, Option<ObjectId>> {
        let (connector, external) = (connector.clone(), (object_type.clone(), external_id.to_owned()));
        self.with("gone host id", move |state| {
            let object = state.bindings.object(&connector, &external);
            let known = |object: &ObjectKey| state.bindings.external_id(&connector, object);
            let gone = object.filter(|object| known(object).is_some_and(|known| known.ended.is_some()));
            Ok(gone.map(|object| object.id))
        })
    }

    fn bindings(
        &self,
        connector: &ConnectorName,
        after: Option<(ObjectType, String)>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<Binding>> {
        let connector = connector.clone();
        self.with("bindings", move |state| {
            let after = after.map_or(Bound::Unbounded, Bound::Excluded);
            let page = state.bindings.by_external.get(&connector).into_iter();
            let page =
                page.flat_map(|external| external.range((after.clone(), Bound::Unbounded))).take(limit);
            let bindings = page.map(|((object_type, external_id), id)| Binding {
                connector: connector.clone(),
                object: ObjectKey { object_type: object_type.clone(), id: id.clone() },
                external_id: external_id.clone(),
            });
            Ok(bindings.collect())
        })
    }

    fn missing(
        &self,
        connector: &ConnectorName,
        object_type: &ObjectType,
        present: BTreeSet<String>,
        before: Timestamp,
    ) -> StoreFuture<'_, Missing> {
        let (connector, object_type) = (connector.clone(), object_type.clone());
        self.with("missing", move |state| {
            let mut found = Missing::default();
            let all = state.bindings.by_external.get(&connector).into_iter().flatten();
            for ((_, external_id), _) in all.filter(|((of_type, _), _)| *of_type == object_type) {
                let external = (object_type.clone(), external_id.clone());
                let is_living = state.bindings.living(&connector, &external).is_some();
                let made_at = state.bindings.made_at.get(&(connector.clone(), external));
                if is_living && made_at.is_some_and(|at| *at < before) {
                    found.bound += 1;
                    found.missing.extend((!present.contains(external_id)).then(|| external_id.clone()));
                }
            }
            Ok(found)
        })
    }
}

/// The bindings, from both sides. The two maps always say the same.
#[derive(Debug, Default)]
pub(super) struct BindingTable {
    by_object: BTreeMap<ObjectKey, BTreeMap<ConnectorName, ExternalId>>,
    by_external: BTreeMap<ConnectorName, BTreeMap<(ObjectType, String), ObjectId>>,
    /// Since when each of them says what it says.
    made_at: BTreeMap<(ConnectorName, (ObjectType, String)), Timestamp>,
}

impl BindingTable {
    /// Writes a binding in the place of whatever contradicts it.
    pub(super) fn bind(&mut self, binding: Binding, now: Timestamp) {
        let Binding { connector, object, external_id } = binding;
        let former = self.external_id(&connector, &object);
        let is_known = former.is_some_and(|former| former.ended.is_none() && former.id == external_id);
        let place = (connector.clone(), (object.object_type.clone(), external_id.clone()));
        let since = former.and_then(|former| former.ended.or(former.since));
        let made_at = self.made_at.get(&place).filter(|_| is_known).copied().unwrap_or(now);
        self.made_at.insert(place, made_at);
        self.unbind(&connector, &object);
        let external = (object.object_type.clone(), external_id.clone());
        if let Some(former) = self.object(&connector, &external) {
            self.unbind(&connector, &former);
        }
        self.by_external.entry(connector.clone()).or_default().insert(external, object.id.clone());
        let external_id = ExternalId { id: external_id, ended: None, since };
        self.by_object.entry(object).or_default().insert(connector, external_id);
    }

    /// What a binding contradicts, unless that is of an object that is gone.
    pub(super) fn contradicted(
        &self,
        binding: &Binding,
        is_there: impl Fn(&ObjectKey) -> bool,
    ) -> Option<Binding> {
        let Binding { connector, object, external_id } = binding;
        let of_object = self.external_id(connector, object).filter(|known| known.ended.is_none());
        let other = of_object.filter(|known| known.id != *external_id);
        if let Some(other) = other {
            return Some(Binding { external_id: other.id.clone(), ..binding.clone() });
        }
        let former = self.living(connector, &(object.object_type.clone(), external_id.clone()))?;
        (former != *object && is_there(&former)).then(|| Binding { object: former, ..binding.clone() })
    }

    /// The object is gone, or was already: its bindings are those of the tasks up to this one.
    pub(super) fn end(&mut self, object: &ObjectKey, last: TaskId, was_gone: bool) {
        for external_id in self.by_object.get_mut(object).into_iter().flat_map(BTreeMap::values_mut) {
            if was_gone || external_id.ended.is_none() {
                external_id.ended = Some(last);
            }
        }
    }

    /// Ends this binding, if it is still what is known; whether it was.
    pub(super) fn unbind_exactly(&mut self, binding: &Binding) -> bool {
        let Binding { connector, object, external_id } = binding;
        let is_known = self.external_id(connector, object).is_some_and(|known| known.id == *external_id);
        is_known && self.unbind(connector, object)
    }

    /// Ends the binding of an object; whether there was one.
    pub(super) fn unbind(&mut self, connector: &ConnectorName, object: &ObjectKey) -> bool {
        let of_object = self.by_object.get_mut(object);
        let Some(external_id) = of_object.and_then(|of_object| of_object.remove(connector)) else {
            return false;
        };
        if let Some(of_connector) = self.by_external.get_mut(connector) {
            of_connector.remove(&(object.object_type.clone(), external_id.id));
        }
        true
    }

    /// What the connector's external system calls this object.
    pub(super) fn external_id(&self, connector: &ConnectorName, object: &ObjectKey) -> Option<&ExternalId> {
        self.by_object.get(object)?.get(connector)
    }

    /// Which object this external id is bound to, unless that was deleted.
    pub(super) fn living(
        &self,
        connector: &ConnectorName,
        external: &(ObjectType, String),
    ) -> Option<ObjectKey> {
        let object = self.object(connector, external)?;
        self.external_id(connector, &object).filter(|known| known.ended.is_none())?;
        Some(object)
    }

    /// Which object this external id is bound to, whether or not the object exists.
    fn object(&self, connector: &ConnectorName, external: &(ObjectType, String)) -> Option<ObjectKey> {
        let id = self.by_external.get(connector)?.get(external)?.clone();
        Some(ObjectKey { object_type: external.0.clone(), id })
    }

    /// What one object is called, by whichever connector.
    pub(super) fn of_object(
        &self,
        object: &ObjectKey,
    ) -> impl Iterator<Item = (&ConnectorName, &ExternalId)> {
        self.by_object.get(object).into_iter().flatten()
    }
}
