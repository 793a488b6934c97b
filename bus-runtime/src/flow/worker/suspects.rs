//! Deliveries at which the connection was lost: an outage is nobody's fault, but one that breaks the connection each
//! time, while others go through in between, is.

use std::collections::HashMap;

use bus_core::DeliveryId;

/// How many are remembered; beyond that, all are forgotten, which only gives them more time.
const SUSPECTS_MAX: usize = 1_000;

/// Deliveries at which the connection was lost.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    /// How many deliveries have succeeded.
    successes: u64,
    latest: Option<DeliveryId>,
    seen: HashMap<DeliveryId, Suspect>,
}

#[derive(Debug, Clone, Copy)]
struct Suspect {
    times: u32,
    successes_then: u64,
}

/// What is known of a delivery at which the connection was lost once more.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may be an outage.
    Innocent,
    /// It was the one before, too: others first.
    Twice,
    /// It was so often the one, while others went through: its own fault.
    Guilty,
}

impl Suspects {
    /// The connection was lost at this one.
    pub(super) fn lost(&mut self, delivery: DeliveryId, times_max: u32) -> Verdict {
        if self.seen.len() >= SUSPECTS_MAX {
            self.seen.clear();
        }
        let successes = self.successes;
        let suspect = self.seen.entry(delivery).or_insert(Suspect { times: 0, successes_then: successes });
        if suspect.times == 0 || suspect.successes_then < successes {
            suspect.times += 1;
            suspect.successes_then = successes;
        }
        if suspect.times >= times_max && times_max > 0 && (times_max > 1 || suspect.successes_then > 0) {
            self.seen.remove(&delivery);
            return Verdict::Guilty;
        }
        match self.latest.replace(delivery) {
            Some(latest) if latest == delivery => Verdict::Twice,
            _ => Verdict::Innocent,
        }
    }

    /// This one went through.
    pub(super) fn succeeded(&mut self, delivery: DeliveryId) {
        self.successes += 1;
        self.seen.remove(&delivery);
        if self.latest == Some(delivery) {
            self.latest = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAD: DeliveryId = DeliveryId(1);

    #[test]
    fn an_outage_is_nobodys_fault_however_long_it_lasts() {
        let mut suspects = Suspects::default();
        assert_eq!(suspects.lost(BAD, 3), Verdict::Innocent);
        for _ in 0..100 {
            assert_eq!(suspects.lost(BAD, 3), Verdict::Twice);
        }
    }

    #[test]
    fn who_breaks_the_connection_while_others_go_through_is_guilty() {
        let mut suspects = Suspects::default();
        assert_eq!(suspects.lost(BAD, 3), Verdict::Innocent);
        suspects.succeeded(DeliveryId(2));
        assert_eq!(suspects.lost(BAD, 3), Verdict::Twice);
        assert_eq!(suspects.lost(BAD, 3), Verdict::Twice, "nothing went through in between");
        suspects.succeeded(DeliveryId(3));
        assert_eq!(suspects.lost(BAD, 3), Verdict::Guilty);
        assert_eq!(suspects.lost(BAD, 3), Verdict::Twice, "it begins again");
    }

    #[test]
    fn who_goes_through_is_forgiven() {
        let mut suspects = Suspects::default();
        for _ in 0..10 {
            assert_ne!(suspects.lost(BAD, 2), Verdict::Guilty);
            suspects.succeeded(BAD);
        }
    }
}
