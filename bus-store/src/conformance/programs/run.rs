//! Runs a program against a store and the model at once, and compares them after each step.

use std::collections::BTreeSet;
use std::sync::Arc;

use bus_core::{
    ConnectorName, DeliveryId, DeliveryState, Direction, ObjectId, ObjectKey, ObjectOperation, Timestamp,
};

use super::super::bench::{at, by_code_name, own_with, save_new, settlement, task, user, user_type};
use super::model::{Delivery, Model, Stage, Standing, Wrong, ensure};
use super::step::{Awaits, Idle, Said, Seen, Step};
use crate::doubt::Doubt;
use crate::identity::Binding;
use crate::objects::{Expected, ObjectRecord, ObjectWrite};
use crate::operate::{DeliveryFilter, Intervention, Selected, Verb};
use crate::queue::{Awaited, Outcome, Ownership, QueueId, Scope, Wanted};
use crate::task_log::{Commit, Committed, IdempotencyKey, NewTask};
use crate::{Store, StoreError, StoreErrorKind};

/// A store, what is known of one queue of it, and what is done to it.
pub(super) struct Run {
    pub(super) store: Arc<dyn Store>,
    pub(super) queue: QueueId,
    pub(super) model: Model,
    pub(super) now: i64,
    /// Tells what this program waits for from what others wait for.
    number: i64,
    pub(super) owner: Option<Ownership>,
    former: Option<Ownership>,
    bound: BTreeSet<u8>,
    saved: BTreeSet<u8>,
    steps: usize,
}

impl Run {
    /// Begins with a queue that nobody used before, of which this is the number.
    pub(super) async fn begin(store: Arc<dyn Store>, number: i64) -> Self {
        let connector = ConnectorName::parse(format!("program-{number}")).expect("a connector's name");
        let queue = QueueId::new(connector, Direction::Incoming);
        let owner = Some(own_with(&*store, &queue, Scope::Key, at(0)).await);
        Self {
            store,
            queue,
            model: Model::default(),
            now: 0,
            number,
            owner,
            former: None,
            bound: BTreeSet::new(),
            saved: BTreeSet::new(),
            steps: 0,
        }
    }

    pub(super) fn steps(&self) -> usize {
        self.steps
    }

    pub(super) fn time(&self) -> Timestamp {
        at(self.now)
    }

    /// Does one step, and compares.
    pub(super) async fn step(&mut self, step: &Step) -> Result<(), Wrong> {
        self.steps += 1;
        let bell = self.store.doorbell(&self.queue);
        let rings = *bell.borrow();
        let ready_before: Vec<String> = self.ready();
        match step {
            Step::Log { tasks, idle } => self.log(tasks, *idle).await?,
            Step::Send { key, name, digest, idle } => self.send(*key, *name, *digest, *idle).await?,
            Step::Claim { limit, first } => {
                self.claim(Wanted { limit: *limit, first: *first }).await?;
            }
            Step::Settle(settled) => self.settle_some(settled, Doubt::None).await?,
            Step::SettleInDoubt(doubt, settled) => self.settle_some(settled, *doubt).await?,
            Step::SettleLate(chosen) => self.settle_late(*chosen).await?,
            Step::Acquire(scope) => self.acquire(*scope).await,
            Step::Release => self.release().await?,
            Step::Register => self.register().await?,
            Step::Delete => self.delete().await?,
            Step::Bind(object) => self.bind(*object).await?,
            Step::Save(object) => self.save(*object).await?,
            Step::Intervene(verb, chosen) => self.intervene(*verb, chosen).await?,
            Step::Prune { seconds, limit } => self.prune(self.now - seconds, *limit).await?,
            Step::Pass(seconds) => self.now += seconds,
        }
        // Time is nobody's doing, and whoever becomes the owner claims.
        if !matches!(step, Step::Pass(_) | Step::Acquire(_)) {
            let news: Vec<String> =
                self.ready().into_iter().filter(|key| !ready_before.contains(key)).collect();
            ensure!(news.is_empty() || *bell.borrow() > rings, "nobody was rung for {news:?}");
        }
        self.compare().await
    }

    fn ready(&self) -> Vec<String> {
        self.model.ready_keys(self.time()).into_iter().map(str::to_owned).collect()
    }

    fn choose(&self, chosen: u8) -> Option<DeliveryId> {
        let all = &self.model.all;
        all.get(usize::from(chosen) % all.len().max(1)).map(|one| one.id)
    }

    fn error(&self) -> String {
        format!("at step {}", self.steps)
    }

    async fn log(&mut self, tasks: &[(u8, bool)], idle: Idle) -> Result<(), Wrong> {
        let tasks = tasks.iter().map(|(key, is_create)| self.task(*key, *is_create)).collect();
        let new = self.commit_tasks(tasks, idle).await??;
        ensure!(new.repeated.is_empty(), "repeated: {new:?}");
        Ok(())
    }

    fn task(&self, key: u8, is_create: bool) -> NewTask {
        let operation = if is_create { ObjectOperation::Create } else { ObjectOperation::Update };
        NewTask { operation: operation.into(), ..task(&self.queue, &format!("key {key}")) }
    }

    async fn send(&mut self, key: u8, name: u8, digest: u8, idle: Idle) -> Result<(), Wrong> {
        let name = format!("name {name}");
        let is_it = |one: &&Delivery| {
            one.stage != Stage::Pruned && one.sent.as_ref().is_some_and(|(sent, _)| *sent == name)
        };
        let known = self.model.all.iter().find(is_it).cloned();
        let idempotency = Some(IdempotencyKey { key: name.clone(), digest: vec![digest] });
        let sent = vec![NewTask { idempotency, ..self.task(key, false) }];
        let answer = self.commit_tasks(sent, idle).await?;
        let Some(known) = known else {
            let new = answer?;
            ensure!(new.repeated.is_empty(), "`{name}` is new, and was repeated: {new:?}");
            return Ok(());
        };
        if known.sent.as_ref().is_some_and(|(_, first)| *first == [digest]) {
            let again = answer?;
            let is_first = again.tasks == [known.task] && again.repeated == [known.task];
            ensure!(
                is_first && again.claimed.is_empty(),
                "`{name}` came first with {}: {again:?}",
                known.task
            );
        } else {
            let kind = answer.as_ref().map_err(StoreError::kind);
            ensure!(
                kind.is_err_and(|kind| kind == StoreErrorKind::KeyReused),
                "`{name}` was reused: {answer:?}"
            );
        }
        Ok(())
    }

    /// Logs these, and takes note of what is new.
    async fn commit_tasks(
        &mut self,
        tasks: Vec<NewTask>,
        idle: Idle,
    ) -> Result<Result<Committed, StoreError>, Wrong> {
        let claim_for = match idle {
            Idle::Nobody => None,
            Idle::Owner => self.owner.clone(),
            Idle::Former => self.former.clone(),
        };
        let claim_for: Vec<_> = claim_for.into_iter().collect();
        let tasks_given = tasks.clone();
        let answer = self.store.commit(Commit { tasks, claim_for, ..Commit::at(self.time()) }).await;
        let Ok(committed) = &answer else { return Ok(answer) };
        let after = self.model.all.last().map(|one| one.id);
        let is_deleted = self.model.standing == Standing::Deleted;
        let state = is_deleted.then_some(DeliveryState::Discarded);
        let filter = DeliveryFilter { state, after, ..DeliveryFilter::default() };
        let new = self.store.deliveries(&self.queue, &filter).await?;
        let there: Vec<_> = new.iter().map(|one| (one.task, one.key.as_str())).collect();
        let given = committed.tasks.iter().copied().zip(&tasks_given);
        let given: Vec<_> = given.filter(|(id, _)| !committed.repeated.contains(id)).collect();
        let expected: Vec<_> = given.iter().map(|(id, task)| (*id, task.key.as_str())).collect();
        ensure!(there == expected, "logged {expected:?}, and there are {there:?}");
        for (summary, (_, task)) in new.iter().zip(given) {
            self.model.log(Delivery::logged(summary.delivery, summary.task, task), self.time());
        }
        self.hand_over(committed, idle, new.first().map(|one| one.delivery))?;
        Ok(answer)
    }

    /// Takes note of what was claimed as it was logged, if that was right.
    fn hand_over(
        &mut self,
        committed: &Committed,
        idle: Idle,
        first: Option<DeliveryId>,
    ) -> Result<(), Wrong> {
        let first = first.and_then(|first| self.model.get(first));
        let owner = self.owner.as_ref().filter(|_| idle == Idle::Owner);
        let may = owner.is_some() && first.is_some_and(|first| self.model.is_ready(first, self.time()));
        let is_alone = first.is_some_and(|first| self.model.open().all(|one| one.id >= first.id));
        match &committed.claimed[..] {
            [] => ensure!(!(may && is_alone), "not claimed, though nothing else is there: {first:?}"),
            [(of, claimed)] => {
                let is_first = first.is_some_and(|first| first.id == claimed.delivery);
                ensure!(may && is_first && Some(of) == owner, "claimed as it was logged: {claimed:?}");
                self.model.take(claimed)?;
            }
            several => return Err(Wrong(format!("one owner was given {several:?}"))),
        }
        Ok(())
    }

    pub(super) async fn claim(&mut self, wanted: Wanted) -> Result<Vec<DeliveryId>, Wrong> {
        let Some(owner) = self.owner.clone() else {
            let refused = match &self.former {
                Some(former) => self.store.claim(former, wanted, self.time()).await,
                None => return Ok(Vec::new()),
            };
            let is_stale = refused.as_ref().is_err_and(|error| error.kind() == StoreErrorKind::Stale);
            ensure!(is_stale, "nobody is the owner: {refused:?}");
            return Ok(Vec::new());
        };
        let claim = self.store.claim(&owner, wanted, self.time()).await?;
        let ids = claim.deliveries.iter().map(|one| one.delivery).collect();
        let taken = self.model.claim(&claim, wanted, self.time());
        taken.map_err(|Wrong(why)| format!("{wanted:?} at {} brought {ids:?}: {why}", self.now))?;
        Ok(ids)
    }

    async fn settle_some(&mut self, settled: &[(u8, Said)], doubt: Doubt) -> Result<(), Wrong> {
        let claimed: Vec<DeliveryId> = self.model.claimed().map(|one| one.id).collect();
        if claimed.is_empty() {
            return Ok(());
        }
        let awaited = |kind, object| self.awaited(kind, object);
        let settlements = settled.iter().map(|(chosen, outcome)| {
            let outcome = outcome.outcome(self.now, &self.error(), awaited);
            (claimed[usize::from(*chosen) % claimed.len()], outcome)
        });
        let settlements = settlements.collect();
        self.settle(settlements, doubt).await
    }

    pub(super) async fn settle(
        &mut self,
        all: Vec<(DeliveryId, Outcome)>,
        doubt: Doubt,
    ) -> Result<(), Wrong> {
        let settlements = all.iter().map(|(id, outcome)| settlement(*id, outcome.clone())).collect();
        let doubts = all.iter().map(|(id, _)| (*id, doubt)).filter(|_| doubt != Doubt::None).collect();
        let ownership = self.owner.clone().or_else(|| self.former.clone());
        let commit = Commit { settlements, ownership, doubts, ..Commit::at(self.time()) };
        let answer = self.store.commit(commit).await;
        let expected = self.owner.as_ref().and_then(|_| self.model.displaced_by_all(&all));
        let Some(expected) = expected else {
            self.model.counted.stale += 1;
            let kind = answer.as_ref().map_err(StoreError::kind);
            ensure!(kind.is_err_and(|kind| kind == StoreErrorKind::Stale), "too late, but {answer:?}");
            return Ok(());
        };
        let displaced = answer?.displaced;
        ensure!(displaced == expected, "displaced {displaced:?}, expected {expected:?}");
        for (id, outcome) in &all {
            self.model.settle(*id, outcome, doubt, self.time());
        }
        self.wake();
        Ok(())
    }

    async fn settle_late(&mut self, chosen: u8) -> Result<(), Wrong> {
        let (Some(ownership), Some(id)) = (self.former.clone(), self.choose(chosen)) else { return Ok(()) };
        let settlements = vec![settlement(id, Outcome::Completed)];
        let commit = Commit { settlements, ownership: Some(ownership), ..Commit::at(self.time()) };
        let answer = self.store.commit(commit).await;
        self.model.counted.stale += 1;
        let is_stale = answer.as_ref().is_err_and(|error| error.kind() == StoreErrorKind::Stale);
        ensure!(is_stale, "settled by a former owner: {answer:?}");
        Ok(())
    }

    pub(super) async fn acquire(&mut self, scope: Scope) {
        let owner = own_with(&*self.store, &self.queue, scope, self.time()).await;
        self.former = self.owner.replace(owner).or(self.former.take());
        self.model.acquire(scope, self.time());
    }

    async fn release(&mut self) -> Result<(), Wrong> {
        let Some(owner) = self.owner.take() else { return Ok(()) };
        self.store.release(&owner).await?;
        self.former = Some(owner);
        Ok(())
    }

    fn key_of(&self, object: u8) -> ObjectKey {
        ObjectKey { object_type: user_type(), id: ObjectId::Number(self.number * 8 + i64::from(object)) }
    }

    fn name_of(&self, object: u8) -> String {
        format!("name {} {object}", self.number)
    }

    fn awaited(&self, kind: Awaits, object: u8) -> Awaited {
        let (connector, object_type) = (self.queue.connector.clone(), user_type());
        match kind {
            Awaits::Bound => Awaited::Bound { connector, object_type, object: self.key_of(object).id },
            Awaits::Known => Awaited::Known { connector, object_type, external_id: self.name_of(object) },
            Awaits::Exists => Awaited::Exists(by_code_name(&self.name_of(object))),
        }
    }

    async fn bind(&mut self, object: u8) -> Result<(), Wrong> {
        let (connector, key) = (self.queue.connector.clone(), self.key_of(object));
        if self.bound.remove(&object) {
            let unbound = vec![Binding { connector, object: key, external_id: self.name_of(object) }];
            let unbinding = Commit { unbound, ..Commit::at(self.time()) };
            self.store.commit(unbinding).await?;
            return Ok(());
        }
        let bindings = vec![Binding { connector, object: key, external_id: self.name_of(object) }];
        let binding = Commit { bindings, ..Commit::at(self.time()) };
        self.store.commit(binding).await?;
        self.bound.insert(object);
        self.wake();
        Ok(())
    }

    async fn save(&mut self, object: u8) -> Result<(), Wrong> {
        let key = self.key_of(object);
        let write = if self.saved.remove(&object) {
            // What it was called ends with it.
            self.bound.remove(&object);
            ObjectWrite::Delete { key, expected: Expected::Version(1) }
        } else {
            self.saved.insert(object);
            save_new(ObjectRecord { key, code_name: Some(self.name_of(object)), ..user(0) })
        };
        let commit = Commit { objects: vec![write], ..Commit::at(self.time()) };
        self.store.commit(commit).await?;
        self.wake();
        Ok(())
    }

    /// Whoever waits for what is there by now is woken.
    fn wake(&mut self) {
        let there = |kinds: &[(Awaits, bool)], object: u8| -> Vec<Awaited> {
            let there = kinds.iter().filter(|(_, is_there)| *is_there);
            there.map(|(kind, _)| self.awaited(*kind, object)).collect()
        };
        let all: Vec<Awaited> = (0..super::step::OBJECTS)
            .flat_map(|object| {
                let (bound, saved) = (self.bound.contains(&object), self.saved.contains(&object));
                let kinds =
                    [(Awaits::Bound, bound), (Awaits::Known, bound && saved), (Awaits::Exists, saved)];
                there(&kinds, object)
            })
            .collect();
        self.model.wake(|awaited| all.contains(awaited));
    }

    async fn intervene(&mut self, verb: Verb, chosen: &[(u8, Seen)]) -> Result<(), Wrong> {
        let now = self.time();
        let mut items = Vec::new();
        for (chosen, seen) in chosen {
            let Some(delivery) = self.choose(*chosen) else { return Ok(()) };
            let truth = self.model.get(delivery).map(|one| self.model.state(one));
            let seen = match seen {
                Seen::Nothing => None,
                Seen::Truth => truth,
                Seen::Other => DeliveryState::OPEN.into_iter().find(|state| Some(*state) != truth),
            };
            items.push(Selected { delivery, seen });
        }
        let reason = (self.steps.is_multiple_of(2)).then(|| self.error());
        let asked =
            Intervention { verb, items: items.clone(), by: "jane".to_owned(), reason: reason.clone(), now };
        let verdicts = self.store.intervene(asked).await?;
        let mut expected = Vec::new();
        for Selected { delivery, seen } in &items {
            expected.push(self.model.intervene(verb, *delivery, *seen, reason.as_deref(), now));
        }
        ensure!(verdicts == expected, "{verb:?} {items:?}: {verdicts:?}, expected {expected:?}");
        Ok(())
    }

    pub(super) async fn prune(&mut self, before: i64, limit: usize) -> Result<(), Wrong> {
        let pruned = self.store.prune(&self.queue, at(before), limit).await?;
        let mut kept = BTreeSet::new();
        for one in self.model.kept() {
            if self.store.delivery(one.id).await?.is_some() {
                kept.insert(one.id);
            }
        }
        self.model.prune(at(before), limit, pruned, |id| kept.contains(&id))
    }
}
