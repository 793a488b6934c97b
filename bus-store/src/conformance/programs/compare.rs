//! Compares what a store shows with what the model knows.

use bus_core::{DeliveryState, ObjectOperation};

use super::model::{Delivery, Stage, Wrong, ensure};
use super::run::Run;
use crate::doubt::Unsettled;
use crate::operate::{Audit, DeliveryFilter, DeliverySummary, QueueCounts};

impl Run {
    /// The books, the list of what is open, the counts by state, and everything about one delivery.
    pub(super) async fn compare(&self) -> Result<(), Wrong> {
        let counters = self.model.counters();
        let said = self.store.counters(&self.queue).await?;
        ensure!(said == counters, "the counters say {said:?}, expected {counters:?}");
        let audit = self.store.audit(&self.queue).await?;
        let (open_rows, ended_rows) = (self.model.open().count() as u64, self.model.kept().count() as u64);
        ensure!(audit == Audit { counters, open_rows, ended_rows }, "{audit:?}, {ended_rows} are kept");
        ensure!(audit.faults().is_empty(), "{:?}", audit.faults());

        let listed = self.store.deliveries(&self.queue, &DeliveryFilter::default()).await?;
        let mut listed = listed.iter();
        let mut counts = QueueCounts::default();
        for one in self.model.open() {
            self.compare_one(one, listed.next())?;
            *match self.model.state(one) {
                DeliveryState::Scheduled => &mut counts.scheduled,
                DeliveryState::Running => &mut counts.running,
                DeliveryState::Retryable => &mut counts.retryable,
                DeliveryState::Waiting => &mut counts.waiting,
                DeliveryState::Blocked => &mut counts.blocked,
                DeliveryState::Parked => &mut counts.parked,
                _ => &mut counts.available,
            } += 1;
        }
        ensure!(listed.next().is_none(), "more are listed than are open");
        let said = self.store.queue_counts(&self.queue).await?;
        ensure!(said == counts, "the counts say {said:?}, expected {counts:?}");
        self.compare_unsettled().await?;
        let any = self.model.all.len().checked_sub(1).map(|last| (self.steps() * 7) % (last + 1));
        match any {
            Some(any) => self.compare_detail(&self.model.all[any]).await,
            None => Ok(()),
        }
    }

    /// What is claimed or in doubt, and since when.
    async fn compare_unsettled(&self) -> Result<(), Wrong> {
        let expected: Vec<_> = self.model.unsettled().map(unsettled).collect();
        // All programs log tasks of this one subject.
        let said = self.store.unsettled(&self.queue, "app.user", expected.len() + 1).await?;
        ensure!(said == expected, "unsettled are {said:?}, expected {expected:?}");
        Ok(())
    }

    /// All that has ended, and everything about each delivery.
    pub(super) async fn compare_history(&self) -> Result<(), Wrong> {
        for state in DeliveryState::FINAL {
            let filter = DeliveryFilter { state: Some(state), ..DeliveryFilter::default() };
            let listed = self.store.deliveries(&self.queue, &filter).await?;
            let mut listed = listed.iter();
            for one in self.model.kept().filter(|one| self.model.state(one) == state) {
                self.compare_one(one, listed.next())?;
            }
            ensure!(listed.next().is_none(), "more are listed as {state} than are");
        }
        for one in &self.model.all {
            self.compare_detail(one).await?;
        }
        Ok(())
    }

    fn compare_one(&self, one: &Delivery, said: Option<&DeliverySummary>) -> Result<(), Wrong> {
        let expected = DeliverySummary {
            delivery: one.id,
            task: one.task,
            queue: self.queue.clone(),
            title: format!("update user {}", one.key),
            key: one.key.clone(),
            state: self.model.state(one),
            attempts: one.attempts,
            due: one.due(),
            reason: one.reason.clone(),
            ended_at: match one.stage {
                Stage::Ended(_, at) => Some(at),
                _ => None,
            },
            redelivers: None,
        };
        ensure!(said == Some(&expected), "shown as {said:?}, expected {expected:?}");
        Ok(())
    }

    async fn compare_detail(&self, one: &Delivery) -> Result<(), Wrong> {
        let detail = self.store.delivery(one.id).await?;
        let Some(detail) = detail else {
            ensure!(one.stage == Stage::Pruned, "not kept: {one:?}");
            return Ok(());
        };
        self.compare_one(one, Some(&detail.summary))?;
        let said = (&detail.awaited, detail.blocked_by, detail.interventions.len(), detail.attempts.len());
        let expected = (&one.awaited, self.model.blocked_by(one), one.interventions, one.recorded);
        ensure!(said == expected, "{} has {said:?}, expected {expected:?}", one.id);
        ensure!(detail.doubt == one.doubt, "{} is {:?}, expected {:?}", one.id, detail.doubt, one.doubt);
        ensure!(detail.data == one.key.as_bytes(), "{} lost its data", one.id);
        Ok(())
    }
}

fn unsettled(one: &Delivery) -> Unsettled {
    let operation = if one.is_create { ObjectOperation::Create } else { ObjectOperation::Update };
    Unsettled {
        delivery: one.id,
        key: one.key.clone(),
        operation: operation.into(),
        is_claimed: one.is_claimed,
        in_doubt_since: one.doubt_since,
    }
}
