//! Two buses on one file, each with a clock of its own: the owner of a queue keeps it for as long as it answers whoever
//! asks, and loses it once its time stands still.

use std::sync::Arc;
use std::time::Duration;

use bus_testkit::ManualClock;
use bus_tests_history::Rules;
use rusqlite::Connection;

use crate::bench::{Place, Running, Start};
use crate::processes::folder;

const LEASE_MS: u64 = 3_000;

/// A third of a lease: how often an owner says that it is alive.
const PACE: Duration = Duration::from_millis(LEASE_MS / 3);

/// How often the other one asks while the owner answers; each time after more than a lease.
const ASKS: i64 = 5;

/// What the file says of the owner of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Owned {
    slot: Option<i64>,
    epoch: i64,
    asked: i64,
    answered: i64,
}

fn look(db: &Connection) -> Owned {
    let sql =
        "SELECT q.owner, q.epoch, o.asked, o.answered FROM bus_queue q JOIN bus_owner o ON o.slot = q.owner";
    db.query_row(sql, [], |row| {
        Ok(Owned { slot: row.get(0)?, epoch: row.get(1)?, asked: row.get(2)?, answered: row.get(3)? })
    })
    .expect("the queue has an owner")
}

/// Lets the others run until this is so.
async fn until(mut is_so: impl FnMut() -> bool) {
    let so = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), so).await.expect("it becomes so within a minute");
}

async fn start(place: &Place, who: &str) -> (Running, ManualClock) {
    let clock = ManualClock::new();
    let mut start = Start::new(place, who);
    start.clock = Arc::new(clock.clone());
    (start.processing.lease_ms, start.processing.call_timeout_ms) = (LEASE_MS, 1);
    (start.run().await.expect("it starts"), clock)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_answers_keeps_its_queue_and_one_that_does_not_loses_it() {
    let folder = folder();
    let place = Place::from(folder.path());
    let (one, its_clock) = start(&place, "one").await;
    one.save(1, "a").await.expect("saved");
    one.until_settled().await;
    let db = Connection::open(place.0.join("bus.db")).expect("it opens");
    let owned = look(&db);
    let (other, others_clock) = start(&place, "other").await;
    until(|| look(&db).asked > owned.asked).await;

    // Time passes for both: whenever the other one may ask again, the owner has had its time to answer.
    let asked = look(&db).asked;
    while look(&db).asked < asked + ASKS {
        until(|| {
            its_clock.advance(PACE);
            look(&db).asked == look(&db).answered
        })
        .await;
        others_clock.advance(PACE);
        tokio::task::yield_now().await;
        let now = look(&db);
        assert_eq!((now.slot, now.epoch), (owned.slot, owned.epoch), "it answered: {now:?}");
    }
    other.save(1, "b").await.expect("saved");
    one.until_settled().await;

    // From here on time stands still for the owner.
    until(|| {
        others_clock.advance(PACE);
        look(&db).slot != owned.slot
    })
    .await;
    assert_eq!(look(&db).epoch, owned.epoch + 1);
    other.save(1, "c").await.expect("saved");
    other.until_settled().await;
    one.bus.shutdown().await;
    other.bus.shutdown().await;
    let report = place.judge(Rules { attempts_max: None }, "heartbeats");
    assert_eq!((report.acknowledged, report.calls), (3, 3));
}
