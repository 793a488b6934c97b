//! Explanations, in words.

use std::fmt;

use bus_core::{DeliveryId, DeliveryState};
use bus_store::{Awaited, FoundBy};

use super::{Cause, Explanation, Obstacle, Question};

/// What is awaited, for people.
pub(super) fn name_of(awaited: &Awaited) -> String {
    match awaited {
        Awaited::Bound { object_type, object, .. } => format!("{object_type} {object}"),
        Awaited::Known { connector, object_type, external_id } => {
            format!("{object_type} `{external_id}` of connector {connector}")
        }
        Awaited::Exists(query) => match &query.by {
            FoundBy::Guid(guid) => format!("{} {guid}", query.object_type),
            FoundBy::CodeName(code_name) => format!("{} `{code_name}`", query.object_type),
        },
        Awaited::Settled { delivery } => format!("the outcome of delivery {delivery}"),
        Awaited::Page { node, culture: None } => format!("page {node}"),
        Awaited::Page { node, culture: Some(culture) } => format!("page {node} in culture {culture}"),
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.question {
            Question::Delivery(_) => {}
            Question::Connector(_) if self.delivery.is_none() => {}
            Question::Connector(connector) => write!(f, "connector {connector}: ")?,
            Question::Object(object, connector) => write!(f, "{object} for connector {connector}: ")?,
        }
        for (index, step) in self.steps.iter().enumerate() {
            if index == 0 {
                write!(f, "delivery {} ", step.delivery)?;
            }
            match &step.obstacle {
                Obstacle::BlockedBy(next) => write!(f, "is blocked by delivery {next}")?,
                Obstacle::WaitsFor { awaited: awaited @ Awaited::Settled { .. }, .. } => {
                    write!(f, "waits for {}", name_of(awaited))?;
                }
                Obstacle::WaitsFor { awaited, brought_by } => {
                    write!(f, "waits for {}, to be brought by delivery {brought_by}", name_of(awaited))?;
                }
            }
            if self.cause != Cause::Cycle || index + 1 < self.steps.len() {
                f.write_str(", which ")?;
            }
        }
        if let (Some(delivery), []) = (self.delivery, self.steps.as_slice()) {
            write!(f, "delivery {delivery} ")?;
        }
        if self.delivery.is_some() && self.cause.is_of_the_queue() {
            f.write_str("does not move: ")?;
        }
        write!(f, "{}", self.cause)?;
        match self.remedy() {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

/// As it is said of a delivery: `is parked: the CRM said no`.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRegistered { connector } => write!(f, "no connector {connector} is registered"),
            Self::Problem { connector, problem } => {
                write!(f, "connector {connector} does not work: {problem}")
            }
            Self::BusOff => f.write_str("the bus is switched off"),
            Self::ProcessingOff { direction } => {
                write!(f, "the processing of {direction} tasks is switched off")
            }
            Self::NotEnabled { connector, state } => write!(f, "connector {connector} is {}", state.as_str()),
            Self::CircuitOpen { connector, circuit } => write!(
                f,
                "connector {connector} cannot reach its external system since {} ({} times in a row: {}) and probes it at {}",
                circuit.opened_at, circuit.failures, circuit.error, circuit.probe_at
            ),
            Self::Unreachable { connector, error, since, failures } => write!(
                f,
                "connector {connector} cannot reach its external system since {since} ({failures} times in a row: {error})"
            ),
            Self::WorkedOnElsewhere { queue } => write!(f, "another process works on the queue {queue}"),
            Self::NotWorkedOn { queue } => write!(f, "no worker of this process works on the queue {queue}"),
            Self::NotSubscribed { connector, object_type } => {
                write!(f, "connector {connector} is not told of {object_type}")
            }
            Self::NothingOpen { connector } => write!(f, "nothing is open for connector {connector}"),
            Self::NotRelayed { connector, outbox } => write!(
                f,
                "nothing is open for connector {connector}, but of what the application has logged in transactions of its \
                 own {} entries are about to be taken into the queues, and {} could not be read",
                outbox.entries, outbox.parked
            ),
            Self::Scheduled { until, reason } => {
                write!(f, "is put off")?;
                told(f, " until ", until.as_ref())?;
                told(f, ": ", reason.as_ref())
            }
            Self::Retryable { due, attempts, attempts_max, error } => {
                write!(f, "failed {attempts} of {attempts_max} times and is tried again")?;
                told(f, " at ", due.as_ref())?;
                told(f, ": ", error.as_ref())
            }
            Self::Waiting { awaited } => {
                let names: Vec<_> = awaited.iter().map(name_of).collect();
                write!(f, "waits for {} (no delivery brings it)", names.join(", or "))
            }
            Self::Cycle => f.write_str(": they wait for each other"),
            Self::TooFar => f.write_str("stands behind more than is looked at"),
            Self::Parked { error } => {
                f.write_str("is parked")?;
                told(f, ": ", error.as_ref())
            }
            Self::InDoubt { error } => {
                f.write_str("is parked, and may have been done already")?;
                told(f, ": ", error.as_ref())
            }
            Self::Running { attempt } => write!(f, "is running (attempt {attempt})"),
            Self::OffSchedule { connector, until } => {
                write!(f, "is next in line, but connector {connector} runs by a schedule")?;
                match until {
                    Some(until) => write!(f, ", next at {until}"),
                    None => f.write_str(" that does not come round again"),
                }
            }
            Self::RateLimited { connector, until } => write!(
                f,
                "is next in line, but connector {connector} has made as many calls as it may; the next one may begin at \
                 {until}"
            ),
            Self::Next => f.write_str("is next in line"),
            Self::Ended { state, at, by, reason } => {
                let was = if *state == DeliveryState::Completed { "" } else { "was " };
                write!(f, "{was}{state}")?;
                told(f, " at ", at.as_ref())?;
                told(f, " by ", by.as_ref().map(|by| &by.by))?;
                told(f, ": ", reason.as_ref())
            }
        }
    }
}

fn told(f: &mut fmt::Formatter<'_>, before: &str, what: Option<&impl fmt::Display>) -> fmt::Result {
    what.map_or(Ok(()), |what| write!(f, "{before}{what}"))
}

impl Explanation {
    /// What to do about it; `None` where there is nothing to be done.
    pub fn remedy(&self) -> Option<String> {
        let delivery = self.delivery.unwrap_or(DeliveryId(0));
        Some(match &self.cause {
            Cause::NotRegistered { .. } => {
                "register it, or delete it together with what is open for it".to_owned()
            }
            Cause::Problem { problem, .. } => problem.remedy(),
            Cause::BusOff => "switch `bus` on".to_owned(),
            Cause::ProcessingOff { direction } => format!("switch `process_{direction}` on"),
            Cause::NotEnabled { .. } => "enable it".to_owned(),
            Cause::CircuitOpen { .. } | Cause::Unreachable { .. } => {
                "see that it answers, the bus goes on trying".to_owned()
            }
            Cause::OffSchedule { .. } => {
                "it goes on by itself; request the processing of its tasks to do it now".to_owned()
            }
            Cause::RateLimited { .. } => {
                "it goes on by itself; raise `rate` if it may call more often".to_owned()
            }
            Cause::WorkedOnElsewhere { .. } => "ask that process".to_owned(),
            Cause::NotWorkedOn { queue } => {
                format!(
                    "see that the connector has `#[{}]` lines, and that the bus has not stopped",
                    queue.direction
                )
            }
            Cause::NotSubscribed { .. } => "add an `#[outgoing]` line for it".to_owned(),
            Cause::NotRelayed { outbox, .. } if outbox.parked > 0 => {
                "`Bus::outbox` shows why these could not; mend the reason, then retry them".to_owned()
            }
            Cause::NotRelayed { .. } => "it goes on by itself".to_owned(),
            Cause::Waiting { awaited } => match awaited.first() {
                Some(Awaited::Bound { connector, .. }) => format!(
                    "save it again, so that it is logged for connector {connector}, or end delivery {delivery}"
                ),
                Some(Awaited::Known { .. }) => {
                    format!("let the external system send it, or end delivery {delivery}")
                }
                _ => format!("create it, or end delivery {delivery}"),
            },
            Cause::Cycle => "end one of them".to_owned(),
            Cause::TooFar => format!("ask about delivery {delivery}"),
            Cause::Parked { .. } => {
                format!("mend the reason, then retry delivery {delivery}, or skip it")
            }
            Cause::InDoubt { .. } => format!(
                "look whether the external system has it: if so, link it and retry delivery {delivery}; if not, retry it"
            ),
            Cause::Retryable { .. } | Cause::Scheduled { .. } => {
                format!("it goes on by itself; retry delivery {delivery} to do it now")
            }
            Cause::NothingOpen { .. } | Cause::Running { .. } | Cause::Next | Cause::Ended { .. } => {
                return None;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bus_core::{Direction, Timestamp};
    use bus_store::QueueId;

    #[test]
    fn what_no_story_shows_is_a_sentence_too() {
        let queue = QueueId::new("crm".parse().unwrap(), Direction::Incoming);
        for (cause, expected) in [
            (Cause::Running { attempt: 2 }, "delivery 7 is running (attempt 2)"),
            (Cause::Next, "delivery 7 is next in line"),
            (Cause::TooFar, "delivery 7 stands behind more than is looked at; ask about delivery 7"),
            (
                Cause::NotWorkedOn { queue },
                "delivery 7 does not move: no worker of this process works on the queue crm incoming; see that the \
                 connector has `#[incoming]` lines, and that the bus has not stopped",
            ),
            (
                Cause::Ended {
                    state: DeliveryState::Discarded,
                    at: Some(Timestamp::EPOCH),
                    by: None,
                    reason: Some("superseded by 9".to_owned()),
                },
                "delivery 7 was discarded at 1970-01-01T00:00:00Z: superseded by 9",
            ),
        ] {
            let delivery = DeliveryId(7);
            let question = Question::Delivery(delivery);
            let explanation = Explanation { question, steps: Vec::new(), delivery: Some(delivery), cause };
            assert_eq!(explanation.to_string(), expected);
        }
    }
}
