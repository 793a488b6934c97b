//! The causes for which something does not move.

use bus_core::{ConnectorName, CreateOnce, DeliveryId, DeliveryState, Direction, ObjectType, Timestamp};
use bus_store::{Awaited, Circuit, ConnectorState, DeliveryDetail, Doubt, Intervened, OutboxCounts, QueueId};

use crate::registry::{Enlisted, Problem};

/// One delivery that stands behind another one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// The delivery.
    pub delivery: DeliveryId,
    /// How it stands behind the next.
    pub obstacle: Obstacle,
}

/// How a delivery stands behind another one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obstacle {
    /// It holds the same key, or comes before it in a queue that keeps order.
    BlockedBy(DeliveryId),
    /// It brings what the delivery waits for.
    WaitsFor {
        /// What that is.
        awaited: Awaited,
        /// The delivery that brings it.
        brought_by: DeliveryId,
    },
}

impl Obstacle {
    /// The delivery behind which it stands.
    pub const fn next(&self) -> DeliveryId {
        match self {
            Self::BlockedBy(next) | Self::WaitsFor { brought_by: next, .. } => *next,
        }
    }
}

/// Why something does not move; in the order in which the causes are looked for.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// No connector of this name is registered.
    NotRegistered {
        /// The name.
        connector: ConnectorName,
    },
    /// The connector is not registered correctly.
    Problem {
        /// The connector.
        connector: ConnectorName,
        /// What is wrong.
        problem: Problem,
    },
    /// The bus is switched off.
    BusOff,
    /// Processing is switched off.
    ProcessingOff {
        /// In this direction.
        direction: Direction,
    },
    /// The connector is paused, stopped or disabled.
    NotEnabled {
        /// The connector.
        connector: ConnectorName,
        /// Its state.
        state: ConnectorState,
    },
    /// The external system is out of reach, so that only probes are sent.
    CircuitOpen {
        /// The connector.
        connector: ConnectorName,
        /// Since when, and when it is probed next.
        circuit: Circuit,
    },
    /// The external system could not be reached lately.
    Unreachable {
        /// The connector.
        connector: ConnectorName,
        /// What was said last.
        error: String,
        /// Since when.
        since: Timestamp,
        /// How often in a row.
        failures: u32,
    },
    /// Another process works on the queue; what it is doing is not known here.
    WorkedOnElsewhere {
        /// The queue.
        queue: QueueId,
    },
    /// No worker of this process works on the queue.
    NotWorkedOn {
        /// The queue.
        queue: QueueId,
    },
    /// The connector is never told of objects of this type.
    NotSubscribed {
        /// The connector.
        connector: ConnectorName,
        /// The type.
        object_type: ObjectType,
    },
    /// Nothing is open, so nothing is to be done.
    NothingOpen {
        /// The connector.
        connector: ConnectorName,
    },
    /// Nothing is open, but not all that the application logged in transactions of its own is in the queues.
    NotRelayed {
        /// The connector.
        connector: ConnectorName,
        /// How much is not.
        outbox: OutboxCounts,
    },
    /// Put off, without having failed.
    Scheduled {
        /// Until then.
        until: Option<Timestamp>,
        /// Why.
        reason: Option<String>,
    },
    /// It failed and is tried again.
    Retryable {
        /// When.
        due: Option<Timestamp>,
        /// How many attempts were charged.
        attempts: u32,
        /// How many there are at most.
        attempts_max: u32,
        /// What was said last.
        error: Option<String>,
    },
    /// It waits for something that no open delivery brings; one of these would do.
    Waiting {
        /// What it is.
        awaited: Vec<Awaited>,
    },
    /// The last of the steps leads back to this delivery: they wait for each other.
    Cycle,
    /// The chain goes on; only its first hundred steps were looked at.
    TooFar,
    /// It waits for a person.
    Parked {
        /// Why.
        error: Option<String>,
    },
    /// A call of it may have taken effect without an answer, and a person has to look.
    InDoubt {
        /// What was said last.
        error: Option<String>,
    },
    /// Its connector is working on it.
    Running {
        /// Which attempt this is.
        attempt: u32,
    },
    /// Nothing keeps it, but its connector runs by a schedule.
    OffSchedule {
        /// The connector.
        connector: ConnectorName,
        /// When it runs next; `None` where the schedule never comes round again.
        until: Option<Timestamp>,
    },
    /// Nothing keeps it, but its connector has made as many calls as it may.
    RateLimited {
        /// The connector.
        connector: ConnectorName,
        /// When the next call may begin.
        until: Timestamp,
    },
    /// Nothing keeps it: it is about to move.
    Next,
    /// It has ended.
    Ended {
        /// How.
        state: DeliveryState,
        /// When.
        at: Option<Timestamp>,
        /// By whom, where it was a person.
        by: Option<Intervened>,
        /// Why.
        reason: Option<String>,
    },
}

impl Cause {
    /// Whether it is about the queue as a whole, not about the delivery.
    pub(super) const fn is_of_the_queue(&self) -> bool {
        matches!(
            self,
            Self::NotRegistered { .. }
                | Self::Problem { .. }
                | Self::BusOff
                | Self::ProcessingOff { .. }
                | Self::NotEnabled { .. }
                | Self::CircuitOpen { .. }
                | Self::Unreachable { .. }
                | Self::WorkedOnElsewhere { .. }
                | Self::NotWorkedOn { .. }
                | Self::NotSubscribed { .. }
                | Self::NothingOpen { .. }
                | Self::NotRelayed { .. }
        )
    }

    /// What its own state says of a delivery.
    pub(super) fn of_state(found: &DeliveryDetail, enlisted: Option<&Enlisted>) -> Self {
        let summary = &found.summary;
        let reason = summary.reason.clone();
        match summary.state {
            DeliveryState::Scheduled => Self::Scheduled { until: summary.due, reason },
            DeliveryState::Retryable => {
                let attempts_max = enlisted.map_or(0, |enlisted| enlisted.processing.max_attempts);
                Self::Retryable { due: summary.due, attempts: summary.attempts, attempts_max, error: reason }
            }
            DeliveryState::Waiting => Self::Waiting { awaited: found.awaited.clone() },
            DeliveryState::Parked if found.doubt == Doubt::InDoubt && asks_people(enlisted) => {
                Self::InDoubt { error: reason }
            }
            DeliveryState::Parked => Self::Parked { error: reason },
            DeliveryState::Running => Self::Running { attempt: summary.attempts },
            DeliveryState::Available | DeliveryState::Blocked => Self::Next,
            state if state.is_final() => {
                // Only a person skips or cancels; what policy discards has nobody behind it.
                let by = found.interventions.last().filter(|last| last.verb != bus_store::Verb::Retry);
                Self::Ended { state, at: summary.ended_at, by: by.cloned(), reason }
            }
            _ => Self::Next,
        }
    }
}

/// Whether a create in doubt is left to people; else the connector is asked, or it is repeated, once it is retried.
fn asks_people(enlisted: Option<&Enlisted>) -> bool {
    let linked = enlisted.and_then(|enlisted| enlisted.linked);
    linked.is_some_and(|linked| linked.create_once == Some(CreateOnce::InDoubt))
}
