//! Outgoing calls are limited to so many in a time.

use std::time::Duration;

use bus_core::{Direction, ExternalTask};
use bus_runtime::Rate;
use bus_testkit::TestBus;
use bus_tests::{Contact, User};

use crate::gates::{Gated, with_gates};

stories!(never_more_than_allowed_and_no_attempt_is_charged, what_comes_in_is_not_limited);

const STEP_MS: usize = 50;

async fn never_more_than_allowed_and_no_attempt_is_charged(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |processing| {
        processing.rate = Some(Rate { calls_max: 4, interval_ms: 1_000 });
        processing.concurrency = 8;
        processing.max_attempts = 1;
    });
    let bus = bus.start().await;
    for number in 0..20 {
        bus.objects().save(&mut User::new(&format!("user{number}"), "1")).await.unwrap();
    }
    let mut calls = Vec::new();
    for _ in 0..200 {
        bus.until_idle().await;
        calls.push(gates.take_calls().len());
        bus.clock().advance(Duration::from_millis(50));
    }
    for interval in calls.windows(1_000 / STEP_MS) {
        assert!(interval.iter().sum::<usize>() <= 4, "{calls:?}");
    }
    // Nor is it slower than it may be.
    assert_eq!(calls[..100].iter().sum::<usize>(), 20, "{calls:?}");
    let counters = bus.counters("gated", Direction::Outgoing).await;
    assert_eq!((counters.completed, counters.retried), (20, 0));
}

async fn what_comes_in_is_not_limited(bus: TestBus) {
    let (bus, _) = with_gates(bus, |processing| processing.rate = Some(Rate::per_second(1)));
    let bus = bus.start().await;
    for number in 0..20 {
        let contact = Contact::new(&number.to_string(), &format!("user{number}"), "1");
        bus.process_external_task(ExternalTask::create::<Gated, _>("gated", &contact)).await.unwrap();
    }
    bus.until_idle().await;
    assert_eq!(bus.counters("gated", Direction::Incoming).await.completed, 20);
}
