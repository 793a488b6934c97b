//! What can happen, and how it is written down: one line each.

use std::fmt;
use std::str::FromStr;

/// Something that a participant did, or that was done to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Who: a process, a thread, an owner of a queue. Each life of a process has a name of its own.
    pub who: String,
    /// What.
    pub event: Event,
}

/// What happened. Changes have names of their own, given by whoever makes them; no name contains white space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A change is about to be logged.
    Invoked {
        /// The change.
        change: String,
        /// What order is kept for.
        key: String,
    },
    /// The change was logged: it must not be lost any more.
    Acknowledged {
        /// The change.
        change: String,
    },
    /// The change was refused: nobody must ever see it.
    Refused {
        /// The change.
        change: String,
    },
    /// Whether the change was logged is not known.
    Unknown {
        /// The change.
        change: String,
    },
    /// From now on the participant owns the queue, and nobody else does.
    Owned,
    /// The connector is called.
    Called {
        /// The delivery; later ones of a key have larger numbers.
        delivery: i64,
        /// What order is kept for.
        key: String,
        /// The change that it carries.
        change: String,
        /// The same for all attempts at a delivery.
        idempotency: String,
        /// Which attempt this is, as the connector was told.
        attempt: u32,
    },
    /// The call has ended.
    Answered {
        /// The delivery.
        delivery: i64,
        /// How.
        answer: Answer,
    },
    /// An outcome is about to be written; from now on it may count.
    Settling {
        /// The delivery.
        delivery: i64,
        /// What it is.
        outcome: Outcome,
    },
    /// The outcome was written.
    Settled {
        /// The delivery.
        delivery: i64,
        /// What it was.
        outcome: Outcome,
    },
    /// An operator gave the delivery all of its attempts again.
    Reset {
        /// The delivery.
        delivery: i64,
    },
    /// The participant is ended in the middle of whatever it does. Written before it is, where another one may take its
    /// place at once.
    Killed,
    /// The participant was stopped; what it had begun may go on later, and come too late.
    Stopped,
    /// From here on what was called may be called again: the store refuses to write outcomes, or the clock jumps past
    /// the time that calls have.
    Disturbed,
    /// That is over.
    Calm,
    /// At the end, this delivery was still open.
    Left {
        /// The delivery.
        delivery: i64,
        /// What order is kept for.
        key: String,
        /// The change that it carries.
        change: String,
        /// Whether something that time does not cure holds it: a person, a reference, one before it that is held.
        held: bool,
    },
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It did what it was to do.
    Done,
    /// It failed, which costs an attempt.
    Failed,
    /// It did not happen, which costs none.
    GivenBack,
    /// Nobody waited for its end any more: it took too long, or the bus stopped.
    Dropped,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It ended with success.
    Completed,
    /// It ended without: skipped, discarded, cancelled.
    Ended,
    /// It stays at its place.
    Held,
    /// It lets later ones of its key pass.
    Aside,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.who)?;
        match &self.event {
            Event::Invoked { change, key } => write!(f, "invoked {change} {key}"),
            Event::Acknowledged { change } => write!(f, "acknowledged {change}"),
            Event::Refused { change } => write!(f, "refused {change}"),
            Event::Unknown { change } => write!(f, "unknown {change}"),
            Event::Owned => f.write_str("owned"),
            Event::Called { delivery, key, change, idempotency, attempt } => {
                write!(f, "called {delivery} {key} {change} {idempotency} {attempt}")
            }
            Event::Answered { delivery, answer } => write!(f, "answered {delivery} {}", answer.as_str()),
            Event::Settling { delivery, outcome } => write!(f, "settling {delivery} {}", outcome.as_str()),
            Event::Settled { delivery, outcome } => write!(f, "settled {delivery} {}", outcome.as_str()),
            Event::Reset { delivery } => write!(f, "reset {delivery}"),
            Event::Killed => f.write_str("killed"),
            Event::Stopped => f.write_str("stopped"),
            Event::Disturbed => f.write_str("disturbed"),
            Event::Calm => f.write_str("calm"),
            Event::Left { delivery, key, change, held } => {
                write!(f, "left {delivery} {key} {change} {}", if *held { "held" } else { "ready" })
            }
        }
    }
}

impl FromStr for Entry {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (who, words) = words.split_first().ok_or_else(|| "an empty line".to_owned())?;
        let event = parse(words).ok_or_else(|| format!("`{line}` is no entry of a journal"))?;
        Ok(Self { who: (*who).to_owned(), event })
    }
}

fn parse(words: &[&str]) -> Option<Event> {
    let text = |word: &str| word.to_owned();
    Some(match *words {
        ["invoked", change, key] => Event::Invoked { change: text(change), key: text(key) },
        ["acknowledged", change] => Event::Acknowledged { change: text(change) },
        ["refused", change] => Event::Refused { change: text(change) },
        ["unknown", change] => Event::Unknown { change: text(change) },
        ["owned"] => Event::Owned,
        ["called", delivery, key, change, idempotency, attempt] => Event::Called {
            delivery: delivery.parse().ok()?,
            key: text(key),
            change: text(change),
            idempotency: text(idempotency),
            attempt: attempt.parse().ok()?,
        },
        ["answered", delivery, answer] => {
            let answer = Answer::ALL.into_iter().find(|known| known.as_str() == answer)?;
            Event::Answered { delivery: delivery.parse().ok()?, answer }
        }
        [verb @ ("settling" | "settled"), delivery, outcome] => {
            let delivery = delivery.parse().ok()?;
            let outcome = Outcome::ALL.into_iter().find(|known| known.as_str() == outcome)?;
            match verb {
                "settling" => Event::Settling { delivery, outcome },
                _ => Event::Settled { delivery, outcome },
            }
        }
        ["reset", delivery] => Event::Reset { delivery: delivery.parse().ok()? },
        ["killed"] => Event::Killed,
        ["stopped"] => Event::Stopped,
        ["disturbed"] => Event::Disturbed,
        ["calm"] => Event::Calm,
        ["left", delivery, key, change, held @ ("held" | "ready")] => Event::Left {
            delivery: delivery.parse().ok()?,
            key: text(key),
            change: text(change),
            held: held == "held",
        },
        _ => return None,
    })
}

impl Answer {
    const ALL: [Self; 4] = [Self::Done, Self::Failed, Self::GivenBack, Self::Dropped];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::GivenBack => "given-back",
            Self::Dropped => "dropped",
        }
    }
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Completed, Self::Ended, Self::Held, Self::Aside];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Ended => "ended",
            Self::Held => "held",
            Self::Aside => "aside",
        }
    }
}
