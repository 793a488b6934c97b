//! Going ahead: while what was claimed is worked on, the store writes the outcomes of what was claimed before, and claims
//! what comes next. At most two claims are open at once.

use std::pin::Pin;
use std::sync::Arc;

use bus_core::Direction;
use bus_store::{Claimed, Commit, StoreError};

use super::outcomes::none_yet;
use super::{CLAIM_MAX, Session};
use crate::flow::worker::backlog::{Item, Read};
use crate::flow::worker::batch::Answers;

/// What is written and claimed meanwhile.
pub(super) type Ahead<'w> = Pin<Box<dyn Future<Output = Result<Landed, StoreError>> + Send + 'w>>;

/// What has been.
pub(super) struct Landed {
    answers: Answers,
    claimed: Vec<(Claimed, Read)>,
}

/// Returns when that is done.
pub(super) async fn landed(ahead: &mut Option<Ahead<'_>>) -> Result<Landed, StoreError> {
    let landed = match ahead {
        Some(ahead) => ahead.await,
        None => std::future::pending().await,
    };
    *ahead = None;
    landed
}

impl<'w> Session<'w, '_> {
    /// Whether the next may be claimed while what is claimed is worked on: at most as much as one claim brings, all of it
    /// free to begin as soon as there is a slot.
    pub(super) fn may_go_ahead(&self) -> bool {
        let worker = self.worker;
        self.has_more
            && self.ahead.is_none()
            && self.end.is_none()
            && worker.queue.direction == Direction::Outgoing
            && self.left.backlog.len() + self.left.begun.len() <= CLAIM_MAX
            && self.left.backlog.has_startable()
            && !worker.is_in_queue_order()
            && !worker.connection.is_probing()
            && worker.limiter.is_none()
    }

    /// Has outcomes written, and the next claimed. They put nothing back that was claimed: something of it may have been
    /// called by the time that this would be known.
    pub(super) fn go_ahead(&mut self, outcomes: Commit, answers: Answers) {
        let worker: &'w _ = self.worker;
        // From now on it learns what is bound: the store may not know of that when it is asked.
        self.known = self.known.next();
        let known = Arc::clone(&self.known);
        let claiming = self.queue.settle_and_claim_ahead(outcomes.clone());
        self.ahead = Some(Box::pin(async move {
            let (settled, claim) = claiming.await;
            worker.written(settled, outcomes).await?;
            let claimed = none_yet(claim)?.map_or_else(Vec::new, |claim| claim.deliveries);
            let read = worker.read(&claimed, &known).await?;
            Ok(Landed { answers, claimed: claimed.into_iter().zip(read).collect() })
        }));
    }

    /// Takes what was claimed.
    pub(super) fn land(&mut self, Landed { answers, claimed }: Landed) {
        self.left.claims += 1;
        self.has_more = claimed.len() >= CLAIM_MAX;
        // What it did not bring is for a claim that may bring anything.
        self.look = true;
        for (claimed, read) in claimed {
            let claim = self.left.claims;
            self.left.backlog.push(Item { claimed, claim, read: Some(read), answer: None });
        }
        self.tell(answers);
    }
}
