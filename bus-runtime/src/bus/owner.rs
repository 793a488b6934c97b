//! Who works on a queue, as far as this process knows.

use bus_store::QueueId;

use super::Bus;
use crate::flow::worker::Activity;

/// Who works on a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This process, and what it is doing.
    Here(Activity),
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
        match of_queue.next().map(|(_, activity, _)| *activity.borrow()) {
            None => Owner::NotHere,
            Some(Activity::StandingBy) => Owner::Elsewhere,
            Some(activity) => Owner::Here(activity),
        }
    }
}
