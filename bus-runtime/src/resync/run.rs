//! How a resync gets on: a chunk at a time, its tasks and its place in one commit. Any process that contains the connector
//! does it; of two that do the same chunk, the second one finds it done.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bus_core::{Direction, ErrorPolicy, ObjectOperation};
use bus_store::{
    Commit, ExternalId, NewDelivery, ObjectRecord, QueueId, ResyncRecord, ResyncState, Resynced,
    StoreErrorKind,
};

use super::pages::{PAGES_FROM, classes_of};
use super::types_of;
use crate::Result;
use crate::bus::Bus;
use crate::error::{BusError, BusErrorKind};
use crate::flow::again;
use crate::flow::change::{HostChange, Stored};
use crate::flow::task_log::{is_unordered, subscribers};
use crate::registry::{Enlisted, Roster};

/// How many objects a chunk has.
const CHUNK: usize = 100;

/// While so many deliveries of the queue are open, nothing more is logged.
const OPEN_MAX: u64 = 1_000;

/// How long a resync waits for the queue, or after an error of the store.
const PAUSE: Duration = Duration::from_secs(1);

/// How far all resyncs are, for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standstill {
    /// Until something is set: a resync is begun, a connector enabled, a switch turned.
    Done,
    /// Until a queue is shorter.
    Throttled,
}

/// What one chunk has come to.
enum Step {
    More(ResyncRecord),
    Ended,
    /// Somebody has changed one of the objects, or has done the chunk.
    Overtaken,
    /// Its connector does not log, or is not here.
    NotHere,
    Throttled,
}

/// Starts the resyncs of a bus; they end with the bus.
pub(crate) fn start(bus: &Bus) {
    let bus = bus.clone();
    tokio::spawn(async move {
        let stopping = bus.shared.stopping.clone();
        tokio::select! {
            () = stopping.cancelled() => {}
            () = bus.resync_for_ever() => {}
        }
    });
}

impl Bus {
    async fn resync_for_ever(&self) {
        loop {
            let pause = match self.resync_all().await {
                Ok(Standstill::Done) => None,
                Ok(Standstill::Throttled) => Some(PAUSE),
                Err(error) if error.kind() == BusErrorKind::Stopped => return,
                Err(error) => {
                    tracing::warn!(%error, "failed to get on with a resync; tried again soon");
                    Some(PAUSE)
                }
            };
            let soon = self.shared.resync_soon.notified();
            match pause {
                None => soon.await,
                Some(pause) => tokio::select! {
                    () = soon => {}
                    () = self.shared.clock.sleep_until(self.shared.now().plus(pause)) => {}
                },
            }
        }
    }

    /// Gets on with every resync as far as that goes now.
    pub(crate) async fn resync_all(&self) -> Result<Standstill> {
        let _one_at_a_time = self.shared.resyncing.lock().await;
        let mut standstill = Standstill::Done;
        for running in self.resyncs().await? {
            let mut resync = running;
            let mut limit = CHUNK;
            while resync.state == ResyncState::Running {
                match self.resync_chunk(&resync, limit).await? {
                    Step::More(next) => {
                        resync = next;
                        limit = CHUNK;
                    }
                    Step::Overtaken => {
                        // Fewer objects change less often.
                        limit = (limit / 2).max(1);
                        let known = self.resyncs().await?;
                        let Some(known) = known.into_iter().find(|known| known.resync == resync.resync)
                        else {
                            break;
                        };
                        resync = known;
                    }
                    Step::Throttled => {
                        standstill = Standstill::Throttled;
                        break;
                    }
                    Step::NotHere | Step::Ended => break,
                }
            }
        }
        Ok(standstill)
    }

    async fn resync_chunk(&self, resync: &ResyncRecord, limit: usize) -> Result<Step> {
        let shared = &self.shared;
        let connector = &resync.what.connector;
        let failed = |error| BusError::store(&format!("resync connector {connector}"), error);
        let switches = self.switches();
        let roster = shared.roster();
        let here = roster.get(connector).filter(|known| known.works() && known.logs());
        let Some(enlisted) = here.filter(|_| switches.bus && switches.log_outgoing) else {
            return Ok(Step::NotHere);
        };
        let queue = QueueId::new(connector.clone(), Direction::Outgoing);
        if shared.store.counters(&queue).await.map_err(failed)?.open >= OPEN_MAX {
            return Ok(Step::Throttled);
        }
        let classes = classes_of(shared, enlisted, &resync.what.types);
        let mut commit = Commit::at(shared.now());
        let chunk = if resync.place < PAGES_FROM {
            let mut chunk = self.walk_objects(resync, &roster, enlisted, limit, &mut commit).await?;
            if chunk.ends && !classes.is_empty() {
                (chunk.to, chunk.ends) = (PAGES_FROM, false);
            }
            chunk
        } else {
            self.walk_pages(resync, &classes, limit, &mut commit).await?
        };
        commit.resynced = Some(chunk);
        match shared.store.commit(commit).await {
            Ok(_) if chunk.ends => {
                let (logged, skipped) = (resync.logged + chunk.logged, resync.skipped + chunk.skipped);
                tracing::info!(%connector, resync = %resync.resync, logged, skipped, "a resync is done");
                Ok(Step::Ended)
            }
            Ok(_) => Ok(Step::More(ResyncRecord {
                place: chunk.to,
                logged: resync.logged + chunk.logged,
                skipped: resync.skipped + chunk.skipped,
                ..resync.clone()
            })),
            Err(error) if error.kind() == StoreErrorKind::Conflict => Ok(Step::Overtaken),
            Err(error) => Err(failed(error)),
        }
    }

    /// Adds the next objects to a chunk.
    async fn walk_objects(
        &self,
        resync: &ResyncRecord,
        roster: &Roster,
        enlisted: &Enlisted,
        limit: usize,
        commit: &mut Commit,
    ) -> Result<Resynced> {
        let shared = &self.shared;
        let connector = &resync.what.connector;
        let failed = |error| BusError::store(&format!("resync connector {connector}"), error);
        let types = types_of(shared, enlisted, &resync.what.types);
        let walked = shared.store.walk_objects(&types, resync.place, limit).await.map_err(failed)?;
        let mut chunk = Resynced {
            resync: resync.resync,
            from: resync.place,
            to: walked.last().map_or(resync.place, |(place, _)| *place),
            logged: 0,
            skipped: 0,
            ends: walked.len() < limit,
        };
        let keys: Vec<_> = walked.iter().map(|(_, record)| record.key.clone()).collect();
        let known = shared.store.external_ids(connector, &keys).await.map_err(failed)?;
        for ((_, record), known) in walked.into_iter().zip(known) {
            let is_known = known.and_then(ExternalId::of_living).is_some();
            let operation = if is_known { ObjectOperation::Update } else { ObjectOperation::Create };
            match self.resync_object(roster, enlisted, record, operation, commit).await {
                Ok(is_logged) => chunk.logged += u64::from(is_logged),
                Err(error) if matches!(error.kind(), BusErrorKind::Store | BusErrorKind::Stopped) => {
                    return Err(error);
                }
                Err(error) => {
                    tracing::error!(%connector, resync = %resync.resync, %error, "an object cannot be logged, and is skipped");
                    chunk.skipped += 1;
                }
            }
        }
        Ok(chunk)
    }

    /// Adds an object to a chunk; whether the connector asks to be told of it.
    async fn resync_object(
        &self,
        roster: &Roster,
        enlisted: &Enlisted,
        record: ObjectRecord,
        operation: ObjectOperation,
        commit: &mut Commit,
    ) -> Result<bool> {
        let shared = &self.shared;
        let stored = read(shared, record)?;
        let change = HostChange::again(&stored, operation);
        let told = subscribers(roster, &change);
        let Some(told) = told.get(&enlisted.record.name) else { return Ok(false) };
        let delivery = NewDelivery {
            connector: enlisted.record.name.clone(),
            data_type: told.data_type,
            policy: ErrorPolicy::Default,
            idempotency_key: shared.new_uuid(),
        };
        let own = is_unordered(enlisted).then(|| shared.new_uuid());
        let (write, task) =
            again::as_it_is(shared, stored, &change.summary, told.data_type, own, vec![delivery]).await?;
        commit.objects.extend(write);
        commit.tasks.push(task);
        Ok(true)
    }
}

/// Reads an object, which may call code of the application: its panic is not that of all resyncs.
fn read(shared: &crate::shared::Shared, record: ObjectRecord) -> Result<Stored> {
    let key = record.key.clone();
    let read = catch_unwind(AssertUnwindSafe(|| Stored::read(&shared.registry, record)));
    read.unwrap_or_else(|_| {
        let message = format!("the stored object {key} cannot be read: its `From` panicked; mend that");
        Err(BusError::new(BusErrorKind::Malformed, message))
    })
}
