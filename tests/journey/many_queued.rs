//! Many more than one claim brings: the next is claimed while one is worked on, and nothing else is different.

use std::time::Duration;

use bus_core::{Direction, Failure};
use bus_store::ConnectorState;
use bus_testkit::{RunningTestBus, TestBus};
use bus_tests::{Company, User};

use crate::gates::with_gates;
use crate::told::{until, with_crm};

stories!(
    each_is_delivered_once_in_order,
    what_an_earlier_claim_made_known_is_known_to_the_next,
    one_that_fails_holds_its_object_alone,
    what_was_claimed_ahead_is_given_back_at_a_pause
);

/// Enough for several claims.
const MANY: usize = 450;

async fn set(bus: &RunningTestBus, connector: &str, state: ConnectorState) {
    bus.set_connector_state(&connector.parse().unwrap(), state).await.unwrap();
}

/// Logs a user for each of these while nothing is delivered.
async fn queue(bus: &RunningTestBus, connector: &str, count: usize) {
    set(bus, connector, ConnectorState::Paused).await;
    for number in 0..count {
        bus.objects().save(&mut User::new(&format!("user{number:03}"), "1")).await.unwrap();
    }
}

fn creates(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("create user{number:03} 1")).collect()
}

async fn each_is_delivered_once_in_order(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |_| {});
    let bus = bus.start().await;
    queue(&bus, "gated", MANY).await;
    set(&bus, "gated", ConnectorState::Enabled).await;
    bus.until_idle().await;
    assert_eq!(gates.calls(), creates(MANY));
    let counters = bus.counters("gated", Direction::Outgoing).await;
    assert_eq!((counters.completed, counters.open, counters.stale), (MANY as u64, 0, 0));
}

async fn what_an_earlier_claim_made_known_is_known_to_the_next(bus: TestBus) {
    let (bus, peer, _) = with_crm(bus);
    let bus = bus.start().await;
    set(&bus, "crm", ConnectorState::Paused).await;
    // Each user refers to the company just before: sometimes the last that an earlier claim brought.
    for number in 0..MANY / 2 {
        let mut company = Company::new(&format!("company{number}"), "Company");
        bus.objects().save(&mut company).await.unwrap();
        bus.objects().save(&mut User::new(&format!("user{number}"), "User").at(&company)).await.unwrap();
        if number == 0 {
            // From here on each claim ends between a company and its user.
            bus.objects().save(&mut Company::new("alone", "Alone")).await.unwrap();
        }
    }
    set(&bus, "crm", ConnectorState::Enabled).await;
    bus.until_idle().await;
    let counters = bus.counters("crm", Direction::Outgoing).await;
    assert_eq!((counters.open, counters.waited), (0, 0), "nobody had to wait");
    assert_eq!(peer.calls().len(), MANY / 2 * 2 + 1);
}

async fn one_that_fails_holds_its_object_alone(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |_| {});
    let bus = bus.start().await;
    queue(&bus, "gated", MANY).await;
    for login in ["user000", "user099", "user100", "user250"] {
        gates.fail(login, [|| Failure::retry("not now")]);
        let mut user = bus.objects().find::<User>(login).await.unwrap().unwrap();
        user.name = "2".to_owned();
        bus.objects().save(&mut user).await.unwrap();
    }
    set(&bus, "gated", ConnectorState::Enabled).await;
    bus.until_idle().await;
    assert_eq!(gates.passed().len(), MANY - 4, "what failed holds its own object, and no other");
    bus.clock().advance(Duration::from_mins(1));
    bus.until_idle().await;
    let passed = gates.passed();
    assert_eq!(passed.len(), MANY + 4);
    for login in ["user000", "user099", "user100", "user250"] {
        let of_login: Vec<_> = passed.iter().filter(|call| call.contains(login)).collect();
        assert_eq!(of_login, [&format!("create {login} 1"), &format!("update {login} 2")]);
    }
}

async fn what_was_claimed_ahead_is_given_back_at_a_pause(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |_| {});
    let bus = bus.start().await;
    queue(&bus, "gated", MANY).await;
    gates.hold("user050");
    set(&bus, "gated", ConnectorState::Enabled).await;
    until(async || gates.running() == ["user050"]).await;
    set(&bus, "gated", ConnectorState::Paused).await;
    gates.let_go("user050");
    bus.until_idle().await;
    let counters = bus.counters("gated", Direction::Outgoing).await;
    assert_eq!((counters.completed, counters.stale), (51, 0));
    let open = bus.open("gated", Direction::Outgoing).await;
    assert!(open.iter().all(|one| one.attempts == 0), "nothing was charged: {open:?}");
    set(&bus, "gated", ConnectorState::Enabled).await;
    bus.until_idle().await;
    let mut calls = gates.calls();
    calls.sort_unstable();
    assert_eq!(calls, creates(MANY), "each was called once");
}
