//! What an external system and the host have told each other about one object that travels both ways, in memory.

use std::collections::BTreeMap;

use bus_core::{ConnectorName, DeliveryId, Direction, ObjectKey, Timestamp};

use super::MemoryStore;
use crate::StoreFuture;
use crate::exchange::{Agreed, Exchange, ExchangeWrite, Exchanged, SENT_KEPT_MAX, Said, Sent};
use crate::identity::Binding;
use crate::queue::QueueId;

impl Exchange for MemoryStore {
    fn exchanged(&self, binding: &Binding, key: &str) -> StoreFuture<'_, Exchanged> {
        let (binding, key) = (binding.clone(), key.to_owned());
        self.with("exchanged", move |state| {
            let queue = state.queues.get(&QueueId::new(binding.connector.clone(), Direction::Outgoing));
            let claimed = queue.map(|queue| queue.claimed_of(&key)).unwrap_or_default();
            let entry = state.exchanged.0.get(&(binding.object, binding.connector));
            let entry = entry.filter(|entry| entry.external_id == binding.external_id);
            Ok(Exchanged {
                agreed: entry.and_then(|entry| entry.agreed.clone()),
                sent: entry.map(|entry| entry.sent.values().cloned().collect()).unwrap_or_default(),
                claimed,
            })
        })
    }

    fn forget_sent(&self, before: Timestamp, limit: usize) -> StoreFuture<'_, usize> {
        self.with("forget sent", move |state| Ok(state.exchanged.forget_sent(before, limit)))
    }
}

/// What was exchanged, by object and connector.
#[derive(Debug, Default)]
pub(super) struct ExchangeTable(BTreeMap<(ObjectKey, ConnectorName), Entry>);

#[derive(Debug, Default)]
struct Entry {
    /// What the object was bound to then.
    external_id: String,
    agreed: Option<Agreed>,
    sent: BTreeMap<DeliveryId, Sent>,
}

impl ExchangeTable {
    /// Writes down what was exchanged about an object that is bound like this.
    pub(super) fn write(&mut self, write: ExchangeWrite, now: Timestamp) {
        let ExchangeWrite { binding: Binding { connector, object, external_id }, said } = write;
        let entry = self.0.entry((object, connector)).or_default();
        if entry.external_id != external_id {
            *entry = Entry { external_id, ..Entry::default() };
        }
        match said {
            Said::Given { data } => {
                let alternations = entry.agreed.as_ref().map_or(0, |agreed| agreed.alternations);
                entry.agreed = Some(Agreed { data, is_given: true, alternations, at: now });
            }
            Said::Taken { data, alternations } => {
                entry.agreed = Some(Agreed { data, is_given: false, alternations, at: now });
            }
            Said::Sent(sent) => {
                entry.sent.insert(sent.delivery, sent);
                while entry.sent.len() > SENT_KEPT_MAX {
                    entry.sent.pop_first();
                }
            }
            Said::Heard { up_to } => entry.sent.retain(|delivery, _| *delivery > up_to),
        }
    }

    /// Forgets what was exchanged about an object, with this connector or with all of them.
    pub(super) fn end(&mut self, object: &ObjectKey, with: Option<&ConnectorName>) {
        self.0.retain(|(about, connector), _| about != object || with.is_some_and(|with| with != connector));
    }

    /// Forgets what was sent to a connector that is deleted: nothing of it is heard any more.
    pub(super) fn forget_sent_to(&mut self, connector: &ConnectorName) {
        let theirs = self.0.iter_mut().filter(|((_, with), _)| with == connector);
        theirs.for_each(|(_, entry)| entry.sent.clear());
    }

    fn forget_sent(&mut self, before: Timestamp, limit: usize) -> usize {
        let all = self.0.iter().flat_map(|(about, entry)| entry.sent.values().map(move |sent| (about, sent)));
        let old = all.filter(|(_, sent)| sent.at < before);
        let mut old: Vec<_> = old.map(|(about, sent)| (sent.at, about.clone(), sent.delivery)).collect();
        old.sort_unstable();
        old.truncate(limit);
        for (_, about, delivery) in &old {
            if let Some(entry) = self.0.get_mut(about) {
                entry.sent.remove(delivery);
            }
        }
        old.len()
    }
}
