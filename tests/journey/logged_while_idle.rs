//! What is logged while a worker has nothing to do goes to it at once, and nothing is lost or overtaken on that way.

use std::time::Duration;

use bus_core::{Direction, Failure};
use bus_runtime::{ConnectorState, Switches};
use bus_testkit::{RunningTestBus, TestBus};
use bus_tests::User;

use crate::gates::{Gates, with_gates};
use crate::told::until;

stories!(
    several_in_a_row_arrive_in_order,
    what_comes_while_the_first_runs_waits_for_it,
    what_comes_behind_a_failure_waits_for_it,
    what_is_logged_while_the_connector_is_paused_and_stopped_arrives_in_order,
    what_is_logged_while_switches_are_turned_arrives_in_order,
    a_caller_who_goes_away_takes_nothing_along
);

const LOGINS: [&str; 5] = ["u0", "u1", "u2", "u3", "u4"];
const VERSIONS: usize = 40;

/// Saves each of the users again and again.
async fn save_all(bus: &RunningTestBus) {
    let mut users = LOGINS.map(|login| User::new(login, ""));
    for version in 0..VERSIONS {
        for user in &mut users {
            user.name = version.to_string();
            bus.objects().save(user).await.unwrap();
            if version % 3 == 0 {
                tokio::task::yield_now().await;
            }
        }
    }
}

fn assert_in_order(gates: &Gates) {
    for login in LOGINS {
        let passed = gates.passed();
        let versions: Vec<usize> = passed
            .iter()
            .filter(|call| call.contains(&format!(" {login} ")))
            .filter_map(|call| call.rsplit(' ').next()?.parse().ok())
            .collect();
        assert_eq!(versions, (0..VERSIONS).collect::<Vec<_>>(), "of {login}");
    }
}

async fn several_in_a_row_arrive_in_order(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |processing| processing.concurrency = 2);
    let bus = bus.start().await;
    bus.until_idle().await;
    save_all(&bus).await;
    bus.until_idle().await;
    assert_in_order(&gates);
    assert_eq!(bus.counters("gated", Direction::Outgoing).await.stale, 0);
}

async fn what_comes_while_the_first_runs_waits_for_it(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |processing| processing.concurrency = 4);
    let bus = bus.start().await;
    bus.until_idle().await;
    gates.hold("ada");
    let mut ada = User::new("ada", "");
    for name in ["1", "2", "3"] {
        ada.name = name.to_owned();
        bus.objects().save(&mut ada).await.unwrap();
    }
    bus.objects().save(&mut User::new("bob", "1")).await.unwrap();
    until(async || gates.passed() == ["create bob 1"]).await;
    assert_eq!(gates.running(), ["ada"]);
    gates.let_go("ada");
    bus.until_idle().await;
    assert_eq!(gates.passed(), ["create bob 1", "create ada 1", "update ada 2", "update ada 3"]);
}

async fn what_comes_behind_a_failure_waits_for_it(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |_| {});
    let bus = bus.start().await;
    bus.until_idle().await;
    gates.fail("ada", [|| Failure::retry("not now")]);
    let mut ada = User::new("ada", "1");
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    ada.name = "2".to_owned();
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    assert_eq!(gates.calls(), ["create ada 1"]);
    bus.clock().advance(Duration::from_mins(1));
    bus.until_idle().await;
    assert_eq!(gates.passed(), ["create ada 1", "update ada 2"]);
}

async fn what_is_logged_while_the_connector_is_paused_and_stopped_arrives_in_order(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |processing| processing.concurrency = 2);
    let bus = bus.start().await;
    let name = "gated".parse().unwrap();
    let turning = async {
        for turn in 0..60 {
            let state = [ConnectorState::Paused, ConnectorState::Enabled, ConnectorState::Stopped][turn % 3];
            bus.set_connector_state(&name, state).await.unwrap();
            for _ in 0..turn % 7 {
                tokio::task::yield_now().await;
            }
        }
        bus.set_connector_state(&name, ConnectorState::Enabled).await.unwrap();
    };
    tokio::join!(save_all(&bus), turning);
    bus.until_idle().await;
    assert_in_order(&gates);
    let counters = bus.counters("gated", Direction::Outgoing).await;
    assert_eq!((counters.completed, counters.open), (200, 0));
    assert_eq!(gates.calls().len(), 200, "nothing is called twice");
}

async fn what_is_logged_while_switches_are_turned_arrives_in_order(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |_| {});
    let bus = bus.start().await;
    let turning = async {
        for turn in 0..40 {
            let switches = Switches { process_outgoing: turn % 2 == 1, ..Switches::default() };
            bus.set_switches(switches).await.unwrap();
            for _ in 0..turn % 5 {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::join!(save_all(&bus), turning);
    bus.until_idle().await;
    assert_in_order(&gates);
    assert_eq!(gates.calls().len(), 200, "nothing is called twice");
}

async fn a_caller_who_goes_away_takes_nothing_along(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |_| {});
    let bus = bus.start().await;
    bus.until_idle().await;
    // Waits for so many steps of the save, and then no longer.
    for looks in 0..200 {
        let mut user = User::new(&format!("u{looks}"), "1");
        let objects = bus.objects();
        let mut saving = std::pin::pin!(objects.save(&mut user));
        for _ in 0..looks {
            tokio::select! {
                biased;
                _saved = &mut saving => break,
                () = tokio::task::yield_now() => {}
            }
        }
    }
    // What was written is delivered; what was not never happened. The last of them may be written still.
    until(async || {
        bus.until_idle().await;
        let counters = bus.counters("gated", Direction::Outgoing).await;
        let saved = bus.objects().list::<User>(None, 1_000).await.unwrap().len();
        let is_delivered = usize::try_from(counters.completed) == Ok(gates.passed().len());
        counters.open == 0 && is_delivered && usize::try_from(counters.logged) == Ok(saved)
    })
    .await;
}
