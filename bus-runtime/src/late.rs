//! What connectors were told of without all that it refers to is told again once they know the rest: an update of the
//! object as it is then, for that connector alone. Every process on the store does so; who comes second finds it done.

mod page;

use std::time::Duration;

use bus_core::{ConnectorName, ObjectKey};
use bus_store::{Commit, NewTask, ObjectWrite};

use crate::Result;
use crate::bus::Bus;
use crate::error::{BusError, BusErrorKind};
use crate::flow::again;
use crate::flow::change::Stored;
use crate::flow::page::page_of;

/// How many objects are looked up at once.
const BATCH: usize = 100;

/// How often it starts over when somebody else changed an object in between, or was faster.
const CONFLICTS_MAX: usize = 10;

/// How long it waits after an error of the store before it tries again.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// Starts it for a bus; it ends with the bus.
pub(crate) fn start(bus: &Bus) {
    let bus = bus.clone();
    tokio::spawn(async move {
        let stopping = bus.shared.stopping.clone();
        tokio::select! {
            () = stopping.cancelled() => {}
            () = bus.follow_up_for_ever() => {}
        }
    });
}

impl Bus {
    async fn follow_up_for_ever(&self) {
        let mut bell = self.shared.store.late_bell();
        loop {
            bell.mark_unchanged();
            match self.follow_up_all().await {
                Ok(()) => {
                    // A store that is gone rings no more.
                    if bell.changed().await.is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == BusErrorKind::Stopped => return,
                Err(error) => {
                    tracing::warn!(%error, "failed to tell again what late references were missing in; tried again soon");
                    let soon = self.shared.now().plus(PAUSE_AFTER_ERROR);
                    tokio::select! {
                        () = self.shared.clock.sleep_until(soon) => {}
                        _ = bell.changed() => {}
                    }
                }
            }
        }
    }

    /// Tells again whatever can be told. What is for a connector that logs nothing at the moment is left as it is, and all
    /// of it while logging is switched off.
    ///
    /// # Errors
    ///
    /// Of the store. What is wrong with one object is written to the log, and keeps no other.
    pub(crate) async fn follow_up_all(&self) -> Result<()> {
        let switches = *self.shared.switches.borrow();
        if !(switches.bus && switches.log_outgoing) {
            return Ok(());
        }
        for _ in 0..CONFLICTS_MAX {
            if self.follow_up_once().await? {
                return Ok(());
            }
        }
        let message = "what late references were missing in is changed again and again; left for later";
        Err(BusError::new(BusErrorKind::Conflict, message))
    }

    /// Whether all of it was told, by this or somebody else.
    async fn follow_up_once(&self) -> Result<bool> {
        let (mut after, mut is_done) = (None, true);
        loop {
            let failed = |error| BusError::store("look for late references", error);
            let resolved = self.shared.store.resolved(after, BATCH).await.map_err(failed)?;
            let Some(last) = resolved.last().cloned() else { return Ok(is_done) };
            after = Some(last);
            for (connector, object) in resolved {
                if self.shared.roster().get(&connector).is_some_and(|enlisted| enlisted.logs()) {
                    is_done &= self.follow_up(connector, object).await?;
                }
            }
        }
    }

    /// Whether there is nothing more to do about it.
    async fn follow_up(&self, connector: ConnectorName, object: ObjectKey) -> Result<bool> {
        // On a task of its own: filters of connectors run in it, and a panic there is that of one object.
        let (bus, name, key) = (self.clone(), connector.clone(), object.clone());
        match tokio::spawn(async move { bus.tell_again(name, key).await }).await {
            Ok(Ok(())) => {}
            // The object is another one by now, or somebody else was faster.
            Ok(Err(error)) if error.kind() == BusErrorKind::Conflict => return Ok(false),
            Ok(Err(error))
                if !error.is_of_repository()
                    && matches!(error.kind(), BusErrorKind::Store | BusErrorKind::Stopped) =>
            {
                return Err(error);
            }
            Ok(Err(error)) => {
                tracing::error!(%connector, %object, %error, "what a late reference was missing in cannot be told again");
            }
            Err(error) => {
                tracing::error!(%connector, %object, %error, "a panic while something was told again");
            }
        }
        Ok(true)
    }

    /// Logs the update. An object that is gone, or that the connector is told of no more, is not told.
    async fn tell_again(&self, connector: ConnectorName, object: ObjectKey) -> Result<()> {
        let mut commit = Commit::at(self.shared.now());
        match page_of(&object) {
            Some((node, culture)) => {
                if let Some((write, task)) = self.page_as_told_now(&connector, node, &culture).await? {
                    commit.pages.push(write);
                    commit.tasks.push(task);
                }
            }
            None => {
                if let Some((write, task)) = self.as_told_now(&connector, &object).await? {
                    commit.objects.extend(write);
                    commit.tasks.push(task);
                }
            }
        }
        let doing = format!("tell {connector} of {object} again");
        commit.told_again.push((connector, object));
        self.shared.store.commit(commit).await.map_err(|error| BusError::store(&doing, error))?;
        Ok(())
    }

    /// The object as it is now, and the task for this connector alone.
    async fn as_told_now(
        &self,
        connector: &ConnectorName,
        object: &ObjectKey,
    ) -> Result<Option<(Option<ObjectWrite>, NewTask)>> {
        let found = self.shared.host().object(object).await;
        let found = found.map_err(|error| BusError::host(&format!("look for {object}"), error))?;
        let Some(record) = found else { return Ok(None) };
        let live = Stored::read(&self.shared.registry, record)?;
        again::told_now(&self.shared, connector, live).await
    }
}
