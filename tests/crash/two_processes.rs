//! Two processes on one file: both log, one works, and one of them is killed, or stopped for longer than its lease.

use std::fs::File;
use std::time::Duration;

use bus_store::{Operate, Store, Wake};
use bus_store_sqlite::{SqliteOptions, SqliteStore};
use bus_tests_crash::Manners;
use bus_tests_history::{Dice, Event, Journal, Report, Rules};

use crate::bench::{Place, Running, log_only, queue};
use crate::child::{Plan, Work};
use crate::processes::{Process, folder, is_long};

const KILLS: u32 = 30;
const KILLS_LONG: u32 = 1_000;
const STOPS: u32 = 3;
const STOPS_LONG: u32 = 100;

/// The least that a lease can be.
const LEASE_MS: u64 = 1_000;

/// More than one claim brings.
const ITEMS: i64 = 60;

/// The item in whose call a process is stopped.
const STOPS_AT: i64 = 5;

async fn finish(place: &Place, context: &str) -> Report {
    Running::start(place, "last").await.finish().await;
    let report = place.judge(Rules { attempts_max: None }, context);
    println!("{context}: {report:?}");
    report
}

/// A process that writes items of its own, so that it knows what it deletes.
struct Writer {
    who: String,
    first: i64,
    child: Process,
}

impl Writer {
    fn start(place: &Place, number: u32, first: i64, dice: &mut Dice) -> Self {
        let who = format!("p{number}");
        let mut plan = Plan::new(place, &who, Work::Writes { first });
        plan.seed = dice.roll();
        plan.manners = Manners { retry_percent: 8, panic_percent: 1, ..Manners::default() };
        Self { who, first, child: plan.start() }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_processes_is_killed_and_the_other_goes_on() {
    let mut dice = Dice::for_test("two processes");
    let folder = folder();
    let place = Place::from(folder.path());
    let journal = place.journal();
    let mut alive = vec![Writer::start(&place, 0, 1, &mut dice), Writer::start(&place, 1, 101, &mut dice)];
    let kills = if is_long() { KILLS_LONG } else { KILLS };
    for kill in 0..kills {
        let mut victim = alive.remove(usize::from(dice.percent(50)));
        for _ in 0..dice.below(60) {
            victim.child.line().expect("it goes on");
        }
        // Written first, because the other one takes over at once.
        journal.append(&victim.who, Event::Killed);
        victim.child.kill();
        alive.push(Writer::start(&place, 2 + kill, victim.first, &mut dice));
    }
    for last in alive {
        journal.append(&last.who, Event::Killed);
        last.child.kill();
    }
    let report = finish(&place, "two processes, one killed").await;
    assert!(report.acknowledged > 100 && report.calls > 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_stopped_for_longer_than_its_lease_is_replaced_and_settles_nothing() {
    for stop in 0..if is_long() { STOPS_LONG } else { STOPS } {
        let folder = folder();
        let place = Place::from(folder.path());
        log_only(&place, 1..=ITEMS).await;
        let mut plan = Plan::new(&place, "stopped", Work::Stays);
        plan.lease_ms = Some(LEASE_MS);
        let gate = place.0.join("gate");
        let closed = File::create(&gate).expect("a gate");
        closed.lock().expect("it is closed");
        plan.manners = Manners { stops: Some((STOPS_AT, gate)), ..Manners::default() };
        let mut stopped = plan.start();
        stopped.until("stops");
        // Who is stopped in the middle of a transaction keeps the file from everybody: that is SQLite's, not what is shown.
        while is_locked(&place) {
            stopped.go_on();
            std::thread::yield_now();
            stopped.stop();
        }

        let mut plan = Plan::new(&place, "successor", Work::Ends);
        plan.lease_ms = Some(LEASE_MS);
        let mut successor = plan.start();
        let (mut successor, said) = tokio::task::spawn_blocking(move || {
            let said = std::iter::from_fn(|| successor.line()).find(|line| line.starts_with("called"));
            (successor, said)
        })
        .await
        .expect("no panic");
        assert!(said.is_some(), "it takes over");
        stopped.go_on();
        closed.unlock().expect("it is open");
        until_stale(&place).await;
        while successor.line().is_some() {}
        assert!(successor.finish(), "it comes to its end");
        stopped.kill();
        place.journal().append("stopped", Event::Killed);
        let report = finish(&place, &format!("stop {stop}")).await;
        assert_eq!(report.acknowledged, 2 * usize::try_from(ITEMS).expect("a small number"));
    }
}

/// Whether somebody is in the middle of a transaction.
fn is_locked(place: &Place) -> bool {
    let db = rusqlite::Connection::open(place.0.join("bus.db")).expect("it opens");
    // Long enough for whoever is not stopped.
    db.busy_timeout(std::time::Duration::from_millis(300)).expect("it waits");
    db.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_err()
}

/// Returns once an outcome that came too late was counted.
async fn until_stale(place: &Place) {
    let store = SqliteStore::open(place.0.join("bus.db"), SqliteOptions::default()).expect("it opens");
    let mut bell = store.doorbell(&queue());
    let stale = async {
        while store.counters(&queue()).await.expect("the counters").stale == 0 {
            bell.changed().await.expect("the store is open");
        }
    };
    tokio::time::timeout(Duration::from_mins(1), stale)
        .await
        .expect("its outcome comes too late, and is counted");
    store.close().await;
}
