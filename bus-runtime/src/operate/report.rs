//! What an operator is told of what was done, and of the books.

use std::collections::BTreeMap;
use std::fmt;

use bus_core::DeliveryId;
use bus_store::{Audit, OutboxCounts, QueueId, Verb, Verdict};

use super::state_after;

/// What became of what an operator asked for, item by item, in the order of the selection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InterventionReport {
    /// What was asked for.
    pub verb: Verb,
    /// What became of it.
    pub items: Vec<ItemReport>,
}

/// What became of one delivery of a selection. Prints as a sentence with the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ItemReport {
    /// The delivery.
    pub delivery: DeliveryId,
    /// What became of the wish.
    pub verdict: Verdict,
}

impl InterventionReport {
    /// How many allowed it.
    pub fn done(&self) -> usize {
        self.items.iter().filter(|item| matches!(item.verdict, Verdict::Done { .. })).count()
    }

    /// The open deliveries that came after a create that was ended, each once: they may make no sense without it.
    pub fn later(&self) -> Vec<DeliveryId> {
        let later = self.items.iter().flat_map(|item| match &item.verdict {
            Verdict::Done { later } => later.as_slice(),
            _ => &[],
        });
        let mut later: Vec<_> = later.copied().collect();
        later.sort_unstable();
        later.dedup();
        later
    }
}

/// On one line: how many came to what.
impl fmt::Display for InterventionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.items.is_empty() {
            return f.write_str("nothing was selected");
        }
        let mut counts: BTreeMap<(usize, String), usize> = BTreeMap::new();
        for item in &self.items {
            *counts.entry(word(self.verb, &item.verdict)).or_default() += 1;
        }
        for (index, ((_, word), count)) in counts.iter().enumerate() {
            write!(f, "{}{count} {word}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// What is counted together, and where it stands in the list.
fn word(verb: Verb, verdict: &Verdict) -> (usize, String) {
    let (place, word) = match verdict {
        Verdict::Done { .. } if verb == Verb::Retry => (0, "retried".to_owned()),
        Verdict::Done { .. } if verb == Verb::Resolve => (0, "resolved".to_owned()),
        Verdict::Done { .. } => (0, state_after(verb).to_string()),
        Verdict::Ready => (1, "ready already".to_owned()),
        Verdict::BlockedBy(_) => (2, "blocked".to_owned()),
        Verdict::Running => (3, "running".to_owned()),
        Verdict::NeverCalled => (4, "never called".to_owned()),
        Verdict::WasCalled => (5, "called already".to_owned()),
        Verdict::NoConflict => (6, "without a conflict".to_owned()),
        Verdict::Changed(state) => (7, format!("changed to {state}")),
        Verdict::Ended(state) => (8, format!("ended as {state}")),
        Verdict::Unknown => (9, "unknown".to_owned()),
    };
    (place, word)
}

impl fmt::Display for ItemReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let delivery = self.delivery;
        match &self.verdict {
            Verdict::Done { later } if later.is_empty() => write!(f, "delivery {delivery}: done"),
            Verdict::Done { later } => {
                write!(
                    f,
                    "delivery {delivery}: done; look at the later ones of the same object: {}",
                    list(later)
                )
            }
            Verdict::Ready => write!(f, "delivery {delivery} is ready anyway"),
            Verdict::BlockedBy(other) => {
                write!(f, "delivery {delivery} is blocked by delivery {other}; deal with that one first")
            }
            Verdict::Running => write!(f, "delivery {delivery} is running; ask again when that has ended"),
            Verdict::NeverCalled => write!(f, "delivery {delivery} was never called; cancel it instead"),
            Verdict::WasCalled => write!(f, "delivery {delivery} was called already; skip it instead"),
            Verdict::NoConflict => {
                write!(f, "delivery {delivery} was not parked for anybody to decide; retry it instead")
            }
            Verdict::Changed(state) => {
                write!(f, "delivery {delivery} is {state} by now; look at it, and select it again")
            }
            Verdict::Ended(state) => {
                write!(f, "delivery {delivery} has ended as {state}; redeliver it if it is wanted again")
            }
            Verdict::Unknown => {
                write!(
                    f,
                    "there is no delivery {delivery}; it ended and is not kept any more, or it never was"
                )
            }
        }
    }
}

fn list(deliveries: &[DeliveryId]) -> String {
    deliveries.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Every queue's counters beside what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditReport {
    /// Each queue, and what was found.
    pub queues: Vec<(QueueId, Audit)>,
    /// What the application has logged in transactions of its own and is not in the queues, nor in their books.
    pub outbox: OutboxCounts,
}

impl AuditReport {
    /// What does not add up, each with its queue; nothing, always. What it finds is a defect of the bus or of its disk:
    /// report it.
    pub fn faults(&self) -> Vec<String> {
        let faults = self.queues.iter().flat_map(|(queue, audit)| {
            audit.faults().into_iter().map(move |fault| format!("{queue}: {fault}"))
        });
        faults.collect()
    }
}

impl fmt::Display for AuditReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults = self.faults();
        let queues = self.queues.len();
        if faults.is_empty() {
            write!(f, "the books of {queues} queues balance")?;
            let OutboxCounts { entries, parked } = self.outbox;
            return match (entries, parked) {
                (0, 0) => Ok(()),
                _ => write!(
                    f,
                    "; the outbox holds {entries} entries for them, and {parked} that could not be read"
                ),
            };
        }
        write!(f, "the books of {queues} queues do not balance; report this: {}", faults.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bus_core::DeliveryState;

    #[test]
    fn a_report_counts_what_came_to_the_same() {
        let verdicts = [
            Verdict::BlockedBy(DeliveryId(1)),
            Verdict::Done { later: vec![DeliveryId(9), DeliveryId(8)] },
            Verdict::Done { later: vec![DeliveryId(9)] },
            Verdict::Ended(DeliveryState::Completed),
        ];
        let items = (1..).zip(verdicts).map(|(id, verdict)| ItemReport { delivery: DeliveryId(id), verdict });
        let report = InterventionReport { verb: Verb::Skip, items: items.collect() };
        assert_eq!(report.to_string(), "2 skipped, 1 blocked, 1 ended as completed");
        assert_eq!((report.done(), report.later()), (2, vec![DeliveryId(8), DeliveryId(9)]));
        assert_eq!(
            report.items[1].to_string(),
            "delivery 2: done; look at the later ones of the same object: 9, 8"
        );
    }

    #[test]
    fn an_audit_names_the_queue_that_does_not_balance() {
        let queue = |name: &str| QueueId::new(name.parse().unwrap(), bus_core::Direction::Outgoing);
        let wrong = Audit { open_rows: 1, ..Audit::default() };
        let report = AuditReport {
            queues: vec![(queue("crm"), Audit::default()), (queue("log"), wrong)],
            outbox: OutboxCounts::default(),
        };
        assert_eq!(report.faults(), ["log outgoing: 0 were counted as open, but 1 are there"]);
    }

    #[test]
    fn an_audit_says_what_is_not_in_the_queues_yet() {
        let of =
            |entries, parked| AuditReport { queues: Vec::new(), outbox: OutboxCounts { entries, parked } };
        assert_eq!(of(0, 0).to_string(), "the books of 0 queues balance");
        assert_eq!(
            of(2, 1).to_string(),
            "the books of 0 queues balance; the outbox holds 2 entries for them, and 1 that could not be read"
        );
    }
}
