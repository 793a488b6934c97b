//! Brings a program to an end.

use super::model::{Delivery, Wrong, ensure};
use super::run::Run;
use crate::doubt::Doubt;
use crate::operate::{Intervention, Selected, Verb};
use crate::queue::{First, Outcome, Wanted};

impl Run {
    /// Lets everything succeed, at a time when all is due; whatever is left then is parked, or behind that, and ended
    /// by hand.
    pub(super) async fn finish(&mut self) -> Result<(), Wrong> {
        self.compare_history().await?;
        self.now += 1_000;
        if self.owner.is_none() {
            self.acquire(self.model.scope).await;
        }
        let running: Vec<_> = self.model.claimed().map(|one| (one.id, Outcome::Completed)).collect();
        self.settle(running, Doubt::None).await?;
        for number in 0.. {
            let first = if number % 2 == 0 { First::Due } else { First::Fresh };
            let claimed = self.claim(Wanted { limit: 4, first }).await?;
            if claimed.is_empty() {
                break;
            }
            let all = claimed.into_iter().map(|id| (id, Outcome::Completed)).collect();
            self.settle(all, Doubt::None).await?;
        }
        let is_ready = |one: &&Delivery| self.model.is_ready(one, self.time());
        ensure!(!self.model.open().any(|one| is_ready(&one)), "something is ready, and was not claimed");
        self.compare().await?;
        for id in self.model.open().map(|one| one.id).collect::<Vec<_>>() {
            let items = vec![Selected { delivery: id, seen: None }];
            let (by, now) = ("jane".to_owned(), self.time());
            let asked = Intervention { verb: Verb::Discard, items, by, reason: None, now };
            self.store.intervene(asked).await?;
            self.model.intervene(Verb::Discard, id, None, None, now);
        }
        self.compare_history().await?;
        self.prune(self.now + 1, usize::MAX).await?;
        self.compare().await
    }
}
