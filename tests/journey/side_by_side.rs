//! Deliveries of different objects run side by side, those of one object one after the other.

use std::time::Duration;

use bus_core::{Direction, ExternalTask, Failure};
use bus_testkit::{RunningTestBus, TestBus};
use bus_tests::{Contact, User};

use crate::gates::{Gated, with_gates};
use crate::told::until;

stories!(
    as_many_run_side_by_side_as_are_allowed_and_one_of_each_object,
    one_that_hangs_delays_neither_other_objects_nor_further_claims,
    order_per_object_survives_failures,
    objects_behind_one_that_hangs_wait_for_it_alone,
    incoming_ones_run_side_by_side_too,
    an_incoming_one_that_hangs_delays_only_its_own_object
);

const FOUR: u32 = 4;

/// Saves a user several times over, with these names.
async fn save(bus: &RunningTestBus, login: &str, names: &[&str]) -> User {
    let mut user = User::new(login, "");
    for name in names {
        user.name = (*name).to_owned();
        bus.objects().save(&mut user).await.unwrap();
    }
    user
}

async fn as_many_run_side_by_side_as_are_allowed_and_one_of_each_object(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |processing| processing.concurrency = FOUR);
    let bus = bus.start().await;
    let logins = ["a", "b", "c", "d", "e", "f"];
    for login in logins {
        gates.hold(login);
        save(&bus, login, &["1", "2"]).await;
    }
    until(async || gates.running().len() == 4).await;
    assert_eq!(gates.running(), ["a", "b", "c", "d"]);
    assert_eq!(gates.calls(), ["create a 1", "create b 1", "create c 1", "create d 1"]);
    gates.let_go("b");
    until(async || gates.running() == ["a", "c", "d", "e"]).await;
    for login in logins {
        gates.let_go(login);
    }
    bus.until_idle().await;
    assert_eq!(gates.running_most(), 4);
    for login in logins {
        let of_login: Vec<_> =
            gates.passed().into_iter().filter(|call| call.contains(&format!(" {login} "))).collect();
        let calls = gates.passed();
        assert_eq!(of_login.last().map(String::as_str), Some(&*format!("update {login} 2")), "{calls:?}");
    }
    assert_eq!(bus.counters("gated", Direction::Outgoing).await.completed, 12);
}

async fn one_that_hangs_delays_neither_other_objects_nor_further_claims(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |processing| processing.concurrency = FOUR);
    let bus = bus.start().await;
    gates.hold("slow");
    save(&bus, "slow", &["1"]).await;
    until(async || gates.running() == ["slow"]).await;
    // More than one claim can bring, and two of each object.
    for number in 0..130 {
        save(&bus, &format!("user{number}"), &["1", "2"]).await;
    }
    until(async || bus.counters("gated", Direction::Outgoing).await.completed == 260).await;
    assert_eq!(gates.running(), ["slow"]);
    gates.let_go("slow");
    bus.until_idle().await;
    assert_eq!(bus.counters("gated", Direction::Outgoing).await.open, 0);
}

async fn objects_behind_one_that_hangs_wait_for_it_alone(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |processing| processing.concurrency = FOUR);
    let bus = bus.start().await;
    bus.set_connector_state(&"gated".parse().unwrap(), bus_store::ConnectorState::Paused).await.unwrap();
    gates.hold("slow");
    let names: Vec<String> = (0..300).map(|version| version.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    save(&bus, "slow", &names).await;
    for number in 0..130 {
        save(&bus, &format!("user{number}"), &["1"]).await;
    }
    // One object has more claimed than fits into a claim: what is behind that is claimed all the same.
    bus.set_connector_state(&"gated".parse().unwrap(), bus_store::ConnectorState::Enabled).await.unwrap();
    until(async || bus.counters("gated", Direction::Outgoing).await.completed == 130).await;
    gates.let_go("slow");
    bus.until_idle().await;
    let of_slow: Vec<_> = gates.passed().into_iter().filter(|call| call.contains("slow")).collect();
    let expected = names.iter().map(|name| {
        let operation = if *name == "0" { "create" } else { "update" };
        format!("{operation} slow {name}")
    });
    assert_eq!(of_slow, expected.collect::<Vec<_>>());
}

async fn order_per_object_survives_failures(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |processing| processing.concurrency = FOUR);
    let bus = bus.start().await;
    let logins: Vec<String> = (0..20).map(|number| format!("user{number:02}")).collect();
    for (number, login) in logins.iter().enumerate() {
        // Another call of each fails, and each in another way.
        let answers = [
            || Failure::retry("not now"),
            || Failure::defer("not yet"),
            || Failure::disconnected("gone"),
            || -> Failure { panic!("broken") },
        ];
        gates.fail(login, [answers[number % 4], answers[(number + 1) % 4]]);
    }
    for login in &logins {
        save(&bus, login, &["1", "2", "3", "4"]).await;
    }
    for _ in 0..60 {
        bus.until_idle().await;
        bus.clock().advance(Duration::from_secs(20));
    }
    bus.until_idle().await;
    assert_eq!(bus.counters("gated", Direction::Outgoing).await.completed, 80);
    for login in &logins {
        let calls = |calls: Vec<String>| -> Vec<String> {
            calls.into_iter().filter(|call| call.contains(&format!(" {login} "))).collect()
        };
        let create = format!("create {login} 1");
        let rest = [2, 3, 4].map(|version| format!("update {login} {version}"));
        let passed: Vec<_> = [create].into_iter().chain(rest).collect();
        assert_eq!(calls(gates.passed()), passed);
        let mut all = calls(gates.calls());
        all.dedup();
        assert_eq!(all, passed, "nothing is called before what is earlier has passed");
    }
    assert!(gates.running_most() <= 4);
}

async fn incoming_ones_run_side_by_side_too(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |processing| processing.concurrency = FOUR);
    let bus = bus.start().await;
    let logins = ["a", "b", "c", "d", "e"];
    for login in logins {
        gates.hold(login);
        receive(&bus, login, "1").await;
        receive(&bus, login, "2").await;
    }
    until(async || gates.running().len() == 4).await;
    assert_eq!(gates.running(), ["a", "b", "c", "d"]);
    for login in logins {
        gates.let_go(login);
    }
    bus.until_idle().await;
    assert_eq!(bus.counters("gated", Direction::Incoming).await.completed, 10);
    for login in logins {
        assert_eq!(bus.objects().find::<User>(login).await.unwrap().unwrap().name, "2");
    }
    assert_eq!(bus.objects().count::<User>().await.unwrap(), 5);
}

async fn an_incoming_one_that_hangs_delays_only_its_own_object(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |processing| processing.concurrency = FOUR);
    let bus = bus.start().await;
    gates.hold("slow");
    receive(&bus, "slow", "1").await;
    receive(&bus, "slow", "2").await;
    for number in 0..130 {
        receive(&bus, &format!("user{number}"), "1").await;
    }
    until(async || bus.counters("gated", Direction::Incoming).await.completed == 130).await;
    assert_eq!(gates.running(), ["slow"]);
    gates.let_go("slow");
    bus.until_idle().await;
    assert_eq!(bus.objects().find::<User>("slow").await.unwrap().unwrap().name, "2");
}

async fn receive(bus: &RunningTestBus, login: &str, name: &str) {
    let contact = Contact::new(login, login, name);
    bus.process_external_task(ExternalTask::create::<Gated, _>("gated", &contact)).await.unwrap();
}
