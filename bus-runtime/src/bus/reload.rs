//! What other processes on the same store have set takes effect here, too. Of a connector that this process's configuration
//! file names, only the state does: what it is set to stands in that file, and another process's file may say otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bus_store::{ConnectorRecord, RecordOwner, StoreError};

use super::Bus;
use crate::registry::{Enlisted, enlist, published};
use crate::start::publish;

impl Bus {
    /// Reads switches, states and registrations, and takes over what is different; unless nothing was set since the
    /// revision that was taken over last.
    pub(crate) async fn reload(&self, taken_over: &mut Option<u64>) -> Result<(), StoreError> {
        // Asked before anything is read: what is set meanwhile is for the next round.
        let revision = self.shared.store.revision().await?;
        if *taken_over == Some(revision) {
            return Ok(());
        }
        self.reload_switches().await?;
        if self.reload_connectors().await? {
            *taken_over = Some(revision);
        }
        self.shared.resync_soon.notify_one();
        // Whom something could not be told before, perhaps.
        self.shared.store.ring_late();
        Ok(())
    }

    async fn reload_switches(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.switching.lock().await;
        let stored = self.shared.store.switches().await?;
        self.shared.switches.send_if_modified(|switches| {
            let differs = stored.is_some_and(|stored| stored != *switches);
            *switches = stored.unwrap_or(*switches);
            differs
        });
        Ok(())
    }

    /// Whether they were read: not while something is registered here.
    async fn reload_connectors(&self) -> Result<bool, StoreError> {
        // Whoever registers something in this process may take as long as a call takes; the next round sees it.
        let Ok(_one_at_a_time) = self.registering.try_lock() else { return Ok(false) };
        let switching = self.switching.lock().await;
        let roster = self.shared.roster();
        let records = self.shared.store.connectors().await?;
        for (record, known) in records.iter().filter_map(|record| Some((record, roster.get(&record.name)?))) {
            // One that the file of another process does not name was disabled by its start, not by an operator.
            if record.owner == RecordOwner::File || !is_the_files(known) {
                known.state.send_if_modified(|state| std::mem::replace(state, record.state) != record.state);
            }
        }
        drop(switching);
        let is_any_elsewhere = roster.iter().any(|known| known.linked.is_none());
        let published: BTreeMap<_, _> = if is_any_elsewhere {
            self.shared.store.published_subscriptions().await?.into_iter().collect()
        } else {
            BTreeMap::new()
        };
        let names: BTreeSet<_> = records.iter().map(|record| &record.name).collect();
        let is_gone = |known: &&Arc<Enlisted>| !names.contains(&known.record.name) && !is_the_files(known);
        for known in roster.iter().filter(is_gone) {
            let name = &known.record.name;
            tracing::info!(connector = %name, "another process has deleted it");
            self.shared.set_roster(self.shared.roster().without(name));
            self.stop_crew(name).await;
        }
        for record in &records {
            let known = roster.get(&record.name);
            let says = published.get(&record.name);
            let is_same = known.is_some_and(|known| {
                (is_the_files(known) || is_same(&known.record, record))
                    && (known.linked.is_some()
                        || known.published == says.map(published::read).unwrap_or_default())
            });
            if !is_same {
                tracing::info!(connector = %record.name, "another process has registered or changed it");
                let shared = &self.shared;
                let enlisted = enlist(&shared.registry, &shared.handles, &shared.folder, record.clone());
                self.take_over(Arc::new(enlisted.subscribed(says))).await?;
            }
        }
        Ok(true)
    }

    async fn take_over(&self, enlisted: Arc<Enlisted>) -> Result<(), StoreError> {
        publish(&self.shared, &enlisted, None).await?;
        self.shared.set_roster(self.shared.roster().with(&enlisted));
        self.stop_crew(&enlisted.record.name).await;
        if !self.shared.stopping.is_cancelled() {
            self.start_crew(&enlisted).await;
        }
        Ok(())
    }
}

fn is_the_files(known: &Arc<Enlisted>) -> bool {
    known.record.owner == RecordOwner::File
}

/// Whether two records say the same, but for the state, which takes effect by itself.
fn is_same(known: &ConnectorRecord, stored: &ConnectorRecord) -> bool {
    *stored == ConnectorRecord { state: stored.state, ..known.clone() }
}
