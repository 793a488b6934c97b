//! Waiting until there is nothing to do.

use std::sync::Arc;

use bus_store::QueueId;
use tokio::sync::watch;

use super::Bus;
use crate::flow::poll::may_poll;
use crate::flow::worker::{Activity, is_open};
use crate::registry::Enlisted;
use crate::relay;

/// A worker, as `until_idle` sees it.
struct Watched {
    enlisted: Arc<Enlisted>,
    queue: QueueId,
    activity: watch::Receiver<Activity>,
}

impl Bus {
    /// Returns once there is nothing that could be done now: what the application has logged in transactions of its own
    /// is in the queues, so is what follows a late reference, resyncs are as far as they can be, and every queue that may be
    /// worked on has nothing ready. What waits for a time, a reference, a person or the external system does not count.
    pub async fn until_idle(&self) {
        loop {
            let mut watched = self.watched().await;
            let busy = watched.iter_mut().find_map(|watched| {
                let activity = *watched.activity.borrow_and_update();
                (!self.is_idle(watched, activity)).then_some(&mut watched.activity)
            });
            if let Some(activity) = busy {
                // What is about to wake changes its activity then; an ended worker has nothing to do.
                let _ended = activity.changed().await;
                continue;
            }
            // What a call has committed in the application's own tables was committed before its worker was idle. A store
            // that takes nothing more leaves nothing to wait for.
            let _not_relayed = relay::relay_all(&self.shared).await;
            let _not_resynced = self.resync_all().await;
            let _not_told_again = self.follow_up_all().await;
            // One that was idle when it was looked at may have been woken by one that was looked at later: a second
            // look at the same activities tells.
            let still_idle = watched.iter().all(|watched| {
                !watched.activity.has_changed().unwrap_or(false)
                    && self.is_idle(watched, *watched.activity.borrow())
            });
            if still_idle {
                return;
            }
        }
    }

    async fn watched(&self) -> Vec<Watched> {
        let crews = self.crews.lock().await;
        let workers = crews.values().flat_map(|crew| crew.workers.iter().map(move |worker| (crew, worker)));
        workers
            .filter(|(_, (_, _, handle))| !handle.is_finished())
            .map(|(crew, (queue, activity, _))| Watched {
                enlisted: Arc::clone(&crew.connection.enlisted),
                queue: queue.clone(),
                activity: activity.clone(),
            })
            .collect()
    }

    /// Whether a worker with this activity has nothing to do, and nothing that is about to wake it.
    fn is_idle(&self, watched: &Watched, activity: Activity) -> bool {
        let now = self.shared.now();
        match activity {
            Activity::Busy => false,
            Activity::Idle { rings, next_due } => {
                !self.shared.desks.has_handed(&watched.queue)
                    && *self.shared.store.doorbell(&watched.queue).borrow() == rings
                    && next_due.is_none_or(|due| due > now)
            }
            Activity::Closed => !is_open(&self.shared, &watched.enlisted, watched.queue.direction),
            Activity::CutOff { until } | Activity::Limited { until } => until > now,
            Activity::StandingBy => true,
            Activity::NotPolling => !may_poll(&self.shared, &watched.enlisted),
            Activity::Polls { until, asked } => {
                may_poll(&self.shared, &watched.enlisted)
                    && until.is_none_or(|until| until > now)
                    && *watched.enlisted.polling.asked.borrow() == asked
            }
            Activity::Scheduled { until, asked } => {
                until.is_none_or(|until| until > now) && *watched.enlisted.asked.borrow() == asked
            }
        }
    }
}
