//! Everything that becomes true together.

use bus_core::{
    ConnectorName, DataType, DeliveryId, Direction, ErrorPolicy, ObjectKey, Operation, SiteName, TaskId,
    Timestamp,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::cursors::CursorMove;
use crate::doubt::Doubt;
use crate::exchange::{ExchangeWrite, Travel};
use crate::identity::Binding;
use crate::late::LateReferences;
use crate::objects::ObjectWrite;
use crate::outbox::{EntryEnd, Relayed, RelayedTasks};
use crate::pages::PageWrite;
use crate::queue::{Claimed, Outcome, Ownership, Settlement};
use crate::resync::Resynced;
use crate::reviews::ConflictRecord;
use crate::{StoreError, StoreErrorKind, StoreFuture};

/// Where changes, tasks, bindings and outcomes are written.
pub trait TaskLog {
    /// Makes all of it true, or none of it. When this returns, it is as durable as the store promises.
    ///
    /// In this order: settlements, objects, pages, ended bindings, bindings, the cursor, tasks, what was exchanged, relayed
    /// entries, late references. Then whoever waits for one of the written objects or bindings is made ready, and the doorbell
    /// of each queue that got something to do is rung. What is logged for a connector that was deleted is counted, discarded,
    /// and kept as history, within the same commit.
    ///
    /// # Errors
    ///
    /// `Conflict` when an object, or a node of a page, is not as expected, or a GUID, or a code name within site and parent, is taken
    /// by another object, or a binding was to be made only if nothing contradicts it, and something does; when an object
    /// would both belong to a site and be assigned to one; when the path of a page is taken, or pages stand beneath what is
    /// deleted; when the relayed entries are not the first of the outbox; when a resync is not where it is said to be; when
    /// what is told again is not resolved; when the cursor is of another version; or
    /// when a delivery is settled by an entry of the outbox (look again once that is relayed).
    /// `NotFound` when the site of an object or a page, an assignment, or an incoming task that is new is not registered. `Stale`
    /// when `ownership` is not that of the queue any more, or a settlement is of a
    /// delivery that it has not claimed, or has no longer (settled or displaced, also earlier in this commit).
    /// `KeyReused` when a task brings an idempotency key that the connector was given before, with another digest.
    /// `Unsupported` when the commit contradicts itself ([`Commit::check`]), or the path of a page would be too long. Nothing has changed then, except that
    /// the queue's `stale` counter says how many commits were refused as stale.
    fn commit(&self, commit: Commit) -> StoreFuture<'_, Committed>;
}

/// What is to become true together.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// Outcomes of deliveries that `ownership` claimed, applied in this order. An outcome that holds its key
    /// displaces what else is claimed of the key and later: that must not be settled any more, so of several
    /// deliveries of one key that are given back, only the first is settled.
    pub settlements: Vec<Settlement>,
    /// Whose deliveries the settlements are; needed when there are any.
    pub ownership: Option<Ownership>,
    /// Objects of the built-in object store.
    pub objects: Vec<ObjectWrite>,
    /// Bindings. One that contradicts another (same object, or same external id, of the same connector and type)
    /// takes its place: the newest word counts.
    pub bindings: Vec<Binding>,
    /// Bindings that contradict none but those of objects that are gone, nor each other; else the whole commit is
    /// refused. They are made before `bindings`.
    pub bindings_if_free: Vec<Binding>,
    /// Bindings that end, because the delete of their object has been delivered. Those that say something else by then
    /// stay.
    pub unbound: Vec<Binding>,
    /// New tasks with their deliveries, logged in this order.
    pub tasks: Vec<NewTask>,
    /// The first entries of the outbox, all of them up to the last one here, in their order: they are there no more
    /// afterwards.
    pub relayed: Vec<Relayed>,
    /// Owners whose queues have time: the first new delivery in such a queue is claimed at once, as `Queue::claim` would
    /// do it, if nothing is claimed of its key, or open before it, as far as that is known without a long look. Without
    /// effect where the owner has been replaced.
    pub claim_for: Vec<Ownership>,
    /// What was exchanged with external systems about these and other objects.
    pub exchanged: Vec<ExchangeWrite>,
    /// Pages of the built-in trees.
    pub pages: Vec<PageWrite>,
    /// The chunk of a resync that the tasks are.
    pub resynced: Option<Resynced>,
    /// What is left to be told of objects, whose references are looked up once more after the bindings are made.
    pub late: Vec<LateReferences>,
    /// Objects that a connector is told of again, because late references are resolved: each is among those that
    /// [`Late::resolved`](crate::Late::resolved) answers, and is not afterwards; else the whole commit is refused.
    pub told_again: Vec<(ConnectorName, ObjectKey)>,
    /// When this happens, by the caller's clock.
    pub now: Timestamp,
    /// How far a connector has come that asks its external system: that of `ownership`, an incoming queue.
    pub cursor: Option<CursorMove>,
    /// Deliveries that are settled here without ending, and of which it is not known what their calls came to. A
    /// settlement that is not named here ends every doubt about its delivery.
    pub doubts: Vec<(DeliveryId, Doubt)>,
    /// What a person has to decide about deliveries that are parked here.
    pub conflicts: Vec<ConflictRecord>,
}

/// What became of a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// The new tasks, in the order given. Where an idempotency key was given before, the task that came with it then.
    pub tasks: Vec<TaskId>,
    /// Those of `tasks` that had been there already.
    pub repeated: Vec<TaskId>,
    /// The tasks of the relayed entries.
    pub relayed: RelayedTasks,
    /// What was claimed at once ([`Commit::claim_for`]). Those who have no use for it release it.
    pub claimed: Vec<(Ownership, Claimed)>,
    /// Deliveries that this owner had claimed and that were put back, because an earlier one of their key (of the
    /// queue, where order is kept within it) was settled in a way that holds it; in ascending order for each settlement. They must not be started any
    /// more; their attempt was given back.
    pub displaced: Vec<DeliveryId>,
}

/// A change, or an external object, to be written down.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTask {
    /// Which way it travels.
    pub direction: Direction,
    /// The object type of an outgoing task, the kind of an incoming one.
    pub subject: String,
    /// What order is kept for, within connector and direction: `app.user 17`, `contact 003xx`.
    pub key: String,
    /// What happened.
    pub operation: Operation,
    /// For people.
    pub title: String,
    /// The object: a payload in JSON (outgoing), the bytes as received (incoming).
    pub data: Vec<u8>,
    /// What the bytes are.
    pub content_type: String,
    /// The site that was named, if any.
    pub site: Option<SiteName>,
    /// The connector whose incoming task made this change; `None` for the host.
    pub origin: Option<ConnectorName>,
    /// When it was logged.
    pub logged_at: Timestamp,
    /// The ended delivery that this one repeats, where an operator asked for that.
    pub redelivers: Option<Redelivery>,
    /// What whoever sent an external object calls this sending of it. The same key for the same connector is logged
    /// once, as long as the task is kept.
    pub idempotency: Option<IdempotencyKey>,
    /// Where it stands on its way through several systems.
    pub travel: Travel,
    /// Its deliveries; at least one.
    pub deliveries: Vec<NewDelivery>,
}

/// That an operator had something delivered once more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redelivery {
    /// The ended delivery that is repeated.
    pub of: DeliveryId,
    /// Who asked for it.
    pub by: String,
    /// Why, if they said.
    pub reason: Option<String>,
}

/// What a sender calls one sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The sender's key.
    pub key: String,
    /// A digest of all that was sent with it, so that the same key with something else is noticed.
    pub digest: Vec<u8>,
}

/// A task for one connector.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDelivery {
    /// The registered connector.
    pub connector: ConnectorName,
    /// How much of the object it carries.
    pub data_type: DataType,
    /// What happens when it fails.
    pub policy: ErrorPolicy,
    /// The same for every attempt.
    pub idempotency_key: Uuid,
}

impl Commit {
    /// Nothing yet, at this time.
    pub fn at(now: Timestamp) -> Self {
        Self { now, ..Self::default() }
    }

    /// Whether it can be carried out at all: it says whose the settlements are, each task has a delivery, whoever
    /// waits says what for. Stores call this first.
    pub fn check(&self) -> Result<(), StoreError> {
        let refuse = |message: String| Err(StoreError::new(StoreErrorKind::Unsupported, "commit", message));
        if self.ownership.is_none() && !self.settlements.is_empty() {
            return refuse("settlements without an owner; claim the queue and pass its ownership".to_owned());
        }
        if let Some(cursor) = &self.cursor {
            cursor.check(self)?;
        }
        let relayed = self.relayed.iter().flat_map(|relayed| relayed.end.tasks());
        if let Some(task) = self.tasks.iter().chain(relayed.clone()).find(|task| task.deliveries.is_empty()) {
            return refuse(format!(
                "task `{}` has no delivery; log it for a connector, or not at all",
                task.title
            ));
        }
        let several = |task: &&NewTask| {
            task.idempotency.is_some() && (task.deliveries.len() > 1 || task.direction == Direction::Outgoing)
        };
        if let Some(task) = self.tasks.iter().find(several) {
            return refuse(format!(
                "task `{}` has an idempotency key, which only an incoming task for one connector can have",
                task.title
            ));
        }
        if let Some(task) = relayed.clone().find(|task| task.idempotency.is_some()) {
            return refuse(format!("task `{}` has an idempotency key besides that of its entry", task.title));
        }
        let is_nothing = |end: &EntryEnd| matches!(end, EntryEnd::Logged { tasks, .. } if tasks.is_empty());
        if let Some(relayed) = self.relayed.iter().find(|relayed| is_nothing(&relayed.end)) {
            return refuse(format!("entry {} has no tasks; park it, and say why", relayed.id));
        }
        for settlement in &self.settlements {
            if matches!(&settlement.outcome, Outcome::Waiting { awaited, .. } if awaited.is_empty()) {
                return refuse(format!(
                    "delivery {} waits for nothing; say what it waits for, or release it",
                    settlement.delivery
                ));
            }
        }
        let is_settled = |id: DeliveryId| self.settlements.iter().any(|settlement| settlement.delivery == id);
        if let Some((delivery, _)) = self.doubts.iter().find(|(delivery, _)| !is_settled(*delivery)) {
            return refuse(format!(
                "a doubt about delivery {delivery}, which is not settled; settle it in the same commit"
            ));
        }
        let is_parked = |id: DeliveryId| {
            let of_it = self.settlements.iter().find(|settlement| settlement.delivery == id);
            of_it.is_some_and(|settlement| matches!(settlement.outcome, Outcome::Parked { .. }))
        };
        if let Some(conflict) = self.conflicts.iter().find(|conflict| !is_parked(conflict.delivery)) {
            return refuse(format!(
                "a conflict of delivery {}, which is not parked here; park it in the same commit",
                conflict.delivery
            ));
        }
        Ok(())
    }

    /// What is in doubt about a delivery that is settled here.
    pub fn doubt_about(&self, delivery: DeliveryId) -> Doubt {
        let doubt = self.doubts.iter().rfind(|(doubtful, _)| *doubtful == delivery);
        doubt.map_or(Doubt::None, |(_, doubt)| *doubt)
    }
}
