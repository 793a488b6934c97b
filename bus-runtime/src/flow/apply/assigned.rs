//! External objects that stand on a site, or do not any more.

use bus_core::{Conflicts, ObjectOperation, Operation, SiteName};
use bus_store::Claimed;

use super::{Application, Applied, NotApplied, ended, travel_of};
use crate::flow::assignment::is_still_so;
use crate::flow::change::{ChangeSet, Stored};

impl Application<'_> {
    /// What a task does to an object that is there, where what it carries does not matter: the connector says so, or
    /// the operation takes something away.
    pub(super) async fn as_it_is(
        &self,
        claimed: &Claimed,
        stored: &Stored,
        conflicts: &Conflicts,
    ) -> Result<Applied, NotApplied> {
        match ObjectOperation::from(claimed.operation) {
            ObjectOperation::Delete => {
                let left = self.left(claimed, stored).await?;
                match self.spared(claimed, stored, &left, conflicts.otherwise).await? {
                    Some(spared) => Ok(spared),
                    None => self.delete(claimed, stored, left).await,
                }
            }
            ObjectOperation::AddToSite | ObjectOperation::RemoveFromSite => {
                let applied = self.completed(claimed);
                match self.assigned(claimed, stored, stored.record.version, true).await? {
                    Some(set) => self.logged(claimed, applied, set, travel_of(claimed)).await,
                    None => Ok(applied),
                }
            }
            ObjectOperation::Create | ObjectOperation::Update => Ok(self.completed(claimed)),
        }
    }

    /// The assignment that a task asks for, of an object that will be in this version by then; none where it is as it
    /// asks already, or asks for none.
    pub(super) async fn assigned(
        &self,
        claimed: &Claimed,
        object: &Stored,
        version: i64,
        was_there: bool,
    ) -> Result<Option<ChangeSet>, NotApplied> {
        if !claimed.operation.is_of_site() {
            return Ok(None);
        }
        let site = site_of(claimed)?;
        let key = &object.record.key;
        if self.repository(&key.object_type).is_some() {
            let error = format!(
                "{} lives in the application's own tables, which the bus cannot assign to sites; let the connector answer \
                 `Prepared::Ignore`, or prepare the object with a site of its own",
                key.object_type
            );
            return Err(ended(claimed, error));
        }
        let operation = ObjectOperation::from(claimed.operation);
        if let (ObjectOperation::AddToSite, Some(own)) = (operation, &object.record.site) {
            let object = if was_there { key.to_string() } else { format!("the new {}", key.object_type) };
            let error = format!(
                "{object} is to be added to site {site}, but belongs to site {own}; only global objects are added to \
                 sites: prepare it without one"
            );
            return Err(ended(claimed, error));
        }
        if was_there && is_still_so(self.shared, key, operation, Some(site)).await? {
            return Ok(None);
        }
        let origin = Some(&self.enlisted.record.name);
        Ok(Some(ChangeSet::assigned(object, version, operation, site, origin)))
    }
}

/// Whether an operation takes something away from what is there: what it carries need not be in order.
pub(super) fn takes_away(operation: Operation) -> bool {
    matches!(ObjectOperation::from(operation), ObjectOperation::Delete | ObjectOperation::RemoveFromSite)
}

fn site_of(claimed: &Claimed) -> Result<&SiteName, NotApplied> {
    claimed.site.as_ref().ok_or_else(|| {
        let error =
            format!("it is about a site, and names none; send the {} again, with one", claimed.subject);
        ended(claimed, error)
    })
}
