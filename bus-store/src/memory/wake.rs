//! The doorbell, in memory, and who waits for what.

use std::collections::{BTreeSet, HashMap};

use bus_core::page::{PAGE, page_id};
use bus_core::{Culture, DeliveryId, ObjectKey, ObjectType};
use tokio::sync::watch;
use uuid::Uuid;

use super::queue::Row;
use super::{MemoryStore, State};
use crate::identity::Binding;
use crate::objects::{FoundBy, ObjectQuery, ObjectRecord};
use crate::queue::{Awaited, QueueId};
use crate::wake::Wake;

impl Wake for MemoryStore {
    fn doorbell(&self, queue: &QueueId) -> watch::Receiver<u64> {
        self.0.doorbell.listen(queue)
    }

    fn ring(&self, queue: &QueueId) {
        self.0.doorbell.ring(queue);
    }
}

/// Which deliveries wait for what.
#[derive(Debug, Default)]
pub(super) struct Waits(HashMap<Awaited, BTreeSet<Waiter>>);

/// A delivery, and the queue that it is in.
pub(super) type Waiter = (QueueId, DeliveryId);

impl Waits {
    pub(super) fn begin(&mut self, waiter: &Waiter, awaited: &[Awaited]) {
        for awaited in awaited {
            self.0.entry(as_registered(awaited.clone())).or_default().insert(waiter.clone());
        }
    }

    pub(super) fn end(&mut self, waiter: &Waiter, awaited: &[Awaited]) {
        for awaited in awaited {
            let awaited = as_registered(awaited.clone());
            if let Some(waiters) = self.0.get_mut(&awaited) {
                waiters.remove(waiter);
                if waiters.is_empty() {
                    self.0.remove(&awaited);
                }
            }
        }
    }

    fn of(&self, awaited: Awaited) -> impl Iterator<Item = Waiter> {
        self.0.get(&as_registered(awaited)).into_iter().flatten().cloned()
    }
}

/// What is found by GUID is found wherever it belongs: registered without where that is.
fn as_registered(awaited: Awaited) -> Awaited {
    match awaited {
        Awaited::Exists(ObjectQuery { object_type, by: by @ FoundBy::Guid(_), .. }) => {
            Awaited::Exists(ObjectQuery { object_type, by, site: None, parent: None, group: None })
        }
        other => other,
    }
}

impl State {
    /// Whether what is awaited is there.
    pub(super) fn is_met(&self, awaited: &Awaited) -> bool {
        match awaited {
            Awaited::Bound { connector, object_type, object } => {
                let key = ObjectKey { object_type: object_type.clone(), id: object.clone() };
                self.bindings.external_id(connector, &key).is_some_and(|known| known.ended.is_none())
            }
            Awaited::Known { connector, object_type, external_id } => {
                let external = (object_type.clone(), external_id.clone());
                let object = self.bindings.living(connector, &external);
                object.is_some_and(|object| self.may_be_there(&object))
            }
            Awaited::Exists(query) => self.objects.find(query).is_some(),
            Awaited::Settled { delivery } => {
                let queue = self.queue_of.get(delivery).and_then(|queue| self.queues.get(queue));
                queue.and_then(|queue| queue.rows.get(delivery)).is_none_or(Row::is_settled)
            }
            Awaited::Page { node, culture } => self.pages.is_there(*node, culture.as_ref()),
        }
    }

    /// Who may be waiting for the outcome of a delivery.
    pub(super) fn waiters_for_outcome(&self, delivery: DeliveryId) -> impl Iterator<Item = Waiter> {
        self.waits.of(Awaited::Settled { delivery })
    }

    /// Who may be waiting for a binding that was written.
    pub(super) fn waiters_for_binding(&self, binding: &Binding) -> BTreeSet<Waiter> {
        let Binding { connector, object, external_id } = binding;
        let bound = Awaited::Bound {
            connector: connector.clone(),
            object_type: object.object_type.clone(),
            object: object.id.clone(),
        };
        let known = Awaited::Known {
            connector: connector.clone(),
            object_type: object.object_type.clone(),
            external_id: external_id.clone(),
        };
        self.waits.of(bound).chain(self.waits.of(known)).collect()
    }

    /// Who may be waiting for a page that was written: for itself, for its node, or under an external id that is bound to it
    /// already.
    pub(super) fn waiters_for_page(&self, node: Uuid, culture: &Culture) -> BTreeSet<Waiter> {
        let of = |culture| Awaited::Page { node, culture };
        let mut awaited = vec![of(None), of(Some(culture.clone()))];
        if let Ok(object_type) = ObjectType::parse(PAGE) {
            let key = ObjectKey { object_type, id: page_id(node, culture.as_str()) };
            awaited.extend(self.known_as(&key));
        }
        awaited.into_iter().flat_map(|awaited| self.waits.of(awaited)).collect()
    }

    /// The external ids that something is bound to.
    fn known_as<'s>(&'s self, key: &'s ObjectKey) -> impl Iterator<Item = Awaited> + 's {
        self.bindings.of_object(key).map(|(connector, external_id)| Awaited::Known {
            connector: connector.clone(),
            object_type: key.object_type.clone(),
            external_id: external_id.id.clone(),
        })
    }

    /// Who may be waiting for an object that was written: under its GUID, its code name, or an external id that is
    /// bound to it already.
    pub(super) fn waiters_for_object(&self, key: &ObjectKey) -> BTreeSet<Waiter> {
        let Some(record) = self.objects.get(key) else {
            return BTreeSet::new();
        };
        let awaited = queries_for(record).map(Awaited::Exists).chain(self.known_as(key));
        awaited.flat_map(|awaited| self.waits.of(awaited)).collect()
    }
}

/// The queries that find this object.
fn queries_for(record: &ObjectRecord) -> impl Iterator<Item = ObjectQuery> {
    let query = |by, group| ObjectQuery {
        object_type: record.key.object_type.clone(),
        by,
        site: record.site.clone(),
        parent: record.parent.clone(),
        group,
    };
    let by_guid = record.guid.map(|guid| query(FoundBy::Guid(guid), None));
    let by_code_name = record.code_name.iter().flat_map(move |code_name| {
        // With its group, and without asking for one.
        [record.group.clone(), None].map(|group| query(FoundBy::CodeName(code_name.clone()), group))
    });
    by_guid.into_iter().chain(by_code_name)
}
