//! Deliveries that wait for each other: nothing of them would ever move.

use std::collections::HashSet;
use std::fmt;

use bus_core::DeliveryId;
use bus_store::{Awaited, QueueId, StoreError};

use super::bringing::{Place, places};
use super::tell::name_of;
use crate::shared::Shared;

/// How many keys are looked at.
const KEYS_MAX: usize = 100;

/// Deliveries that wait for each other. Prints as what is said of the first of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cycle {
    /// What each waits for, and by which delivery it would come; the last one is the delivery that is about to wait.
    links: Way,
}

/// From wait to wait: what is awaited, and the waiting delivery that would bring it, once that is known.
type Way = Vec<(Awaited, Option<DeliveryId>)>;

/// Whether a delivery of this key that begins to wait for this would wait for itself: over any number of others, each the
/// first of its key and waiting for the next. Looks at up to 100 keys, each at a fixed cost. Where no order is kept keys
/// tell nothing, and none is found.
pub(crate) async fn cycle_of(
    shared: &Shared,
    queue: &QueueId,
    key: &str,
    awaited: &[Awaited],
) -> Result<Option<Cycle>, StoreError> {
    let roster = shared.roster();
    let mut looked_at: HashSet<Place> = HashSet::new();
    // Each place to look at, with the way to it.
    let mut ways: Vec<(Place, Way)> = Vec::new();
    let go_on = |ways: &mut Vec<(Place, Way)>, awaited: &[Awaited], way: &Way| {
        for awaited in awaited.iter().rev() {
            for place in places(&roster, awaited) {
                let mut way = way.clone();
                way.push((awaited.clone(), None));
                ways.push((place, way));
            }
        }
    };
    go_on(&mut ways, awaited, &Way::new());
    while let Some((place, mut way)) = ways.pop() {
        if place.queue == *queue && place.key() == key {
            return Ok(Some(Cycle { links: way }));
        }
        if looked_at.len() == KEYS_MAX || !looked_at.insert(place.clone()) {
            continue;
        }
        if let Some(waiting) = shared.store.awaited_by_key(&place.queue, &place.key()).await? {
            if let Some(last) = way.last_mut() {
                last.1 = Some(waiting.delivery);
            }
            go_on(&mut ways, &waiting.awaited, &way);
        }
    }
    Ok(None)
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it waits for ")?;
        for (awaited, brought_by) in &self.links {
            f.write_str(&name_of(awaited))?;
            if let Some(delivery) = brought_by {
                write!(f, ", which delivery {delivery} brings, which waits for ")?;
            }
        }
        f.write_str(", which is itself: they wait for each other; end one of them")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Bus;
    use crate::config::{Config, StoreConfig};
    use bus_core::{DataType, Direction, ErrorPolicy, ObjectId, ObjectOperation, Timestamp};
    use bus_store::{Acquired, Commit, NewDelivery, NewTask, Outcome, Settlement, Terms, Travel, Wanted};

    fn queue() -> QueueId {
        QueueId::new("crm".parse().unwrap(), Direction::Outgoing)
    }

    fn user(id: i64) -> Awaited {
        Awaited::Bound {
            connector: queue().connector,
            object_type: "app.user".parse().unwrap(),
            object: ObjectId::Number(id),
        }
    }

    /// Logs an update of each of these users, and lets it wait for those.
    async fn waiting(users: impl IntoIterator<Item = (i64, Vec<Awaited>)>) -> Bus {
        let bus = crate::start(Config::new(StoreConfig::Memory)).await.unwrap();
        let store = &bus.shared.store;
        let Acquired::Owned(ownership) =
            store.acquire(&queue(), Terms::default(), Timestamp::EPOCH).await.unwrap()
        else {
            panic!("the queue is nobody's");
        };
        for (id, awaited) in users {
            let delivery = NewDelivery {
                connector: queue().connector,
                data_type: DataType::Snapshot,
                policy: ErrorPolicy::Default,
                idempotency_key: uuid::Uuid::nil(),
            };
            let mut logged = Commit::at(Timestamp::EPOCH);
            logged.tasks.push(NewTask {
                direction: Direction::Outgoing,
                subject: "app.user".to_owned(),
                key: format!("app.user={id}"),
                operation: ObjectOperation::Update,
                title: String::new(),
                data: Vec::new(),
                content_type: String::new(),
                site: None,
                origin: None,
                logged_at: Timestamp::EPOCH,
                redelivers: None,
                idempotency: None,
                travel: Travel::default(),
                deliveries: vec![delivery],
            });
            store.commit(logged).await.unwrap();
            let claim = store.claim(&ownership, Wanted::up_to(1), Timestamp::EPOCH).await.unwrap();
            let outcome =
                Outcome::Waiting { awaited, due: Timestamp::from_micros(i64::MAX), reason: String::new() };
            let mut settled = Commit::at(Timestamp::EPOCH);
            settled.ownership = Some(ownership.clone());
            settled.settlements.push(Settlement { delivery: claim.deliveries[0].delivery, outcome });
            store.commit(settled).await.unwrap();
        }
        bus
    }

    async fn cycle(bus: &Bus, id: i64, awaited: &[Awaited]) -> Option<String> {
        let cycle = cycle_of(&bus.shared, &queue(), &format!("app.user={id}"), awaited).await.unwrap();
        cycle.map(|cycle| cycle.to_string())
    }

    #[tokio::test]
    async fn a_wait_that_leads_back_to_itself_is_found_with_its_chain() {
        let bus = waiting([(2, vec![user(7), user(3)]), (3, vec![user(1)])]).await;
        assert_eq!(
            cycle(&bus, 1, &[user(8), user(2)]).await.as_deref(),
            Some(
                "it waits for app.user 2, which delivery 1 brings, which waits for app.user 3, which delivery 2 brings, \
                 which waits for app.user 1, which is itself: they wait for each other; end one of them"
            )
        );
        assert_eq!(cycle(&bus, 4, &[user(2)]).await, None, "one that only others go round in is theirs");
        bus.shutdown().await;
    }

    #[tokio::test]
    async fn a_long_chain_is_followed_a_hundred_keys_far() {
        let chain = |length: i64| waiting((2..=length).map(move |id| (id, vec![user(id % length + 1)])));
        let bus = chain(KEYS_MAX.try_into().unwrap()).await;
        assert!(cycle(&bus, 1, &[user(2)]).await.is_some());
        let bus = chain((KEYS_MAX + 2).try_into().unwrap()).await;
        assert!(cycle(&bus, 1, &[user(2)]).await.is_none());
    }
}
