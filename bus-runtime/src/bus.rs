//! A running bus, as the application holds it.

mod crew;
mod delete;
mod idle;
mod list;
pub(crate) mod owner;
mod reload;

use std::collections::HashMap;
use std::sync::Arc;

use bus_core::{ConnectorName, DeliveryId, Direction, ExternalTask, TaskId};
use bus_store::{
    ConnectorRecord, ConnectorState, Counters, DeliveryDetail, DeliveryFilter, DeliverySummary, QueueId,
    RecordOwner, Store, StoreError, Switches,
};
use tokio::sync::{Mutex, OnceCell};

use crate::Result;
use crate::bus::crew::Crew;
pub use crate::bus::delete::{Deleted, Deletion, OpenDeliveries};
use crate::config::ConnectorConfig;
use crate::error::{BusError, BusErrorKind};
use crate::flow::ingest;
use crate::objects::ObjectStore;
use crate::observe::{ConnectorStatus, QueueStatus};
use crate::pages::PageStore;
use crate::registry::{Registry, enlist};
use crate::resync::Advice;
use crate::shared::Shared;
use crate::shutdown::ShutdownReport;
use crate::start::publish;

/// A running bus. Clones are handles to the same one; it runs until `shutdown`, whoever still holds a handle.
#[derive(Clone)]
pub struct Bus {
    pub(crate) shared: Arc<Shared>,
    crews: Arc<Mutex<HashMap<ConnectorName, Crew>>>,
    /// One change to the registration at a time.
    registering: Arc<Mutex<()>>,
    /// One change to switches and states at a time, so that what this process and another one set is not mixed up.
    switching: Arc<Mutex<()>>,
    /// What the bus left behind, once it has stopped.
    stopped: Arc<OnceCell<ShutdownReport>>,
}

impl Bus {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            crews: Arc::default(),
            registering: Arc::default(),
            switching: Arc::default(),
            stopped: Arc::default(),
        }
    }

    /// The built-in object store.
    pub fn objects(&self) -> ObjectStore {
        ObjectStore::new(Arc::clone(&self.shared))
    }

    /// The built-in trees of pages.
    pub fn pages(&self) -> PageStore {
        PageStore::new(Arc::clone(&self.shared))
    }

    /// Logs an external object as an incoming task; it is durable when this returns, and processed as soon as its
    /// connector's worker comes to it. Works for connectors that are paused, too: the task waits. What repeats an
    /// idempotency key is not logged again; the answer is the first task's id, whatever has become of that.
    ///
    /// # Errors
    ///
    /// Never drops anything in silence: `UnknownConnector`, `ConnectorUnable` (disabled, or not linked),
    /// `SwitchedOff`, `UnknownKind`, `BadName` (connector, site), `UnknownSite`, `TooLarge`, `Malformed` (not JSON, nested
    /// too deep, or to be added to a site that it does not name), `KeyReused` (its idempotency key came with something else before), `Store`. An object that is JSON but not what the connector declared is accepted, and parked with its
    /// bytes when its turn comes.
    pub async fn process_external_task(&self, task: ExternalTask) -> Result<TaskId> {
        ingest::process_external_task(&self.shared, task).await
    }

    /// What the program contains.
    pub fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    /// The store underneath: for tools that look at tasks and the identity map.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    /// The registered connectors, with cause and remedy where something is wrong.
    pub fn connectors(&self) -> Vec<ConnectorStatus> {
        self.shared.roster().iter().map(|enlisted| ConnectorStatus::of(enlisted)).collect()
    }

    /// Registers a connector, or changes one, at run time. Only this connector is started again, once what it runs has
    /// ended: what does not within its `call_timeout_ms` and the shutdown grace is not waited for any longer.
    ///
    /// # Errors
    ///
    /// `Conflict` when the configuration file owns it: change it there. A connector that is not registered correctly
    /// is no error: `connectors` shows its problem.
    pub async fn register(&self, connector: ConnectorConfig) -> Result<ConnectorStatus> {
        // On a task of its own: a caller that gives up half-way must not leave the connector without its workers.
        let bus = self.clone();
        let registered = tokio::spawn(async move { bus.register_now(connector).await }).await;
        registered.unwrap_or_else(|error| {
            let message = "the registration broke off; look at `connectors`, then register again";
            Err(BusError::new(BusErrorKind::Stopped, message).with_source(error))
        })
    }

    async fn register_now(&self, connector: ConnectorConfig) -> Result<ConnectorStatus> {
        let _one_at_a_time = self.registering.lock().await;
        if let Some(known) = self.shared.roster().get(&connector.name)
            && known.record.owner == RecordOwner::File
        {
            return Err(BusError::new(
                BusErrorKind::Conflict,
                format!(
                    "connector {} is registered in the configuration file; change it there",
                    connector.name
                ),
            ));
        }
        let record = record_of(connector, RecordOwner::Operator)?;
        let saved = self.shared.store.save_connector(record.clone()).await;
        saved.map_err(|error| BusError::store(&format!("register connector {}", record.name), error))?;
        let shared = &self.shared;
        let enlisted = Arc::new(enlist(&shared.registry, &shared.handles, &shared.folder, record));
        let published = publish(shared, &enlisted, None).await;
        published.map_err(|error| {
            BusError::store(&format!("publish what connector {} subscribes to", enlisted.record.name), error)
        })?;
        shared.set_roster(shared.roster().with(&enlisted));
        self.stop_crew(&enlisted.record.name).await;
        self.start_crew(&enlisted).await;
        shared.resync_soon.notify_one();
        Ok(ConnectorStatus::of(&enlisted))
    }

    /// Pauses, disables or enables a connector, at run time. What runs ends first. Kept for the next start, unless the
    /// configuration file owns the connector: then each start begins with what the file says. Answers what is worth doing then.
    ///
    /// # Errors
    ///
    /// `UnknownConnector`.
    pub async fn set_connector_state(
        &self,
        name: &ConnectorName,
        state: ConnectorState,
    ) -> Result<Option<Advice>> {
        let roster = self.shared.roster();
        let Some(enlisted) = roster.get(name) else {
            let message = format!("no connector {name} is registered; `connectors` lists those that are");
            return Err(BusError::new(BusErrorKind::UnknownConnector, message));
        };
        let _one_at_a_time = self.switching.lock().await;
        let set = self.shared.store.set_connector_state(name, state).await;
        set.map_err(|error| BusError::store(&format!("set connector {name} to {}", state.as_str()), error))?;
        let before = enlisted.state.send_replace(state);
        self.shared.resync_soon.notify_one();
        let logs_again = before == ConnectorState::Disabled && state != ConnectorState::Disabled;
        // What could not be told before, perhaps.
        self.shared.store.ring_late();
        Ok((logs_again && enlisted.has(Direction::Outgoing)).then_some(Advice::Resync))
    }

    /// The five switches.
    pub fn switches(&self) -> Switches {
        *self.shared.switches.borrow()
    }

    /// Sets the five switches, at run time; kept for the next start. What runs ends first.
    pub async fn set_switches(&self, switches: Switches) -> Result<()> {
        let _one_at_a_time = self.switching.lock().await;
        let set = self.shared.store.set_switches(switches).await;
        set.map_err(|error| BusError::store("set the switches", error))?;
        self.shared.switches.send_replace(switches);
        self.shared.resync_soon.notify_one();
        self.shared.store.ring_late();
        Ok(())
    }

    /// Starts the processing of what is logged: of one connector, or of all. The bus does this by itself; a program
    /// that logged through another process may want to be sure.
    ///
    /// # Errors
    ///
    /// `UnknownConnector`.
    pub fn request_tasks_processing(&self, connector: Option<&ConnectorName>) -> Result<()> {
        let roster = self.shared.roster();
        if let Some(name) = connector
            && roster.get(name).is_none()
        {
            let message = format!("no connector {name} is registered; `connectors` lists those that are");
            return Err(BusError::new(BusErrorKind::UnknownConnector, message));
        }
        for enlisted in roster.iter() {
            if connector.is_none_or(|name| *name == enlisted.record.name) {
                enlisted.asked.send_modify(|asked| *asked += 1);
                for direction in Direction::ALL {
                    self.shared.store.ring(&QueueId::new(enlisted.record.name.clone(), direction));
                }
            }
        }
        Ok(())
    }

    /// How the queues are: every one that ever had something in it, or is worked on. Looks at what is open, so it costs
    /// more the more that is: for pages and reports.
    pub async fn queues(&self) -> Result<Vec<QueueStatus>> {
        let mut statuses = Vec::new();
        for (queue, counters) in self.counters().await? {
            let mut open = self.shared.store.queue_counts(&queue).await.map_err(no_look)?;
            self.shared.unbegun.count(&queue, &mut open);
            statuses.push(QueueStatus::new(queue, counters, open));
        }
        Ok(statuses)
    }

    /// What became of everything that each queue was ever given. Costs the same however much is open: for progress and
    /// metrics.
    pub async fn counters(&self) -> Result<Vec<(QueueId, Counters)>> {
        let mut counted = Vec::new();
        for queue in self.shared.store.queues().await.map_err(no_look)? {
            let counters = self.shared.store.counters(&queue).await.map_err(no_look)?;
            counted.push((queue, counters));
        }
        Ok(counted)
    }

    /// Deliveries of a queue, oldest first, at most 1,000: the open ones, or, where the filter names a final state,
    /// those that ended so and are still kept (`history_retention_ms`). The next page begins `after` the last one.
    ///
    /// What this process has claimed and not begun is available.
    pub async fn deliveries(&self, queue: &QueueId, filter: &DeliveryFilter) -> Result<Vec<DeliverySummary>> {
        let listed = list::deliveries(&self.shared, queue, filter).await;
        listed.map_err(|error| BusError::store(&format!("list the deliveries of {queue}"), error))
    }

    /// Everything about one delivery, open or ended: its data with the translation records, its attempts, what it waits
    /// for, what operators did to it.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is none of this id, or it ended so long ago that it is not kept any more.
    pub async fn delivery(&self, delivery: DeliveryId) -> Result<DeliveryDetail> {
        let found = self.shared.store.delivery(delivery).await;
        let found = found.map_err(|error| BusError::store(&format!("look at delivery {delivery}"), error))?;
        let mut found = found.ok_or_else(|| {
            let message = format!(
                "there is no delivery {delivery}; it ended and is not kept any more, or it never was"
            );
            BusError::new(BusErrorKind::NotFound, message)
        })?;
        self.shared.unbegun.show(&mut found.summary);
        Ok(found)
    }

    /// Runs until the process is told to end (ctrl-c, or SIGTERM), then shuts down and says what is left.
    ///
    /// # Errors
    ///
    /// `Store` when the store stopped by itself (its disk failed, for one): nothing can be processed any more.
    pub async fn run_until_shutdown(&self) -> Result<()> {
        let mut store_stopped = self.shared.store_stopped.subscribe();
        let told = tokio::select! {
            told = told_to_end() => told,
            _ = store_stopped.wait_for(Option::is_some) => Ok(()),
        };
        told.map_err(|error| {
            BusError::new(BusErrorKind::Stopped, "wait for the signal to end").with_source(error)
        })?;
        let report = self.shutdown().await;
        tracing::info!("{report}");
        match &*store_stopped.borrow() {
            None => Ok(()),
            Some(reason) => {
                let message = format!("the store has stopped: {reason}; mend its disk, then start again");
                Err(BusError::new(BusErrorKind::Store, message))
            }
        }
    }

    /// Stops: takes no new work, lets what runs end within the grace, gives back what was not started, closes the
    /// store, and says what is left. Nothing of it is lost; no attempt is charged for what was given back.
    ///
    /// Whoever calls it again, or at the same time, gets the same answer.
    pub async fn shutdown(&self) -> ShutdownReport {
        self.stopped.get_or_init(|| self.shut_down()).await.clone()
    }

    async fn shut_down(&self) -> ShutdownReport {
        self.shared.stopping.cancel();
        // Also those whose connector is being stopped already.
        self.shared.workers.close();
        let end_of_grace = self.shared.now().plus(self.shared.limits.shutdown_grace);
        let dropped_calls = tokio::select! {
            () = self.shared.workers.wait() => false,
            () = self.shared.clock.sleep_until(end_of_grace) => {
                self.shared.aborting.cancel();
                self.shared.workers.wait().await;
                true
            }
        };
        self.crews.lock().await.clear();
        let mut report = ShutdownReport { dropped_calls, ..ShutdownReport::default() };
        if let Ok(queues) = self.shared.store.queues().await {
            for queue in queues {
                if let Ok(counters) = self.shared.store.counters(&queue).await
                    && counters.open > 0
                {
                    report.open.push((queue, counters.open));
                }
            }
        }
        self.shared.store.close().await;
        report
    }
}

fn no_look(error: StoreError) -> BusError {
    BusError::store("look at the queues", error)
}

/// The store's record of a connector.
pub(crate) fn record_of(connector: ConnectorConfig, owner: RecordOwner) -> Result<ConnectorRecord> {
    let processing = serde_json::to_value(connector.processing).map_err(|error| {
        let message = format!("the processing of connector {} cannot be written down", connector.name);
        BusError::new(BusErrorKind::Config, message).with_source(error)
    })?;
    Ok(ConnectorRecord {
        name: connector.name,
        display_name: connector.display_name,
        uses: connector.uses,
        state: connector.state,
        settings: connector.settings,
        processing,
        owner,
    })
}

#[cfg(unix)]
async fn told_to_end() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn told_to_end() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
