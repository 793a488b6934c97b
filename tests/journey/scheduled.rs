//! Queues that run at the times of a schedule, until they are empty.

use std::time::Duration;

use bus_core::{Direction, ExternalTask, Failure};
use bus_runtime::{ConnectorState, Schedule, StoreConfig, Synchronous};
use bus_testkit::{RunningTestBus, TestBus};
use bus_tests::{Contact, User};

use crate::gates::{Gated, Gates, with_gates};

stories!(
    nothing_runs_until_the_time_then_all_of_it,
    it_runs_at_once_when_somebody_asks,
    what_fails_comes_at_the_next_time,
    a_pause_is_not_the_time
);

/// At two o'clock in Berlin, which is one o'clock by the clock of the tests, at which it is midnight.
fn with_schedule(bus: TestBus) -> (TestBus, Gates) {
    with_gates(bus, |processing| {
        processing.schedule = Some(Schedule::parse("0 2 * * *", "Europe/Berlin").unwrap());
    })
}

async fn save(bus: &RunningTestBus, login: &str) {
    bus.objects().save(&mut User::new(login, "1")).await.unwrap();
    bus.until_idle().await;
}

async fn after(bus: &RunningTestBus, wait: Duration) {
    bus.clock().advance(wait);
    bus.until_idle().await;
}

async fn nothing_runs_until_the_time_then_all_of_it(bus: TestBus) {
    let (bus, gates) = with_schedule(bus);
    let bus = bus.start().await;
    for number in 0..150 {
        bus.objects().save(&mut User::new(&format!("user{number}"), "1")).await.unwrap();
    }
    let contact = Contact::new("003", "ada", "1");
    bus.process_external_task(ExternalTask::create::<Gated, _>("gated", &contact)).await.unwrap();
    after(&bus, Duration::from_secs(60 * 60 - 1)).await;
    assert_eq!(gates.calls(), [] as [&str; 0]);
    after(&bus, Duration::from_secs(1)).await;
    assert_eq!(bus.counters("gated", Direction::Outgoing).await.completed, 150);
    assert_eq!(bus.counters("gated", Direction::Incoming).await.completed, 1);
    save(&bus, "late").await;
    after(&bus, Duration::from_secs(24 * 60 * 60 - 1)).await;
    assert_eq!(gates.calls().len(), 151);
    after(&bus, Duration::from_secs(1)).await;
    assert_eq!(gates.calls().len(), 152);
}

async fn it_runs_at_once_when_somebody_asks(bus: TestBus) {
    let (bus, gates) = with_schedule(bus);
    let bus = bus.start().await;
    for login in ["a", "b", "c"] {
        save(&bus, login).await;
        bus.request_tasks_processing(Some(&"gated".parse().unwrap())).unwrap();
        bus.until_idle().await;
        assert_eq!(gates.take_calls(), [format!("create {login} 1")]);
    }
}

async fn what_fails_comes_at_the_next_time(bus: TestBus) {
    let (bus, gates) = with_schedule(bus);
    let bus = bus.start().await;
    gates.fail("ada", [|| Failure::retry("not now")]);
    save(&bus, "ada").await;
    after(&bus, Duration::from_hours(1)).await;
    assert_eq!(gates.take_calls().len(), 1);
    after(&bus, Duration::from_hours(23)).await;
    assert_eq!(gates.take_calls().len(), 0);
    after(&bus, Duration::from_hours(1)).await;
    assert_eq!(gates.take_calls().len(), 1);
}

async fn a_pause_is_not_the_time(bus: TestBus) {
    let (bus, gates) = with_schedule(bus);
    let bus = bus.start().await;
    save(&bus, "ada").await;
    for state in
        [ConnectorState::Paused, ConnectorState::Enabled, ConnectorState::Stopped, ConnectorState::Enabled]
    {
        bus.set_connector_state(&"gated".parse().unwrap(), state).await.unwrap();
        bus.until_idle().await;
    }
    assert_eq!(gates.calls(), [] as [&str; 0]);
    after(&bus, Duration::from_hours(1)).await;
    assert_eq!(gates.calls().len(), 1);
}

#[tokio::test]
async fn a_start_is_not_the_time() {
    let folder = tempfile::TempDir::new().unwrap();
    let on_file = || {
        let path = folder.path().join("bus.db");
        TestBus::new().configure(move |config| {
            config.store = StoreConfig::Sqlite { path, synchronous: Synchronous::Normal };
        })
    };
    let (bus, _) = with_schedule(on_file());
    let bus = bus.start().await;
    save(&bus, "ada").await;
    bus.shutdown().await;
    let (bus, gates) = with_schedule(on_file());
    let bus = bus.start().await;
    bus.until_idle().await;
    assert_eq!(gates.calls(), [] as [&str; 0]);
    after(&bus, Duration::from_hours(1)).await;
    assert_eq!(gates.calls().len(), 1);
    bus.shutdown().await;
}
