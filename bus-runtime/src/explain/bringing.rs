//! Which delivery brings what another one waits for.

use bus_core::{DeliveryId, DeliveryState, Direction, ObjectKey};
use bus_store::operate::PAGE_ROWS_MAX;
use bus_store::{Awaited, DeliveryFilter, DeliverySummary, QueueId, StoreError};

use crate::bus::Bus;
use crate::flow::keys::{external_id_of_key, incoming_key, object_of_key, outgoing_key};
use crate::flow::page::page_of;
use crate::flow::task_log::is_unordered;
use crate::registry::Roster;

/// How many pages are looked through for an object whose deliveries have a key each.
const PAGES_MAX: usize = 100;

/// Where the delivery stands that brings something, if there is one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) queue: QueueId,
    /// The object type or kind.
    pub(super) subject: String,
    /// The object's id, or the external one.
    pub(super) id: String,
}

impl Place {
    /// Where deliveries about an object of the host stand, or about a page: those of all of its cultures.
    fn of(queue: QueueId, object: &ObjectKey) -> Self {
        let id = match page_of(object) {
            Some((node, _)) => node.to_string(),
            None => object.id.to_string(),
        };
        Self { queue, subject: object.object_type.to_string(), id }
    }

    /// The key that its deliveries have, where order is kept.
    pub(super) fn key(&self) -> String {
        incoming_key(&self.subject, Some(&self.id), None)
    }
}

/// The places where what is awaited would come from.
pub(super) fn places(roster: &Roster, awaited: &Awaited) -> Vec<Place> {
    match awaited {
        Awaited::Bound { connector, object_type, object } => {
            let object = ObjectKey { object_type: object_type.clone(), id: object.clone() };
            vec![Place::of(QueueId::new(connector.clone(), Direction::Outgoing), &object)]
        }
        Awaited::Known { connector, object_type, external_id } => {
            let linked = roster.get(connector).and_then(|enlisted| enlisted.linked);
            let routes = linked.into_iter().flat_map(bus_core::descriptor::ConnectorDescriptor::incoming);
            let of_type = routes
                .filter(|route| route.object_type.is_none_or(|applied| applied == object_type.as_str()));
            let places = of_type.map(|route| Place {
                queue: QueueId::new(connector.clone(), Direction::Incoming),
                subject: route.kind.to_owned(),
                id: external_id.clone(),
            });
            places.collect()
        }
        // The one may come from anywhere; and what the other is about is claimed, so that it waits for nobody.
        Awaited::Exists(_) | Awaited::Page { .. } | Awaited::Settled { .. } => Vec::new(),
    }
}

impl Bus {
    /// The first delivery found that brings one of these.
    pub(super) async fn brought_by(
        &self,
        alternatives: &[Awaited],
    ) -> Result<Option<(Awaited, DeliveryId)>, StoreError> {
        let roster = self.shared.roster();
        for awaited in alternatives {
            if let Awaited::Settled { delivery } = awaited {
                return Ok(Some((awaited.clone(), *delivery)));
            }
            for place in places(&roster, awaited) {
                if let Some(delivery) = self.first_open_at(&roster, &place).await? {
                    return Ok(Some((awaited.clone(), delivery)));
                }
            }
        }
        Ok(None)
    }

    pub(super) async fn first_open_of_object(
        &self,
        queue: &QueueId,
        object: &ObjectKey,
    ) -> Result<Option<DeliveryId>, StoreError> {
        self.first_open_at(&self.shared.roster(), &Place::of(queue.clone(), object)).await
    }

    async fn first_open_at(&self, roster: &Roster, place: &Place) -> Result<Option<DeliveryId>, StoreError> {
        let of_key = self.shared.store.open_of_key(&place.queue, &place.key(), 1).await?;
        if let Some(first) = of_key.first() {
            return Ok(Some(*first));
        }
        if !roster.get(&place.queue.connector).is_some_and(|enlisted| is_unordered(enlisted)) {
            return Ok(None);
        }
        let filter = DeliveryFilter::default();
        let mut first = None;
        self.look_through(&place.queue, filter, |row| {
            let is_it = external_id_of_key(&place.subject, &row.key) == Some(&place.id);
            first = is_it.then_some(row.delivery);
            is_it
        })
        .await?;
        Ok(first)
    }

    /// The delivery of an object that ended last, as far as it is kept.
    pub(super) async fn last_ended_of_object(
        &self,
        queue: &QueueId,
        object: &ObjectKey,
    ) -> Result<Option<DeliveryId>, StoreError> {
        let is_unordered =
            self.shared.roster().get(&queue.connector).is_some_and(|enlisted| is_unordered(enlisted));
        let key = (!is_unordered).then(|| outgoing_key(object, None));
        let mut last = None;
        for state in DeliveryState::FINAL {
            let filter = DeliveryFilter { state: Some(state), key: key.clone(), ..DeliveryFilter::default() };
            self.look_through(queue, filter, |row| {
                if object_of_key(object.object_type.as_str(), &row.key).as_ref() == Some(object) {
                    last = last.max(Some((row.ended_at, row.delivery)));
                }
                false
            })
            .await?;
        }
        Ok(last.map(|(_, delivery)| delivery))
    }

    /// Shows rows, page by page, until one is the one.
    async fn look_through(
        &self,
        queue: &QueueId,
        mut filter: DeliveryFilter,
        mut is_it: impl FnMut(&DeliverySummary) -> bool,
    ) -> Result<(), StoreError> {
        filter.limit = PAGE_ROWS_MAX;
        for _ in 0..PAGES_MAX {
            let page = self.shared.store.deliveries(queue, &filter).await?;
            let Some(last) = page.last() else { return Ok(()) };
            filter.after = Some(last.delivery);
            if page.iter().any(&mut is_it) {
                return Ok(());
            }
        }
        Ok(())
    }
}
