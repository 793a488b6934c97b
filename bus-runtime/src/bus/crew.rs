//! The workers of the registered connectors: started, stopped, and connected at once for a strict start.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use bus_core::{ConnectorName, Direction};
use bus_store::{ConnectorState, QueueId};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Bus, wait_for_queues};
use crate::Result;
use crate::connection::{Asked, Connection};
use crate::error::{BusError, BusErrorKind};
use crate::flow::numbers::Numbers;
use crate::flow::worker::{Activity, Worker};
use crate::registry::Enlisted;

/// The workers of one registered connector.
pub(super) struct Crew {
    pub(super) connection: Arc<Connection>,
    pub(super) stopping: CancellationToken,
    pub(super) workers: Vec<(QueueId, watch::Receiver<Activity>, JoinHandle<()>)>,
}

impl Bus {
    /// Starts the workers of a connector that can work.
    pub(crate) async fn start_crew(&self, enlisted: &Arc<Enlisted>) {
        let (true, Some(linked)) = (enlisted.works(), enlisted.linked) else { return };
        self.asked.get_or_init(|| self.ask_for_queues()).await;
        let connection = Arc::new(Connection::new(Arc::clone(&self.shared), Arc::clone(enlisted)));
        let stopping = self.shared.stopping.child_token();
        let mut workers = Vec::new();
        for direction in Direction::ALL.into_iter().filter(|direction| enlisted.has(*direction)) {
            let queue = QueueId::new(enlisted.record.name.clone(), direction);
            let (activity, watched) = watch::channel(Activity::Busy);
            let worker = Worker {
                shared: Arc::clone(&self.shared),
                connection: Arc::clone(&connection),
                linked,
                queue: queue.clone(),
                numbers: Numbers::default(),
                suspect: AtomicI64::new(0),
                activity,
                stopping: stopping.clone(),
            };
            workers.push((queue, watched, tokio::spawn(worker.run())));
        }
        let crew = Crew { connection, stopping, workers };
        self.crews.lock().await.insert(enlisted.record.name.clone(), crew);
    }

    /// Asks to work on the queues. Only a process with a connector that can work does: one that merely logs leaves them
    /// to others.
    async fn ask_for_queues(&self) {
        // A store tells at the first poll where nobody else works on the queues: the usual case is known before any
        // worker begins.
        let mut owning = Box::pin(wait_for_queues(Arc::clone(&self.shared)));
        tokio::select! {
            biased;
            () = &mut owning => {}
            () = std::future::ready(()) => {
                tracing::info!("another process works on the queues; this one stands by");
                tokio::spawn(owning);
            }
        }
    }

    pub(super) async fn stop_crew(&self, name: &ConnectorName) {
        let crew = self.crews.lock().await.remove(name);
        if let Some(crew) = crew {
            crew.stopping.cancel();
            for (_, _, handle) in crew.workers {
                let _ended = handle.await;
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
