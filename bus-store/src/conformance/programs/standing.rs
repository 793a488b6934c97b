//! Registers and deletes the connector of a program's queue.

use super::super::connectors::record;
use super::model::{Standing, Wrong, ensure};
use super::run::Run;
use crate::{StoreError, StoreErrorKind};

impl Run {
    pub(super) async fn register(&mut self) -> Result<(), Wrong> {
        self.store.save_connector(record(self.queue.connector.as_str())).await?;
        self.model.standing = Standing::Registered;
        Ok(())
    }

    /// Deletes it, if nothing is open for it; it may have gone already, or never have been there.
    pub(super) async fn delete(&mut self) -> Result<(), Wrong> {
        let answer = self.store.delete_connector(&self.queue.connector).await;
        if self.model.open().next().is_some() {
            let kind = answer.as_ref().map_err(StoreError::kind);
            ensure!(kind.is_err_and(|kind| kind == StoreErrorKind::Conflict), "deleted: {answer:?}");
            return Ok(());
        }
        let was_there = answer?;
        ensure!(
            was_there == (self.model.standing == Standing::Registered),
            "{was_there}, but {:?}",
            self.model.standing
        );
        self.model.standing = Standing::Deleted;
        Ok(())
    }
}
