//! What people see of a running bus.

use bus_core::{ConnectorName, Timestamp};
use bus_store::{ConnectorState, Counters, QueueCounts, QueueId, RecordOwner};

use crate::registry::{Enlisted, Problem};

/// How a registered connector is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ConnectorStatus {
    /// Its code name.
    pub name: ConnectorName,
    /// What people call it.
    pub display_name: String,
    /// The linked connector that it uses.
    pub uses: String,
    /// Whether it is to log and process.
    pub state: ConnectorState,
    /// Who may change its record.
    pub owner: RecordOwner,
    /// Whether it can.
    pub health: Health,
    /// What its author has left open, with the remedy; it works all the same.
    pub advice: Option<String>,
    /// How its polls go; `None` where it does not poll, or not in this process.
    pub poll: Option<PollStatus>,
}

/// How the polls of a connector go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PollStatus {
    /// When the last one that ended well began, since this process polls.
    pub polled_at: Option<Timestamp>,
    /// Why the last one did not end well, with the remedy where there is one.
    pub error: Option<String>,
    /// How often in a row that was so.
    pub failures: u32,
}

/// Whether a registered connector can do its work.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Health {
    /// As far as is known.
    Well,
    /// It is not registered correctly; `Problem::remedy` says what to do.
    Problem(Problem),
    /// Its external system cannot be reached; the bus goes on trying.
    Unreachable {
        /// What it said last.
        error: String,
        /// Since when.
        since: Timestamp,
        /// How often in a row.
        failures: u32,
    },
}

impl ConnectorStatus {
    pub(crate) fn of(enlisted: &Enlisted) -> Self {
        let health = match (&enlisted.problem, enlisted.trouble()) {
            (Some(problem), _) => Health::Problem(problem.clone()),
            (None, Some(trouble)) => {
                Health::Unreachable { error: trouble.error, since: trouble.since, failures: trouble.failures }
            }
            (None, None) => Health::Well,
        };
        Self {
            name: enlisted.record.name.clone(),
            display_name: enlisted.record.display_name.clone(),
            uses: enlisted.record.uses.clone(),
            state: *enlisted.state.borrow(),
            owner: enlisted.record.owner,
            health,
            poll: enlisted.polling.status(),
            advice: enlisted.advice(),
        }
    }

    /// Cause and remedy, where something is wrong.
    pub fn warning(&self) -> Option<String> {
        match &self.health {
            Health::Well => {
                let PollStatus { error, failures, .. } = self.poll.as_ref()?;
                let error = error.as_ref()?;
                Some(format!("connector {} cannot be polled ({failures} times in a row): {error}", self.name))
            }
            Health::Problem(problem) => {
                Some(format!("connector {} does not work: {problem}; {}", self.name, problem.remedy()))
            }
            Health::Unreachable { error, since, failures } => Some(format!(
                "connector {} cannot reach its external system since {since} ({failures} times in a row): {error}; \
                 see that it answers, the bus goes on trying",
                self.name
            )),
        }
    }
}

/// How a queue is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStatus {
    /// The queue.
    pub queue: QueueId,
    /// What became of everything it was ever given.
    pub counters: Counters,
    /// Where its open deliveries stand.
    pub open: QueueCounts,
}

impl QueueStatus {
    pub(crate) fn new(queue: QueueId, counters: Counters, open: QueueCounts) -> Self {
        Self { queue, counters, open }
    }
}
