//! One poll: from the cursor until there is no more, written page by page. A list that is to be complete is written with
//! its cursor at its end, so that one that broke off begins anew, and deletes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bus_core::poll::{POLL_KEYS_MAX, POLL_TASKS_MAX};
use bus_core::{Direction, ExternalTask, Failure, FailureKind, ObjectType, Poll, Subject, Timestamp};
use bus_store::{Commit, Cursor, CursorMove, Ownership, StoreErrorKind};

use super::{PAUSE, Poller, page};
use crate::connection::Asked;
use crate::flow::call::{self, CallEnd};
use crate::flow::ingest::{self, Checked};

/// How many objects may be missing from a complete list in any case.
const MISSING_MIN: u64 = 10;

/// Why a poll ends before its end.
pub(super) enum Halt {
    /// Another owner polls.
    Stale,
    /// The cursor is another one by now.
    Moved,
    /// The connector does not poll.
    WithoutPolling,
    /// The external system cannot be reached before this.
    NotBefore(Timestamp),
    /// This went wrong.
    Failed(Failure),
    /// It is not to be polled any more: the bus or the connector stops, is paused, or switched off.
    Closed,
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// A poll that is under way.
struct Run<'a> {
    owned: &'a Ownership,
    /// Where the next page begins.
    since: Option<String>,
    /// The version of the cursor in the store.
    version: i64,
    /// When the list began that is to be complete.
    began: Timestamp,
    /// The ids on it, by kind; none where it is no such list.
    present: BTreeMap<String, BTreeSet<String>>,
}

impl Poller {
    /// Polls from this cursor until there is no more.
    pub(super) async fn poll_all(&self, owned: &Ownership, cursor: Cursor) -> Result<(), Halt> {
        let Cursor { cursor: since, version, .. } = cursor;
        let present = BTreeMap::new();
        let mut run = Run { owned, since, version, began: self.shared.now(), present };
        loop {
            self.wait_for_room().await?;
            let asked_at = self.shared.now();
            let poll = self.ask(run.since.as_deref()).await?;
            page::check(&self.enlisted().record.name, run.since.as_deref(), &poll)?;
            if run.present.is_empty() {
                run.began = asked_at;
            }
            self.note_present(&mut run, &poll)?;
            let tasks = page::tasks(&self.shared, poll.tasks)?;
            let is_list = !run.present.is_empty();
            if poll.has_more {
                self.write(&mut run, tasks, (!is_list).then_some(&poll.cursor)).await?;
                run.since = Some(poll.cursor);
                continue;
            }
            if !is_list {
                return self.write(&mut run, tasks, Some(&poll.cursor)).await;
            }
            // What has changed is news, whatever becomes of the rest.
            self.write(&mut run, tasks, None).await?;
            let gone = self.gone(&run).await?;
            for some in gone.chunks(POLL_TASKS_MAX) {
                let tasks = page::tasks(&self.shared, some.to_vec())?;
                self.write(&mut run, tasks, None).await?;
            }
            return self.write(&mut run, Vec::new(), Some(&poll.cursor)).await;
        }
    }

    /// Waits until not too much of what came in is open.
    async fn wait_for_room(&self) -> Result<(), Halt> {
        let backlog_max = u64::from(self.processing().poll_backlog_max);
        loop {
            if !super::may_poll(&self.shared, self.enlisted()) {
                return Err(Halt::Closed);
            }
            match self.shared.store.counters(&self.queue()).await {
                Ok(counters) if counters.open <= backlog_max => return Ok(()),
                Ok(counters) => {
                    tracing::debug!(queue = %self.queue(), open = counters.open, "too much is open to poll for more");
                }
                Err(error) => return Err(Failure::retry(error).into()),
            }
            self.pause(self.shared.now().plus(PAUSE)).await;
        }
    }

    async fn ask(&self, since: Option<&str>) -> Result<Poll, Halt> {
        let instance = match self.connection.instance().await {
            Asked::Connected(instance) => instance,
            Asked::NotBefore(at) => return Err(Halt::NotBefore(at)),
        };
        let called = Arc::clone(&instance);
        let since = since.map(str::to_owned);
        let cx = self.shared.cx(&self.enlisted().record.name);
        let call = async move { called.poll(since.as_deref(), &cx).await };
        match call::run(&self.shared, self.enlisted(), call).await {
            CallEnd::Answered(Ok(poll)) => {
                self.connection.proven(&instance, Direction::Incoming).await;
                Ok(poll)
            }
            CallEnd::Answered(Err(failure)) if failure.kind() == FailureKind::NotAnswered => {
                Err(Halt::WithoutPolling)
            }
            CallEnd::Answered(Err(failure)) => {
                if failure.kind() == FailureKind::Disconnected {
                    self.connection.lost(&instance, &failure, Direction::Incoming).await;
                }
                Err(failure.into())
            }
            CallEnd::Aborted => Err(Halt::Closed),
        }
    }

    /// Adds the ids of a complete list to those of the pages before.
    fn note_present(&self, run: &mut Run<'_>, poll: &Poll) -> Result<(), Halt> {
        for (kind, external_ids) in &poll.complete {
            self.type_of(kind)?;
            run.present.entry(kind.clone()).or_default().extend(external_ids.iter().cloned());
        }
        let known: usize = run.present.values().map(BTreeSet::len).sum();
        if known > POLL_KEYS_MAX {
            let message = format!(
                "the complete list is of more than {POLL_KEYS_MAX} keys; log what is gone with `ExternalTask::gone` instead"
            );
            return Err(Failure::reject(message).into());
        }
        Ok(())
    }

    /// What objects of this kind are in the host.
    fn type_of(&self, kind: &str) -> Result<ObjectType, Halt> {
        let refuse = |why: String| Halt::Failed(Failure::reject(why));
        let linked = self.enlisted().linked;
        let route = linked.and_then(|linked| linked.incoming().find(|route| route.kind == kind));
        let route =
            route.ok_or_else(|| refuse(format!("the poll answers all `{kind}`, which it does not accept; add an `#[incoming]` line, or mend the kind")))?;
        if route.of == Subject::Pages {
            return Err(refuse(format!(
                "the poll answers all `{kind}`, which become pages: what is missing is not deleted with all that stands beneath \
                 it; answer what has changed, and `ExternalTask::gone` for what is not there any more"
            )));
        }
        let object_type = route.object_type.ok_or_else(|| {
            refuse(format!(
                "the poll answers all `{kind}`, which may become any object: nobody knows what is missing; name the struct \
                 as its `type Object`"
            ))
        })?;
        ObjectType::parse(object_type).map_err(|error| refuse(error.to_string()))
    }

    /// What is bound and not on the list, as tasks; refused where that is too much to be true.
    async fn gone(&self, run: &Run<'_>) -> Result<Vec<ExternalTask>, Halt> {
        let connector = &self.enlisted().record.name;
        let accepted = self.enlisted().polling.accepted.load(Ordering::Relaxed);
        let percent = u64::from(self.processing().poll_delete_percent_max);
        let mut gone = Vec::new();
        for (kind, present) in &run.present {
            let object_type = self.type_of(kind)?;
            let is_empty = present.is_empty();
            let found = self.shared.store.missing(connector, &object_type, present.clone(), run.began).await;
            let found = found.map_err(Failure::retry)?;
            let missing = found.missing.len() as u64;
            let allowed = if is_empty { 0 } else { MISSING_MIN.max(found.bound * percent / 100) };
            if missing > allowed.max(accepted) {
                return Err(Failure::reject(format!(
                    "the complete list of `{kind}` lacks {missing} of the {} known {object_type}: nothing was deleted, and \
                     the cursor stays; if they are gone, accept it (`accept_deletions`, up to {missing})",
                    found.bound
                ))
                .into());
            }
            gone.extend(
                found.missing.into_iter().map(|key| ExternalTask::gone(connector.as_str(), kind, key)),
            );
        }
        self.enlisted().polling.accepted.store(0, Ordering::Relaxed);
        Ok(gone)
    }

    /// Logs what was polled, and moves the cursor.
    async fn write(
        &self,
        run: &mut Run<'_>,
        tasks: Vec<Checked>,
        cursor: Option<&String>,
    ) -> Result<(), Halt> {
        if tasks.is_empty() && cursor.is_none() {
            return Ok(());
        }
        let connector = &self.enlisted().record.name;
        let mut commit = Commit::at(self.shared.now());
        let (tasks, externals): (Vec<_>, Vec<_>) =
            tasks.into_iter().map(|checked| (checked.task, checked.external)).unzip();
        commit.tasks = tasks;
        commit.ownership = Some(run.owned.clone());
        commit.cursor = cursor.map(|cursor| CursorMove {
            connector: connector.clone(),
            cursor: cursor.clone(),
            expected: run.version,
        });
        let moves = commit.cursor.is_some();
        match self.shared.store.commit(commit).await {
            Ok(committed) => {
                run.version += i64::from(moves);
                ingest::tell(&self.shared, &committed, &externals);
                Ok(())
            }
            Err(error) => Err(match error.kind() {
                StoreErrorKind::Stale => Halt::Stale,
                StoreErrorKind::Conflict => Halt::Moved,
                StoreErrorKind::Closed => Halt::Closed,
                _ => Halt::Failed(Failure::retry(error)),
            }),
        }
    }
}
