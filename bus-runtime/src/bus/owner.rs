//! Who works on a queue, as far as this process knows.

use bus_store::QueueId;

use super::Bus;
use crate::flow::worker::Activity;

/// Who works on a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This process.
    Here,
    /// Another one; this one stands by.
    Elsewhere,
    /// Nobody in this process; whether somebody else does is not known.
    NotHere,
}

impl Bus {
    pub(crate) async fn owner_of(&self, queue: &QueueId) -> Owner {
        let crews = self.crews.lock().await;
        let workers = crews.get(&queue.connector).into_iter().flat_map(|crew| &crew.workers);
        let mut of_queue =
            workers.filter(|(worked_on, _, handle)| worked_on == queue && !handle.is_finished());
        match of_queue.next() {
            None => Owner::NotHere,
            Some((_, activity, _)) if *activity.borrow() == Activity::StandingBy => Owner::Elsewhere,
            Some(_) => Owner::Here,
        }
    }
}
