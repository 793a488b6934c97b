//! Deleting a registered connector: its open deliveries are ended, or it stays; never orphans.

use bus_core::{ConnectorName, Direction};
use bus_store::operate::{INTERVENTION_ITEMS_MAX, PAGE_ROWS_MAX};
use bus_store::{
    Acquired, Commit, ConnectorRecord, DeliveryFilter, QueueId, RecordOwner, Selected, StoreError,
    StoreErrorKind, Terms, Verb, Verdict,
};

use super::Bus;
use crate::Result;
use crate::error::{BusError, BusErrorKind};
use crate::flow::queue::acquire;
use crate::operate::Operator;

/// How often it starts over when another process logs something for the connector in between.
const ROUNDS_MAX: usize = 10;

/// What becomes of the open deliveries of a connector that is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenDeliveries {
    /// Nothing: where there are any, the connector is not deleted.
    Refuse,
    /// They end as discarded, with who and why.
    Discard,
}

/// How a connector is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deletion {
    open: OpenDeliveries,
    forgets_bindings: bool,
}

impl From<OpenDeliveries> for Deletion {
    fn from(open: OpenDeliveries) -> Self {
        Self { open, forgets_bindings: false }
    }
}

impl Deletion {
    /// And forgets what its external system calls our objects. Otherwise that stays, under the connector's name, and is
    /// there again for one that is registered under it.
    #[must_use]
    pub const fn forgetting_bindings(mut self) -> Self {
        self.forgets_bindings = true;
        self
    }
}

/// What a deleted connector took with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Deleted {
    /// How many open deliveries were discarded.
    pub discarded: u64,
    /// How many bindings were forgotten.
    pub bindings_forgotten: u64,
}

impl Bus {
    /// Deletes a registered connector, once what it runs has ended, or has not within its `call_timeout_ms` and the
    /// shutdown grace. Its history stays as long as ever, its counters for
    /// good, its bindings unless they are to be forgotten.
    ///
    /// ```no_run
    /// # async fn f(bus: bus_runtime::Bus) -> bus_runtime::Result<()> {
    /// use bus_runtime::{Deletion, OpenDeliveries, Operator};
    ///
    /// let ops = Operator::named("jane").because("the contract has ended");
    /// let how = Deletion::from(OpenDeliveries::Discard).forgetting_bindings();
    /// let deleted = bus.delete_connector(&"crm".parse().unwrap(), how, &ops).await?;
    /// println!("{} deliveries discarded", deleted.discarded);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `UnknownConnector`; `Conflict` when the configuration file owns it: remove it there, start again, then delete it;
    /// `WrongState` when it has open deliveries that are not to be discarded, or another process works on its queues;
    /// `BadName` for an operator without a name; `Store`. The connector goes on then, except for what was discarded.
    pub async fn delete_connector(
        &self,
        name: &ConnectorName,
        how: impl Into<Deletion>,
        by: &Operator,
    ) -> Result<Deleted> {
        by.check()?;
        let reason = by.reason.clone().unwrap_or_else(|| format!("connector {name} was deleted"));
        let by = Operator { name: by.name.clone(), reason: Some(reason) };
        let (bus, name, how) = (self.clone(), name.clone(), how.into());
        // On a task of its own: a caller that gives up half-way must not leave the connector without its workers.
        let deleted = tokio::spawn(async move { bus.delete_now(&name, how, &by).await }).await;
        deleted.unwrap_or_else(|error| {
            let message = "the deletion broke off; look at `connectors`, then delete again";
            Err(BusError::new(BusErrorKind::Stopped, message).with_source(error))
        })
    }

    async fn delete_now(&self, name: &ConnectorName, how: Deletion, by: &Operator) -> Result<Deleted> {
        let _one_at_a_time = self.registering.lock().await;
        let failed = |error| BusError::store(&format!("delete connector {name}"), error);
        let roster = self.shared.roster();
        let enlisted = roster.get(name);
        if enlisted.is_some_and(|known| known.record.owner == RecordOwner::File) {
            let file = self
                .shared
                .file
                .as_ref()
                .map_or("the configuration".to_owned(), |file| file.display().to_string());
            let message = format!(
                "connector {name} is registered in {file}; remove it there, start again, and delete it then"
            );
            return Err(BusError::new(BusErrorKind::Conflict, message));
        }
        let open = self.open_of(name).await.map_err(failed)?;
        if enlisted.is_none() && open == 0 {
            let message = format!("no connector {name} is registered; `connectors` lists those that are");
            return Err(BusError::new(BusErrorKind::UnknownConnector, message));
        }
        if open > 0 && how.open == OpenDeliveries::Refuse {
            return Err(has_open(name, open));
        }
        // First nothing more is logged for it, then nothing more is done.
        self.shared.set_roster(roster.without(name));
        self.stop_crew_and_keep_queues(name).await;
        let ended = self.end_connector(name, how, by).await;
        if let Err(error) = self.give_up_queues(name).await {
            tracing::warn!(connector = %name, %error, "its queues stay with this process until it ends");
        }
        match ended {
            Ok(deleted) => {
                tracing::info!(connector = %name, by = %by.name, reason = by.reason.as_deref(), ?deleted, "deleted");
                Ok(deleted)
            }
            Err(error) => {
                let records = self.shared.store.connectors().await;
                let is_gone =
                    |records: Vec<ConnectorRecord>| records.iter().all(|record| record.name != *name);
                let is_deleted = records.is_ok_and(is_gone);
                if let Some(enlisted) = enlisted.filter(|_| !is_deleted) {
                    self.shared.set_roster(self.shared.roster().with(enlisted));
                    self.start_crew(enlisted).await;
                }
                Err(error)
            }
        }
    }

    /// Leaves the queues, which the workers did not, to whoever registers the connector next.
    async fn give_up_queues(&self, name: &ConnectorName) -> Result<(), StoreError> {
        for queue in self.shared.store.queues().await? {
            if queue.connector == *name
                && let Acquired::Owned(ownership) = acquire(&self.shared, &queue, &Terms::default()).await?
            {
                self.shared.store.release(&ownership).await?;
            }
        }
        Ok(())
    }

    async fn end_connector(&self, name: &ConnectorName, how: Deletion, by: &Operator) -> Result<Deleted> {
        let failed = |error| BusError::store(&format!("delete connector {name}"), error);
        let mut deleted = Deleted::default();
        for _ in 0..ROUNDS_MAX {
            match self.shared.store.delete_connector(name).await {
                Ok(_) => {
                    if how.forgets_bindings {
                        deleted.bindings_forgotten = self.forget_bindings(name).await.map_err(failed)?;
                    }
                    return Ok(deleted);
                }
                Err(error) if error.kind() != StoreErrorKind::Conflict => return Err(failed(error)),
                Err(_) if how.open == OpenDeliveries::Refuse => break,
                Err(_) => deleted.discarded += self.discard_open(name, by).await?,
            }
        }
        Err(has_open(name, self.open_of(name).await.map_err(failed)?))
    }

    async fn open_of(&self, name: &ConnectorName) -> Result<u64, StoreError> {
        let mut open = 0;
        for direction in Direction::ALL {
            open += self.shared.store.counters(&QueueId::new(name.clone(), direction)).await?.open;
        }
        Ok(open)
    }

    /// Ends what is open in both queues as discarded.
    async fn discard_open(&self, name: &ConnectorName, by: &Operator) -> Result<u64> {
        let failed = |error| BusError::store(&format!("discard the deliveries of connector {name}"), error);
        let mut discarded = 0;
        for direction in Direction::ALL {
            let queue = QueueId::new(name.clone(), direction);
            if self.shared.store.counters(&queue).await.map_err(failed)?.open > 0 {
                self.interrupt(&queue).await?;
                discarded += self.discard_pages(&queue, by).await.map_err(failed)?;
            }
        }
        Ok(discarded)
    }

    /// Takes the queue over, so that nothing in it is claimed: what its worker did not give back counts as interrupted.
    async fn interrupt(&self, queue: &QueueId) -> Result<()> {
        let acquired = acquire(&self.shared, queue, &Terms::default()).await;
        match acquired.map_err(|error| BusError::store(&format!("take over the queue {queue}"), error))? {
            Acquired::Owned(_) => Ok(()),
            Acquired::Taken(by) => {
                let message = format!(
                    "another process ({}) works on the queue {queue}; delete the connector there, or stop that process \
                     first",
                    by.owner
                );
                Err(BusError::new(BusErrorKind::WrongState, message))
            }
        }
    }

    async fn discard_pages(&self, queue: &QueueId, by: &Operator) -> Result<u64, StoreError> {
        let mut page =
            DeliveryFilter { limit: PAGE_ROWS_MAX.min(INTERVENTION_ITEMS_MAX), ..DeliveryFilter::default() };
        let mut discarded = 0;
        loop {
            let listed = self.shared.store.deliveries(queue, &page).await?;
            let Some(last) = listed.last() else { return Ok(discarded) };
            page.after = Some(last.delivery);
            let items = listed.iter().map(|row| Selected { delivery: row.delivery, seen: None }).collect();
            let verdicts = self.intervene_in_one_step(Verb::Discard, items, by).await?;
            let done = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Done { .. })).count();
            discarded += u64::try_from(done).unwrap_or(u64::MAX);
        }
    }

    async fn forget_bindings(&self, name: &ConnectorName) -> Result<u64, StoreError> {
        let store = &self.shared.store;
        let mut forgotten = 0;
        loop {
            let page = store.bindings(name, None, PAGE_ROWS_MAX).await?;
            if page.is_empty() {
                return Ok(forgotten);
            }
            forgotten += u64::try_from(page.len()).unwrap_or(u64::MAX);
            store.commit(Commit { unbound: page, ..Commit::at(self.shared.now()) }).await?;
        }
    }
}

fn has_open(name: &ConnectorName, open: u64) -> BusError {
    let message = format!(
        "connector {name} has {open} open deliveries; let its queues run empty, or delete it with \
         `OpenDeliveries::Discard`"
    );
    BusError::new(BusErrorKind::WrongState, message)
}
