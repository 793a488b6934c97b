//! Two processes that both live, and both believe that a delivery is theirs: one of them slept in the midst of a save,
//! with its time, while the other has waited for its lease and taken its queue over.

use std::time::Duration;

use bus_core::{Direction, ExternalTask};
use bus_runtime::Counters;
use bus_testkit::{FakePeer, RunningTestBus};
use bus_tests::{Company, Contact, Crm, Directory, EventLog, User};
use tokio::sync::oneshot;

use super::tables::{Host, Manner};
use super::{ada, send};
use crate::told::until;

/// A process on the application's file; all of them tell the same log of users.
async fn process(host: &Host, log: &FakePeer) -> RunningTestBus {
    let bus = host.bus().connector::<Crm>("crm").connector::<EventLog>("event-log");
    let bus = bus.object::<User>().object::<Company>().provide(log.clone()).provide(Directory::default());
    bus.start().await
}

/// The process that falls asleep as its repository saves Ada.
async fn asleep_at(host: &Host, log: &FakePeer, manner: Manner) -> RunningTestBus {
    let asleep = process(host, log).await;
    host.misbehave([manner]);
    asleep.process_external_task(ExternalTask::create::<Crm, _>("crm", &ada())).await.unwrap();
    until(async || host.is_done()).await;
    asleep
}

/// Time passes for this process only, until it is so.
async fn passes(bus: &RunningTestBus, is_so: impl AsyncFn() -> bool) {
    until(async || {
        bus.clock().advance(Duration::from_secs(10));
        is_so().await
    })
    .await;
}

async fn incoming(bus: &RunningTestBus) -> Counters {
    bus.counters("crm", Direction::Incoming).await
}

/// Lets both do all that there is to do; answers the counters of what came in by then.
async fn end(asleep: &RunningTestBus, awake: &RunningTestBus) -> Counters {
    asleep.until_idle().await;
    awake.until_idle().await;
    let counters = incoming(awake).await;
    awake.shutdown().await;
    asleep.shutdown().await;
    counters
}

/// The former owner goes on between the new one's claim and its save: what it writes is rolled back with its settlement.
#[tokio::test]
async fn of_two_owners_that_save_at_once_the_former_one_is_refused() {
    let (host, log) = (Host::new(), FakePeer::new("log"));
    let (wake, wait) = oneshot::channel();
    let asleep = asleep_at(&host, &log, Manner::WaitsBefore(wait)).await;
    let beside = host.beside();
    let (go, wait) = oneshot::channel();
    beside.misbehave([Manner::WaitsBefore(wait)]);
    let awake = process(&beside, &log).await;
    passes(&awake, async || beside.is_done()).await;
    assert_eq!((host.saves(), beside.saves(), host.users()), (1, 1, 0), "both are at it");

    wake.send(()).unwrap();
    until(async || !host.refusals().is_empty()).await;
    let refusals = host.refusals();
    assert!(refusals.len() == 1 && refusals[0].contains("in the hands of somebody else"), "{refusals:?}");
    assert_eq!(host.users(), 0, "its row went with its settlement");

    go.send(()).unwrap();
    until(async || incoming(&awake).await.completed == 1).await;
    end(&asleep, &awake).await;
    assert_eq!((host.saves(), beside.saves(), host.users()), (1, 1, 1));
    assert_eq!(beside.refusals(), [] as [&str; 0]);
    assert_eq!(log.take_calls(), ["create ada snapshot"]);
}

/// The former owner goes on when the new one is through: nothing is applied a second time, and no failure counted.
#[tokio::test]
async fn a_former_owner_that_saves_when_the_new_one_has_leaves_that_alone() {
    let (host, log) = (Host::new(), FakePeer::new("log"));
    let (wake, wait) = oneshot::channel();
    let asleep = asleep_at(&host, &log, Manner::WaitsBefore(wait)).await;
    let beside = host.beside();
    let awake = process(&beside, &log).await;
    passes(&awake, async || incoming(&awake).await.completed == 1).await;
    send(&awake, &Contact::new("003", "ada", "Ada Lovelace")).await;

    wake.send(()).unwrap();
    until(async || !host.refusals().is_empty()).await;
    end(&asleep, &awake).await;
    assert_eq!((host.saves(), beside.saves(), host.users()), (1, 2, 1));
    assert_eq!(host.user("ada").unwrap().name, "Ada Lovelace");
    assert_eq!(log.take_calls(), ["create ada snapshot", "update ada snapshot"]);
}

/// What the former owner has committed counts, whoever owns the queue by then: the new one does not do it again.
#[tokio::test]
async fn what_was_committed_before_the_owner_changed_is_not_saved_again() {
    let (host, log) = (Host::new(), FakePeer::new("log"));
    let (wake, wait) = oneshot::channel();
    let asleep = asleep_at(&host, &log, Manner::WaitsAfter(wait)).await;
    let beside = host.beside();
    let awake = process(&beside, &log).await;
    awake
        .process_external_task(ExternalTask::create::<Crm, _>("crm", &Contact::new("004", "eve", "Eve")))
        .await
        .unwrap();
    passes(&awake, async || incoming(&awake).await.completed == 2).await;

    wake.send(()).unwrap();
    let counters = end(&asleep, &awake).await;
    assert_eq!((host.saves(), beside.saves(), host.users()), (1, 1, 2), "each has saved one of them");
    assert_eq!((counters.completed, counters.retried, counters.open), (2, 0, 0));
    assert_eq!(log.take_calls(), ["create ada snapshot", "create eve snapshot"]);
}
