//! Many log, and many claim and settle, on one store at once, while owners follow each other without waiting for what
//! the former ones have begun. The same with stores that are broken: the rig is to find that out, by name.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus_core::{DataType, DeliveryState, Direction, ErrorPolicy, ObjectOperation, Timestamp};
use bus_store::{
    Acquired, Claimed, Commit, DeliveryFilter, First, Intervention, MemoryStore, NewDelivery, NewTask,
    Operate, Outcome, Ownership, Queue, Selected, Settlement, Store, StoreErrorKind, TaskLog, Terms, Travel,
    Verb, Wanted,
};
use bus_store_sqlite::{SqliteOptions, SqliteStore, Synchronous};
use bus_tests_history::{self as history, Answer, Dice, Event, Journal, MemoryJournal, Report, Rules, Wrong};
use tokio::task::JoinSet;

use crate::bench::queue;
use crate::processes::{folder, is_long};
use crate::spoil::{Bug, Spoil, Spoilt};

const LOGGERS: u64 = 4;
const OWNERS: u64 = 3;
const KEYS: u64 = 12;
const TASKS_EACH: u64 = 1_000;
const TASKS_EACH_LONG: u64 = 50_000;
/// A broken store may never come to an end.
const CLAIMS_EACH_MAX: u64 = 10;
/// A rig that hangs fails.
const LONGEST: Duration = Duration::from_mins(10);

struct Stress {
    store: Arc<Spoilt>,
    journal: MemoryJournal,
    /// Held from before a queue is acquired until that is written down at least, so that owners are written down in order.
    turn: tokio::sync::Mutex<()>,
    is_all_logged: AtomicBool,
    claims_max: u64,
}

/// What came of a claim.
enum Over {
    /// It brought nothing.
    Empty,
    /// All of it was settled.
    Settled,
    /// Somebody else owns the queue now, or has to.
    Replaced,
}

fn task(change: &str, key: String, dice: &mut Dice) -> NewTask {
    NewTask {
        direction: Direction::Outgoing,
        subject: "crash.item".to_owned(),
        key,
        operation: ObjectOperation::Update.into(),
        title: change.to_owned(),
        data: change.as_bytes().to_vec(),
        content_type: String::new(),
        site: None,
        origin: None,
        logged_at: Timestamp::EPOCH,
        redelivers: None,
        idempotency: None,
        travel: Travel::default(),
        deliveries: vec![NewDelivery {
            connector: queue().connector,
            data_type: DataType::Snapshot,
            policy: ErrorPolicy::Default,
            idempotency_key: format!("{:016x}{:016x}", dice.roll(), dice.roll()).parse().expect("a UUID"),
        }],
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Stress {
    fn tell(&self, who: &str, event: Event) {
        self.journal.append(who, event);
    }

    async fn log(&self, logger: u64, count: u64, mut dice: Dice) {
        let who = format!("logger-{logger}");
        let mut number = 0;
        while number < count {
            let mut commit = Commit::at(Timestamp::EPOCH);
            let mut changes = Vec::new();
            for _ in 0..=dice.below(3) {
                let (change, key) = (format!("{logger}.{number}"), format!("k{}", dice.below(KEYS)));
                self.tell(&who, Event::Invoked { change: change.clone(), key: key.clone() });
                commit.tasks.push(task(&change, key, &mut dice));
                changes.push(change);
                number += 1;
            }
            self.store.commit(commit).await.expect("logged");
            for change in changes {
                self.tell(&who, Event::Acknowledged { change });
            }
        }
    }

    async fn own(&self) -> (String, Ownership) {
        let acquired =
            self.store.acquire(&queue(), Terms::default(), Timestamp::EPOCH).await.expect("acquired");
        let Acquired::Owned(ownership) = acquired else { panic!("there is one process only: {acquired:?}") };
        let who = format!("epoch-{}", ownership.epoch);
        self.tell(&who, Event::Owned);
        (who, ownership)
    }

    /// Owns the queue again and again, until everything was logged, and a new owner finds nothing that it could do.
    async fn work(&self, mut dice: Dice) {
        while self.store.intercept().claims() < self.claims_max {
            let is_all_logged = self.is_all_logged.load(Ordering::SeqCst);
            // Nobody replaces it before it has done something; else all could keep each other from everything.
            let turn = self.turn.lock().await;
            let (who, ownership) = self.own().await;
            match self.claim_and_settle(&who, &ownership, &mut dice).await {
                Over::Empty if is_all_logged => return,
                Over::Replaced => continue,
                Over::Empty | Over::Settled => {}
            }
            drop(turn);
            for _ in 0..dice.below(16) {
                let mut other = Dice::seeded(dice.roll());
                let (one, two) = tokio::join!(
                    self.claim_and_settle(&who, &ownership, &mut dice),
                    self.claim_and_settle(&who, &ownership, &mut other),
                );
                if matches!(one, Over::Replaced) || matches!(two, Over::Replaced) {
                    break;
                }
            }
        }
    }

    async fn claim_and_settle(&self, who: &str, ownership: &Ownership, dice: &mut Dice) -> Over {
        let first = if dice.percent(50) { First::Due } else { First::Fresh };
        let wanted = Wanted { limit: usize::try_from(1 + dice.below(10)).expect("a small number"), first };
        let claim = match self.store.claim(ownership, wanted, Timestamp::EPOCH).await {
            Ok(claim) => claim,
            Err(error) if error.kind() == StoreErrorKind::Stale => return Over::Replaced,
            Err(error) => panic!("{error}"),
        };
        if claim.deliveries.is_empty() {
            return Over::Empty;
        }
        let (mut held, mut outcomes) = (HashSet::new(), Vec::new());
        for claimed in &claim.deliveries {
            if held.contains(&claimed.key) {
                continue;
            }
            if dice.percent(2) {
                // Gone in the middle of it; the next owner finds it.
                return Over::Replaced;
            }
            self.tell(who, called(claimed));
            tokio::task::yield_now().await;
            let (answer, told, outcome) = decide(dice);
            self.tell(who, Event::Answered { delivery: claimed.delivery.0, answer });
            match told {
                history::Outcome::Held => {
                    held.insert(&claimed.key);
                }
                // Later ones of its key may go at once, before this is written.
                history::Outcome::Ended | history::Outcome::Aside => {
                    self.tell(who, Event::Settling { delivery: claimed.delivery.0, outcome: told });
                }
                history::Outcome::Completed => {}
            }
            outcomes.push((claimed, told, outcome));
            if dice.percent(30)
                && let Over::Replaced = self.settle(who, ownership, std::mem::take(&mut outcomes)).await
            {
                return Over::Replaced;
            }
        }
        self.settle(who, ownership, outcomes).await
    }

    async fn settle(
        &self,
        who: &str,
        ownership: &Ownership,
        outcomes: Vec<(&Claimed, history::Outcome, Outcome)>,
    ) -> Over {
        let mut commit = Commit { ownership: Some(ownership.clone()), ..Commit::at(Timestamp::EPOCH) };
        let mut written = Vec::new();
        for (claimed, outcome, settled) in outcomes {
            let delivery = claimed.delivery.0;
            self.tell(who, Event::Settling { delivery, outcome });
            written.push(Event::Settled { delivery, outcome });
            commit.settlements.push(Settlement { delivery: claimed.delivery, outcome: settled });
        }
        match self.store.commit(commit).await {
            Ok(_) => {
                for event in written {
                    self.tell(who, event);
                }
                Over::Settled
            }
            Err(error) if error.kind() == StoreErrorKind::Stale => Over::Replaced,
            Err(error) => panic!("{error}"),
        }
    }

    /// Tries again what is parked, and ends everything.
    async fn drain(&self) {
        let (who, ownership) = self.own().await;
        let parked = DeliveryFilter { state: Some(DeliveryState::Parked), ..DeliveryFilter::default() };
        for parked in self.store.deliveries(&queue(), &parked).await.expect("what is parked") {
            self.tell(&who, Event::Reset { delivery: parked.delivery.0 });
            let items = vec![Selected { delivery: parked.delivery, seen: None }];
            let (by, reason, now) = ("somebody".to_owned(), None, Timestamp::EPOCH);
            let intervention = Intervention { verb: Verb::Retry, items, by, reason, now };
            self.store.intervene(intervention).await.expect("retried");
        }
        loop {
            let claim =
                self.store.claim(&ownership, Wanted::up_to(100), Timestamp::EPOCH).await.expect("claimed");
            if claim.deliveries.is_empty() {
                break;
            }
            let mut outcomes = Vec::new();
            for claimed in &claim.deliveries {
                self.tell(&who, called(claimed));
                self.tell(&who, Event::Answered { delivery: claimed.delivery.0, answer: Answer::Done });
                outcomes.push((claimed, history::Outcome::Completed, Outcome::Completed));
            }
            assert!(matches!(self.settle(&who, &ownership, outcomes).await, Over::Settled));
        }
        for left in self.store.deliveries(&queue(), &DeliveryFilter::default()).await.expect("what is left") {
            let (delivery, key, change) = (left.delivery.0, left.key, left.title);
            self.tell(&who, Event::Left { delivery, key, change, held: false });
        }
    }
}

fn called(claimed: &Claimed) -> Event {
    Event::Called {
        delivery: claimed.delivery.0,
        key: claimed.key.clone(),
        change: text(&claimed.data),
        idempotency: claimed.idempotency_key.to_string(),
        attempt: claimed.attempt,
    }
}

/// What becomes of a call: how it is answered, what the checker is told of the outcome, and the outcome.
fn decide(dice: &mut Dice) -> (Answer, history::Outcome, Outcome) {
    let (due, error) = (Timestamp::EPOCH, "as the dice want it".to_owned());
    match dice.below(100) {
        0..70 => (Answer::Done, history::Outcome::Completed, Outcome::Completed),
        70..82 => (Answer::Failed, history::Outcome::Held, Outcome::Retry { due, error }),
        82..88 => (Answer::GivenBack, history::Outcome::Held, Outcome::Released { due, error: None }),
        88..91 => (Answer::GivenBack, history::Outcome::Held, Outcome::Deferred { due, error }),
        91..96 => (
            Answer::Failed,
            history::Outcome::Aside,
            Outcome::Aside { due, error: Some(error), charged: true },
        ),
        96..98 => (Answer::Failed, history::Outcome::Ended, Outcome::Discarded { error }),
        _ => (Answer::Failed, history::Outcome::Held, Outcome::Parked { error, aside: false }),
    }
}

async fn stress(
    store: Arc<dyn Store>,
    bug: Bug,
    mut dice: Dice,
    tasks_each: u64,
) -> (Report, Vec<history::Entry>) {
    let stress = Arc::new(Stress {
        store: Arc::new(Spoil::store(store, bug)),
        journal: MemoryJournal::default(),
        turn: tokio::sync::Mutex::default(),
        is_all_logged: AtomicBool::default(),
        claims_max: LOGGERS * tasks_each * CLAIMS_EACH_MAX,
    });
    let run = async {
        let (mut logging, mut working) = (JoinSet::new(), JoinSet::new());
        for logger in 0..LOGGERS {
            let (stress, dice) = (Arc::clone(&stress), Dice::seeded(dice.roll()));
            logging.spawn(async move { stress.log(logger, tasks_each, dice).await });
        }
        for _ in 0..OWNERS {
            let (stress, dice) = (Arc::clone(&stress), Dice::seeded(dice.roll()));
            working.spawn(async move { stress.work(dice).await });
        }
        logging.join_all().await;
        stress.is_all_logged.store(true, Ordering::SeqCst);
        working.join_all().await;
        stress.store.intercept().heal();
        stress.drain().await;
    };
    tokio::time::timeout(LONGEST, run).await.expect("it comes to an end");
    let audit = stress.store.audit(&queue()).await.expect("an audit");
    assert!(audit.faults().is_empty(), "{:?}", audit.faults());
    stress.store.close().await;
    let entries = stress.journal.entries();
    let claims = stress.store.intercept().claims();
    assert!(
        bug != Bug::None || claims < stress.claims_max,
        "{claims} claims for {tasks_each} tasks of each logger"
    );
    (history::check(&entries, Rules { attempts_max: None }), entries)
}

async fn check_sound(name: &str, store: Arc<dyn Store>) {
    let tasks_each = if is_long() { TASKS_EACH_LONG } else { TASKS_EACH };
    let (report, entries) = stress(store, Bug::None, Dice::for_test(name), tasks_each).await;
    println!("{name}: {report:?}");
    report.assert_sound(&entries, name);
    assert!(report.late > 0 && report.repeated > 0, "owners followed each other in the middle of something");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_in_memory_keeps_its_word_under_stress() {
    check_sound("stress in memory", Arc::new(MemoryStore::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_sqlite_store_keeps_its_word_under_stress() {
    let folder = folder();
    let options = SqliteOptions::default().synchronous(Synchronous::Normal);
    let store = SqliteStore::open(folder.path().join("bus.db"), options).expect("it opens");
    check_sound("stress on SQLite", Arc::new(store)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_broken_store_is_found_out_by_the_right_name() {
    let table = [
        (Bug::DropsATask, [Wrong::Lost].as_slice()),
        (Bug::ReordersTwo, &[Wrong::Reordered]),
        (Bug::ClaimsTwice, &[Wrong::Duplicated, Wrong::TwoAtOnce]),
        (Bug::ForgetsFencing, &[Wrong::Unfenced]),
    ];
    for (bug, wrongs) in table {
        let dice = Dice::for_test(&format!("{bug:?}"));
        let (report, _) = stress(Arc::new(MemoryStore::new()), bug, dice, TASKS_EACH).await;
        println!("{bug:?}: {} findings, {:?}", report.findings.len(), report.wrongs());
        assert!(wrongs.iter().any(|wrong| report.wrongs().contains(wrong)), "{bug:?}: {:?}", report.wrongs());
    }
}
