//! What an incoming task becomes in the host: prepared by its connector, translated, matched with what is there, and
//! written together with its own outgoing tasks and the task's outcome, in one transaction.

mod assigned;
mod decided;
mod deleted;
mod exchange;
mod hosted;
mod identified;
mod matching;
mod overtaken;
mod page;
mod prepared;
mod whole;

use std::collections::BTreeSet;
use std::sync::Arc;

use bus_core::descriptor::{ConnectorDescriptor, IncomingRoute, PreparedObject};
use bus_core::instance::Instance;
use bus_core::parts::ObjectParts;
use bus_core::{ObjectKey, ObjectType, Subject, Timestamp};
use bus_store::{
    Awaited, Binding, Claimed, Commit, ConflictRecord, Expected, ObjectWrite, Outcome, Ownership, Settlement,
    StoreError, Travel,
};

use super::change::{ChangeSet, HostChange, Stored};
use super::children;
use super::express;
use super::ingest::external_id_of_key;
use super::listening::Announcement;
use super::numbers::Numbers;
use super::settlement::{self, Rules, released};
use super::task_log::{self, Recorded};
use super::translation::{Translator, Untranslated};
use crate::error::BusError;
use crate::host::{HostError, RepositoryError};
use crate::identity::check_external_id;
use crate::registry::Enlisted;
use crate::shared::Shared;
use assigned::takes_away;
use deleted::Left;
use exchange::{Coming, Judged};
pub(crate) use hosted::Hosted;
use hosted::HostedChange;

/// How often a connector is asked to prepare one task: with the object bound to its key, with the one that it names,
/// with the one that matches.
const PREPARED_MAX: usize = 4;

/// One incoming task in the hands of its worker.
pub(crate) struct Application<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) enlisted: &'a Enlisted,
    pub(crate) linked: &'static ConnectorDescriptor,
    pub(crate) instance: &'a Arc<Instance>,
    pub(crate) ownership: &'a Ownership,
    pub(crate) numbers: &'a Numbers,
    pub(crate) rules: Rules<'a>,
}

/// What is to be written, and what to tell the listeners then.
pub(crate) struct Applied {
    pub(crate) commit: Commit,
    pub(crate) announced: Vec<Announcement>,
    /// The external object that it writes: nobody else may be about to write the same.
    pub(crate) own: Option<(ObjectType, String)>,
    /// What a repository is to do, in whose transaction the task is settled; the commit is not written then.
    pub(crate) hosted: Option<Hosted>,
}

impl Applied {
    /// Nothing but an outcome.
    pub(crate) fn settled(commit: Commit) -> Self {
        Self { commit, announced: Vec::new(), own: None, hosted: None }
    }
}

/// Why there is nothing to be written.
pub(crate) enum NotApplied {
    /// This became of it.
    Outcome(Outcome),
    /// What it refers to is not there yet.
    Missing { awaited: Vec<Awaited>, reason: String },
    /// The external system cannot be reached.
    Disconnected(bus_core::Failure),
    /// A person has to decide between the two sides.
    Conflict(Box<ConflictRecord>),
    /// The store cannot be asked at the moment.
    Store(StoreError),
    /// A repository failed when it was asked.
    Repository(RepositoryError),
}

impl From<StoreError> for NotApplied {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<HostError> for NotApplied {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Store(error) => Self::Store(error),
            HostError::Repository(error) => Self::Repository(error),
        }
    }
}

impl Application<'_> {
    /// Finds out what a task becomes. Writes nothing.
    ///
    /// The connector is handed the host's object that is bound to the task's key. Where it then turns out that the
    /// prepared object is another one of the host's (bound to the id that the connector names, or matched by GUID or
    /// code name), it is asked once more, with that one: what only the host knows must not be reset.
    pub(crate) async fn apply(&self, claimed: &Claimed) -> Result<Applied, NotApplied> {
        if let Some(outcome) =
            claimed.superseded_by.map(settlement::superseded).or_else(|| self.rules.before(claimed))
        {
            return Err(NotApplied::Outcome(outcome));
        }
        let Some(route) = self.linked.incoming().find(|route| route.kind == claimed.subject) else {
            return Err(ended(
                claimed,
                format!(
                    "connector {} does not accept `{}` any more; put its `#[incoming]` line back, or end the task",
                    self.enlisted.record.name, claimed.subject
                ),
            ));
        };
        let key = external_id_of_key(&claimed.subject, &claimed.key).map(str::to_owned);
        if route.of == Subject::Pages {
            return self.apply_page(claimed, route, key).await;
        }
        let mut existing = match (route.object_type, &key) {
            (Some(object_type), Some(key)) => self.bound(&parse_type(claimed, object_type)?, key).await?,
            // Which type it becomes is known only when it is prepared.
            _ => None,
        };
        let mut is_matched = false;
        let mut translator = Translator::new(self.shared, self.enlisted, self.linked, self.instance);
        for _ in 0..PREPARED_MAX {
            // Nothing but its key has come: there is nothing to prepare.
            let there = existing.as_ref().map(Stored::called_with);
            let prepared = self.prepare(route, claimed, there, key.clone()).await?;
            let (mut parts, named, changed_at) = match prepared {
                PreparedObject::Ignore => return Ok(self.completed(claimed)),
                PreparedObject::Existing => {
                    return match existing {
                        Some(stored) => self.as_it_is(claimed, &stored, &route.conflicts).await,
                        None => Ok(self.completed(claimed)),
                    };
                }
                PreparedObject::Object { object, external_id, changed_at } => {
                    let parts = self.parts(claimed, object)?;
                    (parts, external_id, changed_at)
                }
            };
            let object_type = parse_type(claimed, parts.object_type)?;
            let is_looked_up = |named: &&String| route.object_type.is_some() && Some(*named) == key.as_ref();
            let named = named.or_else(|| key.clone());
            if let Some(named) = named.as_ref().filter(|named| !is_matched && !is_looked_up(named)) {
                let bound = self.bound(&object_type, named).await?;
                if !is_same(bound.as_ref(), existing.as_ref()) {
                    existing = bound;
                    continue;
                }
            }
            if takes_away(claimed.operation)
                && let Some(stored) = &existing
            {
                // What is deleted, or leaves a site, need not have its references in order.
                return self.as_it_is(claimed, stored, &route.conflicts).await;
            }
            if let Some(Err((_, fault))) = named.as_deref().map(check_external_id) {
                return Err(ended(claimed, format!("it cannot be bound: {fault}")));
            }
            let created = object_type.clone();
            let own = named.map(|external_id| (object_type, external_id));
            // Only a snapshot says anything of children and bindings.
            let payload = parts.payload.reduced_to(claimed.data_type);
            let translated = translator.incoming(payload, own.as_ref(), claimed.data_type).await;
            parts.payload = translated.map_err(|reason| self.untranslated(claimed, reason))?;
            if existing.is_none() {
                let external_id = own.as_ref().map(|(_, external_id)| external_id.as_str());
                existing = self.matching(claimed, &parts, external_id).await?;
                if existing.is_some() {
                    is_matched = true;
                    continue;
                }
            }
            if takes_away(claimed.operation) {
                return Ok(self.completed(claimed));
            }
            if existing.is_none() {
                let otherwise = route.conflicts.otherwise;
                if let Some(deleted) = self.stays_deleted(claimed, own.as_ref(), otherwise).await? {
                    return Ok(deleted);
                }
                self.wait_for_creates(claimed, &created).await?;
            }
            let said = (changed_at, translator.learned);
            return self.write(claimed, parts, own, existing, said, route).await;
        }
        Err(ended(
            claimed,
            format!(
                "each time that {} is prepared it is another object; mend `prepare_internal_object`",
                claimed.key
            ),
        ))
    }

    /// The host's object that is bound to an external id.
    async fn bound(&self, object_type: &ObjectType, external_id: &str) -> Result<Option<Stored>, NotApplied> {
        let asked = [(object_type.clone(), external_id.to_owned())];
        let id = self.shared.store.host_ids(&self.enlisted.record.name, &asked).await?.pop().flatten();
        let Some(id) = id else { return Ok(None) };
        let record = self.shared.host().object(&ObjectKey { object_type: object_type.clone(), id }).await?;
        let read = |record| Stored::read(&self.shared.registry, record);
        record.map(read).transpose().map_err(|error| unreadable(&error))
    }

    async fn write(
        &self,
        claimed: &Claimed,
        parts: ObjectParts,
        own: Option<(ObjectType, String)>,
        existing: Option<Stored>,
        (changed_at, learned): (Option<Timestamp>, Vec<Binding>),
        route: &IncomingRoute,
    ) -> Result<Applied, NotApplied> {
        let identify = parts.identify;
        let conversation = self.conversation(claimed, existing.as_ref(), own.as_ref()).await?;
        let (after, lists) =
            self.identified(claimed, parts, existing.as_ref(), own.as_ref(), route.owned).await?;
        let origin = Some(&self.enlisted.record.name);
        let beneath =
            children::beneath(self.shared, &after.record.key, existing.is_none(), lists, origin).await;
        let mut beneath = beneath.map_err(|error| refused(claimed, error))?.set;
        let whole = self.with_children(claimed, existing.as_ref(), &after, &beneath).await?;
        let coming = Coming {
            existing: existing.as_ref(),
            own: own.as_ref(),
            after,
            whole: whole.as_ref(),
            identify,
            conflicts: route.conflicts,
            changed_at,
        };
        let Judged { after, is_echo, travel, said } =
            self.judged(claimed, coming, conversation.as_ref()).await?;
        if is_echo {
            beneath = ChangeSet::default();
        }
        self.check_hosted(claimed, &after)?;
        let change = HostChange::saved(existing.as_ref(), &after, origin);
        let is_of_site = claimed.operation.is_of_site();
        let change = match (self.repository(&after.record.key.object_type), change) {
            (Some(repository), Some(mut change)) if !is_of_site => {
                let external_id = own.as_ref().map(|(_, external_id)| external_id.clone());
                let before = existing.as_ref();
                change.travel = travel;
                let exchanged = said;
                let hosted =
                    HostedChange { change, before, external_id, learned, exchanged, unbound: Vec::new() };
                return self.hosted(claimed, repository, hosted, own).await;
            }
            (_, change) => change,
        };
        let mut applied = self.completed(claimed);
        applied.commit.bindings = learned;
        applied.commit.exchanged = said;
        if let Some((_, external_id)) = &own {
            // Two external objects that become one of the host's: the second starts over, and finds the first.
            applied.commit.bindings_if_free.push(Binding {
                connector: self.enlisted.record.name.clone(),
                object: after.record.key.clone(),
                external_id: external_id.clone(),
            });
        }
        applied.own = own;
        let before = existing.as_ref().map_or(0, |stored| stored.record.version);
        let version = before + i64::from(change.is_some());
        let assigned = self.assigned(claimed, &after, version, existing.is_some()).await?;
        let expected = existing.map_or(Expected::Absent, |stored| Expected::Version(stored.record.version));
        let saved =
            change.map(|change| ChangeSet::of(ObjectWrite::Save { record: after.record, expected }, change));
        let set = saved.unwrap_or_default().and(assigned.unwrap_or_default()).and(beneath);
        if set.is_empty() {
            return Ok(applied);
        }
        self.logged(claimed, applied, set, travel).await
    }

    async fn delete(&self, claimed: &Claimed, stored: &Stored, left: Left) -> Result<Applied, NotApplied> {
        let (change, unbound) = self.goes(claimed, stored, left);
        let object = &stored.record.key;
        if let Some(repository) = self.repository(&object.object_type) {
            let (learned, exchanged) = (Vec::new(), Vec::new());
            let before = Some(stored);
            let hosted = HostedChange { change, before, external_id: None, learned, exchanged, unbound };
            return self.hosted(claimed, repository, hosted, None).await;
        }
        let mut applied = self.completed(claimed);
        applied.commit.unbound = unbound;
        let write =
            ObjectWrite::Delete { key: object.clone(), expected: Expected::Version(stored.record.version) };
        let travel = change.travel;
        self.logged(claimed, applied, ChangeSet::of(write, change), travel).await
    }

    async fn logged(
        &self,
        claimed: &Claimed,
        mut applied: Applied,
        set: ChangeSet,
        travel: Travel,
    ) -> Result<Applied, NotApplied> {
        let set = children::with_family(self.shared, set, Some(&self.enlisted.record.name)).await;
        let mut set = set.map_err(|error| refused(claimed, error))?;
        applied.commit.objects.extend(set.writes);
        set.changes.iter_mut().for_each(|change| change.travel = travel);
        self.recorded(claimed, applied, &set.changes).await
    }

    /// What is told of these changes goes into the same commit.
    async fn recorded(
        &self,
        claimed: &Claimed,
        mut applied: Applied,
        changes: &[HostChange],
    ) -> Result<Applied, NotApplied> {
        match task_log::record(self.shared, changes).await {
            // Nothing that an external system sent is delivered before it is applied: whoever is synchronous is told
            // by the way of the queue.
            Ok(Recorded { tasks, announced, synchronous: _ }) => {
                applied.announced = announced;
                applied.commit.claim_for = express::owners(self.shared, &tasks, &BTreeSet::new());
                applied.commit.tasks = tasks;
            }
            Err(error) => return Err(refused(claimed, error)),
        }
        Ok(applied)
    }

    /// The rules as of after a call: the time that it took counts.
    fn rules_now(&self) -> Rules<'_> {
        Rules { now: self.shared.now(), ..self.rules }
    }

    fn completed(&self, claimed: &Claimed) -> Applied {
        Applied::settled(self.settled(claimed, Outcome::Completed))
    }

    /// A commit with this outcome and nothing else.
    pub(crate) fn settled(&self, claimed: &Claimed, outcome: Outcome) -> Commit {
        let mut commit = Commit::at(self.shared.now());
        commit.ownership = Some(self.ownership.clone());
        commit.settlements.push(Settlement { delivery: claimed.delivery, outcome });
        commit
    }

    fn failed(&self, claimed: &Claimed, failure: bus_core::Failure) -> NotApplied {
        if failure.kind() == bus_core::FailureKind::Disconnected {
            return NotApplied::Disconnected(failure);
        }
        NotApplied::Outcome(self.rules_now().failed(claimed, &failure))
    }

    fn untranslated(&self, claimed: &Claimed, reason: Untranslated) -> NotApplied {
        match reason {
            Untranslated::Missing { awaited, reason } => NotApplied::Missing { awaited, reason },
            Untranslated::Unanswerable(reason) => ended(claimed, reason),
            Untranslated::Failed(failure) => self.failed(claimed, failure),
            Untranslated::Host(error) => error.into(),
            Untranslated::Aborted => NotApplied::Outcome(released(None)),
        }
    }
}

/// Where what a task does by itself stands on its way.
fn travel_of(claimed: &Claimed) -> Travel {
    Travel { cause: Some(claimed.task), ..claimed.travel }
}

fn parse_type(claimed: &Claimed, object_type: &str) -> Result<ObjectType, NotApplied> {
    ObjectType::parse(object_type).map_err(|error| ended(claimed, error.to_string()))
}

fn is_same(one: Option<&Stored>, other: Option<&Stored>) -> bool {
    one.map(|stored| &stored.record.key) == other.map(|stored| &stored.record.key)
}

fn ended(claimed: &Claimed, error: String) -> NotApplied {
    NotApplied::Outcome(settlement::ended(claimed, error))
}

/// It cannot be written, or the store cannot be asked at the moment.
fn refused(claimed: &Claimed, error: BusError) -> NotApplied {
    error.into_host().map_or_else(|error| ended(claimed, error.to_string()), NotApplied::from)
}

fn unreadable(error: &BusError) -> NotApplied {
    NotApplied::Outcome(Outcome::Parked { error: error.to_string(), aside: false })
}
