//! Stores that are broken on purpose, each in one way, for the properties to notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bus_core::{ConnectorName, ObjectId, ObjectKey, ObjectType, TaskId};
use bus_store::{
    Awaited, Commit, Committed, ExternalId, MemoryStore, NewTask, ObjectWrite, Outcome, Said, Store,
    StoreFuture,
};
use bus_testkit::{Intercept, Intercepted};
use serde_json::Value;

/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Nothing.
    None,
    /// Now and then a task is acknowledged and not written.
    DropsATask,
    /// Now and then an object is acknowledged and not written.
    DropsAnObject,
    /// Now and then a binding is acknowledged and not written.
    DropsABinding,
    /// Of two external ids that are asked for together, each is told for the other.
    MixesUpExternalIds,
    /// Of two ids of the host that are asked for together, each is told for the other.
    MixesUpHostIds,
    /// Whoever waits is not woken by what they wait for.
    WakesNobody,
    /// What tasks refer to is kept as it stands there, and not where it stands.
    ForgetsWhereReferencesStand,
    /// What is left to be told is forgotten.
    ForgetsTheLate,
    /// The lists of an object are kept the other way round.
    TurnsListsRound,
    /// What was sent can come back for ever.
    HearsForEver,
}

/// How often something is dropped: seldom enough that others need it by then.
const DROPS_EVERY: u64 = 7;

impl Bug {
    /// A store in memory that has it.
    pub(crate) fn store(self) -> Arc<dyn Store> {
        let broken = Broken { bug: self, written: AtomicU64::default() };
        Arc::new(Intercepted::new(Arc::new(MemoryStore::new()), broken))
    }
}

struct Broken {
    bug: Bug,
    /// How much of what it drops now and then was written.
    written: AtomicU64,
}

impl Broken {
    /// Whether the next one is dropped.
    fn drops(&self, bug: Bug) -> bool {
        self.bug == bug && (self.written.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(DROPS_EVERY)
    }

    fn spoil(&self, commit: &mut Commit) {
        commit
            .objects
            .retain(|write| !matches!(write, ObjectWrite::Save { .. }) || !self.drops(Bug::DropsAnObject));
        commit.bindings.retain(|_| !self.drops(Bug::DropsABinding));
        commit.bindings_if_free.retain(|_| !self.drops(Bug::DropsABinding));
        if self.bug == Bug::HearsForEver {
            commit.exchanged.retain(|write| !matches!(write.said, Said::Heard { .. }));
        }
        if self.bug == Bug::ForgetsTheLate {
            commit.late.clear();
        }
        for settlement in &mut commit.settlements {
            if let Outcome::Waiting { awaited, .. } = &mut settlement.outcome
                && self.bug == Bug::WakesNobody
            {
                *awaited = vec![never()];
            }
        }
        commit.tasks.iter_mut().for_each(|task| self.spoil_task(task));
    }

    fn spoil_task(&self, task: &mut NewTask) {
        let Ok(mut payload) = serde_json::from_slice::<Value>(&task.data) else { return };
        match (self.bug, payload.as_object_mut()) {
            (Bug::ForgetsWhereReferencesStand, Some(payload)) => {
                payload.remove("references");
            }
            (Bug::TurnsListsRound, Some(payload)) => {
                payload.get_mut("object").into_iter().for_each(turn_lists_round);
            }
            _ => return,
        }
        task.data = payload.to_string().into_bytes();
    }
}

fn never() -> Awaited {
    Awaited::Known {
        connector: ConnectorName::parse("nobody").expect("a connector's name"),
        object_type: ObjectType::parse("nothing").expect("an object type"),
        external_id: "nothing".to_owned(),
    }
}

fn turn_lists_round(value: &mut Value) {
    match value {
        Value::Array(list) => {
            list.reverse();
            list.iter_mut().for_each(turn_lists_round);
        }
        Value::Object(fields) => fields.values_mut().for_each(turn_lists_round),
        _ => {}
    }
}

/// The first two that are known, each in the place of the other.
fn mix_up<T>(known: &mut [Option<T>]) {
    let mut places = (0..known.len()).filter(|place| known[*place].is_some());
    if let (Some(first), Some(second)) = (places.next(), places.next()) {
        known.swap(first, second);
    }
}

impl Intercept for Broken {
    fn commit<'a>(&'a self, store: &'a dyn Store, mut commit: Commit) -> StoreFuture<'a, Committed> {
        self.spoil(&mut commit);
        let dropped = !commit.tasks.is_empty() && self.drops(Bug::DropsATask);
        if dropped {
            commit.tasks.pop();
        }
        Box::pin(async move {
            let mut committed = store.commit(commit).await?;
            if dropped {
                committed.tasks.push(TaskId(i64::MAX));
            }
            Ok(committed)
        })
    }

    fn external_ids<'a>(
        &'a self,
        store: &'a dyn Store,
        connector: &ConnectorName,
        objects: &[ObjectKey],
    ) -> StoreFuture<'a, Vec<Option<ExternalId>>> {
        let known = store.external_ids(connector, objects);
        Box::pin(async move {
            let mut known = known.await?;
            if self.bug == Bug::MixesUpExternalIds {
                mix_up(&mut known);
            }
            Ok(known)
        })
    }

    fn host_ids<'a>(
        &'a self,
        store: &'a dyn Store,
        connector: &ConnectorName,
        external: &[(ObjectType, String)],
    ) -> StoreFuture<'a, Vec<Option<ObjectId>>> {
        let known = store.host_ids(connector, external);
        Box::pin(async move {
            let mut known = known.await?;
            if self.bug == Bug::MixesUpHostIds {
                mix_up(&mut known);
            }
            Ok(known)
        })
    }
}
