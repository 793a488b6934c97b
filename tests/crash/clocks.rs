//! Clocks that jump: what is due comes later or earlier then, but nothing is lost, out of order or spinning.

use std::sync::Arc;
use std::time::Duration;

use bus_core::{Clock, DeliveryState, Timestamp};
use bus_runtime::Processing;
use bus_store::{MemoryStore, Store};
use bus_store_sqlite::{SqliteOptions, SqliteStore};
use bus_testkit::ManualClock;
use bus_tests_crash::Manners;
use bus_tests_history::{Dice, Event, Rules};
use tempfile::TempDir;

use crate::bench::{Place, Running, Start};
use crate::processes::folder;
use crate::spoil::{Bug, Spoil, Spoilt};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// No due time is further off, whatever a peer or a clock says.
const FURTHEST: Duration = Duration::from_hours(30 * 24);
const STEPS: usize = 300;
const ITEMS: u64 = 8;
const ATTEMPTS: u32 = 1_000;

/// A bus with a clock that goes where it is told, on a store that counts the claims.
struct Bench {
    running: Running,
    clock: ManualClock,
    store: Arc<Spoilt>,
    place: Place,
    _folder: TempDir,
}

impl Bench {
    async fn start(on_sqlite: bool, manners: Manners, seed: u64) -> Self {
        let folder = folder();
        let place = Place::from(folder.path());
        let store: Arc<dyn Store> = if on_sqlite {
            let opened = SqliteStore::open(place.0.join("bus.db"), SqliteOptions::default());
            Arc::new(opened.expect("it opens"))
        } else {
            Arc::new(MemoryStore::new())
        };
        let (store, clock) = (Arc::new(Spoil::store(store, Bug::None)), ManualClock::new());
        let mut start = Start::new(&place, "p");
        start.opened = Some(Arc::clone(&store) as Arc<dyn Store>);
        start.clock = Arc::new(clock.clone());
        start.processing = Processing::default();
        start.processing.max_attempts = ATTEMPTS;
        (start.manners, start.seed) = (manners, seed);
        let running = start.run().await.expect("it starts");
        Self { running, clock, store, place, _folder: folder }
    }

    async fn until_idle(&self) {
        let idle = tokio::time::timeout(Duration::from_mins(1), self.running.bus.until_idle());
        idle.await.expect("there is an end to what can be done now");
    }

    fn calls(&self) -> usize {
        let entries = self.place.report(Rules::default()).0;
        entries.iter().filter(|entry| matches!(entry.event, Event::Called { .. })).count()
    }

    /// Moves the clock on. A call that is about to answer may be out of time then, and is made again.
    fn advance(&self, by: Duration) {
        self.running.tell(Event::Disturbed);
        self.clock.advance(by);
        self.running.tell(Event::Calm);
    }
}

fn back_by(now: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_micros(now.as_micros() - i64::try_from(by.as_micros()).expect("not that long"))
}

async fn jump_about(on_sqlite: bool) {
    let mut dice = Dice::for_test(&format!("clocks, on SQLite: {on_sqlite}"));
    let manners = Manners { retry_percent: 30, panic_percent: 2, ..Manners::default() };
    let bench = Bench::start(on_sqlite, manners, dice.roll()).await;
    let mut latest = bench.clock.now();
    for step in 0..STEPS {
        match dice.below(10) {
            0..5 => {
                let id = i64::try_from(1 + dice.below(ITEMS)).expect("a small number");
                bench.running.save(id, &format!("c{step}")).await.expect("saved");
            }
            5..7 => bench.advance(Duration::from_millis(dice.below(30_000))),
            7 => bench.clock.set(back_by(bench.clock.now(), HOUR)),
            8 => bench.advance(HOUR),
            _ => bench.until_idle().await,
        }
        latest = latest.max(bench.clock.now());
    }
    bench.until_idle().await;
    // Wherever it has been, everything is due once the clock is where it was last.
    bench.advance(latest.since(bench.clock.now()));
    let mut rounds = 0;
    while !bench.running.open().await.is_empty() {
        rounds += 1;
        assert!(rounds < 200, "{:?}", bench.running.open().await);
        bench.advance(Duration::from_millis(Processing::default().retry_max_ms));
        bench.until_idle().await;
    }
    let (claims, calls) = (bench.store.intercept().claims(), bench.calls());
    println!("{STEPS} steps, {calls} calls, {claims} claims, {rounds} rounds until the end");
    assert!(claims < 4 * (STEPS + calls + rounds) as u64, "it spins");
    bench.running.bus.shutdown().await;
    let report = bench.place.judge(Rules { attempts_max: Some(ATTEMPTS) }, "clocks");
    assert!(report.acknowledged > STEPS / 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jumps_cost_nothing_in_memory() {
    jump_about(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jumps_cost_nothing_on_sqlite() {
    jump_about(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_comes_when_the_clock_is_back_at_the_latest() {
    let bench =
        Bench::start(true, Manners { asks_for: Some(Duration::from_mins(1)), ..Manners::default() }, 0).await;
    bench.running.save(1, "one").await.expect("saved");
    bench.until_idle().await;
    assert_eq!(bench.calls(), 1);
    bench.clock.set(back_by(bench.clock.now(), HOUR));
    bench.until_idle().await;
    let before = bench.store.intercept().claims();
    bench.running.bus.request_tasks_processing(None).expect("asked");
    bench.until_idle().await;
    assert_eq!((bench.calls(), bench.running.open().await[0].state), (1, DeliveryState::Retryable));
    assert!(bench.store.intercept().claims() <= before + 2, "it looks again when it is asked to, and waits");
    bench.advance(HOUR);
    bench.advance(Duration::from_mins(1));
    bench.until_idle().await;
    assert_eq!(bench.calls(), 2);
    assert!(bench.running.open().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_due_further_off_than_the_furthest_due_time() {
    let bench = Bench::start(true, Manners { asks_for: Some(400 * DAY), ..Manners::default() }, 0).await;
    bench.running.save(1, "one").await.expect("saved");
    bench.until_idle().await;
    let open = bench.running.open().await;
    assert!(open[0].due.is_some_and(|due| due <= bench.clock.now().plus(FURTHEST)), "{open:?}");
    bench.advance(FURTHEST);
    bench.until_idle().await;
    assert_eq!(bench.calls(), 2);
}
