//! What an operator does to a delivery that is claimed and has not begun: its worker gives it back, and has it done before
//! it claims anything again.

use bus_store::{Intervention, QueueId, StoreError, Verdict};
use tokio::sync::oneshot;

use super::express::Desks;

/// An intervention that reaches the worker which has claimed what it is about.
#[derive(Debug)]
pub(crate) struct Recall {
    pub(crate) intervention: Intervention,
    pub(crate) answer: oneshot::Sender<Result<Vec<Verdict>, StoreError>>,
}

impl Desks {
    /// Has the worker of this queue do it. `None` where there is none any more: what it had claimed is given back then.
    pub(crate) async fn recall(
        &self,
        queue: &QueueId,
        intervention: Intervention,
    ) -> Option<Result<Vec<Verdict>, StoreError>> {
        let (answer, answered) = oneshot::channel();
        self.get(queue)?.recall(Recall { intervention, answer })?;
        answered.await.ok()
    }
}
