//! Redelivering what has ended: a new delivery at the end of its key, never the old one again.

mod page;

use bus_core::{DeliveryId, Direction, ObjectKey, ObjectOperation, Operation, TaskId};
use bus_store::{
    Commit, DeliveryDetail, Expected, ExternalId, NewDelivery, NewTask, ObjectWrite, Redelivery, StoreError,
    StoreErrorKind, Travel,
};

use super::Operator;
use crate::Result;
use crate::bus::Bus;
use crate::error::{BusError, BusErrorKind};
use crate::flow::again;
use crate::flow::assignment::is_still_so;
use crate::flow::change::Stored;
use crate::flow::keys::{external_id_of_key, incoming_key, object_of_key, outgoing_key};
use crate::flow::task_log::is_unordered;
use crate::registry::Enlisted;
use crate::sites;

/// How often it starts over when somebody else changed the object in between.
const CONFLICTS_MAX: usize = 10;

impl Bus {
    /// Delivers once more what has ended, however it ended: a new task with one delivery for the same connector, at the
    /// end of its key, with an idempotency key of its own and a link to the old one. The old one stays as it is.
    ///
    /// - An outgoing one carries the object as it is now, taken from the built-in object store: an old version never
    ///   follows a newer one. It is an update, unless the external system does not know the object and the old one was
    ///   not an update either: then it is a create.
    /// - One that is about a site carries it, too, and stays what it was while the object is, or is not, on that site;
    ///   else it is an update.
    /// - A page is the page as it is now, too: what happened to it stays what it was while that is so (a page that was published
    ///   is published still), else it is an update.
    /// - Where the object is gone, only its delete can be redelivered, with the data that it had.
    /// - An incoming one carries the bytes as they were received then. What has come in since is overwritten with them.
    ///
    /// Listeners are not asked: nothing has changed. Who asked and why is kept with the new one.
    ///
    /// # Errors
    ///
    /// `WrongState` while it is open; `NotFound` when it is not kept any more, or its object is gone;
    /// `UnknownConnector`, `ConnectorUnable`, `SwitchedOff`, `UnknownSite` as for anything that is logged; `BadName` for an operator
    /// without a name; `TooLarge`, `Conflict`, `Store`.
    pub async fn redeliver(&self, delivery: DeliveryId, by: &Operator) -> Result<TaskId> {
        by.check()?;
        let ended = self.delivery(delivery).await?;
        let state = ended.summary.state;
        if !state.is_final() {
            let message = format!(
                "delivery {delivery} is {state}, and only what has ended is redelivered; retry it, or end it first"
            );
            return Err(BusError::new(BusErrorKind::WrongState, message));
        }
        let roster = self.shared.roster();
        let queue = &ended.summary.queue;
        let Some(enlisted) = roster.get(&queue.connector) else {
            let message = format!(
                "delivery {delivery} was for connector {}, which is not registered any more; register it, then redeliver",
                queue.connector
            );
            return Err(BusError::new(BusErrorKind::UnknownConnector, message));
        };
        self.check_logs(enlisted, queue.direction)?;
        let mut conflict = None;
        for _ in 0..CONFLICTS_MAX {
            let commit = match queue.direction {
                Direction::Outgoing => self.outgoing_again(&ended, enlisted, by).await?,
                Direction::Incoming => self.incoming_again(&ended, enlisted, by),
            };
            match (self.shared.store.commit(commit).await, &ended.site) {
                (Ok(committed), _) => {
                    let Some(task) = committed.tasks.first().copied() else { break };
                    tracing::info!(
                        by = %by.name, reason = by.reason.as_deref(), %delivery, %task, "an operator redelivers"
                    );
                    return Ok(task);
                }
                (Err(error), _) if error.kind() == StoreErrorKind::Conflict => conflict = Some(error),
                // Only an incoming one names a site that need not be there any more.
                (Err(error), Some(site)) if error.kind() == StoreErrorKind::NotFound => {
                    let what = format!("redeliver delivery {delivery}");
                    return Err(sites::unknown(&self.shared, &what, site).await);
                }
                (Err(error), _) => return Err(failed(delivery, error)),
            }
        }
        let error = conflict.unwrap_or_else(|| {
            StoreError::new(StoreErrorKind::Unavailable, "commit", "the task was given no id; report this")
        });
        Err(failed(delivery, error))
    }

    fn check_logs(&self, enlisted: &Enlisted, direction: Direction) -> Result<()> {
        let switches = self.switches();
        let (logs, switch) = match direction {
            Direction::Outgoing => (switches.log_outgoing, "log_outgoing"),
            Direction::Incoming => (switches.log_incoming, "log_incoming"),
        };
        if !(switches.bus && logs) {
            let message = format!(
                "the logging of {direction} tasks is switched off; switch `{switch}` (and `bus`) on, then redeliver"
            );
            return Err(BusError::new(BusErrorKind::SwitchedOff, message));
        }
        if !enlisted.logs() {
            let name = &enlisted.record.name;
            let message = format!("connector {name} logs nothing; link and enable it, then redeliver");
            return Err(BusError::new(BusErrorKind::ConnectorUnable, message));
        }
        Ok(())
    }

    async fn outgoing_again(
        &self,
        ended: &DeliveryDetail,
        enlisted: &Enlisted,
        by: &Operator,
    ) -> Result<Commit> {
        if let Operation::Page(operation) = ended.operation {
            return self.page_again(ended, operation, enlisted, by).await;
        }
        let shared = &self.shared;
        let delivery = ended.summary.delivery;
        let Some(key) = object_of_key(&ended.subject, &ended.summary.key) else {
            let message =
                format!("`{}` is not the key of an object; it cannot be redelivered", ended.summary.key);
            return Err(BusError::new(BusErrorKind::Malformed, message));
        };
        let own = is_unordered(enlisted).then(|| shared.new_uuid());
        let deliveries = vec![self.again(ended)];
        let mut commit = Commit::at(shared.now());
        let found = shared.host().object(&key).await;
        let found =
            found.map_err(|error| BusError::host(&format!("redeliver delivery {delivery}"), error))?;
        let task = if let Some(record) = found {
            let live = Stored::read(&shared.registry, record)?;
            let operation = self.operation_again(ended, enlisted, &key).await?;
            let mut change = live.summary(operation, ended.origin.as_ref());
            if operation.is_of_site() {
                change.site.clone_from(&ended.site);
            }
            let (write, task) =
                again::as_it_is(shared, live, &change, ended.data_type, own, deliveries).await?;
            commit.objects.extend(write);
            task
        } else if ended.operation == ObjectOperation::Delete {
            commit.objects.push(ObjectWrite::Delete { key: key.clone(), expected: Expected::Absent });
            let key = outgoing_key(&key, own);
            NewTask { key, deliveries, ..self.as_stored(ended) }
        } else {
            let message = format!(
                "delivery {delivery} cannot be redelivered: {key} is gone, and only its delete can be delivered still; \
                 redeliver that, if there is one"
            );
            return Err(BusError::new(BusErrorKind::NotFound, message));
        };
        commit.tasks.push(NewTask { redelivers: Some(redelivery(delivery, by)), ..task });
        Ok(commit)
    }

    /// What is about a site stays so while it is true; else a create or an update, by what the external system knows.
    async fn operation_again(
        &self,
        ended: &DeliveryDetail,
        enlisted: &Enlisted,
        key: &ObjectKey,
    ) -> Result<ObjectOperation> {
        let operation = ObjectOperation::from(ended.operation);
        let is_so = is_still_so(&self.shared, key, operation, ended.site.as_ref()).await;
        if is_so.map_err(|error| failed(ended.summary.delivery, error))? {
            return Ok(operation);
        }
        let known = self.shared.store.external_ids(&enlisted.record.name, std::slice::from_ref(key)).await;
        let known = known.map_err(|error| failed(ended.summary.delivery, error))?;
        let is_known = known.into_iter().flatten().find_map(ExternalId::of_living).is_some();
        let was_there = operation == ObjectOperation::Update || operation.is_of_site();
        Ok(if is_known || was_there { ObjectOperation::Update } else { ObjectOperation::Create })
    }

    fn incoming_again(&self, ended: &DeliveryDetail, enlisted: &Enlisted, by: &Operator) -> Commit {
        let key = external_id_of_key(&ended.subject, &ended.summary.key);
        let own = (key.is_none() || is_unordered(enlisted)).then(|| self.shared.new_uuid());
        let mut commit = Commit::at(self.shared.now());
        commit.tasks.push(NewTask {
            key: incoming_key(&ended.subject, key, own),
            redelivers: Some(redelivery(ended.summary.delivery, by)),
            ..self.as_stored(ended)
        });
        commit
    }

    /// The same task once more, under its old key.
    fn as_stored(&self, ended: &DeliveryDetail) -> NewTask {
        NewTask {
            direction: ended.summary.queue.direction,
            subject: ended.subject.clone(),
            key: ended.summary.key.clone(),
            operation: ended.operation,
            title: ended.summary.title.clone(),
            data: ended.data.clone(),
            content_type: ended.content_type.clone(),
            site: ended.site.clone(),
            origin: ended.origin.clone(),
            logged_at: self.shared.now(),
            redelivers: None,
            idempotency: None,
            travel: Travel::default(),
            deliveries: vec![self.again(ended)],
        }
    }

    fn again(&self, ended: &DeliveryDetail) -> NewDelivery {
        NewDelivery {
            connector: ended.summary.queue.connector.clone(),
            data_type: ended.data_type,
            policy: ended.policy,
            idempotency_key: self.shared.new_uuid(),
        }
    }
}

fn redelivery(of: DeliveryId, by: &Operator) -> Redelivery {
    Redelivery { of, by: by.name.clone(), reason: by.reason.clone() }
}

fn failed(delivery: DeliveryId, error: StoreError) -> BusError {
    BusError::store(&format!("redeliver delivery {delivery}"), error)
}
