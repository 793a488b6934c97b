//! Objects that live in the application's own tables: what their repository is handed, instead of a commit.

use std::sync::Arc;

use bus_core::payload::Payload;
use bus_core::{BoxFuture, Failure, ObjectOperation, ObjectType, Operation};
use bus_store::{Binding, Claimed, ExchangeWrite, Settles};

use super::{Application, Applied, NotApplied, ended, refused};
use crate::flow::change::{HostChange, Stored, has_external_reference};
use crate::flow::task_log;
use crate::repository::{AnyRepository, Pending};

/// What a repository is to do.
pub(crate) struct Hosted {
    repository: Arc<dyn AnyRepository>,
    act: Act,
    pending: Arc<Pending>,
}

enum Act {
    Save { object: Payload, before: Option<Payload> },
    Delete { object: Payload },
}

impl Hosted {
    /// Has it done.
    pub(crate) fn call(self) -> BoxFuture<'static, Result<(), Failure>> {
        let Self { repository, act, pending } = self;
        Box::pin(async move {
            match act {
                Act::Save { object, before } => repository.save(object, before, pending).await,
                Act::Delete { object } => repository.delete(object, pending).await,
            }
        })
    }

    /// The type of the objects that it is about.
    pub(crate) fn object_type(&self) -> &ObjectType {
        &self.pending.change.object_type
    }
}

/// A change that a repository is to make.
pub(super) struct HostedChange<'a> {
    pub(super) change: HostChange,
    pub(super) before: Option<&'a Stored>,
    /// The external id that is bound with it.
    pub(super) external_id: Option<String>,
    pub(super) learned: Vec<Binding>,
    pub(super) exchanged: Vec<ExchangeWrite>,
    pub(super) unbound: Vec<Binding>,
}

impl Application<'_> {
    pub(super) fn repository(&self, object_type: &ObjectType) -> Option<&Arc<dyn AnyRepository>> {
        self.shared.host().repository(object_type)
    }

    /// Refuses an object that its repository could not save.
    pub(super) fn check_hosted(&self, claimed: &Claimed, after: &Stored) -> Result<(), NotApplied> {
        let object_type = &after.record.key.object_type;
        if self.repository(object_type).is_none() {
            return Ok(());
        }
        if let Some(at) = has_external_reference(&after.payload) {
            return Err(ended(
                claimed,
                format!(
                    "the new {object_type} refers to itself at {at}, and has no id before its repository has saved it; \
                     leave that reference out when it is created"
                ),
            ));
        }
        Ok(())
    }

    /// Hands a change to the repository, with all that follows from it.
    pub(super) async fn hosted(
        &self,
        claimed: &Claimed,
        repository: &Arc<dyn AnyRepository>,
        hosted: HostedChange<'_>,
        own: Option<(ObjectType, String)>,
    ) -> Result<Applied, NotApplied> {
        let HostedChange { change, before, external_id, learned, exchanged, unbound } = hosted;
        let capabilities = self.shared.store.capabilities();
        let Some(sql) = capabilities.log_statement.filter(|_| capabilities.settles_by_entry) else {
            // Refused when the bus starts.
            return Err(ended(
                claimed,
                format!("the {} store has no table for repositories", capabilities.name),
            ));
        };
        let recorded = task_log::record(self.shared, std::slice::from_ref(&change)).await;
        let recorded = recorded.map_err(|error| refused(claimed, error))?;
        let pending = Pending {
            sql,
            key: self.shared.new_uuid(),
            settles: Settles {
                queue: self.ownership.queue.clone(),
                epoch: self.ownership.epoch,
                delivery: claimed.delivery,
                attempt: claimed.attempt,
            },
            is_new: before.is_none(),
            change: change.summary,
            external_id,
            bindings: learned,
            unbound,
            exchanged,
            tasks: recorded.tasks,
        };
        let object = change.payload;
        let act = match pending.change.operation {
            Operation::Object(ObjectOperation::Delete) => Act::Delete { object },
            _ => Act::Save { object, before: before.map(|before| before.payload.clone()) },
        };
        let hosted = Hosted { repository: Arc::clone(repository), act, pending: Arc::new(pending) };
        Ok(Applied { hosted: Some(hosted), own, announced: recorded.announced, ..self.completed(claimed) })
    }
}
