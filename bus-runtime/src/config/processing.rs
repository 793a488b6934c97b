//! How the deliveries of one registered connector are processed.

use serde::{Deserialize, Serialize};

use crate::schedule::Schedule;

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// How a registered connector's deliveries are processed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Processing {
    /// What a failing delivery holds up. Later ones of the same object unless set.
    pub ordering: Ordering,
    /// How many deliveries run side by side, in each direction; never two of one object unless `ordering` is none. 1
    /// unless set; at most 256, and 1 if `ordering` is connector.
    pub concurrency: u32,
    /// How often a delivery is tried before it is parked. 10 unless set; 1 to 1,000.
    pub max_attempts: u32,
    /// The first wait after a failure, in milliseconds. 1,000 unless set; at most 24 h.
    pub retry_initial_ms: u64,
    /// By how much each further wait is longer. 2 unless set; 1 to 10.
    pub retry_multiplier: f64,
    /// The longest wait, in milliseconds. 15 minutes unless set; at most 24 h.
    pub retry_max_ms: u64,
    /// How long a peer's `Retry-After` is honoured, in milliseconds; a longer one is cut to it. 1 h unless set; at most
    /// 24 h.
    pub retry_after_max_ms: u64,
    /// How long one call of the connector may take, in milliseconds. 30,000 unless set; at most 1 h.
    pub call_timeout_ms: u64,
    /// How long a process that no longer answers keeps its queues, in milliseconds. 30,000 unless set; 1 s to 10
    /// minutes.
    pub lease_ms: u64,
    /// How long a delivery waits for a reference before it is parked, in milliseconds. 7 days unless set; at most
    /// 90 days.
    pub wait_deadline_ms: u64,
    /// The least that a deferred delivery waits, in milliseconds. 1,000 unless set; at most 24 h, and no more than
    /// `defer_total_ms`.
    pub defer_min_ms: u64,
    /// How long a delivery may be deferred in all before it is parked, in milliseconds. 24 h unless set; at most 30
    /// days.
    pub defer_total_ms: u64,
    /// After how many lost connections in a row the circuit opens, so that only probes are sent. 5 unless set; 1 to
    /// 1,000.
    pub circuit_failures: u32,
    /// How often an open circuit probes, in milliseconds. 30,000 unless set; at most 24 h.
    pub circuit_probe_ms: u64,
    /// How often a delivery may lose the connection while others succeed in between, before that costs it an attempt. 3
    /// unless set; 1 to 1,000.
    pub disconnected_max: u32,
    /// The most outgoing calls in a time. No limit unless set.
    pub rate: Option<Rate>,
    /// When the queues run, until they are empty. At once unless set.
    pub schedule: Option<Schedule>,
    /// How long finished deliveries and the idempotency keys of tasks are kept, in milliseconds. 7 days unless set; at
    /// most 3,650 days; 0 keeps nothing.
    pub history_retention_ms: u64,
    /// How often a change may be answered by the systems that it comes through, each rewriting what it receives, before what
    /// comes next is parked as a loop. 8 unless set; 1 to 100.
    pub hop_limit: u32,
    /// How often in a row an object may go to the external system and come back changed, each soon after the other, before
    /// what comes next is parked as a loop. 5 unless set; 1 to 1,000.
    pub loop_after: u32,
}

impl Default for Processing {
    fn default() -> Self {
        Self {
            ordering: Ordering::Object,
            concurrency: 1,
            max_attempts: 10,
            retry_initial_ms: SECOND_MS,
            retry_multiplier: 2.0,
            retry_max_ms: 15 * MINUTE_MS,
            retry_after_max_ms: HOUR_MS,
            call_timeout_ms: 30 * SECOND_MS,
            lease_ms: 30 * SECOND_MS,
            wait_deadline_ms: 7 * DAY_MS,
            defer_min_ms: SECOND_MS,
            defer_total_ms: DAY_MS,
            circuit_failures: 5,
            circuit_probe_ms: 30 * SECOND_MS,
            disconnected_max: 3,
            rate: None,
            schedule: None,
            history_retention_ms: 7 * DAY_MS,
            hop_limit: 8,
            loop_after: 5,
        }
    }
}

/// What a delivery that fails holds up, in its direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ordering {
    /// Later deliveries of the same object, and nothing else.
    #[default]
    Object,
    /// All later deliveries of the connector: nothing overtakes.
    Connector,
    /// Nothing: deliveries of one object may overtake each other.
    None,
}

impl Ordering {
    /// The word for it, in the file and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Connector => "connector",
            Self::None => "none",
        }
    }
}

/// At most so many outgoing calls in so long a time. Waiting for it costs no attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// The most calls in one interval. 1 to 1,000,000.
    pub calls_max: u32,
    /// The interval, in milliseconds. 1,000 unless set; at most 24 h.
    #[serde(default = "Rate::interval_ms_default")]
    pub interval_ms: u64,
}

impl Rate {
    /// So many calls a second.
    pub const fn per_second(calls_max: u32) -> Self {
        Self { calls_max, interval_ms: Self::interval_ms_default() }
    }

    const fn interval_ms_default() -> u64 {
        SECOND_MS
    }
}
