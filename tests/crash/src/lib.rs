//! The application under test: items, and a connector that writes each call into a journal outside of the bus.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus_core::{BusObject, Change, Connector, Cx, Failure, NoSettings, ObjectOperation, Outgoing, connector};
use bus_tests_history::{Answer, Dice, Event, Journal};
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};

/// Something that changes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "crash.item", display = "Item")]
pub struct Item {
    /// Given by whoever makes it.
    #[object(id)]
    pub id: i64,
    /// The name of the change that made it what it is; no other change has it.
    #[object(display_name)]
    pub change: String,
    /// What makes it large.
    pub ballast: String,
}

impl Item {
    /// The key of the item with this id in journals.
    pub fn key(id: i64) -> String {
        format!("item-{id}")
    }

    /// The name of the change that deletes this item.
    pub fn deletion(&self) -> String {
        format!("{}-deleted", self.change)
    }
}

/// How the external system behaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manners {
    /// How many of a hundred calls fail, to be tried again.
    pub retry_percent: u64,
    /// How many of a hundred calls are rejected, for a person to look at.
    pub reject_percent: u64,
    /// How many of a hundred calls panic.
    pub panic_percent: u64,
    /// How long it asks to be left alone, at the first call of each delivery.
    pub asks_for: Option<Duration>,
    /// The item whose calls end the whole process.
    pub deadly: Option<i64>,
    /// The item whose first call stops the process, until somebody lets it go on and opens this gate, a locked file.
    pub stops: Option<(i64, PathBuf)>,
}

/// The external system: a journal on the other side of the connector. Clones are the same.
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

struct Inner {
    who: String,
    journal: Arc<dyn Journal>,
    manners: Manners,
    seed: u64,
    calls: Mutex<HashMap<i64, u64>>,
    has_stopped: AtomicBool,
    said: Box<dyn Fn(&str) + Send + Sync>,
}

impl Desk {
    /// Writes as this participant; what it is about to do besides is said to `said`.
    pub fn new(
        who: &str,
        journal: Arc<dyn Journal>,
        manners: Manners,
        seed: u64,
        said: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self {
        let (who, said) = (who.to_owned(), Box::new(said));
        let has_stopped = AtomicBool::default();
        Self(Arc::new(Inner { who, journal, manners, seed, calls: Mutex::default(), has_stopped, said }))
    }

    async fn serve(&self, change: &Change<Item>) -> Result<(), Failure> {
        let Inner { who, journal, manners, said, .. } = &*self.0;
        let (item, delivery) = (&change.object, change.sequence());
        let name = match change.operation() {
            ObjectOperation::Delete => item.deletion(),
            _ => item.change.clone(),
        };
        let called = Event::Called {
            delivery,
            key: Item::key(item.id),
            change: name,
            idempotency: change.idempotency_key().to_string(),
            attempt: change.attempt(),
        };
        journal.append(who, called);
        said(&format!("called {delivery}"));
        if manners.deadly == Some(item.id) {
            journal.append(who, Event::Killed);
            std::process::abort();
        }
        let mut call = Call { desk: self, delivery, answer: Answer::Dropped };
        if let Some((_, gate)) = manners.stops.as_ref().filter(|(id, _)| *id == item.id)
            && !self.0.has_stopped.swap(true, Ordering::SeqCst)
        {
            let gate = File::open(gate)?;
            journal.append(who, Event::Stopped);
            said("stops");
            kill_process(getpid(), Signal::STOP)?;
            // The other threads stop a moment earlier or later; this call goes no further before it is let go on.
            gate.lock_shared()?;
        }
        tokio::task::yield_now().await;
        let result = self.decide(delivery);
        call.answer = if result.is_ok() { Answer::Done } else { Answer::Failed };
        result
    }

    /// What becomes of this call: chance, but the same for the same seed.
    fn decide(&self, delivery: i64) -> Result<(), Failure> {
        let Inner { manners, seed, calls, .. } = &*self.0;
        let call = {
            let mut calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
            let call = calls.entry(delivery).or_default();
            *call += 1;
            *call
        };
        if let Some(wait) = manners.asks_for.filter(|_| call == 1) {
            return Err(Failure::retry_after("later", wait));
        }
        let mut dice = Dice::seeded(seed ^ delivery.unsigned_abs().rotate_left(32) ^ call);
        let roll = dice.below(100);
        let (reject, retry) = (manners.reject_percent, manners.retry_percent);
        assert!(roll >= manners.panic_percent, "as the dice want it");
        if roll < manners.panic_percent + reject {
            return Err(Failure::reject("somebody has to look at this"));
        }
        if roll < manners.panic_percent + reject + retry {
            return Err(Failure::retry("not now"));
        }
        Ok(())
    }
}

/// Writes down how a call ended, however it ended.
struct Call<'a> {
    desk: &'a Desk,
    delivery: i64,
    answer: Answer,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let Inner { who, journal, .. } = &*self.desk.0;
        journal.append(who, Event::Answered { delivery: self.delivery, answer: self.answer });
    }
}

/// Takes every change of every item to the desk.
#[connector(name = "ledger", create_once = repeatable, needs(Desk))]
#[outgoing(Item, data = simple)]
pub struct Ledger;

impl Connector for Ledger {
    type Settings = NoSettings;

    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Outgoing<Item> for Ledger {
    async fn deliver(&self, change: Change<Item>, cx: &Cx) -> Result<(), Failure> {
        cx.handle::<Desk>()?.serve(&change).await
    }
}
