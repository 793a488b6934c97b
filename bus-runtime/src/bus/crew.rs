//! The workers of the registered connectors: started, stopped, and connected at once for a strict start.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus_core::{ConnectorName, Direction};
use bus_store::{ConnectorState, QueueId};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Bus;
use crate::Result;
use crate::connection::{Asked, Connection};
use crate::error::{BusError, BusErrorKind};
use crate::flow::poll::Poller;
use crate::flow::worker::{Activity, Worker};
use crate::registry::Enlisted;

/// The workers of one registered connector, and its poller.
pub(super) struct Crew {
    pub(super) connection: Arc<Connection>,
    pub(super) stopping: CancellationToken,
    /// Whether this process goes on with the queues when the workers have ended.
    keeps_queues: Arc<AtomicBool>,
    pub(super) workers: Vec<(QueueId, watch::Receiver<Activity>, JoinHandle<()>)>,
}

impl Bus {
    /// Starts the workers of a connector that can work.
    pub(crate) async fn start_crew(&self, enlisted: &Arc<Enlisted>) {
        let (true, Some(linked)) = (enlisted.works(), enlisted.linked) else { return };
        enlisted.start_anew();
        let connection = Arc::new(Connection::new(Arc::clone(&self.shared), Arc::clone(enlisted)));
        let stopping = self.shared.stopping.child_token();
        let keeps_queues = Arc::new(AtomicBool::new(false));
        let mut workers = Vec::new();
        for direction in Direction::ALL.into_iter().filter(|direction| enlisted.has(*direction)) {
            let queue = QueueId::new(enlisted.record.name.clone(), direction);
            let (activity, watched) = watch::channel(Activity::Busy);
            let worker =
                Worker::new(&self.shared, &connection, linked, direction, activity, &stopping, &keeps_queues);
            workers.push((queue, watched, self.shared.workers.spawn(worker.run())));
        }
        if enlisted.has(Direction::Incoming) {
            let queue = QueueId::new(enlisted.record.name.clone(), Direction::Incoming);
            let (activity, watched) = watch::channel(Activity::Busy);
            let poller = Poller::new(&self.shared, &connection, activity, &stopping);
            workers.push((queue, watched, self.shared.workers.spawn(poller.run())));
        }
        let crew = Crew { connection, stopping, keeps_queues, workers };
        self.crews.lock().await.insert(enlisted.record.name.clone(), crew);
    }

    pub(super) async fn stop_crew(&self, name: &ConnectorName) {
        self.end_crew(name, false).await;
    }

    /// Stops the workers, which takes the call time-out and the shutdown grace at most, and keeps their queues from other processes: this one goes on with them.
    pub(super) async fn stop_crew_and_keep_queues(&self, name: &ConnectorName) {
        self.end_crew(name, true).await;
    }

    async fn end_crew(&self, name: &ConnectorName, keeps_queues: bool) {
        let crew = self.crews.lock().await.remove(name);
        if let Some(crew) = crew {
            let call_timeout = Duration::from_millis(crew.connection.enlisted.processing.call_timeout_ms);
            let give_up_at = self.shared.now().plus(call_timeout + self.shared.limits.shutdown_grace);
            crew.keeps_queues.store(keeps_queues, Ordering::Relaxed);
            crew.stopping.cancel();
            let aborting = crew.connection.enlisted.aborting();
            let ended = async {
                for (_, _, handle) in crew.workers {
                    let _ended = handle.await;
                }
            };
            tokio::pin!(ended);
            tokio::select! {
                () = &mut ended => {}
                () = self.shared.clock.sleep_until(give_up_at) => {
                    tracing::warn!(
                        connector = %name,
                        "what it runs has not returned within its time-out and the grace, and is not waited for any longer"
                    );
                    aborting.cancel();
                    ended.await;
                }
            }
        }
    }

    /// Connects every enabled connector now; the first that cannot is the error.
    pub(crate) async fn connect_all(&self) -> Result<()> {
        let crews = self.crews.lock().await;
        for crew in crews.values() {
            let enlisted = &crew.connection.enlisted;
            if *enlisted.state.borrow() == ConnectorState::Enabled
                && let Asked::NotBefore(_) = crew.connection.instance().await
            {
                let name = &enlisted.record.name;
                let error = enlisted.trouble().map_or_else(String::new, |trouble| trouble.error);
                let message = format!(
                    "the start is strict, and connector {name} cannot connect: {error}; see that its external system \
                     answers and start again, or set `strict = false` to start without it"
                );
                return Err(BusError::new(BusErrorKind::Strict, message));
            }
        }
        Ok(())
    }
}
