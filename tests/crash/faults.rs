//! Faults of the store beneath a running bus: a full disk, a full quota, a disk that fails, a folder that cannot be
//! written, a lock that somebody else holds. Each in a process of its own; the journal is elsewhere.

use std::path::Path;
use std::sync::Arc;

use bus_runtime::{BusErrorKind, ConnectorState, StoreConfig, Synchronous};
use bus_store_sqlite::{SqliteOptions, SqliteStore};
use bus_tests_crash::Item;
use bus_tests_history::{Event, Journal, Rules};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::bench::{Place, Running, Start, queue};
use crate::processes::{self, Process, folder, say};

/// What fits on the disk.
const DISK: &str = "size=4m";
const DISK_KIB: u64 = 4 * 1024;
/// Taken by a foreign file, and given back.
const BALLAST_BYTES: usize = 2 * 1024 * 1024;
/// How large a change is.
const CHANGE_BYTES: usize = 20_000;
/// How often in a row a full disk refuses.
const REFUSALS: u32 = 30;

const RULES: Rules = Rules { attempts_max: None };

/// A large change of an item.
fn large(number: u32) -> Item {
    Item { id: 1 + i64::from(number % 7), change: format!("c{number}"), ballast: "x".repeat(CHANGE_BYTES) }
}

/// Saves until that is refused so often in a row; how many there were before.
async fn fill(running: &Running) -> u32 {
    let (mut number, mut refused) = (0, 0);
    while refused < REFUSALS {
        assert!(number < 10_000, "the disk is never full");
        number += 1;
        match running.save_item(large(number)).await {
            Ok(()) => refused = 0,
            Err(error) => {
                assert_eq!(error.kind(), BusErrorKind::Store, "{error:?}");
                assert!(format!("{error:?}").contains("make room"), "{error:?}");
                running.tell(Event::Disturbed);
                refused += 1;
            }
        }
    }
    number - REFUSALS
}

/// The story of a full disk: it refuses, room is made elsewhere, and the bus goes on by itself.
async fn fill_and_make_room(place: &Place, disk: &Path) {
    let ballast = disk.join("ballast");
    std::fs::write(&ballast, vec![0; BALLAST_BYTES]).expect("there is room for it");
    let mut start = Start::new(place, "p");
    start.store = StoreConfig::Sqlite { path: disk.join("bus.db"), synchronous: Synchronous::Full };
    let running = start.run().await.expect("it starts");
    let saved = fill(&running).await;
    std::fs::remove_file(&ballast).expect("the ballast goes");
    let after = running.save(100, "after").await;
    after.unwrap_or_else(|error| panic!("there is room again: {error:?}"));
    running.until_settled().await;
    running.tell(Event::Calm);
    running.save(101, "later").await.expect("and there still is");
    running.finish().await;
    say(&format!("filled {saved}"));
}

/// The child has file systems of its own: what it mounts ends with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_on_a_small_disk() {
    let Some(place) = processes::plan() else { return };
    let place = Place::from(Path::new(&place));
    let disk = place.0.join("disk");
    let size = rustix::fs::statvfs(&disk).expect("the size of the disk");
    assert!(size.f_blocks * size.f_frsize <= DISK_KIB * 1024, "it is a small one");
    fill_and_make_room(&place, &disk).await;
}

#[test]
fn a_full_disk_refuses_and_costs_nothing_and_the_bus_goes_on_when_there_is_room() {
    let folder = folder();
    let place = Place::from(folder.path());
    std::fs::create_dir(place.0.join("disk")).expect("a folder");
    let script =
        format!("mount -t tmpfs -o {DISK} tmpfs '{}' && exec \"$0\" \"$@\"", place.0.join("disk").display());
    let ways: [&[&str]; 2] = [&["--mount"], &["--map-root-user", "--mount"]];
    let may_mount = |way: &&&[&str]| {
        let probe =
            std::process::Command::new("unshare").args(**way).args(["sh", "-c", &script, "true"]).status();
        probe.is_ok_and(|status| status.success())
    };
    let Some(way) = ways.iter().find(may_mount) else {
        // Not skipped: the quota is tested below wherever this runs.
        println!(
            "A SMALL DISK COULD NOT BE MOUNTED HERE (`unshare --mount` is refused): only the quota was tested"
        );
        return;
    };
    let arguments: Vec<&str> = way.iter().copied().chain(["sh", "-c", &script]).collect();
    let plan = place.0.display().to_string();
    let mut child = Process::start_through("unshare", &arguments, "faults::child_on_a_small_disk", &plan);
    let said: Vec<String> = std::iter::from_fn(|| child.line()).collect();
    assert!(child.finish(), "the child failed");
    let report = place.judge(RULES, "a full disk");
    println!("{said:?}, {report:?}");
    assert!(said.iter().any(|line| line.starts_with("filled")) && report.acknowledged > 20);
}

/// With a quota the disk is never full, so that what ends is written, and makes room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_quota_lets_everything_end_and_then_takes_more() {
    let folder = folder();
    let place = Place::from(folder.path());
    let options = SqliteOptions::default().pages_max(500);
    let store = SqliteStore::open(place.0.join("bus.db"), options).expect("it opens");
    let mut start = Start::new(&place, "p");
    start.opened = Some(Arc::new(store));
    let running = start.run().await.expect("it starts");
    let ledger = queue().connector;
    running.bus.set_connector_state(&ledger, ConnectorState::Paused).await.expect("paused");
    let saved = fill(&running).await;
    running.tell(Event::Calm);
    assert!(saved > 10, "{saved}");
    // Without room, the state cannot be written perhaps; in memory it holds.
    let _ = running.bus.set_connector_state(&ledger, ConnectorState::Enabled).await;
    running.until_settled().await;
    running.save(100, "after").await.expect("what ended has made room");
    running.finish().await;
    let report = place.judge(RULES, "a full quota");
    println!("{saved} saved, {report:?}");
    assert_eq!((report.repeated, report.late), (0, 0), "finishing works all the time");
}

/// What a commit meets in the child: a failing disk, at this passing of this place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_whose_disk_fails() {
    let Some(plan) = processes::plan() else { return };
    let (place, failing) = plan.split_once('|').expect("a plan");
    let (point, passing) = failing.split_once(' ').expect("a place and a passing");
    let running = Running::start(&Place::from(Path::new(place)), "p").await;
    let passing: u32 = passing.parse().expect("a number");
    let code = rusqlite::ffi::SQLITE_IOERR_FSYNC;
    fail::cfg(point, &format!("{passing}*off->1*return({code})->off")).expect("it is set up");
    for number in 0.. {
        let saved = running.save(1 + number % 5, &format!("c{number}")).await;
        if let Err(error) = saved {
            assert!(matches!(error.kind(), BusErrorKind::Store | BusErrorKind::Stopped), "{error:?}");
            break;
        }
        assert!(number < 1_000, "the disk does not fail");
    }
    let refused = running.save(9, "refused").await.expect_err("the store has stopped itself");
    assert!(format!("{refused:?}").contains("has stopped itself"), "{refused:?}");
    let ended = running.bus.run_until_shutdown().await.expect_err("the program ends, and says why");
    assert_eq!(ended.kind(), BusErrorKind::Store, "{ended:?}");
    say("stopped");
}

/// The first commits of a bus, each with a disk that fails before it, and after it: nobody knows then what is on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync_stops_the_store_and_the_next_start_finds_everything() {
    let (mut failing, mut recovered) = (JoinSet::new(), 0);
    for point in ["sqlite-before-commit", "sqlite-after-commit"] {
        for passing in 0..12 {
            failing.spawn_blocking(move || fail_at(point, passing));
        }
    }
    while let Some(failed) = failing.join_next().await {
        let (folder, context) = failed.expect("the child stops by itself");
        let place = Place::from(folder.path());
        place.journal().append("p", Event::Killed);
        Running::start(&place, "last").await.finish().await;
        recovered += place.judge(RULES, &context).recovered;
    }
    println!("24 failed commits; {recovered} changes came through whose maker was told of a failure");
    assert!(recovered > 0, "some had been committed");
}

fn fail_at(point: &str, passing: u32) -> (TempDir, String) {
    let folder = folder();
    let plan = format!("{}|{point} {passing}", folder.path().display());
    let mut child = Process::start("faults::child_whose_disk_fails", &plan);
    child.until("stopped");
    assert!(child.finish(), "the child failed");
    (folder, format!("{point}, passing {passing}"))
}

#[tokio::test]
async fn child_in_a_folder_that_it_cannot_write() {
    let Some(place) = processes::plan() else { return };
    let place = Path::new(&place);
    let mut start = Start::new(&Place::from(place.join("open").as_path()), "p");
    start.store = StoreConfig::Sqlite { path: place.join("locked/bus.db"), synchronous: Synchronous::Full };
    let error = start.run().await.err().expect("it cannot start");
    assert_eq!(error.kind(), BusErrorKind::StoreOpen);
    assert!(format!("{error:?}").contains("a folder that this user may write"), "{error:?}");
    say("refused");
}

#[cfg(unix)]
#[test]
fn a_bus_does_not_start_in_a_folder_that_cannot_be_written() {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    for (name, mode) in [("locked", 0o555), ("open", 0o777)] {
        fs::create_dir(folder.path().join(name)).expect("a folder");
        fs::set_permissions(folder.path().join(name), Permissions::from_mode(mode)).expect("permissions");
    }
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("permissions");
    let plan = folder.path().display().to_string();
    let test = "faults::child_in_a_folder_that_it_cannot_write";
    // Root passes every permission check.
    let mut child = if rustix::process::geteuid().is_root() {
        let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        Process::start_through("setpriv", &nobody, test, &plan)
    } else {
        Process::start(test, &plan)
    };
    child.until("refused");
    assert!(child.finish(), "the child failed");
}

/// Holds the write lock until it is killed.
#[test]
fn child_that_holds_the_lock() {
    let Some(file) = processes::plan() else { return };
    let db = rusqlite::Connection::open(file).expect("open");
    db.busy_timeout(std::time::Duration::from_mins(1)).expect("it waits for its turn");
    db.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    say("locked");
    std::thread::park();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_beside_a_lock() {
    let Some(place) = processes::plan() else { return };
    let place = Place::from(Path::new(&place));
    let file = place.0.join("bus.db").display().to_string();
    let lock = || {
        let file = file.clone();
        let locked = tokio::task::spawn_blocking(move || {
            let mut locker = Process::start("faults::child_that_holds_the_lock", &file);
            locker.until("locked");
            locker
        });
        async move { locked.await.expect("locked") }
    };
    let running = Running::start(&place, "p").await;
    running.save(1, "before").await.expect("nothing is in the way");
    running.until_settled().await;

    let locker = lock().await;
    let (waited, ()) = tokio::join!(running.save(1, "waits"), async {
        tokio::task::yield_now().await;
        locker.kill();
    });
    waited.expect("it waits for the lock");
    running.until_settled().await;

    let locker = lock().await;
    running.tell(Event::Disturbed);
    let before = cpu_ticks();
    let refused = running.save(1, "refused").await.expect_err("the lock is kept for too long");
    let spent = cpu_ticks() - before;
    assert_eq!(refused.kind(), BusErrorKind::Store);
    assert!(format!("{refused:?}").contains("end its long transaction"), "{refused:?}");
    // It waited for five seconds: 500 ticks, if it had been busy.
    assert!(spent < 150, "it spins: {spent} hundredths of a second");
    locker.kill();
    running.save(1, "after").await.expect("nothing is in the way");
    running.until_settled().await;
    running.tell(Event::Calm);
    running.finish().await;
    say(&format!("spent {spent}"));
}

/// How much of the processor this process has used, in hundredths of a second.
fn cpu_ticks() -> u64 {
    let used = std::fs::read_to_string("/proc/self/stat").expect("what this process used");
    let after_name = used.rsplit(") ").next().expect("the fields");
    let fields: Vec<&str> = after_name.split(' ').collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
}

#[test]
fn a_lock_that_somebody_else_holds_is_waited_for_and_then_complained_about() {
    let folder = folder();
    let place = Place::from(folder.path());
    let mut child = Process::start("faults::child_beside_a_lock", &place.0.display().to_string());
    let said: Vec<String> = std::iter::from_fn(|| child.line()).collect();
    assert!(child.finish(), "the child failed");
    let report = place.judge(RULES, "a lock");
    println!("{said:?}, {report:?}");
    assert_eq!(report.acknowledged, 3);
}
