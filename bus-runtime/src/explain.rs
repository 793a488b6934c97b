//! Why something does not move: the first cause, and what to do about it.

mod bringing;
mod cause;
mod cycle;
mod tell;

use std::sync::Arc;

use bus_core::{ConnectorName, DeliveryId, DeliveryState, Direction, ObjectKey};
use bus_store::{
    Awaited, ConnectorState, DeliveryDetail, DeliveryFilter, DeliverySummary, OutboxCounts, QueueId,
    StoreError,
};

use crate::Result;
use crate::bus::Bus;
use crate::bus::owner::Owner;
use crate::error::BusError;
use crate::flow::subscription::matches_pattern;
use crate::flow::worker::Activity;
use crate::registry::Enlisted;

pub use cause::{Cause, Obstacle, Step};
pub(crate) use cycle::cycle_of;

/// How far a chain of deliveries that wait for each other is followed.
const STEPS_MAX: usize = 100;

/// What somebody wonders about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Question {
    /// Why a connector does not get on.
    Connector(ConnectorName),
    /// Why an object of the host does not get to a connector.
    Object(ObjectKey, ConnectorName),
    /// Why a delivery does not move.
    Delivery(DeliveryId),
}

/// Why something does not move. Prints as one sentence with the remedy:
///
/// ```text
/// delivery 18 is blocked by delivery 17, which waits for app.product 9 (no delivery brings it); save it again, so that
/// it is logged for connector crm, or end delivery 17
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// What was asked.
    pub question: Question,
    /// From the delivery that was asked about to the one where the cause is found: who stands behind whom.
    pub steps: Vec<Step>,
    /// The delivery that the cause is found at; `None` where there is none.
    pub delivery: Option<DeliveryId>,
    /// The first cause.
    pub cause: Cause,
}

impl Bus {
    /// Says why something does not move: the first cause, in the order in which they would have to be removed.
    ///
    /// Registration, switches, the connector's state, its circuit and its external system come before the delivery's own
    /// state; what it stands behind and what it waits for is followed to the one where the cause is. A snapshot: what is
    /// found may have changed when it is read. Looks through the queue where it has to: for people.
    ///
    /// ```no_run
    /// # async fn f(bus: bus_runtime::Bus) -> bus_runtime::Result<()> {
    /// use bus_runtime::Question;
    ///
    /// let explanation = bus.explain(Question::Connector("crm".parse().unwrap())).await?;
    /// println!("{explanation}");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `NotFound` for a delivery that is not kept any more, or never was; `Store`.
    pub async fn explain(&self, question: Question) -> Result<Explanation> {
        match question.clone() {
            Question::Delivery(delivery) => {
                let found = self.delivery(delivery).await?;
                self.explain_delivery(question, found).await
            }
            Question::Object(object, connector) => self.explain_object(question, &object, connector).await,
            Question::Connector(connector) => self.explain_connector(question, connector).await,
        }
        .map_err(|error| BusError::store("explain what does not move", error))
    }

    async fn explain_connector(
        &self,
        question: Question,
        connector: ConnectorName,
    ) -> Result<Explanation, StoreError> {
        let mut oldest: Vec<DeliverySummary> = Vec::new();
        let mut queues = Vec::new();
        for direction in Direction::ALL {
            let queue = QueueId::new(connector.clone(), direction);
            let first = DeliveryFilter { limit: 1, ..DeliveryFilter::default() };
            oldest.extend(self.shared.store.deliveries(&queue, &first).await?);
            queues.push(queue);
        }
        oldest.sort_by_key(|row| row.delivery);
        let roster = self.shared.roster();
        // Of a connector that does not work, either queue tells why.
        let is_of_use = |queue: &QueueId| {
            let enlisted = roster.get(&connector);
            enlisted.is_none_or(|enlisted| enlisted.problem.is_some() || enlisted.has(queue.direction))
        };
        let worked_on = queues.into_iter().filter(|queue| {
            oldest.iter().any(|row| row.queue == *queue) || (oldest.is_empty() && is_of_use(queue))
        });
        for queue in worked_on {
            if let Some(cause) = self.closed(&queue).await? {
                return Ok(Explanation { question, steps: Vec::new(), delivery: None, cause });
            }
        }
        let first = oldest.first().map(|row| row.delivery);
        self.explain_open(question, first, connector).await
    }

    async fn explain_object(
        &self,
        question: Question,
        object: &ObjectKey,
        connector: ConnectorName,
    ) -> Result<Explanation, StoreError> {
        let queue = QueueId::new(connector.clone(), Direction::Outgoing);
        if let Some(first) = self.first_open_of_object(&queue, object).await? {
            return self.explain_open(question, Some(first), connector).await;
        }
        let last = self.last_ended_of_object(&queue, object).await?;
        let is_told =
            self.shared.roster().get(&connector).is_none_or(|enlisted| is_told_of(enlisted, object));
        let cause = match last {
            None if self.shared.roster().get(&connector).is_none() => Cause::NotRegistered { connector },
            None if !is_told => Cause::NotSubscribed { connector, object_type: object.object_type.clone() },
            Some(last) => return self.explain_open(question, Some(last), connector).await,
            None => self.nothing_open(connector).await?,
        };
        Ok(Explanation { question, steps: Vec::new(), delivery: None, cause })
    }

    async fn explain_open(
        &self,
        question: Question,
        first: Option<DeliveryId>,
        connector: ConnectorName,
    ) -> Result<Explanation, StoreError> {
        let found = match first {
            Some(first) => self.shared.store.delivery(first).await?,
            None => None,
        };
        if let Some(found) = found {
            return self.explain_delivery(question, found).await;
        }
        let cause = self.nothing_open(connector).await?;
        Ok(Explanation { question, steps: Vec::new(), delivery: None, cause })
    }

    /// Nothing is open for it; what is in the outbox may be about it, or not.
    async fn nothing_open(&self, connector: ConnectorName) -> Result<Cause, StoreError> {
        let outbox = self.shared.store.outbox_counts().await?;
        Ok(if outbox == OutboxCounts::default() {
            Cause::NothingOpen { connector }
        } else {
            Cause::NotRelayed { connector, outbox }
        })
    }

    /// Follows a delivery to the one where the cause is.
    async fn explain_delivery(
        &self,
        question: Question,
        first: DeliveryDetail,
    ) -> Result<Explanation, StoreError> {
        let mut steps: Vec<Step> = Vec::new();
        let mut found = first;
        // What it stands behind is in a queue of the same connector and direction.
        let is_open = !found.summary.state.is_final();
        let closed = if is_open { self.closed(&found.summary.queue).await? } else { None };
        let (delivery, cause) = loop {
            let delivery = found.summary.delivery;
            if let Some(cause) = closed {
                break (delivery, cause);
            }
            if steps.iter().any(|step| step.delivery == delivery) {
                break (delivery, Cause::Cycle);
            }
            if steps.len() == STEPS_MAX {
                break (delivery, Cause::TooFar);
            }
            let obstacle = match self.obstacle(&found).await? {
                Ok(obstacle) => obstacle,
                Err(Cause::Next) => break (delivery, self.pace(&found.summary.queue).await),
                Err(cause) => break (delivery, cause),
            };
            match self.shared.store.delivery(obstacle.next()).await? {
                Some(next) => found = next,
                // It has ended, and was forgotten, while this was looked at.
                None => break (delivery, Cause::Next),
            }
            steps.push(Step { delivery, obstacle });
        };
        Ok(Explanation { question, steps, delivery: Some(delivery), cause })
    }

    /// What keeps a delivery, if that is another one; else the cause itself.
    async fn obstacle(&self, found: &DeliveryDetail) -> Result<Result<Obstacle, Cause>, StoreError> {
        Ok(match found.summary.state {
            DeliveryState::Blocked => found.blocked_by.map(Obstacle::BlockedBy).ok_or(Cause::Next),
            DeliveryState::Waiting => {
                let mut followed: Option<(Awaited, DeliveryId)> = None;
                for alternatives in alternatives(&found.awaited) {
                    match self.brought_by(&alternatives).await? {
                        // What nobody brings is what a person can do something about.
                        None => return Ok(Err(Cause::Waiting { awaited: alternatives })),
                        Some(brought) => followed = followed.or(Some(brought)),
                    }
                }
                followed.map_or(Err(Cause::Next), |(awaited, brought_by)| {
                    Ok(Obstacle::WaitsFor { awaited, brought_by })
                })
            }
            _ => {
                let roster = self.shared.roster();
                Err(Cause::of_state(found, roster.get(&found.summary.queue.connector).map(Arc::as_ref)))
            }
        })
    }

    /// Why nothing at all is done in a queue.
    async fn closed(&self, queue: &QueueId) -> Result<Option<Cause>, StoreError> {
        let connector = queue.connector.clone();
        let roster = self.shared.roster();
        let Some(enlisted) = roster.get(&connector) else {
            return Ok(Some(Cause::NotRegistered { connector }));
        };
        if let Some(problem) = enlisted.problem.clone() {
            return Ok(Some(Cause::Problem { connector, problem }));
        }
        let switches = self.switches();
        let processes = match queue.direction {
            Direction::Outgoing => switches.process_outgoing,
            Direction::Incoming => switches.process_incoming,
        };
        let state = *enlisted.state.borrow();
        if !switches.bus {
            return Ok(Some(Cause::BusOff));
        }
        if !processes {
            return Ok(Some(Cause::ProcessingOff { direction: queue.direction }));
        }
        if state != ConnectorState::Enabled {
            return Ok(Some(Cause::NotEnabled { connector, state }));
        }
        let circuits = self.shared.store.circuits().await?;
        if let Some((_, circuit)) = circuits.into_iter().find(|(name, _)| *name == connector) {
            return Ok(Some(Cause::CircuitOpen { connector, circuit }));
        }
        if let Some(trouble) = enlisted.trouble() {
            let (error, since, failures) = (trouble.error, trouble.since, trouble.failures);
            return Ok(Some(Cause::Unreachable { connector, error, since, failures }));
        }
        Ok(match self.owner_of(queue).await {
            Owner::Here(_) => None,
            Owner::Elsewhere => Some(Cause::WorkedOnElsewhere { queue: queue.clone() }),
            Owner::NotHere => Some(Cause::NotWorkedOn { queue: queue.clone() }),
        })
    }

    /// What lets a queue rest although nothing is in the way of what is next in line.
    async fn pace(&self, queue: &QueueId) -> Cause {
        let connector = queue.connector.clone();
        match self.owner_of(queue).await {
            Owner::Here(Activity::Scheduled { until, .. }) => Cause::OffSchedule { connector, until },
            Owner::Here(Activity::Limited { until }) => Cause::RateLimited { connector, until },
            _ => Cause::Next,
        }
    }
}

fn is_told_of(enlisted: &Enlisted, object: &ObjectKey) -> bool {
    let lines = enlisted.linked.into_iter().flat_map(bus_core::descriptor::ConnectorDescriptor::outgoing);
    let lines = lines.map(|route| route.subscription).chain(enlisted.published.iter().copied());
    lines.into_iter().any(|line| matches_pattern(line.object_type, object.object_type.as_str()))
}

/// What is awaited, by the reference that it answers: any of several may answer one. What `translation` says of one
/// reference stands together, and only an external id has alternatives.
fn alternatives(awaited: &[Awaited]) -> Vec<Vec<Awaited>> {
    let mut references: Vec<Vec<Awaited>> = Vec::new();
    for awaited in awaited {
        match (awaited, references.last_mut()) {
            (Awaited::Exists(_), Some(reference)) => reference.push(awaited.clone()),
            _ => references.push(vec![awaited.clone()]),
        }
    }
    references
}
